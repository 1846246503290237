"""Energies of surfaces: slabs of whole cells, cut where planes are furthest apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.properties.crystals import repeated
from acepot.properties.relaxation import Computes, Relaxed, relaxed
from acepot.structure import Structure

__all__ = ["Surface", "slab", "surface"]

Floats = NDArray[np.float64]
#: Thickness of the slab and of the vacuum in Å; planes closer than this are one.
THICKNESS, VACUUM, PLANE = 18.0, 15.0, 0.05


@dataclass(frozen=True, eq=False)
class Surface:
    """A surface of a crystal.

    Args:
        miller: (h, k, l) of the cell that was given.
        area: of one side of the slab, Å².
        unrelaxed: energy in J-free units, eV/Å², of the slab as it was cut.
        energy: the same at rest.
        relaxed: the slab at rest.
    """

    miller: tuple[int, int, int]
    area: float
    unrelaxed: float
    energy: float
    relaxed: Relaxed


def slab(
    rest: Structure,
    miller: Sequence[int],
    thickness: float = THICKNESS,
    vacuum: float = VACUUM,
) -> Structure:
    """A slab with the normal along its third vector, of whole repeats of the crystal.

    Args:
        rest: the crystal.
        miller: three whole numbers, not all zero.
        thickness: of it in Å, at least.
        vacuum: between its images in Å.

    Raises:
        InputError: Miller indices that are none.
    """
    first, second, out = _vectors(miller, rest.cell)
    matrix = np.array([first, second, out])
    if np.linalg.det(matrix) < 0:
        matrix[0] = -matrix[0]
    cell = matrix @ rest.cell
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    height = float(cell[2] @ normal)
    layers = max(1, int(np.ceil(thickness / abs(height))))
    matrix[2] *= layers
    whole = repeated(rest, matrix)
    length = abs(height) * layers
    heights = (whole.positions @ normal) * np.sign(height) % length
    order = np.sort(heights)
    order = np.append(order, order[0] + length)
    gaps = np.diff(order)
    widest = int(np.flatnonzero(gaps > gaps.max() - PLANE / 10)[0])
    cut = order[widest] + gaps[widest] / 2
    shift = np.floor((heights - cut % length) / length) * -1
    up = heights + shift * length
    flat = whole.positions - np.outer(whole.positions @ normal, normal)
    # Moving by a repeat along the third vector also moves atoms sideways.
    repeats = np.rint((up - (whole.positions @ normal) * np.sign(height)) / length)
    sideways = whole.cell[2] - (whole.cell[2] @ normal) * normal
    flat += repeats[:, None] * sideways
    axis = normal * np.sign(height)
    positions = flat + np.outer(up - up.min() + vacuum / 2, axis)
    box = np.array([cell[0], cell[1], axis * (up.max() - up.min() + vacuum)])
    name = "{} ({}{}{})".format(rest.name, *miller)
    return Structure(whole.numbers, positions, box, True, name=name)


def _vectors(miller: Sequence[int], cell: Floats) -> tuple[list[int], list[int], list[int]]:
    """Two lattice vectors in the plane, short, and one that leads to the next plane."""
    h, k, l = (int(one) for one in miller)
    if (divisor := gcd(gcd(h, k), l)) == 0:
        raise InputError("surface: expected Miller indices, got (0, 0, 0)")
    indices = np.array([h, k, l]) // divisor
    reach = int(np.abs(indices).max()) + 2
    grid = np.array(list(np.ndindex(*(3 * (2 * reach + 1,))))) - reach
    grid = grid[np.abs(grid).sum(axis=1) > 0]
    steps, lengths = grid @ indices, np.linalg.norm(grid @ cell, axis=1)
    order = np.lexsort((*(-grid.T), np.round(lengths, 6)))
    inside = [grid[i] for i in order if steps[i] == 0]
    first = inside[0]
    pairs = [v for v in inside if _spans(first, v, indices)]
    out = [grid[i] for i in order if steps[i] == 1]
    return first.tolist(), pairs[0].tolist(), out[0].tolist()


def _spans(first: NDArray[np.int64], other: NDArray[np.int64], indices: NDArray[np.int64]) -> bool:
    """Whether two vectors span the lattice of a plane: their product is its indices."""
    return bool(np.array_equal(np.abs(np.cross(first, other)), np.abs(indices)))


def surface(potential: Computes, rest: Structure, energy: float, miller: Sequence[int]) -> Surface:
    """The energy of a surface at rest: (E - n e)/2A.

    Args:
        potential: the model.
        rest: the crystal.
        energy: e of its cell in eV.
        miller: of the surface.

    Raises:
        InputError: Miller indices that are none.
    """
    start = slab(rest, miller)
    bulk = energy * len(start) / len(rest)
    area = float(np.linalg.norm(np.cross(start.cell[0], start.cell[1])))
    first = potential.compute(start).energy
    found = relaxed(potential, start, force=1e-4)
    h, k, l = (int(one) for one in miller)
    return Surface(
        (h, k, l), area, (first - bulk) / (2 * area), (found.energy - bulk) / (2 * area), found
    )
