"""Matrices of CP2K as it prints them: sparse for each image of the cell, in Hartree.

`&PRINT &KS_CSR_WRITE` and `&S_CSR_WRITE` with REAL_SPACE T and UPPER_TRIANGULAR F write a file
PROJECT-KS_SPIN_1_R_N-1_0.csr of row, column and value for each image N, and the three numbers of
every image into the main output. They count from atoms wrapped into [-1/2, 1/2).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import (
    Found,
    Imported,
    Matrix,
    Reading,
    finished,
    of_translations,
)
from acepot.hamiltonian.formats.folders import CP2K
from acepot.hamiltonian.formats.text import integers, rows, table
from acepot.hamiltonian.matrices import Ints
from acepot.io.structures.datasets import read_structures
from acepot.structure import Structure
from acepot.units import HARTREE

_IMAGES = re.compile(r"(KS|S) CSR write\|\s*(\d+) periodic images")
#: Most images of the cell.
_MOST = 1_000_000


def read_cp2k(folder: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a folder: the files .csr, one main output .out, and geometry in .xyz.

    Raises:
        InputError: a file is missing, damaged or does not fit the others, or there is spin.
    """
    files: dict[str, dict[int, Path]] = {"KS": {}, "S": {}}
    for path in sorted(folder.iterdir()):
        if match := CP2K.match(path.name):
            if match.group(2) != "1":
                raise InputError(f"{path}: expected a calculation without spin")
            files[match.group(1)][int(match.group(3))] = path
    images = _images(_only(folder, "*.out"))
    structure = _geometry(_only(folder, "*.xyz"))
    given = reading.over("cp2k", wrap="centred")
    orbitals = given.shells(str(folder))
    offsets = orbitals.offsets(structure.numbers)
    parts = [
        _matrix(files[key], images, offsets, unit, folder) if files[key] else None
        for key, unit in (("KS", HARTREE), ("S", 1.0))
    ]
    hamiltonian, overlap = parts
    if hamiltonian is None:
        raise InputError(f"{folder}: expected files …-KS_SPIN_1_R_1-1_0.csr")
    found = Found(structure, orbitals, hamiltonian, overlap, given, name=str(folder))
    return [finished(found)]


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise InputError(f"{folder}: expected one file {pattern}, got {len(found)}")
    return found[0]


def _images(path: Path) -> dict[int, tuple[int, int, int]]:
    """The lattice vector of every image, from the main output."""
    found: dict[int, tuple[int, int, int]] = {}
    lines = rows(path)
    for n, words in enumerate(lines):
        match = _IMAGES.search(" ".join(words))
        if match is None:
            continue
        count = int(match.group(2)) if len(match.group(2)) < 9 else _MOST + 1
        try:
            mine = [[int(w) for w in line[:4]] for line in lines[n + 2 : n + 2 + min(count, _MOST)]]
            images = {k: (x, y, z) for k, x, y, z in mine}
        except ValueError as error:
            raise InputError(f"{path}: expected a table of periodic images: {error}") from None
        if len(images) != count or (found and found != images):
            raise InputError(f"{path}: expected one table of {count} periodic images")
        found = images
    if not found:
        raise InputError(
            f"{path}: expected the line 'KS CSR write| … periodic images', which REAL_SPACE T gives"
        )
    return found


def _geometry(path: Path) -> Structure:
    """The one crystal of a file of structures."""
    found, _ = read_structures(path)
    if len(found) != 1 or not found[0].pbc.all():
        raise InputError(f"{path}: expected one structure, periodic in three directions")
    return found[0]


def _matrix(
    files: dict[int, Path],
    images: dict[int, tuple[int, int, int]],
    offsets: Ints,
    unit: float,
    folder: Path,
) -> Matrix:
    size = int(offsets[-1])
    vectors, matrices = [], []
    for number, path in sorted(files.items()):
        if number not in images:
            raise InputError(f"{path}: expected images 1 to {len(images)}")
        if not path.stat().st_size:
            continue
        entries = table(path, 3)
        place = integers(entries[:, :2], path) - 1
        if place.min() < 0 or place.max() >= size:
            raise InputError(f"{path}: expected rows and columns 1 to {size} for these shells")
        vectors.append(images[number])
        values = entries[:, 2] * unit
        matrices.append(coo_array((values, (place[:, 0], place[:, 1])), (size, size)))
    missing = set(images) - set(files)
    if missing or not vectors:
        raise InputError(f"{folder}: expected a file for every image, got none for {missing}")
    return of_translations(np.array(vectors), matrices, offsets, str(folder))
