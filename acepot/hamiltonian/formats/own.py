"""Our own .npz of Hamiltonians: many snapshots in one file, exactly as they are in memory.

docs/hamiltonian_data.md describes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.hamiltonian.formats.arrays import Arrays, take
from acepot.hamiltonian.formats.assembly import Found, Imported, Matrix, Reading, finished
from acepot.hamiltonian.matrices import Ints, OrbitalMatrix, Snapshot
from acepot.io.files import replaced
from acepot.orbitals import Orbitals
from acepot.structure import Structure

FORMAT = "acepot hamiltonian"
_VERSION = 1


def write_own(path: str | Path, snapshots: Sequence[Snapshot], single: bool = False) -> None:
    """Write snapshots into one file, which replaces an older one only when it is complete.

    Args:
        path: of the file, .npz.
        snapshots: at least one; all with the same shells of each element.
        single: whether H and S are rounded to single precision.

    Raises:
        InputError: none, or shells that differ; the file cannot be written.
    """
    if not snapshots:
        raise InputError("snapshots: expected at least one, got none")
    arrays = {
        "format": np.array(FORMAT), "version": np.array(_VERSION),
        **_orbitals(snapshots), **_structures(snapshots),
    }  # fmt: skip
    for key, matrices in (
        ("hamiltonian", [one.hamiltonian for one in snapshots]),
        ("overlap", [one.overlap for one in snapshots]),
    ):
        arrays |= _packed(key, matrices, np.float32 if single else np.float64)
    with replaced(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _orbitals(snapshots: Sequence[Snapshot]) -> Arrays:
    shells: dict[str, str] = {}
    for one in snapshots:
        for element, letters in one.orbitals.shells.items():
            if shells.setdefault(element, letters) != letters:
                raise InputError(
                    f"snapshots: expected one set of shells for {element}, got "
                    f"{shells[element]} and {letters}: write them into different files"
                )
    return {"elements": np.array(list(shells)), "shells": np.array(list(shells.values()))}


def _structures(snapshots: Sequence[Snapshot]) -> Arrays:
    structures = [one.structure for one in snapshots]
    nothing = float("nan")
    return {
        "atoms": np.array([len(one) for one in structures], dtype=np.int64),
        "numbers": np.concatenate([one.numbers for one in structures]),
        "positions": np.concatenate([one.positions for one in structures]),
        "cell": np.stack([one.cell for one in structures]),
        "pbc": np.stack([one.pbc for one in structures]),
        "fitted": np.concatenate([one.fitted for one in snapshots]),
        "electrons": np.array([nothing if s.electrons is None else s.electrons for s in snapshots]),
        "fermi": np.array([nothing if s.fermi is None else s.fermi for s in snapshots]),
        "names": np.array([one.name or one.structure.name for one in snapshots]),
    }


def _packed(key: str, matrices: Sequence[OrbitalMatrix | None], dtype: type) -> Arrays:
    indices: list[Ints] = []
    values: list[NDArray[Any]] = []
    counts = []
    for one in matrices:
        count = 0
        for pair in () if one is None else sorted(one.pairs):
            blocks = one.pairs[pair]  # type: ignore[union-attr]
            indices.append(blocks.index)
            values.append(blocks.values.astype(dtype).ravel())
            count += len(blocks.index)
        counts.append(count)
    return {
        f"{key}_blocks": np.array(counts, dtype=np.int64),
        f"{key}_index": np.concatenate([np.zeros((0, 5), np.int64), *indices]).astype(np.int32),
        f"{key}_values": np.concatenate([np.zeros(0, dtype), *values]),
    }


def is_own(arrays: Arrays) -> bool:
    """Whether arrays are those of such a file."""
    mark = arrays.get("format")
    return mark is not None and mark.shape == () and str(mark) == FORMAT


def read_own(arrays: Arrays, name: str, reading: Reading) -> list[Imported]:
    """The snapshots of a file.

    Args:
        arrays: of the file, by name.
        name: of the file.
        reading: how numbers are understood; orders other than ours are for files of others.

    Raises:
        InputError: the file is damaged, or from a later version.
    """
    version = take(arrays, "version", (), "iu", name)
    if int(version) > _VERSION:
        raise InputError(
            f"{name}: expected version {_VERSION}, got {version} of a later acepot; update acepot"
        )
    elements = take(arrays, "elements", (None,), "U", name).tolist()
    shells = take(arrays, "shells", (len(elements),), "U", name).tolist()
    if len(set(elements)) < len(elements):
        raise InputError(f"{name}: elements: expected each once, got {', '.join(elements)}")
    orbitals = Orbitals(dict(zip(elements, shells, strict=True)))
    counts = take(arrays, "atoms", (None,), "iu", name)
    size = len(counts)
    first = _ends(counts, "atoms", name)
    total = int(first[-1])
    numbers = take(arrays, "numbers", (total,), "iu", name)
    positions = take(arrays, "positions", (total, 3), "f", name)
    fitted = take(arrays, "fitted", (total,), "b", name)
    cell = take(arrays, "cell", (size, 3, 3), "f", name)
    pbc = take(arrays, "pbc", (size, 3), "b", name)
    electrons = take(arrays, "electrons", (size,), "f", name)
    fermi = take(arrays, "fermi", (size,), "f", name)
    names = take(arrays, "names", (size,), "U", name).tolist()
    made = []
    structures = []
    for n in range(size):
        atoms = slice(first[n], first[n + 1])
        structures.append(
            Structure(numbers[atoms], positions[atoms], cell[n], pbc[n], name=f"{name}: {names[n]}")
        )
    shells_of = [_own_shells(orbitals, one) for one in structures]
    hamiltonians = _unpacked(arrays, "hamiltonian", structures, orbitals, name)
    overlaps = _unpacked(arrays, "overlap", structures, orbitals, name)
    for n, structure in enumerate(structures):
        atoms = slice(first[n], first[n + 1])
        hamiltonian = hamiltonians[n]
        if hamiltonian is None:
            raise InputError(f"{name}: {names[n]}: expected a Hamiltonian, got no blocks")
        made.append(
            finished(
                Found(
                    structure, shells_of[n], hamiltonian, overlaps[n], reading.over("acepot"),
                    _number(electrons[n], "electrons", name), _number(fermi[n], "fermi", name),
                    None if fitted[atoms].all() else fitted[atoms].copy(), names[n],
                )
            )
        )  # fmt: skip
    return made


def _own_shells(orbitals: Orbitals, structure: Structure) -> Orbitals:
    """Those of the elements that are there."""
    there = {SYMBOLS[z] for z in structure.numbers.tolist()}
    missing = there - set(orbitals.shells)
    if missing:
        raise InputError(f"{structure.name}: no shells are given for {min(missing)}")
    return Orbitals({e: letters for e, letters in orbitals.shells.items() if e in there})


def _number(value: float, key: str, name: str) -> float | None:
    if np.isinf(value):
        raise InputError(f"{name}: {key}: expected a finite number, or NaN for none, got {value}")
    return None if np.isnan(value) else float(value)


def _ends(counts: NDArray[np.integer[Any]], key: str, name: str) -> Ints:
    """Where the parts begin, from how many there are in each."""
    if not len(counts) or counts.min() < 0 or counts.max() > 2**40:
        raise InputError(f"{name}: {key}: expected counts of at least one snapshot")
    return np.concatenate([[0], np.cumsum(counts.astype(np.int64))])


def _unpacked(
    arrays: Arrays, key: str, structures: list[Structure], orbitals: Orbitals, name: str
) -> list[Matrix | None]:
    """The blocks of each structure; None where there are none."""
    first = _ends(take(arrays, f"{key}_blocks", (len(structures),), "iu", name), key, name)
    index = take(arrays, f"{key}_index", (int(first[-1]), 5), "iu", name).astype(np.int64)
    values = take(arrays, f"{key}_values", (None,), "f", name)
    counts = np.zeros(119, dtype=np.int64)
    for z in orbitals.numbers:
        counts[z] = orbitals.count(z)
    made: list[Matrix | None] = []
    start = 0
    for n, structure in enumerate(structures):
        mine = index[first[n] : first[n + 1]]
        atoms = mine[:, :2]
        if len(mine) and not (0 <= atoms.min() and atoms.max() < len(structure)):
            raise InputError(f"{name}: {key}_index: expected atoms 0 to {len(structure) - 1}")
        shapes = counts[structure.numbers[atoms]].reshape(-1, 2)
        ends = start + np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
        if ends[-1] > len(values):
            raise InputError(f"{name}: {key}_values: expected {ends[-1]} numbers and more, got "
                             f"{len(values)}")  # fmt: skip
        blocks = [
            values[a:b].reshape(shape)
            for a, b, shape in zip(ends[:-1], ends[1:], shapes.tolist(), strict=True)
        ]
        made.append(Matrix(mine, blocks) if len(mine) else None)
        start = int(ends[-1])
    if start != len(values):
        raise InputError(f"{name}: {key}_values: expected {start} numbers, got {len(values)}")
    return made
