"""Volumes, heights and deformations of many cells at once; rows of a cell are its vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]
#: Where the factors of h_j x h_k = a b - c d lie in the nine numbers of a cell.
_FACTORS = [
    np.array([3 * row[i] + column[x] for i in range(3) for x in range(3)])
    for row, column in ((_NEXT, _NEXT), (_AFTER, _AFTER), (_NEXT, _AFTER), (_AFTER, _NEXT))
]


def normals(cells: Floats) -> Floats:
    """Cross products h_j x h_k of the other two vectors for each vector i of a cell.

    Args:
        cells: shape (..., 3, 3).

    Returns:
        Shape (..., 3, 3); h_i · n_i is the volume, and n_i / V are the rows of the inverse's
        transpose.
    """
    flat = cells.reshape(*cells.shape[:-2], 9)
    a, b, c, d = (flat.take(places, axis=-1) for places in _FACTORS)
    return np.asarray(a * b - c * d).reshape(cells.shape)


def volumes(cells: Floats) -> Floats:
    """Volumes det h of right-handed cells, shape (..., 3, 3) -> (...)."""
    return np.asarray(np.linalg.det(cells))


def heights(cells: Floats) -> Floats:
    """Distances between opposite faces V / |h_j x h_k|, shape (..., 3, 3) -> (..., 3)."""
    n = normals(cells)
    return np.asarray(volumes(cells)[..., None] / np.sqrt(np.einsum("...ix,...ix->...i", n, n)))


def aspects(cells: Floats) -> Floats:
    """Smallest height of each cell scaled to unit volume: 1 for a cube, less for all others.

    d = V^(-1/3) min_i V / |h_j x h_k|

    Args:
        cells: shape (..., 3, 3).

    Returns:
        Shape (...).
    """
    n = normals(cells)
    volume = np.einsum("...x,...x->...", cells[..., 0, :], n[..., 0, :])
    largest = np.einsum("...ix,...ix->...i", n, n).max(axis=-1)
    return np.asarray(np.cbrt(volume) ** 2 / np.sqrt(largest))


def fractional(positions: Floats, cells: Floats) -> Floats:
    """Coordinates s in units of the vectors, r = s h.

    Args:
        positions: shape (..., n, 3).
        cells: shape (..., 3, 3).

    Returns:
        Shape (..., n, 3).
    """
    n = normals(cells)
    volume = np.einsum("...x,...x->...", cells[..., 0, :], n[..., 0, :])
    return np.asarray(positions @ np.swapaxes(n, -1, -2) / volume[..., None, None])


def wrapped(positions: Floats, cells: Floats) -> Floats:
    """The same atoms moved by whole vectors into their cells; those inside keep every bit.

    Args:
        positions: shape (..., n, 3).
        cells: shape (..., 3, 3).

    Returns:
        Shape (..., n, 3).
    """
    return np.asarray(positions - np.floor(fractional(positions, cells)) @ cells)


def scaled(positions: Floats, cells: Floats, factors: Floats) -> tuple[Floats, Floats]:
    """Cells whose vectors are longer by a factor, with their atoms; the factor 1 changes no bit.

    Args:
        positions: shape (m, n, 3).
        cells: shape (m, 3, 3).
        factors: of lengths, shape (m,).

    Returns:
        Positions and cells.
    """
    f = factors[:, None, None]
    return positions * f, cells * f


def sheared(
    positions: Floats, cells: Floats, vectors: Ints, amounts: Floats
) -> tuple[Floats, Floats]:
    """Cells one vector of which moves in the plane of the other two, with their atoms.

    h_i += ξ1 e1 + ξ2 e2, with orthonormal e1 and e2 in the plane of the other two vectors: no
    volume changes. Atoms keep their fractional coordinates; no amount changes no bit.

    Args:
        positions: shape (m, n, 3).
        cells: shape (m, 3, 3).
        vectors: which vector moves, shape (m,).
        amounts: ξ1 and ξ2 in Å, shape (m, 2).

    Returns:
        Positions and cells.
    """
    rows = np.arange(len(cells))
    n = normals(cells)[rows, vectors]  # [m, x]
    first = cells[rows, (vectors + 1) % 3]
    e1 = first / np.sqrt(np.einsum("mx,mx->m", first, first))[:, None]
    normal = n / np.sqrt(np.einsum("mx,mx->m", n, n))[:, None]
    e2 = normal[:, _NEXT] * e1[:, _AFTER] - normal[:, _AFTER] * e1[:, _NEXT]
    shift = amounts[:, :1] * e1 + amounts[:, 1:] * e2
    volume = np.einsum("mx,mx->m", cells[rows, vectors], n)
    along = np.einsum("max,mx->ma", positions, n) / volume[:, None]  # fractional coordinate
    changed = cells.copy()
    changed[rows, vectors] += shift
    return positions + along[:, :, None] * shift[:, None, :], changed


def stretched(
    positions: Floats, cells: Floats, axes: Ints, amounts: Floats
) -> tuple[Floats, Floats]:
    """Cells and atoms longer by e^ξ along one Cartesian axis and shorter by it along another.

    Args:
        positions: shape (m, n, 3).
        cells: shape (m, 3, 3).
        axes: the axis that grows and the one that shrinks, shape (m, 2).
        amounts: ξ, shape (m,).

    Returns:
        Positions and cells.
    """
    rows = np.arange(len(cells))
    factors = np.ones((len(cells), 3))
    factors[rows, axes[:, 0]] = np.exp(amounts)
    factors[rows, axes[:, 1]] = np.exp(-amounts)
    return positions * factors[:, None, :], cells * factors[:, None, :]
