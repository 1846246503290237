"""Folders of FHI-aims with `output_rs_matrices plain`: sparse real-space matrices, Hartree.

rs_indices.out holds, for a row (basis function in cell R) of every R, where its columns (basis
functions in cell zero) stand among the numbers of rs_hamiltonian.out and rs_overlap.out; one
triangle is written. The orbitals are in basis-indices.out, the atoms in geometry.in.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array

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
from acepot.hamiltonian.formats.text import elements, letters, rows, table
from acepot.hamiltonian.matrices import Floats, Ints
from acepot.orbitals import Orbitals
from acepot.structure import Structure
from acepot.units import HARTREE

_FERMI = re.compile(r"Chemical potential \(Fermi level\).*eV\s*:\s*(\S+)")


def read_aims(folder: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a folder.

    Raises:
        InputError: a file is missing, damaged or does not fit the others.
    """
    structure = _geometry(folder / "geometry.in")
    orbitals, place = _basis(folder / "basis-indices.out", structure)
    vectors, triples = _indices(folder / "rs_indices.out", len(place))
    offsets = orbitals.offsets(structure.numbers)
    hamiltonian = _matrix(folder / "rs_hamiltonian.out", vectors, triples, place, offsets, HARTREE)
    overlap = None
    if (folder / "rs_overlap.out").exists():
        overlap = _matrix(folder / "rs_overlap.out", vectors, triples, place, offsets, 1.0)
    found = Found(
        structure, orbitals, hamiltonian, overlap, reading.over("aims"),
        fermi=_fermi(folder / "aims.out"), name=str(folder),
    )  # fmt: skip
    return [finished(found)]


def _geometry(path: Path) -> Structure:
    cell, places, symbols, fractional = [], [], [], []
    try:
        for words in rows(path):
            if words[0] == "lattice_vector":
                cell.append([float(w) for w in words[1:4]])
            elif words[0] in ("atom", "atom_frac"):
                places.append([float(w) for w in words[1:4]])
                fractional.append(words[0] == "atom_frac")
                symbols.append(words[4])
        positions = np.array(places).reshape(len(symbols), 3)
        box = np.array(cell).reshape(-1, 3)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: expected lattice vectors and atoms: {error}") from None
    if len(cell) not in (0, 3) or (any(fractional) and not cell):
        raise InputError(f"{path}: expected three lattice vectors or none, got {len(cell)}")
    if any(fractional):
        positions = np.where(np.array(fractional)[:, None], positions @ box, positions)
    periodic = len(cell) == 3
    numbers = elements(symbols, path)
    return Structure(numbers, positions, box if periodic else None, periodic, name=str(path))


def _basis(path: Path, structure: Structure) -> tuple[Orbitals, Ints]:
    """The shells, and where each function of FHI-aims stands when shells follow one another."""
    lines = [line for line in rows(path) if line[0].isdigit()]
    try:
        found = [(int(w[2]) - 1, w[1], int(w[3]), int(w[4]), int(w[5])) for w in lines]
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: expected fn., type, atom, n, l, m: {error}") from None
    atoms = [one[0] for one in found]
    if sorted(set(atoms)) != list(range(len(structure))):
        raise InputError(f"{path}: expected functions of atoms 1 to {len(structure)}")
    # A shell begins wherever m = -l comes again; its other m follow, at once or interleaved.
    shells: list[list[int]] = [[] for _ in range(len(structure))]
    seen: dict[tuple[int, str, int, int, int], int] = {}
    number: dict[tuple[int, str, int, int, int], int] = {}
    inside = []
    for atom, kind, n, l, m in found:
        if not -l <= m <= l:
            raise InputError(f"{path}: expected m from -{abs(l)} to {abs(l)}, got {m}")
        copy = seen.get((atom, kind, n, l, m), 0)
        seen[atom, kind, n, l, m] = copy + 1
        key = (atom, kind, n, l, copy)
        if key not in number:
            number[key] = len(shells[atom])
            shells[atom].append(l)
        inside.append((atom, number[key], l + m))
    for key, count in seen.items():
        if seen.get((*key[:4], -key[3])) != count:
            raise InputError(f"{path}: expected every m of each shell of atom {key[0] + 1}")
    text: dict[str, str] = {}
    for atom, z in enumerate(structure.numbers.tolist()):
        mine = letters(shells[atom], path)
        if text.setdefault(SYMBOLS[z], mine) != mine:
            raise InputError(f"{path}: expected the same shells in every {SYMBOLS[z]}")
    orbitals = Orbitals(text)
    first = orbitals.offsets(structure.numbers)
    starts = [np.cumsum([0, *(2 * l + 1 for l in one)]) for one in shells]
    place = [int(first[a] + starts[a][shell]) + m for a, shell, m in inside]
    if sorted(place) != list(range(len(place))):
        raise InputError(f"{path}: expected every function of each shell once")
    return orbitals, np.array(place, dtype=np.int64)


def _indices(path: Path, size: int) -> tuple[Ints, tuple[Ints, Ints, Ints]]:
    """T, and the number of T, the row and the column of every number."""
    words = rows(path)
    try:
        count, cells, basis = (int(line[-1]) for line in words[:3])
        if basis != size or not (0 < count < 2**31 and 0 < cells < 10**6):
            raise InputError(f"{path}: expected n_basis: {size}, got {basis}")
        lines = [line for line in words[3:] if not line[0][0].isalpha()]
        parts = np.array([int(w) for line in lines for w in line], dtype=np.int64)
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: expected whole numbers: {error}") from None
    if len(parts) != 3 * cells + 2 * cells * basis + count:
        raise InputError(
            f"{path}: expected {3 * cells + 2 * cells * basis + count} numbers, got {len(parts)}"
        )
    vectors = parts[: 3 * cells].reshape(cells, 3)
    bounds = parts[3 * cells : -count].reshape(2, cells, basis)
    column = parts[-count:] - 1
    real = np.abs(vectors).max(axis=1) < 10**6  # the last one is a filler
    bounds = bounds[:, real]
    used = (bounds[0] > 0) & (bounds[1] >= bounds[0])
    t, row = np.nonzero(used)
    start, end = bounds[0][used] - 1, bounds[1][used]
    if len(start) and (end.max() > count or (column[: end.max()] >= basis).any()):
        raise InputError(f"{path}: index_hamiltonian: expected places up to {count}")
    lengths = end - start
    total = int(lengths.sum())
    if total > count:
        raise InputError(f"{path}: index_hamiltonian: expected every number once")
    entry = np.repeat(start - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    entry = entry + np.arange(total)
    order = np.full(count, -1, dtype=np.int64)
    order[entry] = np.arange(total)
    if not np.array_equal(np.flatnonzero(order >= 0), np.arange(total)):
        raise InputError(f"{path}: index_hamiltonian: expected every number once")
    sort = order[:total]
    t, row = np.repeat(t, lengths)[sort], np.repeat(row, lengths)[sort]
    if total and column[:total].min() < 0:
        raise InputError(f"{path}: column_index_hamiltonian: expected 1 to {basis}")
    return vectors[real], (t, row, column[:total])


def _matrix(
    path: Path,
    vectors: Ints,
    triples: tuple[Ints, Ints, Ints],
    place: Ints,
    offsets: Ints,
    unit: float,
) -> Matrix:
    values: Floats = table(path, 1).ravel() * unit
    t, row, column = triples
    if len(values) < len(t):
        raise InputError(f"{path}: expected {len(t)} numbers, got {len(values)}")
    values, size = values[: len(t)], len(place)
    known = {tuple(v): n for n, v in enumerate(vectors.tolist())}
    matrices = []
    for n, vector in enumerate(vectors.tolist()):
        # <column in 0 | row in R>, and from the other triangle what is written at -R.
        mine = t == n
        i, j, v = place[column[mine]], place[row[mine]], values[mine]
        back = t == known.get((-vector[0], -vector[1], -vector[2]), -1)
        i2, j2, v2 = place[row[back]], place[column[back]], values[back]
        direct = coo_array((v, (i, j)), (size, size)).tocsr()
        mirror = coo_array((v2, (i2, j2)), (size, size)).tocsr()
        there = coo_array((np.ones(len(v)), (i, j)), (size, size)).tocsr()
        matrices.append(direct + (mirror - mirror.multiply(there)))
    return of_translations(vectors, matrices, offsets, str(path))


def _fermi(path: Path) -> float | None:
    if not path.exists():
        return None
    found = _FERMI.findall("\n".join(" ".join(line) for line in rows(path)))
    try:
        return float(found[-1]) if found else None
    except ValueError:
        raise InputError(f"{path}: expected a Fermi level in eV, got {found[-1][:40]}") from None
