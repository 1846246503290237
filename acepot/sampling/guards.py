"""What a fitted model is not trusted with: atoms that come too close, and holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import AceError, InputError
from acepot.holes.scan import scan
from acepot.model import known_shortest
from acepot.potential import Potential
from acepot.sampling.limits import Guards

__all__ = ["HoleError", "distances", "require_no_holes"]

#: Of the shortest distance in the data, and of a typical bond length where that is not known: atoms
#: are closer in a liquid than in data of crystals, and the repulsion holds somewhat further in.
_OF_DATA, _OF_BOND = 0.9, 0.6
#: Å, of elements that no table has.
_BOND = 2.5


class HoleError(AceError, RuntimeError):
    """Atoms fall into each other, or would."""


def distances(
    guards: Guards, elements: Sequence[int], potential: Potential | None
) -> tuple[dict[str, float], str]:
    """The smallest distances between atoms, which are part of the prior.

    Args:
        guards: as the settings say.
        elements: atomic numbers that there may be.
        potential: of a fitted model; None: nothing is known, and there is no limit.

    Returns:
        Å by pair, such as "O-Si", and where they come from, in words.

    Raises:
        InputError: a pair of elements that are not there.
    """
    pairs = dict(_pairs(elements))
    given = guards.min_distance
    if isinstance(given, float):
        return dict.fromkeys(pairs.values(), given), "as the settings say"
    found = _known(given or {}, pairs, "guards.min_distance")
    words = ["as the settings say"] if found else []
    data: dict[str, float] = {}
    if potential is not None:
        data = _known(known_shortest(potential.model), pairs)
    for (a, b), pair in pairs.items():
        if pair in found:
            continue
        if pair in data:
            found[pair] = round(_OF_DATA * data[pair], 3)
            words.append(f"{_OF_DATA:g} of the shortest in the data of the fit")
        elif potential is not None:
            bond = (BOND_LENGTHS.get(a, _BOND) + BOND_LENGTHS.get(b, _BOND)) / 2
            found[pair] = round(_OF_BOND * bond, 3)
            words.append(f"{_OF_BOND:g} of a typical bond, for the model does not say how close")
    return {pair: found[pair] for pair in pairs.values() if pair in found}, ", or ".join(
        dict.fromkeys(words)
    )


def _pairs(elements: Sequence[int]) -> Iterator[tuple[tuple[int, int], str]]:
    """Pairs of elements and their names, in the order of the symbols."""
    for a, b in combinations_with_replacement(sorted(set(elements), key=lambda z: SYMBOLS[z]), 2):
        yield (a, b), f"{SYMBOLS[a]}-{SYMBOLS[b]}"


def _known(
    given: Mapping[str, float], pairs: Mapping[tuple[int, int], str], where: str = ""
) -> dict[str, float]:
    """Distances by the names that pairs have here; others are an error, if they have a place."""
    found = {}
    for name, distance in given.items():
        first, _, second = name.partition("-")
        pair = pairs.get(_numbers(first, second)) or pairs.get(_numbers(second, first))
        if pair is not None and np.isfinite(distance):
            found[pair] = float(distance)
        elif where:
            raise InputError(
                f"{where}: expected pairs of {', '.join(pairs.values())}, got {name!r}"
            )
    return found


def _numbers(first: str, second: str) -> tuple[int, int]:
    try:
        return atomic_number(first), atomic_number(second)
    except InputError:
        return 0, 0


def require_no_holes(potential: Potential, name: str) -> None:
    """Refuse a model whose short range is not repulsive: walkers begin there.

    Args:
        potential: of the model.
        name: of its file.

    Raises:
        HoleError: it has holes.
    """
    found = scan(potential, short=True)
    if found.holes:
        raise HoleError(
            f"{name}: nested sampling begins with atoms at random places, and this model lets them "
            f"fall into each other: {found}; see acepot check {name} --holes, docs/holes.md, and "
            'if you know better guards.holes = "allow"'
        )
