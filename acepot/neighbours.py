"""Structure -> Edges: the only file that builds neighbour lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.structure import Structure

#: Images of a cell that are looked at one by one, and of atoms at once.
_MOST_SHIFTS, _MOST_IMAGES = 100_000, 5_000_000
#: Neighbours of an atom, as in the native library (native/include/ace/cells.hpp), and edges of a
#: structure: 3 GB in this list.
_MOST_NEIGHBOURS, _MOST_EDGES = 100_000, 30_000_000
#: The part of a cube that a ball in it fills, by the number of directions.
_BALL = (1.0, 1.0, 0.7854, 0.5236)
#: How far atoms may be apart along a direction that does not repeat where others do, in cut-offs:
#: the library that finds neighbours ends the process beyond some thousands.
_FARTHEST = 100


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
    _check_extent(structure, cutoff)
    _check_density(structure, cutoff)
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
            f"{_where(structure)}atoms {centre[edge]} and {neighbour[edge]} sit at the same point"
        )
    first = np.searchsorted(centre, np.arange(len(structure) + 1))
    return Edges(centre, neighbour, vector, shift[order].astype(np.int32), first)


def _where(structure: Structure) -> str:
    """The name of a structure before a message; callers with several say which has none."""
    return f"{structure.name}: " if structure.name else ""


def _check_extent(structure: Structure, cutoff: float) -> None:
    periodic = structure.pbc
    if not periodic.any() or periodic.all():
        return
    along = structure.positions @ _complete_cell(structure)[~periodic].T  # unit vectors
    extent = float(np.ptp(along, axis=0).max())
    if extent > _FARTHEST * max(cutoff, 1.0):
        raise InputError(
            f"{_where(structure)}atoms are {extent:.4g} Å apart along a direction "
            f"that does not repeat; expected at most {_FARTHEST * max(cutoff, 1.0):.4g} Å, "
            "or no periodic direction at all"
        )


def _check_density(structure: Structure, cutoff: float) -> None:
    """Refuse a structure whose list of neighbours would fill the memory.

    As many neighbours are expected as there are atoms on average within the cut-off of a place in
    a box around all of them.
    """
    cell, periodic = _complete_cell(structure), structure.pbc
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

    cell, periodic = _reduced(_complete_cell(structure), structure.pbc), structure.pbc
    inverse = np.linalg.inv(cell)
    fractions = np.floor(structure.positions @ inverse) * periodic
    places = structure.positions - fractions @ cell
    # Layers of the lattice are 1/|column of the inverse| apart.
    layers = np.ceil(reach * np.linalg.norm(inverse, axis=0)).astype(int) * periodic
    count = float(np.prod(2.0 * layers + 1))
    if count > _MOST_SHIFTS or count * len(structure) > _MOST_IMAGES + 100 * len(structure):
        raise InputError(
            f"{_where(structure)}cell: its layers are too near to each other to look "
            f"for neighbours within {reach:g} Å, got {structure.cell.tolist()}; "
            "has the cell collapsed?"
        )
    shifts = np.stack(
        np.meshgrid(*[np.arange(-n, n + 1) for n in layers], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    moves, low, high = shifts @ cell, places.min(axis=0) - reach, places.max(axis=0) + reach
    moves = moves[(np.abs(moves) <= high - low).all(axis=1)]
    images = (places + moves[:, None]).reshape(-1, 3)
    near = ((images >= low) & (images <= high)).all(axis=1)
    images, numbers = images[near], np.tile(structure.numbers, len(moves))[near]
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


def _reduced(cell: NDArray[np.float64], periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shorter vectors of the same lattice: each loses whole multiples of the others."""
    cell = np.array(cell)
    repeated = np.flatnonzero(periodic)
    for _ in range(100):
        before = cell.copy()
        for i in repeated:
            for j in repeated:
                if i != j:
                    cell[i] -= np.round(cell[i] @ cell[j] / (cell[j] @ cell[j])) * cell[j]
        if np.array_equal(before, cell):
            break
    return cell


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
