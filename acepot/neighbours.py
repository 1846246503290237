"""Structure -> Edges: the only file that builds neighbour lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot import lattice
from acepot.errors import InputError
from acepot.structure import Structure

#: Layers of a lattice that are looked at one by one, and images of atoms at once.
_MOST_LAYERS, _MOST_IMAGES = 100_000, 5_000_000
#: Neighbours of an atom, as in the native library (native/include/ace/cells.hpp), and edges of a
#: structure: 3 GB in this list.
_MOST_NEIGHBOURS, _MOST_EDGES = 100_000, 30_000_000
#: The part of a cube that a ball in it fills, by the number of directions.
_BALL = (1.0, 1.0, 0.7854, 0.5236)
#: Å; atoms that are nearer are at the same point: coordinates of images are rounded.
_SAME_POINT = 1e-12


@dataclass(frozen=True, eq=False)
class Edges:
    """A full neighbour list, sorted by centre: every pair appears from both ends.

    Args:
        centre: index of the central atom, shape (E,).
        neighbour: index of its neighbour, shape (E,).
        vector: r_neighbour - r_centre + shift @ cell in Å, shape (E, 3).
        shift: periodic image of the neighbour, shape (E, 3).
        first: edges of atom i are first[i]:first[i+1], shape (n + 1,).
    """

    centre: NDArray[np.int64]
    neighbour: NDArray[np.int64]
    vector: NDArray[np.float64]
    shift: NDArray[np.int32]
    first: NDArray[np.int64]


def build(structure: Structure, cutoff: float) -> Edges:
    """All pairs closer than the cut-off, with every periodic image that falls inside it.

    Args:
        structure: atoms and cell; positions may lie outside the cell.
        cutoff: largest distance in Å, positive.

    Returns:
        The full list, sorted by centre, then neighbour, then shift.

    Raises:
        InputError: the cut-off is not a positive finite number, two atoms coincide, or there are
            more neighbours than memory is for.
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise InputError(f"cutoff: expected a positive length in Å, got {cutoff}")
    _check_density(structure, cutoff)
    from scipy.spatial import cKDTree

    images = _images(structure, cutoff)
    # A tree takes atoms that are far apart and cells of any shape in its stride.
    near = cKDTree(images.places).sparse_distance_matrix(
        cKDTree(images.positions), cutoff * (1 + 1e-9) + _SAME_POINT, output_type="ndarray"
    )
    centre, image = near["i"], near["j"]
    neighbour = images.atom[image]
    vector = images.positions[image] - images.places[centre]
    inner = images.shift[image]
    squared = np.einsum("ed,ed->e", vector, vector)
    kept = (squared < cutoff**2) & ((centre != neighbour) | inner.any(axis=1))
    centre, neighbour, vector, squared = (a[kept] for a in (centre, neighbour, vector, squared))
    shift = (inner[kept] + images.turns[centre] - images.turns[neighbour]) @ images.sums
    if len(vector) and squared.min() <= _SAME_POINT**2:
        edge = int(squared.argmin())
        pair = sorted((int(centre[edge]), int(neighbour[edge])))
        raise InputError(f"{_where(structure)}atoms {pair[0]} and {pair[1]} sit at the same point")
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], neighbour, centre))
    centre, neighbour = centre[order].astype(np.int64), neighbour[order]
    first = np.searchsorted(centre, np.arange(len(structure) + 1))
    return Edges(centre, neighbour, vector[order], shift[order].astype(np.int32), first)


@dataclass(frozen=True, eq=False)
class _Images:
    """Atoms folded into the cell of shortest vectors, and their images near that cell.

    Args:
        places: where the atoms are in the cell in Å, shape (n, 3).
        turns: lattice vectors by which they were moved there, shape (n, 3).
        sums: the lattice vectors as multiples of the structure's own, shape (3, 3).
        positions: of the images, the atoms among them, in Å, shape (m, 3).
        atom: whose image it is, shape (m,).
        shift: lattice vectors from that atom's place, shape (m, 3).
    """

    places: NDArray[np.float64]
    turns: NDArray[np.int64]
    sums: NDArray[np.int64]
    positions: NDArray[np.float64]
    atom: NDArray[np.int64]
    shift: NDArray[np.int64]


def _images(structure: Structure, reach: float) -> _Images:
    """All images within reach of the box around the atoms, once these are folded."""
    cell, sums = _short_cell(structure)
    inverse = np.linalg.inv(cell)
    fractions = structure.positions @ inverse
    turns = np.floor(fractions) * structure.pbc
    fractions -= turns
    places = structure.positions - turns @ cell
    atom, shift = np.arange(len(structure)), np.zeros((len(structure), 3), np.int64)
    for k in np.flatnonzero(structure.pbc):
        # Layers of the lattice are 1/|column of the inverse| apart.
        within = reach * np.linalg.norm(inverse[:, k]) + 1e-9
        layers = np.ceil(within)
        if not len(atom) * min(2 * within, 2 * layers + 1) < _MOST_IMAGES + 100 * len(
            structure
        ) or (layers > _MOST_LAYERS):
            raise InputError(
                f"{_where(structure)}cell: its layers are too near to each other to look "
                f"for neighbours within {reach:g} Å, got {structure.cell.tolist()}; "
                "has the cell collapsed?"
            )
        parts = []
        for s in range(-int(layers), int(layers) + 1):
            moved = fractions[atom, k] + s
            parts.append(((moved >= -within) & (moved <= 1 + within), s))
        shift = np.concatenate(
            [shift[kept] + s * np.eye(3, dtype=np.int64)[k] for kept, s in parts]
        )
        atom = np.concatenate([atom[kept] for kept, _ in parts])
    positions = places[atom] + shift @ cell
    low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
    seen = ((positions >= low - _SAME_POINT) & (positions <= high + _SAME_POINT)).all(axis=1)
    return _Images(places, turns.astype(np.int64), sums, positions[seen], atom[seen], shift[seen])


def _short_cell(structure: Structure) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The cell by shortest vectors, and these as multiples of the structure's own."""
    short, sums = lattice.reduced(structure.cell, structure.pbc)
    return lattice.complete(short, structure.pbc), sums


def _where(structure: Structure) -> str:
    """The name of a structure before a message; callers with several say which has none."""
    return f"{structure.name}: " if structure.name else ""


def _check_density(structure: Structure, cutoff: float) -> None:
    """Refuse a structure whose list of neighbours would fill the memory.

    As many neighbours are expected as there are atoms on average within the cut-off of a place in
    a box around all of them.
    """
    (cell, _), periodic = _short_cell(structure), structure.pbc
    inverse = np.linalg.inv(cell)
    layers = 1 / np.linalg.norm(inverse, axis=0)  # distances of the faces
    extent = np.ptp(structure.positions @ inverse, axis=0) * layers
    sizes = np.where(periodic, layers, extent)
    filled = periodic | (extent > 2 * cutoff)
    expected = len(structure) * float(np.prod(2 * cutoff / sizes[filled])) * _BALL[filled.sum()]
    most = min(_MOST_NEIGHBOURS, _MOST_EDGES / len(structure))
    if not expected < most:
        raise InputError(
            f"{_where(structure)}positions and cell: atoms have about {expected:.3g} neighbours "
            f"within {cutoff:.4g} Å, expected at most {most:.0f} for {len(structure)} atoms; "
            "has the cell collapsed?"
        )


def nearest(structure: Structure, reach: float) -> dict[tuple[int, int], float]:
    """The shortest distance between atoms of every pair of elements, images included.

    Args:
        structure: atoms and cell; positions may lie outside the cell.
        reach: in Å; longer distances are not looked for.

    Returns:
        Distances in Å by atomic numbers, the smaller one first; pairs beyond the reach are absent.

    Raises:
        InputError: two atoms coincide.
    """
    from scipy.spatial import cKDTree

    images = _images(structure, reach)
    numbers = structure.numbers[images.atom]
    kinds = np.unique(structure.numbers).tolist()
    found: dict[tuple[int, int], float] = {}
    for b in kinds:
        tree = cKDTree(images.positions[numbers == b])
        for a in (a for a in kinds if a <= b):
            # Of its own kind an atom is the nearest to itself.
            least, _ = tree.query(images.places[structure.numbers == a], k=[2 if a == b else 1])
            if (length := float(least.min())) <= _SAME_POINT:
                build(structure, reach)  # names the atoms
            if length < reach:
                found[a, b] = length
    return found
