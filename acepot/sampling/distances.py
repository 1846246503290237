"""The shortest distances that pairs of elements may have, tested in many small cells at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
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
        """
        if self.largest == 0.0 or len(numbers) == 0:
            return np.zeros(len(numbers), dtype=bool)
        i, j = _pairs(numbers.shape[1])
        limits = self._limits(numbers, i, j)  # [m or 1, pair]
        places = positions.swapaxes(1, 2)  # [m, x, atom]
        if not periodic:
            apart = places.take(i, axis=2) - places.take(j, axis=2)
            return np.asarray(((apart * apart).sum(axis=1) < limits).any(axis=1))
        inverse = np.linalg.inv(cells).swapaxes(1, 2)  # [m, i, x]
        s = inverse @ places
        f = s.take(i, axis=2) - s.take(j, axis=2)
        f -= np.rint(f)
        apart = cells.swapaxes(1, 2) @ f  # [m, x, pair]
        apart *= apart
        found = np.asarray((apart.sum(axis=1) < limits).any(axis=1))
        reach = self.largest * np.sqrt((inverse * inverse).sum(axis=2))  # [m, i], in heights
        # An image of a wrapped difference is (1 - |f|) heights away or more along each vector.
        away = np.abs(f, out=apart)
        if (away.max(axis=2, initial=0.0) + reach > 1).any():
            pairs = np.argwhere((away + reach[:, :, None] > 1).any(axis=1))
            limits = np.broadcast_to(limits, (len(numbers), len(i)))
            at = pairs[:, 0], pairs[:, 1]
            _add(found, at[0], f.swapaxes(1, 2)[at], cells, limits[at], reach)
            rows = np.flatnonzero(reach.max(axis=1) > 1)
            own = self.table[numbers[rows], numbers[rows]].max(axis=1) ** 2
            _add(found, rows, np.zeros((len(rows), 3)), cells, own, reach)
        return found

    def _limits(self, numbers: Ints, i: Ints, j: Ints) -> Floats:
        """Squares of the limits of pairs, in Å²; one row where all configurations are alike."""
        if (numbers == numbers[0]).all():
            numbers = numbers[:1]
        return np.asarray(self.table[numbers[:, i], numbers[:, j]] ** 2)


@cache
def _pairs(atoms: int) -> tuple[Ints, Ints]:
    """Both atoms of every pair."""
    return np.triu_indices(atoms, 1)


def _add(
    found: NDArray[np.bool_], rows: Ints, f: Floats, cells: Floats, limits: Floats, reach: Floats
) -> None:
    """Note which configurations have images of differences that are too close.

    Args:
        found: is changed, shape (m,).
        rows: configuration of each difference, shape (p,).
        f: differences in units of the vectors, within 1/2, shape (p, 3).
        cells: in Å, shape (m, 3, 3).
        limits: of squared distances in Å², shape (p,).
        reach: largest distance of interest in units of the heights, shape (m, 3).
    """
    if len(rows) == 0:
        return
    moved = f[:, None] + _images(float(reach[rows].max()))  # [p, image, i]
    at = moved @ cells[rows]
    close = (np.einsum("pkx,pkx->pk", at, at) < limits[:, None]).any(axis=1)
    found[rows[close]] = True


def _images(reach: float) -> Floats:
    """Shifts other than none whose images of a nearest difference may be within a distance.

    A difference wrapped to [-1/2, 1/2] and shifted by m vectors is (m - 1/2) heights away or more;
    an atom's own image is one height away or more.

    Args:
        reach: the distance in units of the smallest height.

    Returns:
        Whole numbers, shape (images, 3).
    """
    most = int(np.floor(reach + 0.5))
    span = np.arange(-most, most + 1)
    shifts = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(shifts[shifts.any(axis=1)], dtype=float)
