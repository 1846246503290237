"""Output folders of ABACUS with `out_mat_hs2 1`: sparse H(R) in Ry and S(R), atoms in its log.

data-HR-sparse_SPIN0.csr and data-SR-sparse_SPIN0.csr hold for each R its three numbers and how many
entries there are, then values, columns and where rows begin, a line each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

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
from acepot.hamiltonian.formats.folders import ABACUS_H, ABACUS_LOG, ABACUS_S
from acepot.hamiltonian.formats.text import elements, letters, rows
from acepot.hamiltonian.matrices import Floats, Ints
from acepot.orbitals import Orbitals
from acepot.structure import Structure
from acepot.units import BOHR, RYDBERG

_ATOM = re.compile(r"tau[cd]_([A-Z][a-z]?)\d*$")


def read_abacus(folder: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a folder.

    Raises:
        InputError: a file is missing, damaged or does not fit the others, or there is spin.
    """
    structure, orbitals, fermi = _log(folder / ABACUS_LOG)
    offsets = orbitals.offsets(structure.numbers)
    hamiltonian = _sparse(folder / ABACUS_H, offsets, RYDBERG)
    overlap = _sparse(folder / ABACUS_S, offsets, 1.0) if (folder / ABACUS_S).exists() else None
    found = Found(
        structure, orbitals, hamiltonian, overlap, reading.over("abacus"), fermi=fermi,
        name=str(folder),
    )  # fmt: skip
    return [finished(found)]


def _log(path: Path) -> tuple[Structure, Orbitals, float | None]:
    """Atoms, shells and Fermi level of the log."""
    lines = rows(path)
    shells: dict[str, list[int]] = {}
    label, unit, fermi = "", None, None
    cell: Floats | None = None
    symbols: list[str] = []
    places: list[list[float]] = []
    direct = True
    try:
        for n, words in enumerate(lines):
            text = " ".join(words)
            if text.startswith("lattice constant (Bohr)"):
                unit = float(words[-1]) * BOHR
            elif text.startswith("atom label"):
                label = words[-1]
            elif "number of zeta" in text and words[0].startswith("L="):
                shells.setdefault(label, []).extend(
                    [int(words[0][2:].rstrip(","))] * min(int(words[-1]), 64)
                )
            elif words[1:2] == ["COORDINATES"] and not places:
                direct = words[0] == "DIRECT"
            elif (match := _ATOM.match(words[0])) is not None and cell is None:
                symbols.append(match.group(1))
                places.append([float(w) for w in words[1:4]])
            elif text.startswith("Lattice vectors: (Cartesian") and unit is not None:
                cell = np.array([[float(w) for w in line[:3]] for line in lines[n + 1 : n + 4]])
                cell = cell * unit
            elif words[0] == "EFERMI" and "eV" in words:
                fermi = float(words[2])
            elif "NSPIN == 2" in text or "NSPIN == 4" in text:
                raise InputError(f"{path}: expected NSPIN == 1, got {text}")
        if cell is None or unit is None or not places or cell.shape != (3, 3):
            raise InputError(f"{path}: expected lattice constant, coordinates and lattice vectors")
        given = np.array(places)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: expected the log of a calculation: {error}") from None
    positions = given @ cell if direct else given * unit
    structure = Structure(elements(symbols, path), positions, cell, True, name=str(path))
    found = {SYMBOLS[elements([e], path)[0]]: letters(ls, path) for e, ls in shells.items()}
    there = {SYMBOLS[z] for z in structure.numbers.tolist()}
    if not there <= set(found):
        raise InputError(f"{path}: expected the numbers of zeta of {min(there - set(found))}")
    return structure, Orbitals({e: text for e, text in found.items() if e in there}), fermi


def _sparse(path: Path, offsets: Ints, unit: float) -> Matrix:
    lines = [line for line in rows(path) if line[0] != "STEP:"]
    try:
        if lines[0][:2] != ["Matrix", "Dimension"] or lines[1][:2] != ["Matrix", "number"]:
            raise InputError(f"{path}: expected Matrix Dimension and Matrix number, got no such")
        size = int(lines[0][-1])
        if size != offsets[-1]:
            raise InputError(f"{path}: expected {offsets[-1]} orbitals of these atoms, got {size}")
        found = list(_matrices(lines[2:], size, path))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: expected sparse matrices: {error}") from None
    if not found:
        raise InputError(f"{path}: expected at least one matrix")
    vectors = np.array([vector for vector, _ in found])
    return of_translations(vectors, [matrix * unit for _, matrix in found], offsets, str(path))


def _matrices(
    lines: list[list[str]], size: int, path: Path
) -> Iterator[tuple[list[int], csr_array]]:
    start = 0
    while start < len(lines):
        head = [int(word) for word in lines[start]]
        if len(head) != 4 or head[3] < 0 or np.abs(head[:3]).max() > 10**6:
            raise InputError(f"{path}: expected R and how many entries there are, got {head[:6]}")
        if head[3] == 0:
            start += 1
            continue
        data = np.array(lines[start + 1], dtype=float)
        columns = np.array(lines[start + 2], dtype=np.int64)
        ends = np.array(lines[start + 3], dtype=np.int64)
        sound = len(data) == len(columns) == head[3] and len(ends) == size + 1
        if not sound or ends[0] != 0 or ends[-1] != head[3] or (np.diff(ends) < 0).any():
            raise InputError(f"{path}: R = {head[:3]}: expected {head[3]} entries in {size} rows")
        if columns.min() < 0 or columns.max() >= size:
            raise InputError(f"{path}: R = {head[:3]}: expected columns 0 to {size - 1}")
        yield head[:3], csr_array((data, columns, ends), (size, size))
        start += 4
