"""From what a file holds to snapshots: order of orbitals, meaning of T, and what is refused.

Every reader ends here, so that each matrix passes the same tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, sparray

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.hamiltonian.matrices import Floats, Ints, OrbitalMatrix, Snapshot
from acepot.hamiltonian.orders import PROGRAMS, Reordering, to_acepot
from acepot.hamiltonian.two_centre import homes_of, require_two_centre
from acepot.orbitals import Orbitals
from acepot.structure import Structure

Wrap = Literal["none", "unit", "centred"]
_LOWEST = {"unit": 0.0, "centred": -0.5}
#: Largest |H_ij(T) - H_ji(-T)ᵀ| over the largest |H|: single precision and what programs cut off
#: stay far below.
_ASYMMETRY = 1e-3


@dataclass(frozen=True)
class Reading:
    """How numbers in a file are to be understood; None: as its format says.

    Args:
        order: the program whose order of orbitals it has, one of `orders.PROGRAMS`.
        reverse: whether T is that of -T; None: as the format says.
        wrap: the cell that T counts from: atoms as they stand ("none"), wrapped to fractional
            [0, 1) ("unit") or [-1/2, 1/2) ("centred").
        orbitals: shells of every element, for formats that do not name them.
    """

    order: str | None = None
    reverse: bool | None = None
    wrap: Wrap | None = None
    orbitals: Orbitals | None = None

    def __post_init__(self) -> None:
        if self.order is not None and self.order not in PROGRAMS:
            raise InputError(f"order: expected one of {', '.join(PROGRAMS)}, got {self.order!r}")
        if self.wrap not in (None, "none", *_LOWEST):
            raise InputError(f"wrap: expected none, unit or centred, got {self.wrap!r}")

    def over(self, order: str, reverse: bool = False, wrap: Wrap = "none") -> Reading:
        """With a format's own habits where nothing was said."""
        return replace(
            self,
            order=self.order or order,
            reverse=reverse if self.reverse is None else self.reverse,
            wrap=self.wrap or wrap,
        )

    def shells(self, name: str) -> Orbitals:
        """The orbitals that must be given.

        Raises:
            InputError: they are not.
        """
        if self.orbitals is None:
            raise InputError(
                f"{name}: this format does not name the shells of its orbitals: give them, a "
                'letter for each in order, such as orbitals=Orbitals({"C": "ssp"}), or '
                "--orbitals C=ssp"
            )
        return self.orbitals


#: As the format says, in all.
AS_IS = Reading()


@dataclass(frozen=True, eq=False)
class Matrix:
    """Blocks as a file has them.

    Args:
        index: i, j and T of each, shape (N, 5).
        blocks: each of shape (orbitals of i, orbitals of j).
    """

    index: Ints
    blocks: Sequence[Floats]


@dataclass(frozen=True, eq=False)
class Found:
    """What a file holds about one structure, in its own order of orbitals.

    Args:
        structure: atoms and cell.
        orbitals: of its elements.
        hamiltonian: H in eV.
        overlap: S; None: the orbitals are orthonormal.
        reading: how it is understood, complete.
        electrons: in the cell; None: not known.
        fermi: Fermi level in eV; None: not known.
        known: atoms whose blocks are to be fitted; None: all.
        name: of the file, and where in it.
    """

    structure: Structure
    orbitals: Orbitals
    hamiltonian: Matrix
    overlap: Matrix | None
    reading: Reading
    electrons: float | None = None
    fermi: float | None = None
    known: NDArray[np.bool_] | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class Imported:
    """A snapshot with how well its overlap matrix fits its structure.

    Args:
        snapshot: H and S in our conventions.
        residual: of the overlap check; None: there is no overlap matrix.
    """

    snapshot: Snapshot
    residual: float | None


def finished(found: Found) -> Imported:
    """A snapshot of what was found in a file, once it has passed every test.

    Raises:
        InputError: blocks that do not fit atoms and orbitals, a matrix that is not symmetric, an
            overlap matrix that does not fit the structure.
    """
    reading = found.reading.over("acepot")
    numbers = found.structure.numbers
    missing = set(np.unique(numbers).tolist()) - set(found.orbitals.numbers)
    if missing:
        raise InputError(f"{found.name}: no shells were given for atomic number {min(missing)}")
    shells = found.orbitals.shells
    there = [SYMBOLS[z] for z in np.unique(numbers).tolist()]
    found = replace(found, orbitals=Orbitals({one: shells[one] for one in there}))
    moves = {
        z: to_acepot(str(reading.order), found.orbitals.ls(z)) for z in np.unique(numbers).tolist()
    }
    hamiltonian = _matrix(found, found.hamiltonian, reading, moves, "Hamiltonian")
    overlap, residual = None, None
    if found.overlap is not None:
        overlap = _matrix(found, found.overlap, reading, moves, "overlap matrix")
        residual = require_two_centre(overlap, str(reading.order), found.name)
    snapshot = Snapshot(
        hamiltonian, overlap, found.electrons, found.fermi, known=found.known, name=found.name
    )
    return Imported(snapshot, residual)


def _matrix(
    found: Found, given: Matrix, reading: Reading, moves: dict[int, Reordering], what: str
) -> OrbitalMatrix:
    name, structure = f"{found.name}: {what}", found.structure
    index = np.asarray(given.index)
    if index.ndim != 2 or index.shape[1] != 5 or not len(index):
        raise InputError(f"{name}: expected i, j and T of at least one block, got {index.shape}")
    index = index.astype(np.int64)
    if not (0 <= index[:, :2].min() and index[:, :2].max() < len(structure)):
        raise InputError(
            f"{name}: expected atoms 0 to {len(structure) - 1}, got {index[:, :2].min()} to "
            f"{index[:, :2].max()}: are all atoms in the structure?"
        )
    blocks = []
    for (i, j, *_), block in zip(index.tolist(), given.blocks, strict=True):
        a, b = moves[int(structure.numbers[i])], moves[int(structure.numbers[j])]
        shape = (len(a.place), len(b.place))
        block = np.asarray(block, dtype=float)
        if block.shape != shape:
            raise InputError(
                f"{name}: block of atoms {i} and {j}: expected shape {shape} for these shells, "
                f"got {block.shape}"
            )
        blocks.append(block[a.place][:, b.place] * (a.sign[:, None] * b.sign))
    index = _translated(index, structure, reading)
    index, blocks = completed(index, blocks)
    made = OrbitalMatrix.of(structure, found.orbitals, index, blocks, name)
    largest = max(float(np.abs(one.values).max(initial=0.0)) for one in made.pairs.values())
    if (error := made.asymmetry()) > _ASYMMETRY * largest:
        raise InputError(
            f"{name}: expected H_ij(T) = H_ji(-T)ᵀ, got a difference of {error:.2g} beside values "
            f"up to {largest:.2g}: is it complete, and is T that of j?"
        )
    return made


def _translated(index: Ints, structure: Structure, reading: Reading) -> Ints:
    """T of atoms where they stand."""
    index = index.copy()
    if reading.reverse:
        index[:, 2:] *= -1
    if reading.wrap in _LOWEST:
        lowest = _LOWEST[str(reading.wrap)]
        homes = homes_of(structure.positions, structure.cell, structure.pbc, lowest)
        index[:, 2:] += homes[index[:, 1]] - homes[index[:, 0]]
    return index


def completed(index: Ints, blocks: list[Floats]) -> tuple[Ints, list[Floats]]:
    """With the reverse of every block that lacks it, as programs write halves of matrices."""
    known = {tuple(row) for row in index.tolist()}
    more, added = [], []
    for (i, j, *t), block in zip(index.tolist(), blocks, strict=True):
        back = (j, i, -t[0], -t[1], -t[2])
        if back not in known:
            more.append(back)
            added.append(np.ascontiguousarray(block.T))
    if not more:
        return index, blocks
    return np.concatenate([index, np.array(more, dtype=np.int64)]), [*blocks, *added]


def of_translations(
    vectors: NDArray[np.integer[Any]],
    matrices: Iterable[NDArray[np.floating[Any]] | sparray],
    offsets: Ints,
    name: str,
) -> Matrix:
    """Blocks of a matrix over all orbitals of the cell for each lattice vector.

    Blocks without an entry that is not zero are left out.

    Args:
        vectors: T, shape (nT, 3).
        matrices: H(T), each of shape (orbitals, orbitals), dense or sparse.
        offsets: where the orbitals of each atom begin, and the last ones end, shape (n + 1,).
        name: how errors begin.

    Raises:
        InputError: wrong shapes.
    """
    size, index, blocks = int(offsets[-1]), [], []
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] != 3 or vectors.dtype.kind not in "iu":
        raise InputError(f"{name}: expected lattice vectors as whole numbers, shape (nT, 3)")
    for vector, matrix in zip(vectors.tolist(), matrices, strict=True):
        if matrix.shape != (size, size):
            raise InputError(
                f"{name}: expected matrices of {size} orbitals for these atoms and shells, got "
                f"shape {matrix.shape}"
            )
        for (i, j), part in _parts(coo_array(matrix), offsets):
            index.append((i, j, *vector))
            blocks.append(part)
    return Matrix(np.array(index, dtype=np.int64).reshape(-1, 5), blocks)


def _parts(matrix: coo_array, offsets: Ints) -> Iterator[tuple[tuple[int, int], Floats]]:
    """The blocks between atoms that have an entry."""
    there = matrix.data != 0.0
    row, column, data = matrix.coords[0][there], matrix.coords[1][there], matrix.data[there]
    first = np.searchsorted(offsets, row, side="right") - 1
    second = np.searchsorted(offsets, column, side="right") - 1
    if not len(data):
        return
    code = first * len(offsets) + second
    order = np.argsort(code, kind="stable")
    ends = np.flatnonzero(np.diff(code[order], append=-1)) + 1
    sizes = np.diff(offsets)
    for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        mine = order[start:end]
        i, j = int(first[mine[0]]), int(second[mine[0]])
        block = np.zeros((sizes[i], sizes[j]))
        np.add.at(block, (row[mine] - offsets[i], column[mine] - offsets[j]), data[mine])
        yield (i, j), block
