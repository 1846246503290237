"""HDF5 databases of ACEhamiltonians: SYS/{Structure,Info,Data} for each system, Hartree, FHI-aims.

H and S are (T, orbitals, orbitals), with d = r_j - r_i - T·lattice; Info/Basis has l of the shells
of each element under its atomic number.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import (
    Found,
    Imported,
    Matrix,
    Reading,
    finished,
    of_translations,
)
from acepot.hamiltonian.formats.hdf5 import Group, opened_hdf5
from acepot.hamiltonian.formats.text import letters
from acepot.hamiltonian.matrices import Ints
from acepot.orbitals import Orbitals
from acepot.structure import Structure
from acepot.units import HARTREE


def read_acehamiltonians(path: Path, reading: Reading) -> list[Imported]:
    """Every system of a file, those in groups of groups too.

    Raises:
        InputError: no such database, or parts that do not fit.
    """
    with opened_hdf5(path) as file:
        systems = _systems(file, 3)
        if not systems:
            raise InputError(
                f"{path}: expected systems with groups Structure and Data, as ACEhamiltonians "
                f"writes them, got {', '.join(file.names()[:8])}"
            )
        return [_system(system, path, reading) for system in systems]


def _systems(group: Group, depth: int) -> list[Group]:
    found = []
    for key in group.groups():
        inside = group.group(key)
        if "Structure" in inside and "Data" in inside:
            found.append(inside)
        elif depth:
            found += _systems(inside, depth - 1)
    return found


def _system(system: Group, path: Path, reading: Reading) -> Imported:
    atoms, data = system.group("Structure"), system.group("Data")
    numbers = atoms.numbers("atomic_numbers", "iu").ravel()
    positions = atoms.numbers("positions", "f")
    periodic = "lattice" in atoms
    cell = atoms.numbers("lattice", "f") if periodic else None
    pbc = atoms.numbers("pbc") != 0 if "pbc" in atoms else np.full(3, periodic)
    structure = Structure(numbers, positions, cell, pbc, name=system.name)
    given = reading.over("aims", reverse=True)
    orbitals = given.orbitals or _basis(system, path)
    offsets = orbitals.offsets(structure.numbers)
    vectors: Ints = np.zeros((1, 3), dtype=np.int64)
    gamma = "H" not in data
    if not gamma:
        vectors = _vectors(system)
    parts: list[Matrix | None] = []
    for key, unit in (("H", HARTREE), ("S", 1.0)):
        key = f"{key}_gamma" if gamma else key
        if unit == 1.0 and key not in data:
            parts.append(None)
            continue
        matrices = data.numbers(key, "f") * unit
        if gamma and matrices.ndim == 2:
            matrices = matrices[None]
        if matrices.ndim != 3 or len(matrices) != len(vectors):
            raise InputError(
                f"{data.name}/{key}: expected a matrix for each of {len(vectors)} translations, "
                f"got {matrices.shape}"
            )
        parts.append(of_translations(vectors, list(matrices), offsets, system.name))
    hamiltonian, overlap = parts
    if hamiltonian is None:
        raise InputError(f"{data.name}: expected a data set H")
    if gamma and structure.pbc.any():
        raise InputError(
            f"{data.name}: expected H of every translation: H_gamma alone does not tell which "
            "image of an atom a block belongs to"
        )
    fermi = None
    if "fermi_level" in data:
        fermi = float(data.numbers("fermi_level", "f").ravel()[0]) * HARTREE
    return finished(
        Found(structure, orbitals, hamiltonian, overlap, given, fermi=fermi, name=system.name)
    )


def _vectors(system: Group) -> Ints:
    """T, one in a row; Julia's arrays appear transposed in Python where they are so stored."""
    found = system.group("Info").numbers("Translations", "iu").astype(np.int64)
    if found.ndim != 2 or 3 not in found.shape:
        raise InputError(f"{system.name}: Translations: expected shape (nT, 3), got {found.shape}")
    return found if found.shape[1] == 3 else np.ascontiguousarray(found.T)


def _basis(system: Group, path: Path) -> Orbitals:
    basis = system.group("Info").group("Basis")
    shells = {}
    for key in basis.names():
        if not key.isdigit() or not 1 <= int(key) < len(SYMBOLS):
            raise InputError(f"{basis.name}: expected atomic numbers, got {key[:20]!r}")
        shells[SYMBOLS[int(key)]] = letters(basis.numbers(key, "iu").ravel().tolist(), path)
    return Orbitals(shells)
