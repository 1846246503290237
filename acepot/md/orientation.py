"""How a structure stands: periodic directions first, the cell lower triangular.

OpenMM, i-PI and LAMMPS want a along x and b in the xy plane, and every engine starts from the same
numbers. Slabs stand in the xy plane, wires along x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.md.engine import ROUNDING, Floats, lower_triangular

__all__ = ["ROUNDING", "Orientation", "upright"]

#: Å of room on either side of the atoms, along directions of which a file says nothing.
_VACUUM = 10.0


@dataclass(frozen=True, eq=False)
class Orientation:
    """What is done to a structure.

    Args:
        rotation: vectors are multiplied by it from the right, shape (3, 3); it may mirror.
        cell: lattice vectors as rows in Å afterwards, lower triangular, shape (3, 3). Those that
            are not periodic are orthogonal to all others.
        order: which of the old vectors became the first, second and third.
    """

    rotation: Floats
    cell: Floats
    order: tuple[int, int, int]


def upright(positions: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Orientation:
    """The orientation in which engines take a structure.

    Args:
        positions: in Å, shape (n, 3).
        cell: lattice vectors as rows in Å, shape (3, 3).
        pbc: periodic directions, shape (3,); one at least.
    """
    shift = next(i for i in range(3) if _leads(np.roll(pbc, -i)))
    order = (shift, (shift + 1) % 3, (shift + 2) % 3)
    rows = cell[list(order)]
    for index in range(int(pbc.sum()), 3):
        rows[index] = _across(rows[:index], rows[index], positions)
    rotation, rows = lower_triangular(rows)
    return Orientation(rotation, rows, order)


def _leads(pbc: NDArray[np.bool_]) -> bool:
    """Whether no periodic direction comes after one that is not."""
    return bool((np.diff(pbc.astype(int)) <= 0).all())


def _across(others: Floats, vector: Floats, positions: Floats) -> Floats:
    """The part of a vector that is orthogonal to others; if there is none, room for the atoms."""
    q = np.linalg.qr(others.T)[0]  # [x, other]
    rest = vector - q @ (q.T @ vector)
    if np.linalg.norm(rest) > ROUNDING * np.abs(others).max():
        return rest
    free = np.linalg.qr(others.T, mode="complete")[0][:, len(others)]
    room: Floats = free * (np.ptp(positions @ free) + 2 * _VACUUM)
    return room
