"""Cells as engines want them, and the way back: vacuum in open directions, turned, reduced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cases import Case


@dataclass(frozen=True, eq=False)
class Box:
    """A case in the axes of an engine.

    Args:
        positions: (x + shift) turn, Å, shape (n, 3).
        cell: lattice vectors as rows, lower triangular with a positive diagonal, shape (3, 3).
        turn: a rotation, shape (3, 3).
    """

    positions: np.ndarray
    cell: np.ndarray
    turn: np.ndarray

    def vectors_back(self, vectors: np.ndarray) -> np.ndarray:
        """Forces, shape (n, 3), in the axes of the case."""
        return vectors @ self.turn.T

    def tensor_back(self, tensor: np.ndarray) -> np.ndarray:
        """A tensor, shape (3, 3), in the axes of the case."""
        return self.turn @ tensor @ self.turn.T


def with_vacuum(case: Case, room: float) -> tuple[np.ndarray, np.ndarray]:
    """A cell in which open directions have vectors, normal to the others.

    Args:
        case: a structure.
        room: free space in Å beyond the atoms, half of it on either side.

    Returns:
        The cell, shape (3, 3), and the shift of all atoms that puts them into its middle.
    """
    cell, shift = np.array(case.cell), np.zeros(3)
    kept = cell[case.pbc].reshape(-1, 3)
    normals = np.linalg.svd(kept)[2][len(kept) :] if len(kept) else np.eye(3)
    for k, normal in zip(np.flatnonzero(~case.pbc), normals, strict=True):
        along = case.positions @ normal
        cell[k] = normal * (np.ptp(along) + room)
        shift += normal * (0.5 * room - along.min())
    return cell, shift


def boxed(case: Case, room: float) -> Box:
    """The case turned such that a lies along x and b in the xy plane; c may change its sign."""
    cell, shift = with_vacuum(case, room)
    if np.linalg.det(cell) < 0:
        cell[2] *= -1.0
        if not case.pbc[2]:
            shift = shift + cell[2]  # the box must still hold the atoms
    q, r = np.linalg.qr(cell.T)
    turn = q * np.sign(np.diag(r))
    return Box((case.positions + shift) @ turn, np.tril(cell @ turn), turn)


def reduced(cell: np.ndarray) -> np.ndarray:
    """The same lattice, lower triangular, with off-diagonals at most half of the diagonals."""
    a, b, c = cell
    c = c - b * np.round(c[1] / b[1])
    c = c - a * np.round(c[0] / a[0])
    b = b - a * np.round(b[0] / a[0])
    return np.array((a, b, c))
