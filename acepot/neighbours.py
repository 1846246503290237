"""Structure -> Edges: the only file that builds neighbour lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.structure import Structure


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
        InputError: the cut-off is not a positive finite number, or two atoms coincide.
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise InputError(f"cutoff: expected a positive length in Å, got {cutoff}")
    # Here, because vesin imports torch wherever it is installed: seconds that most runs can save.
    import vesin

    calculator = vesin.NeighborList(cutoff=float(cutoff), full_list=True, n_threads=1)
    centre, neighbour, shift, vector = calculator.compute(
        points=structure.positions,
        box=_complete_cell(structure),
        periodic=structure.pbc,
        quantities="ijSD",
    )
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], neighbour, centre))
    centre = centre[order].astype(np.int64)
    neighbour = neighbour[order].astype(np.int64)
    vector = vector[order]
    if len(vector) and (squared := np.einsum("ed,ed->e", vector, vector)).min() == 0.0:
        edge = int(squared.argmin())
        raise InputError(
            f"{structure.name or 'structure'}: atoms {centre[edge]} and {neighbour[edge]} "
            "sit at the same point"
        )
    first = np.searchsorted(centre, np.arange(len(structure) + 1))
    return Edges(centre, neighbour, vector, shift[order].astype(np.int32), first)


def nearest(structure: Structure, reach: float) -> dict[tuple[int, int], float]:
    """The shortest distance between atoms of every pair of elements, images included.

    Much cheaper than a list where nothing else is asked.

    Args:
        structure: atoms and cell; positions may lie outside the cell.
        reach: in Å; longer distances are not looked for.

    Returns:
        Distances in Å by atomic numbers, the smaller one first; pairs beyond the reach are absent.

    Raises:
        InputError: two atoms coincide.
    """
    from scipy.spatial import cKDTree

    cell, periodic = _complete_cell(structure), structure.pbc
    inverse = np.linalg.inv(cell)
    fractions = np.floor(structure.positions @ inverse) * periodic
    places = structure.positions - fractions @ cell
    # Layers of the lattice are 1/|column of the inverse| apart.
    layers = np.ceil(reach * np.linalg.norm(inverse, axis=0)).astype(int) * periodic
    shifts = np.stack(
        np.meshgrid(*[np.arange(-n, n + 1) for n in layers], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    images = (places + (shifts @ cell)[:, None]).reshape(-1, 3)
    near = ((images >= places.min(axis=0) - reach) & (images <= places.max(axis=0) + reach)).all(1)
    images, numbers = images[near], np.tile(structure.numbers, len(shifts))[near]
    kinds = np.unique(structure.numbers).tolist()
    found: dict[tuple[int, int], float] = {}
    for b in kinds:
        tree = cKDTree(images[numbers == b])
        for a in (a for a in kinds if a <= b):
            # Of its own kind an atom is the nearest to itself.
            least, _ = tree.query(places[structure.numbers == a], k=[2 if a == b else 1])
            if (length := float(least.min())) == 0.0:
                build(structure, reach)  # names the atoms
            if length < reach:
                found[a, b] = length
    return found


def _complete_cell(structure: Structure) -> NDArray[np.float64]:
    """The cell with its non-periodic rows replaced by unit vectors normal to the rest.

    The library inverts the cell even along directions that do not repeat, where users
    leave zeros or values that happen to be dependent.
    """
    cell = np.array(structure.cell)
    periodic = structure.pbc
    if periodic.all():
        return cell
    _, _, basis = np.linalg.svd(cell[periodic]) if periodic.any() else (0, 0, np.eye(3))
    cell[~periodic] = basis[int(periodic.sum()) :]
    return cell
