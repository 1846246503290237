"""Hamiltonians of sisl, in memory and from the files of SIESTA that it opens.

sisl's orbitals carry the sign (-1)^m; T is the supercell of the column.
"""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, MissingDependency
from acepot.hamiltonian.formats.assembly import (
    AS_IS,
    Found,
    Imported,
    Matrix,
    Reading,
    finished,
    of_translations,
)
from acepot.hamiltonian.matrices import Ints, OrbitalMatrix, Snapshot
from acepot.hamiltonian.orders import from_acepot
from acepot.orbitals import LETTERS, Orbitals
from acepot.structure import Structure

try:
    import sisl
except ImportError as error:
    raise MissingDependency(
        "files of SIESTA and matrices of sisl need it: pip install acepot[hamiltonian]"
    ) from error

__all__ = ["SUFFIXES", "from_sisl", "read_siesta", "to_sisl"]

#: Suffixes of the files from which sisl reads a Hamiltonian.
SUFFIXES = (".fdf", ".hsx", ".tshs", ".nc")
#: Å beyond the longest block, so that sisl sees every one.
_REACH = 1e-3


def read_siesta(path: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a file .HSX or .nc, or of the calculation of a .fdf.

    Raises:
        InputError: sisl cannot read it, a .TSHS is given without its .fdf, or the orbitals are
            no whole shells.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix.lower() == ".tshs":
        raise InputError(
            f"{path}: a .TSHS does not name the elements: give the .fdf of the calculation, beside "
            "which it lies"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sisl.get_sile(path).read_hamiltonian()
            gc.collect()  # sisl leaves files open, whose warnings are not the user's
    except Exception as error:  # sisl raises whatever its Fortran and netCDF readers do
        raise InputError(f"{path}: sisl cannot read a Hamiltonian from it: {error}") from error
    return [from_sisl(found, reading, str(path))]


def from_sisl(found: Any, reading: Reading = AS_IS, name: str = "sisl") -> Imported:
    """A snapshot of a Hamiltonian of sisl.

    Args:
        found: without spin, every shell whole and in the order m = -l … l.
        reading: how numbers are understood.
        name: how errors begin.

    Raises:
        InputError: spin, or orbitals that are no whole shells.
    """
    if not found.spin.is_unpolarized:
        raise InputError(f"{name}: expected a Hamiltonian without spin, got {found.spin}")
    geometry = found.geometry
    numbers = [int(z) for z in geometry.atoms.Z]
    pbc = np.asarray(geometry.lattice.pbc, dtype=bool)
    structure = Structure(numbers, geometry.xyz, geometry.lattice.cell, pbc, name=name)
    orbitals = reading.orbitals or _shells(geometry, name)
    offsets = orbitals.offsets(structure.numbers)
    if int(offsets[-1]) != geometry.no:
        raise InputError(f"{name}: expected {offsets[-1]} orbitals, got {geometry.no}")
    vectors = np.asarray(geometry.lattice.sc_off, dtype=np.int64)
    hamiltonian = _blocks(csr_array(found.tocsr(0)), vectors, offsets, name)
    overlap = None
    if not found.orthogonal:
        overlap = _blocks(csr_array(found.tocsr(found.S_idx)), vectors, offsets, name)
    return finished(
        Found(structure, orbitals, hamiltonian, overlap, reading.over("sisl"), name=name)
    )


def _blocks(matrix: csr_array, vectors: Ints, offsets: Ints, name: str) -> Matrix:
    size = int(offsets[-1])
    parts = [matrix[:, n * size : (n + 1) * size] for n in range(len(vectors))]
    there = [n for n, part in enumerate(parts) if part.nnz]
    return of_translations(vectors[there], [parts[n] for n in there], offsets, name)


def _shells(geometry: Any, name: str) -> Orbitals:
    found: dict[str, str] = {}
    for atom in geometry.atoms.atom:
        z = int(atom.Z)
        mine = ""
        pending: list[int] = []
        for orbital in atom.orbitals:
            l, m = getattr(orbital, "l", None), getattr(orbital, "m", None)
            if l is None or m is None or not 0 <= l < len(LETTERS):
                raise InputError(
                    f"{name}: expected orbitals with l and m in {SYMBOLS[z]}, got {orbital}; "
                    "give the shells of the elements"
                )
            if m != (pending or [-l])[0]:
                raise InputError(f"{name}: expected whole shells in the order m = -l … l, got {l}")
            if not pending:
                mine += LETTERS[l]
                pending = list(range(-l, l + 1))
            pending = pending[1:]
        if pending:
            raise InputError(f"{name}: expected whole shells in {SYMBOLS[z]}")
        if found.setdefault(SYMBOLS[z], mine) != mine:
            raise InputError(f"{name}: expected the same shells in every {SYMBOLS[z]}")
    return Orbitals(found)


def to_sisl(snapshot: Snapshot) -> Any:
    """A `sisl.Hamiltonian` of a snapshot, not orthogonal if there is an overlap matrix.

    Args:
        snapshot: H in eV and S.
    """
    structure, orbitals = snapshot.structure, snapshot.orbitals
    matrices = [snapshot.hamiltonian]
    if snapshot.overlap is not None:
        matrices.append(snapshot.overlap)
    vectors = np.concatenate([one.lattice_vectors for one in matrices])
    most = np.abs(vectors).max(axis=0)
    reach = max(float(_longest(one)) for one in matrices) + _REACH
    atoms = {
        z: sisl.Atom(z, [_orbital(l, m, n, reach) for n, l in enumerate(orbitals.ls(z))
                         for m in range(-l, l + 1)])
        for z in orbitals.numbers
    }  # fmt: skip
    lattice = sisl.Lattice(
        structure.cell if structure.pbc.any() else np.eye(3) * (4 * reach), nsc=2 * most + 1,
        boundary_condition=["periodic" if p else "unknown" for p in structure.pbc],
    )  # fmt: skip
    geometry = sisl.Geometry(
        structure.positions, [atoms[z] for z in structure.numbers.tolist()], lattice
    )
    parts = [_sparse(one, geometry) for one in matrices]
    if len(parts) == 1:
        return sisl.Hamiltonian.fromsp(geometry, parts[0])
    return sisl.Hamiltonian.fromsp(geometry, parts[0], S=parts[1])


def _orbital(l: int, m: int, number: int, reach: float) -> Any:
    """Quantum numbers alone; n only tells shells of one l apart."""
    return sisl.AtomicOrbital(n=number + l + 1, l=l, m=m, zeta=1, R=reach / 2)


def _longest(matrix: OrbitalMatrix) -> float:
    return max(float(np.linalg.norm(matrix.vectors(p), axis=1).max()) for p in matrix.pairs)


def _sparse(matrix: OrbitalMatrix, geometry: Any) -> Any:
    """All H(T) side by side, in sisl's order of T and of orbitals."""
    size = matrix.size
    moves = [from_acepot("sisl", matrix.orbitals.ls(z)) for z in matrix.structure.numbers.tolist()]
    place = np.concatenate(
        [start + move.place for start, move in zip(matrix.offsets, moves, strict=False)]
    )
    sign = np.concatenate([move.sign for move in moves])
    entries: list[list[Any]] = [[], [], []]
    for vector, part in matrix.real_space():
        coo = part[place][:, place].tocoo()
        row, column = coo.coords
        entries[0].append(row)
        entries[1].append(column + size * int(geometry.lattice.sc_index(vector)))
        entries[2].append(coo.data * sign[row] * sign[column])
    row, column, data = (np.concatenate(one) for one in entries)
    # sisl knows matrices, not arrays.
    return csr_matrix((data, (row, column)), (size, size * int(geometry.n_s)))
