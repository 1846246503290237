"""Matrices that CP2K prints as text, `&PRINT &AO_MATRICES`: of molecules, or of large cells at Γ.

A table begins with OVERLAP MATRIX or KOHN-SHAM MATRIX; each line of numbers with the row, the atom,
its element and the orbital (2s, 3py, 4d-2 …), under a line with the numbers of the columns. At Γ
all images of an atom are in one block, which is taken for that of the closest image.
"""

from __future__ import annotations

import re
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
from acepot.hamiltonian.formats.text import rows
from acepot.hamiltonian.matrices import Floats
from acepot.io.structures.datasets import read_structures
from acepot.lattice import reduced
from acepot.orbitals import LETTERS, Orbitals
from acepot.structure import Structure
from acepot.units import HARTREE

_ORBITAL = re.compile(r"\d*([spdfg])\S*$")
#: Most orbitals of a table.
_MOST = 20_000


def read_text(folder: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a folder: one file .Log or .ao with both tables, one .xyz.

    Raises:
        InputError: a file is missing, damaged or does not fit the other, or there is spin.
    """
    logs = sorted(p for p in folder.iterdir() if p.suffix in (".Log", ".ao"))
    places = sorted(folder.glob("*.xyz"))
    if len(logs) != 1 or len(places) != 1:
        raise InputError(
            f"{folder}: expected one .Log or .ao and one .xyz, got {len(logs)} and {len(places)}"
        )
    found, _ = read_structures(places[0])
    if len(found) != 1:
        raise InputError(f"{places[0]}: expected one structure, got {len(found)}")
    structure = found[0]
    tables, labels = _tables(logs[0])
    orbitals = reading.orbitals or _shells(labels, structure, logs[0])
    offsets = orbitals.offsets(structure.numbers)
    zero = np.zeros((1, 3), dtype=np.int64)
    parts = {
        key: of_translations(zero, [table], offsets, str(logs[0])) for key, table in tables.items()
    }
    if "KOHN-SHAM" not in parts:
        raise InputError(f"{logs[0]}: expected a table KOHN-SHAM MATRIX")
    hamiltonian = parts["KOHN-SHAM"]
    made = Found(
        structure, orbitals,
        _closest(Matrix(hamiltonian.index, [b * HARTREE for b in hamiltonian.blocks]), structure),
        _closest(parts["OVERLAP"], structure) if "OVERLAP" in parts else None,
        reading.over("cp2k"), name=str(folder),
    )  # fmt: skip
    return [finished(made)]


def _tables(path: Path) -> tuple[dict[str, Floats], list[tuple[int, str, str]]]:
    """The last table of each kind, and atom, element and orbital of every row."""
    entries: dict[str, list[tuple[int, list[int], list[float]]]] = {}
    labels: dict[int, tuple[int, str, str]] = {}
    now, columns = "", list[int]()
    try:
        for words in rows(path):
            line = " ".join(words)
            if line.endswith("MATRIX") or "MATRIX FOR" in line:
                if "BETA SPIN" in line:
                    raise InputError(f"{path}: expected a calculation without spin")
                now = next((k for k in ("OVERLAP", "KOHN-SHAM") if line.startswith(k)), "")
                if now:
                    entries[now] = []
            elif now and all(word.isdigit() for word in words):
                columns = [int(word) - 1 for word in words]
            elif now and len(words) > 4 and _ORBITAL.match(words[3]):
                row = int(words[0]) - 1
                labels[row] = (int(words[1]) - 1, words[2], words[3])
                entries[now].append((row, columns, [float(word) for word in words[4:]]))
    except ValueError as error:
        raise InputError(f"{path}: expected tables of numbers: {error}") from None
    size = len(labels)
    if not 0 < size <= _MOST or sorted(labels) != list(range(size)):
        raise InputError(f"{path}: expected rows 1 to {size} of at most {_MOST} orbitals")
    return (
        {key: _filled(lines, size, path) for key, lines in entries.items()},
        [labels[n] for n in range(size)],
    )


def _filled(lines: list[tuple[int, list[int], list[float]]], size: int, path: Path) -> Floats:
    made = np.full((size, size), np.nan)
    for row, columns, values in lines:
        if len(columns) != len(values) or max(columns) >= size or min(columns) < 0:
            raise InputError(f"{path}: row {row + 1}: expected a number under every column")
        made[row, columns] = values
    if not np.isfinite(made).all():
        raise InputError(f"{path}: expected every element of a matrix of {size} orbitals")
    return made


def _shells(labels: list[tuple[int, str, str]], structure: Structure, path: Path) -> Orbitals:
    """Whole shells, from the letters of the orbitals of each atom."""
    letters = [""] * len(structure)
    for atom, _, orbital in labels:
        if not 0 <= atom < len(structure):
            raise InputError(f"{path}: expected atoms 1 to {len(structure)}, got {atom + 1}")
        letters[atom] += (_ORBITAL.match(orbital) or [""] * 2)[1]
    shells: dict[str, str] = {}
    for z, text in zip(structure.numbers.tolist(), letters, strict=True):
        mine = ""
        while text:
            count = 2 * LETTERS.index(text[0]) + 1
            if text[:count] != text[0] * count:
                raise InputError(f"{path}: expected whole shells in {SYMBOLS[z]}")
            mine, text = mine + text[0], text[count:]
        if shells.setdefault(SYMBOLS[z], mine) != mine:
            raise InputError(f"{path}: expected the same shells in every {SYMBOLS[z]}")
    return Orbitals(shells)


def _closest(matrix: Matrix, structure: Structure) -> Matrix:
    """With the T of the closest image of the second atom."""
    if not structure.pbc.any():
        return matrix
    short, _ = reduced(structure.cell, structure.pbc)
    index = matrix.index.copy()
    around = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    around = around[~(around[:, ~structure.pbc]).any(axis=1)]
    full = np.where(structure.pbc[:, None], structure.cell, 0.0)
    for row in index:
        apart = structure.positions[row[1]] - structure.positions[row[0]]
        box = np.where(structure.pbc[:, None], short, 0.0)
        start = -np.round(apart @ np.linalg.pinv(box))
        moves = (start + around) @ box
        best = moves[np.argmin(np.linalg.norm(apart + moves, axis=1))]
        row[2:] = np.round(best @ np.linalg.pinv(full))
    return Matrix(index, matrix.blocks)
