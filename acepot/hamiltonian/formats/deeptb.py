"""Folders of DeePTB: blocks in HDF5 with text beside them, eV, our order of orbitals.

hamiltonians.h5 and overlaps.h5 hold a group for each frame, "0" and on, of data sets i_j_Rx_Ry_Rz
counted from 0, with d = r_j + R·cell - r_i; positions.dat, cell.dat, atomic_numbers.dat, pbc.dat;
basis.dat holds {'Si': '1s1p'}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import Found, Imported, Matrix, Reading, finished
from acepot.hamiltonian.formats.hdf5 import Group, Numbers, opened_hdf5, written_hdf5
from acepot.hamiltonian.formats.text import elements, rows, small_text, table
from acepot.hamiltonian.matrices import Floats, OrbitalMatrix, Snapshot
from acepot.io.files import replaced
from acepot.orbitals import LETTERS, Orbitals
from acepot.structure import Structure

#: 'Si': '1s1p', and 'Si': ['3s', '3p'].
_ENTRY = re.compile(r"""["'](\w+)["']\s*:\s*(?:["']([^"']*)["']|\[([^]]*)\])""")


def read_deeptb(folder: Path, reading: Reading) -> list[Imported]:
    """The frames of a folder.

    Raises:
        InputError: a file is missing, damaged or does not fit the others.
    """
    numbers = elements([w for line in rows(folder / "atomic_numbers.dat") for w in line], folder)
    places = table(folder / "positions.dat", 3)
    cells = table(folder / "cell.dat")
    pbc: Floats = np.ones(3)
    if (folder / "pbc.dat").exists():
        pbc = table(folder / "pbc.dat").ravel()
    frames, rest = divmod(len(places), len(numbers))
    if rest or not frames:
        raise InputError(
            f"{folder}/positions.dat: expected {len(numbers)} lines for each frame, got "
            f"{len(places)}"
        )
    cells = cells.reshape(-1, 3, 3) if cells.size % 9 == 0 else np.zeros((0, 3, 3))
    if len(cells) not in (1, frames) or pbc.size != 3:
        raise InputError(f"{folder}/cell.dat: expected three vectors, or three for each frame")
    orbitals = reading.orbitals or _basis(folder)
    made = []
    for frame in range(frames):
        structure = Structure(
            numbers, places[frame * len(numbers) : (frame + 1) * len(numbers)],
            cells[frame % len(cells)], pbc != 0.0, name=f"{folder} frame {frame}",
        )  # fmt: skip
        hamiltonian = _blocks(folder / "hamiltonians.h5", str(frame))
        overlap = None
        if (folder / "overlaps.h5").exists():
            overlap = _blocks(folder / "overlaps.h5", str(frame))
        made.append(
            finished(
                Found(
                    structure, orbitals, hamiltonian, overlap, reading.over("deeptb"),
                    name=structure.name,
                )
            )
        )  # fmt: skip
    return made


def _basis(folder: Path) -> Orbitals:
    path = folder / "basis.dat"
    shells = {}
    for element, counted, listed in _ENTRY.findall(small_text(path)):
        if counted:
            parts = re.findall(r"(\d*)([a-z])", counted)
            if "".join(a + b for a, b in parts) != counted:
                raise InputError(f"{path}: expected shells such as 1s1p, got {counted!r}")
            shells[element] = "".join(letter * min(int(n or 1), 64) for n, letter in parts)
        else:
            shells[element] = "".join(re.findall(r"[spdfg]", listed))
    if not shells:
        raise InputError(f"{path}: expected shells such as {{'Si': '1s1p'}}")
    return Orbitals(shells)


def _blocks(path: Path, frame: str) -> Matrix:
    with opened_hdf5(path) as file:
        return blocks_of(file.group(frame), r"(\d+)_(\d+)_(-?\d+)_(-?\d+)_(-?\d+)", (0, 1, 2, 3, 4))


def blocks_of(group: Group, pattern: str, places: Sequence[int], first: int = 0) -> Matrix:
    """Every block of a group whose data sets are named by i, j and T.

    Args:
        group: of the file.
        pattern: of the names, with five whole numbers.
        places: which of them are i, j and T.
        first: what the first atom is counted as.

    Raises:
        InputError: another name, or blocks that are no matrices.
    """
    index, blocks = [], []
    for key in group.names():
        match = re.fullmatch(pattern, key)
        if match is None or max(map(len, match.groups())) > 9:
            raise InputError(
                f"{group.name}: expected names of blocks, i, j and T, got {key[:80]!r}"
            )
        five = [int(match.group(n + 1)) for n in places]
        index.append((five[0] - first, five[1] - first, *five[2:]))
        blocks.append(group.numbers(key, "f"))
    return Matrix(np.array(index, dtype=np.int64).reshape(-1, 5), blocks)


def write_deeptb(folder: Path, snapshots: Sequence[Snapshot]) -> None:
    """Write snapshots of the same atoms as a folder of DeePTB.

    Args:
        folder: to make, or in which files are replaced.
        snapshots: at least one.

    Raises:
        InputError: atoms, shells or periodic directions differ, or shells are not sorted by l.
    """
    first = snapshots[0] if snapshots else None
    if first is None:
        raise InputError("snapshots: expected at least one, got none")
    for one in snapshots:
        same = np.array_equal(one.structure.numbers, first.structure.numbers)
        if not same or not np.array_equal(one.structure.pbc, first.structure.pbc):
            raise InputError("snapshots: DeePTB's folder holds frames of the same atoms")
        if (one.overlap is None) != (first.overlap is None):
            raise InputError("snapshots: expected an overlap matrix in all of them or in none")
    shells = {}
    for element, text in first.orbitals.shells.items():
        if text != "".join(sorted(text, key=LETTERS.index)):
            raise InputError(
                f"{element}: DeePTB counts shells by l: expected s before p, got {text}"
            )
        shells[element] = "".join(f"{text.count(c)}{c}" for c in LETTERS if c in text)
    folder.mkdir(parents=True, exist_ok=True)
    structures = [one.structure for one in snapshots]
    _save(folder / "positions.dat", np.concatenate([one.positions for one in structures]))
    _save(folder / "cell.dat", np.concatenate([one.cell for one in structures]))
    _save(folder / "pbc.dat", first.structure.pbc.astype(float)[:, None])
    with replaced(folder / "atomic_numbers.dat") as file:
        file.write("".join(f"{z}\n" for z in first.structure.numbers.tolist()))
    with replaced(folder / "basis.dat") as file:
        file.write(repr(shells))
    with replaced(folder / "hamiltonians.h5", "wb") as file:
        file.write(_packed([one.hamiltonian for one in snapshots]))
    overlaps = [one.overlap for one in snapshots if one.overlap is not None]
    if overlaps:
        with replaced(folder / "overlaps.h5", "wb") as file:
            file.write(_packed(overlaps))


def _packed(matrices: Sequence[OrbitalMatrix]) -> bytes:
    found: dict[str, Numbers] = {}
    for frame, one in enumerate(matrices):
        for blocks in one.pairs.values():
            for place, block in zip(blocks.index.tolist(), blocks.values, strict=True):
                found[f"{frame}/" + "_".join(map(str, place))] = block
    return written_hdf5(found)


def _save(path: Path, values: Floats) -> None:
    """Numbers as text that reads back the same."""
    with replaced(path) as file:
        file.writelines(" ".join(map(repr, line)) + "\n" for line in values.tolist())
