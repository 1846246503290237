"""Where a walk must end whatever the criterion says: atoms that touch, absurd forces, holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.hal.walker import Walker
from acepot.sampling.distances import MinimumDistances
from acepot.sampling.guards import distances as distances_of
from acepot.sampling.limits import Guards as SettingsOfPairs
from acepot.structure import Structure

__all__ = ["DROPPED", "FORCE", "TOUCHED", "Guards", "least_distances", "reason", "touches"]

#: Why a walk ended.
TOUCHED, FORCE, DROPPED = "distance", "force", "energy drop"
#: Å, longer than any structure.
_FAR = 1e4
#: Of a typical bond length, and that of elements that no table has, in Å.
_OF_BOND, _BOND = 0.6, 2.5


@dataclass(frozen=True)
class Guards:
    """What ends a walk.

    Args:
        min_distance: Å, the smallest between atoms, for all pairs of elements or by pair; pairs
            that are not there, and None: 0.6 of a typical bond length.
        max_force: eV/Å, of the model on any atom.
        energy_drop: eV per atom below the energy where the walk began.
    """

    min_distance: float | dict[str, float] | None = None
    max_force: float = 50.0
    energy_drop: float = 2.0

    def __post_init__(self) -> None:
        given = self.min_distance
        for name, value in (given if isinstance(given, dict) else {"": given}).items():
            if value is not None and not 0.0 <= value <= 1e3:
                where = f"min_distance.{name}" if name else "min_distance"
                raise InputError(f"{where}: expected 0 to 1000 Å, got {value:g}")
        for name in ("max_force", "energy_drop"):
            if not 0.0 < (value := getattr(self, name)) <= 1e9:
                raise InputError(f"{name}: expected more than 0, up to 1e9, got {value:g}")


def reason(guards: Guards, distances: MinimumDistances, walker: Walker) -> str:
    """Why a walk must end after a step; empty: it need not.

    Args:
        guards: the limits.
        distances: between atoms.
        walker: after a step.
    """
    if touches(distances, walker.structure):
        return TOUCHED
    if np.linalg.norm(walker.forces, axis=1).max() > guards.max_force:
        return FORCE
    if walker.energy < walker.began - guards.energy_drop * len(walker.numbers):
        return DROPPED
    return ""


def touches(distances: MinimumDistances, structure: Structure) -> bool:
    """Whether two atoms, or an atom and an image of it, are closer than they may be.

    Directions that do not repeat get a vector of their own, longer than any structure.
    """
    pbc, cell = structure.pbc, np.array(structure.cell)
    repeats = bool(pbc.any())
    if repeats and not pbc.all():
        free = np.linalg.svd(cell[pbc])[2][int(pbc.sum()) :]  # directions across those that repeat
        cell[~pbc] = _FAR * free
        if np.linalg.det(cell) < 0.0:
            cell[np.flatnonzero(~pbc)[0]] *= -1.0
    if not repeats:
        cell = _FAR * np.eye(3)
    numbers, places = structure.numbers[None], structure.positions[None]
    return bool(distances.violated(numbers, places, cell[None], repeats)[0])


def least_distances(guards: Guards, numbers: Sequence[int]) -> MinimumDistances:
    """The smallest distances between atoms of these elements.

    Args:
        guards: as the settings say.
        numbers: atomic numbers that there are.

    Raises:
        InputError: a pair of elements that are not there.
    """
    known = SettingsOfPairs(min_distance=guards.min_distance)
    given, _ = distances_of(known, numbers, None)
    found: dict[tuple[int, int], float] = {}
    for a, b in combinations_with_replacement(sorted(set(numbers)), 2):
        one, two = SYMBOLS[a], SYMBOLS[b]
        least = given.get(f"{one}-{two}", given.get(f"{two}-{one}"))
        if least is None:
            least = _OF_BOND * (BOND_LENGTHS.get(a, _BOND) + BOND_LENGTHS.get(b, _BOND)) / 2
        found[a, b] = least
    return MinimumDistances(found)
