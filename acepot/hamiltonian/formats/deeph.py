"""Folders of DeepH: the layout with a data set for each block, and the one with a single array.

Old: hamiltonians.h5 and overlaps.h5 with data sets "[Rx, Ry, Rz, i, j]" counted from 1, eV, order
of OpenMX; site_positions.dat and lat.dat have vectors as columns; orbital_types.dat a line of l for
each atom; element.dat, info.json. New: hamiltonian.h5 and overlap.h5 with atom_pairs (R, i, j),
chunk_boundaries, chunk_shapes and entries, counted from 0, our order; POSCAR and info.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import Found, Imported, Matrix, Reading, finished
from acepot.hamiltonian.formats.deeptb import blocks_of
from acepot.hamiltonian.formats.hdf5 import Numbers, opened_hdf5, written_hdf5
from acepot.hamiltonian.formats.text import elements, json_table, letters, rows, table
from acepot.hamiltonian.matrices import Floats, OrbitalMatrix, Snapshot
from acepot.hamiltonian.orders import from_acepot
from acepot.io.files import replaced
from acepot.orbitals import Orbitals
from acepot.structure import Structure

_KEY = r"\[(-?\d+), *(-?\d+), *(-?\d+), *(\d+), *(\d+)\]"


def read_old(folder: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a folder of the old layout.

    Raises:
        InputError: a file is missing, damaged or does not fit the others.
    """
    numbers = elements([line[0] for line in rows(folder / "element.dat")], folder / "element.dat")
    positions = table(folder / "site_positions.dat").T
    cell = table(folder / "lat.dat", 3).T
    info = json_table(folder / "info.json") if (folder / "info.json").exists() else {}
    _require_plain(info, "isspinful", folder)
    path = folder / "orbital_types.dat"
    shells: dict[str, str] = {}
    lines = rows(path)
    if len(lines) != len(numbers):
        raise InputError(f"{path}: expected {len(numbers)} lines, got {len(lines)}")
    for z, line in zip(numbers, lines, strict=True):
        text = letters([int(word) if word.isdigit() else -1 for word in line], path)
        if shells.setdefault(SYMBOLS[z], text) != text:
            raise InputError(f"{path}: expected the same shells in every {SYMBOLS[z]}")
    structure = Structure(numbers, positions, cell, True, name=str(folder))
    with opened_hdf5(folder / "hamiltonians.h5") as file:
        hamiltonian = blocks_of(file, _KEY, (3, 4, 0, 1, 2), 1)
    overlap = None
    if (folder / "overlaps.h5").exists():
        with opened_hdf5(folder / "overlaps.h5") as file:
            overlap = blocks_of(file, _KEY, (3, 4, 0, 1, 2), 1)
    found = Found(
        structure, Orbitals(shells), hamiltonian, overlap, reading.over("deeph"),
        fermi=_fermi(info, "fermi_level", folder), name=str(folder),
    )  # fmt: skip
    return [finished(found)]


def read_new(folder: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a folder of the new layout; as `read_old`."""
    info = json_table(folder / "info.json")
    _require_plain(info, "spinful", folder)
    path = folder / "info.json"
    listed = info.get("elements_orbital_map")
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{path}: expected elements_orbital_map, l of the shells of each element")
    shells = {}
    for element, ls in listed.items():
        whole = isinstance(ls, list) and all(type(l) is int for l in ls)
        shells[element] = letters(ls if whole else [-1], path)
    structure = _poscar(folder / "POSCAR")
    hamiltonian = _chunks(folder / "hamiltonian.h5")
    overlap = None
    if (folder / "overlap.h5").exists() and info.get("orthogonal_basis") is not True:
        overlap = _chunks(folder / "overlap.h5")
    found = Found(
        structure, Orbitals(shells), hamiltonian, overlap, reading.over("acepot"),
        fermi=_fermi(info, "fermi_energy_eV", folder), name=str(folder),
    )  # fmt: skip
    return [finished(found)]


def _require_plain(info: dict[str, Any], key: str, folder: Path) -> None:
    if info.get(key):
        raise InputError(f"{folder}/info.json: {key}: expected a calculation without spin-orbit")


def _fermi(info: dict[str, Any], key: str, folder: Path) -> float | None:
    value = info.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise InputError(f"{folder}/info.json: {key}: expected eV, got {str(value)[:40]}")
    return float(value)


def _chunks(path: Path) -> Matrix:
    """Blocks one after another in one array."""
    with opened_hdf5(path) as file:
        pairs = file.numbers("atom_pairs", "iu").astype(np.int64)
        ends = file.numbers("chunk_boundaries", "iu").astype(np.int64)
        shapes = file.numbers("chunk_shapes", "iu").astype(np.int64)
        entries = file.numbers("entries", "f")
    fits = pairs.ndim == 2 and pairs.shape[1] == 5 and shapes.shape == (len(pairs), 2)
    if not fits or ends.shape != (len(pairs) + 1,) or entries.ndim != 1:
        raise InputError(
            f"{path}: expected atom_pairs (n, 5), chunk_shapes (n, 2), chunk_boundaries (n + 1), "
            f"entries; got {pairs.shape}, {shapes.shape}, {ends.shape} and {entries.shape}"
        )
    known = len(pairs) > 0 and shapes.min() > 0 and shapes.max() < 10000
    if not known or ends[0] != 0 or ends[-1] != len(entries):
        raise InputError(f"{path}: chunk_boundaries: expected 0 to {len(entries)}")
    if (np.diff(ends) != shapes.prod(axis=1)).any():
        raise InputError(f"{path}: chunk_boundaries: expected steps of the sizes in chunk_shapes")
    blocks = [
        entries[a:b].reshape(shape)
        for a, b, shape in zip(ends[:-1], ends[1:], shapes.tolist(), strict=True)
    ]
    return Matrix(pairs[:, [3, 4, 0, 1, 2]], blocks)


def _poscar(path: Path) -> Structure:
    """A structure as VASP writes it."""
    lines = rows(path)[1:] if len(rows(path)) > 1 else []
    try:
        scale = float(lines[0][0])
        cell = np.array([[float(w) for w in line[:3]] for line in lines[1:4]]) * scale
        counts = [int(word) for word in lines[5]]
        if min(counts) < 0 or sum(counts) > len(lines):
            raise ValueError("more atoms than lines")
        symbols = [s for s, n in zip(lines[4], counts, strict=True) for _ in range(n)]
        start = 7 if lines[6][0][0] not in "sS" else 8
        kind = lines[start - 1][0][0].lower()
        places = [[float(w) for w in line[:3]] for line in lines[start : start + len(symbols)]]
        given = np.array(places).reshape(len(symbols), 3)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: expected a POSCAR with names of elements: {error}") from None
    if scale <= 0.0:
        raise InputError(f"{path}: expected a scale above zero, got {scale}")
    positions = given * scale if kind in "ck" else given @ cell
    return Structure(elements(symbols, path), positions, cell, True, name=str(path))


def write_old(folder: Path, snapshot: Snapshot) -> None:
    """Write a snapshot as a folder of the old layout.

    Args:
        folder: to make, or in which files are replaced.
        snapshot: of a crystal in three dimensions.

    Raises:
        InputError: it is not periodic in all directions, or a shell's order is not known.
    """
    structure, orbitals = snapshot.structure, snapshot.orbitals
    if not structure.pbc.all():
        raise InputError("snapshot: DeepH's folder holds crystals, periodic in three directions")
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "site_positions.dat", structure.positions.T)
    _save(folder / "lat.dat", structure.cell.T)
    _save(folder / "rlat.dat", np.asarray(2 * np.pi * np.linalg.inv(structure.cell)))
    with replaced(folder / "element.dat") as file:
        file.writelines(f"{z}\n" for z in structure.numbers.tolist())
    with replaced(folder / "orbital_types.dat") as file:
        file.writelines(
            "  ".join(map(str, orbitals.ls(z))) + "\n" for z in structure.numbers.tolist()
        )
    with replaced(folder / "info.json") as file:
        fermi = "null" if snapshot.fermi is None else repr(snapshot.fermi)
        file.write(
            f'{{"nsites": {len(structure)}, "isorthogonal": '
            f'{str(snapshot.overlap is None).lower()}, "isspinful": false, "norbits": '
            f'{snapshot.hamiltonian.size}, "fermi_level": {fermi}}}\n'
        )
    with replaced(folder / "hamiltonians.h5", "wb") as file:
        file.write(_packed(snapshot.hamiltonian))
    if snapshot.overlap is not None:
        with replaced(folder / "overlaps.h5", "wb") as file:
            file.write(_packed(snapshot.overlap))


def _packed(matrix: OrbitalMatrix) -> bytes:
    found: dict[str, Numbers] = {}
    moves = {z: from_acepot("deeph", matrix.orbitals.ls(z)) for z in matrix.orbitals.numbers}
    for (a, b), blocks in matrix.pairs.items():
        rows_of, columns = moves[a], moves[b]
        sign = rows_of.sign[:, None] * columns.sign
        for (i, j, *t), block in zip(blocks.index.tolist(), blocks.values, strict=True):
            key = f"[{t[0]}, {t[1]}, {t[2]}, {i + 1}, {j + 1}]"
            found[key] = block[rows_of.place][:, columns.place] * sign
    return written_hdf5(found)


def _save(path: Path, values: Floats) -> None:
    """Numbers as text that reads back the same."""
    with replaced(path) as file:
        file.writelines(" ".join(map(repr, line)) + "\n" for line in values.tolist())
