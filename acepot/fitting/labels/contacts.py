"""Distances that tell of wrong units or broken frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.fitting.labels.findings import Finding, named, strange
from acepot.neighbours import nearest
from acepot.structure import Structure

__all__ = ["RADII", "contact", "contacts"]

#: Covalent radii in pm by atomic number (B. Cordero et al., Dalton Trans. 2008, 2832).
RADII = (
    31, 28, 128, 96, 84, 76, 71, 66, 57, 58, 166, 141, 121, 111, 107, 105, 102, 106, 203, 176,
    170, 160, 153, 139, 139, 132, 126, 124, 132, 122, 122, 120, 119, 120, 120, 116, 220, 195, 190,
    175, 164, 154, 147, 146, 142, 139, 145, 144, 142, 139, 139, 138, 139, 140, 244, 215, 207, 204,
    203, 201, 199, 198, 198, 196, 194, 192, 192, 189, 190, 187, 187, 175, 170, 162, 151, 144, 141,
    136, 136, 132, 145, 146, 148, 140, 150, 150, 260, 221, 215, 206, 200, 196, 190, 187, 180, 169,
)  # fmt: skip
#: Of heavier elements.
_HEAVY = 170
#: Elements that form no bonds: their distances are not measured by these radii.
_INERT = frozenset({2, 10, 18, 36, 54, 86})
#: The shortest distances of a structure, in sums of radii, lie between these two in most sound
#: sets (0.75 to 1.2 in those of `shared/data`); a Bohr is 1.89 of an ångström.
_SHORT, _LONG = 0.6, 1.45
#: A single contact is told of below this.
_TOUCHING = 0.5
#: Structures that are looked at, in Å the farthest distance, and atoms in which one is looked for.
_LOOKED_AT, _REACH, _MOST_ATOMS = 60, 9.0, 400


def contact(structure: Structure) -> float:
    """The shortest distance in sums of covalent radii; infinite where there is none."""
    try:
        found = nearest(structure, _REACH if len(structure) < _MOST_ATOMS else 0.5 * _REACH)
    except InputError:
        return 0.0 if len(structure) > 1 else np.inf
    return min((d / (_radius(a) + _radius(b)) for (a, b), d in found.items()), default=np.inf)


def contacts(train: Sequence[Structure], shortest: Mapping[str, float]) -> Iterator[Finding]:
    """Distances that look like another unit, and the closest atoms.

    Args:
        train: training structures.
        shortest: shortest distance in Å of every pair of elements in all of them.
    """
    several = [
        one
        for one in train
        if len(one) > (1 if one.pbc.any() else 2) and not _INERT & set(one.numbers.tolist())
    ]
    looked_at = several[:: max(1, len(several) // _LOOKED_AT)]
    ratios = np.array([contact(one) for one in looked_at])
    if len(ratios):
        usual = float(np.median(ratios))
        if usual < _SHORT or _LONG < usual < np.inf:
            unit = (
                "positions in Bohr (units: positions=Bohr)"
                if usual > 1
                else "a length longer than Å, such as nm (units: positions=nm)"
            )
            yield strange(
                f"{named(looked_at)}: the shortest distances are usually {usual:.2g} times the sum "
                f"of covalent radii: this looks like {unit}"
            )
            return
    for pair, distance in shortest.items():
        a, b = map(atomic_number, pair.split("-"))
        if distance < _TOUCHING * (_radius(a) + _radius(b)):
            holder = _with_distance(train, (min(a, b), max(a, b)), distance)
            yield strange(
                f"{named(holder)}: {SYMBOLS[a]} and {SYMBOLS[b]} are only {distance:.3g} Å apart; "
                "if this is not a dimer meant to be so short, leave it out"
            )


def _with_distance(
    train: Sequence[Structure], pair: tuple[int, int], distance: float
) -> list[Structure]:
    """The structure in which two elements are that close."""
    for one in train:
        if set(pair) <= set(one.numbers.tolist()):
            found = nearest(one, distance * 1.01).get(pair)
            if found is not None and found <= distance * (1 + 1e-9):
                return [one]
    return []


def _radius(number: int) -> float:
    """In Å."""
    return (RADII[number - 1] if number <= len(RADII) else _HEAVY) / 100
