""".npz files of others: lists of blocks, matrices for each T of numbered frames, one dense matrix.

The first are DeePTB's data unpacked; the second those of CP2K with T of atoms wrapped into
[-1/2, 1/2), in Hartree; the third clusters from FHI-aims, in Hartree.
"""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError
from acepot.hamiltonian.formats.arrays import Arrays, take
from acepot.hamiltonian.formats.assembly import (
    Found,
    Imported,
    Matrix,
    Reading,
    finished,
    of_translations,
)
from acepot.hamiltonian.matrices import Ints
from acepot.structure import Structure
from acepot.units import HARTREE

#: Most frames of a file.
_FRAMES = 100_000


def read_foreign(arrays: Arrays, name: str, reading: Reading) -> list[Imported]:
    """The snapshots of a file.

    Args:
        arrays: of the file, by name.
        name: of the file.
        reading: with the shells of every element.

    Raises:
        InputError: none of these, or parts that do not fit.
    """
    if "H_index" in arrays:
        return [_lists(arrays, name, reading)]
    if "H_0" in arrays:
        count = next((n for n in range(_FRAMES) if f"H_{n}" not in arrays), _FRAMES)
        return [_frame(arrays, n, f"{name} frame {n}", reading) for n in range(count)]
    if {"H", "positions", "species"} <= set(arrays):
        return [_dense(arrays, name, reading)]
    raise InputError(
        f"{name}: expected a file of acepot, or arrays H_index and H_blocks, or T_0 and H_0, or H "
        f"and positions, got {', '.join(sorted(arrays)[:8])}"
    )


def _lists(arrays: Arrays, name: str, reading: Reading) -> Imported:
    numbers = take(arrays, "numbers", (None,), "iu", name)
    positions = take(arrays, "positions", (len(numbers), 3), "f", name)
    cell = take(arrays, "cell", (3, 3), "f", name)
    parts: list[Matrix | None] = []
    for key in ("H", "S"):
        if f"{key}_index" not in arrays:
            parts.append(None)
            continue
        index = take(arrays, f"{key}_index", (None, 5), "iu", name)
        blocks = take(arrays, f"{key}_blocks", (len(index), None, None), "f", name)
        parts.append(Matrix(index.astype(np.int64), list(blocks)))
    hamiltonian, overlap = parts
    if hamiltonian is None:
        raise InputError(f"{name}: expected an array H_index")
    structure = Structure(numbers, positions, cell, True, name=name)
    given = reading.over("deeptb")
    return finished(Found(structure, given.shells(name), hamiltonian, overlap, given, name=name))


def _frame(arrays: Arrays, n: int, name: str, reading: Reading) -> Imported:
    numbers = take(arrays, f"Z_{n}", (None,), "iu", name)
    positions = take(arrays, f"pos_{n}", (len(numbers), 3), "f", name)
    cell = take(arrays, f"cell_{n}", (3, 3), "f", name)
    structure = Structure(numbers, positions, cell, True, name=name)
    given = reading.over("cp2k", wrap="centred")
    vectors = take(arrays, f"T_{n}", (None, 3), "iu", name)
    return _whole(arrays, (f"H_{n}", f"S_{n}"), vectors, structure, given, name)


def _dense(arrays: Arrays, name: str, reading: Reading) -> Imported:
    numbers = take(arrays, "species", (None,), "iu", name)
    positions = take(arrays, "positions", (len(numbers), 3), "f", name)
    structure = Structure(numbers, positions, name=name)
    one: Arrays = {key: arrays[key][None] for key in ("H", "S") if key in arrays}
    vectors = np.zeros((1, 3), dtype=np.int64)
    return _whole(one, ("H", "S"), vectors, structure, reading.over("aims"), name)


def _whole(
    arrays: Arrays,
    keys: tuple[str, str],
    vectors: Ints,
    structure: Structure,
    given: Reading,
    name: str,
) -> Imported:
    """H and S for each T over all orbitals of the cell."""
    orbitals = given.shells(name)
    offsets = orbitals.offsets(structure.numbers)
    size = int(offsets[-1])
    parts: list[Matrix | None] = []
    for key, unit in zip(keys, (HARTREE, 1.0), strict=True):
        if key == keys[1] and key not in arrays:
            parts.append(None)
            continue
        matrices = take(arrays, key, (len(vectors), size, size), "f", name)
        parts.append(of_translations(vectors, [one * unit for one in matrices], offsets, name))
    hamiltonian, overlap = parts
    if hamiltonian is None:
        raise InputError(f"{name}: expected an array {keys[0]}")
    return finished(Found(structure, orbitals, hamiltonian, overlap, given, name=name))
