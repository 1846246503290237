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

#: Covalent radii in Å by atomic number (B. Cordero et al., Dalton Trans. 2008, 2832).
RADII = (
    0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05,
    1.02, 1.06, 2.03, 1.76, 1.7, 1.6, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.2,
    1.19, 1.2, 1.2, 1.16, 2.2, 1.95, 1.9, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44,
    1.42, 1.39, 1.39, 1.38, 1.39, 1.4, 2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96,
    1.94, 1.92, 1.92, 1.89, 1.9, 1.87, 1.87, 1.75, 1.7, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32,
    1.45, 1.46, 1.48, 1.4, 1.5, 1.5, 2.6, 2.21, 2.15, 2.06, 2.0, 1.96, 1.9, 1.87, 1.8, 1.69,
)  # fmt: skip
#: Of heavier elements.
_HEAVY = 1.7
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
    several = [one for one in train if len(one) > 2 and not _INERT & set(one.numbers.tolist())]
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
    return RADII[number - 1] if number <= len(RADII) else _HEAVY
