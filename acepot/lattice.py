"""The lattice of a cell by its shortest vectors: equivalent cells are the same from there on."""

from __future__ import annotations

import math
from fractions import Fraction
from operator import mul

import numpy as np
from numpy.typing import NDArray

#: Sums of other vectors that a vector may lose once no single one shortens it.
_SUMS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
#: Dependent vectors end as others that are shorter by this.
_DIGITS = 1e-10
#: What counts as shorter, of squared lengths.
_SHORTER = 1 - 1e-9


def complete(cell: NDArray[np.float64], periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The cell with its non-periodic rows replaced by unit vectors normal to the rest.

    Users leave zeros or values that happen to be dependent along directions that do not repeat.

    Args:
        cell: lattice vectors as rows in Å, shape (3, 3).
        periodic: directions that repeat, shape (3,).
    """
    cell = np.array(cell)
    if periodic.all():
        return cell
    _, _, basis = np.linalg.svd(cell[periodic]) if periodic.any() else (0, 0, np.eye(3))
    cell[~periodic] = basis[int(periodic.sum()) :]
    return cell


def spanned(cell: NDArray[np.float64], periodic: NDArray[np.bool_]) -> float:
    """Volume, area or length that the periodic vectors span, from an exact determinant.

    Args:
        cell: lattice vectors as rows in Å, shape (3, 3).
        periodic: directions that repeat, shape (3,), one at least.
    """
    rows = [[Fraction(float(x)) for x in row] for row in cell[periodic]]
    square = _determinant([[sum(map(mul, a, b), Fraction()) for b in rows] for a in rows])
    return math.sqrt(square)


def _determinant(matrix: list[list[Fraction]]) -> Fraction:
    """By the first row."""
    if len(matrix) == 1:
        return matrix[0][0]
    minors = ([row[:k] + row[k + 1 :] for row in matrix[1:]] for k in range(len(matrix)))
    terms = (x * _determinant(minor) for x, minor in zip(matrix[0], minors, strict=True))
    return sum((-x if k % 2 else x for k, x in enumerate(terms)), Fraction())


def reduced(
    cell: NDArray[np.float64], periodic: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Shortest vectors of the same lattice (Minkowski-reduced), each rounded once.

    Args:
        cell: lattice vectors as rows in Å, shape (3, 3), those that repeat independent: what spans
            no volume can be shortened without end.
        periodic: directions that repeat, shape (3,); the other rows stay.

    Returns:
        The vectors as rows in Å, shape (3, 3), and the whole multiples of the rows of `cell` that
        they are sums of, shape (3, 3).
    """
    short = np.array(cell)
    sums = [[int(i == j) for j in range(3)] for i in range(3)]
    rows = np.flatnonzero(periodic).tolist()
    while (found := _shorter(short, rows)) is not None:
        i, times = found
        sums[i] = [
            own + sum(times[j] * sums[j][k] for j in range(3) if j != i)
            for k, own in enumerate(sums[i])
        ]
        for d in range(3):
            exact = [Fraction(float(cell[j, d])) * sums[i][j] for j in range(3)]
            short[i, d] = float(sum(exact))
    return short, np.array(sums, dtype=np.int64)


def _shorter(cell: NDArray[np.float64], rows: list[int]) -> tuple[int, list[int]] | None:
    """A row and the multiples of the others that make it shorter when added, if there are any."""
    products = cell @ cell.T
    squares = products.diagonal()[rows]
    if len(rows) < 2 or not squares.min() > _DIGITS**2 * squares.max():
        return None
    trials = []
    for i in rows:
        for j in rows:
            times = [0, 0, 0]
            if i != j:
                times[j] = -round(products[i, j] / products[j, j])
                trials.append((i, times))
    if len(rows) == 3:
        for i in rows:
            for a, b in _SUMS:
                times = [0, 0, 0]
                times[(i + 1) % 3], times[(i + 2) % 3] = a, b
                trials.append((i, times))
    for i, times in trials:
        if any(times):
            row = cell[i] + np.array(times, dtype=float) @ cell
            if row @ row < _SHORTER * products[i, i]:
                return i, times
    return None
