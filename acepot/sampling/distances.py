"""The shortest distances that pairs of elements may have, tested in many small cells at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.native import keep_apart
from acepot.sampling.cells import Floats, Ints

_ELEMENTS = 119


@dataclass(frozen=True, eq=False)
class MinimumDistances:
    """Distances below which no two atoms may come: part of the prior.

    Args:
        pairs: distances in Å by pairs of atomic numbers, in either order; pairs that are not
            there have no limit.

    Raises:
        InputError: a number that is none of an element, or a distance that is none.
    """

    pairs: Mapping[tuple[int, int], float] = field(default_factory=dict)
    #: Limits in Å by both atomic numbers, shape (119, 119), and the largest of them.
    table: Floats = field(init=False)
    largest: float = field(init=False)

    def __post_init__(self) -> None:
        table = np.zeros((_ELEMENTS, _ELEMENTS))
        for (a, b), distance in self.pairs.items():
            if not (0 < a < _ELEMENTS and 0 < b < _ELEMENTS):
                raise InputError(f"pairs: expected atomic numbers 1 to 118, got ({a}, {b})")
            if not 0 <= distance < np.inf:
                raise InputError(f"pairs[{a}, {b}]: expected a distance in Å, got {distance}")
            table[a, b] = table[b, a] = distance
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "largest", float(table.max()))

    def violated(
        self, numbers: Ints, positions: Floats, cells: Floats, periodic: bool
    ) -> NDArray[np.bool_]:
        """Whether two atoms, or an atom and an image of it, are closer than they may be.

        Args:
            numbers: atomic numbers, shape (m, n).
            positions: in Å, shape (m, n, 3).
            cells: in Å, shape (m, 3, 3).
            periodic: whether cells repeat along all three directions.

        Returns:
            Shape (m,).

        Raises:
            InputError: numbers of no element, positions that are not finite, or vectors that span
                no volume.
        """
        apart = np.ones(len(numbers), dtype=bool)
        self.guard(apart, numbers, positions, cells, periodic)
        return ~apart

    def guard(
        self,
        good: NDArray[np.bool_],
        numbers: Ints,
        positions: Floats,
        cells: Floats,
        periodic: bool,
    ) -> None:
        """Take out of a choice of configurations those with atoms too close.

        Args:
            good: is changed, shape (m,); only those that are true are looked at.
            numbers: as `violated`; so are the other arguments.
            positions: likewise.
            cells: likewise.
            periodic: likewise.
        """
        if self.largest > 0.0:
            keep_apart(good, numbers, positions, cells, periodic, self.table)
