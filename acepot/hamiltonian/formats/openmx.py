"""Files .scfout of OpenMX 3.9 (its format 3): binary, Hartree and Bohr.

Only calculations without spin-orbit coupling are read. The input that ends the file names the
pseudo-atomic orbitals, and so the shells.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import Found, Imported, Matrix, Reading, finished
from acepot.hamiltonian.matrices import Floats
from acepot.io.files import content
from acepot.orbitals import LETTERS, Orbitals
from acepot.structure import Structure
from acepot.units import BOHR, HARTREE

_VERSION = 3
_LINE = 256
#: Bytes a compressed file may hold.
_MOST = 2**32
_SPECIES = re.compile(
    r"<Definition\.of\.Atomic\.Species(.*?)Definition\.of\.Atomic\.Species>", re.S | re.I
)
_ATOMS = re.compile(r"<Atoms\.SpeciesAndCoordinates(.*?)Atoms\.SpeciesAndCoordinates>", re.S | re.I)


class _Reader:
    """Numbers one after another, never beyond the end."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._at, self.name = data, 0, name

    def take(self, count: int, kind: str) -> NDArray[Any]:
        dtype = np.dtype(f"<{kind}")
        end = self._at + count * dtype.itemsize
        if count < 0 or end > len(self._data):
            raise InputError(f"{self.name}: expected {count} more numbers, but the file ends")
        found = np.frombuffer(self._data, dtype, count, self._at)
        self._at = end
        return found

    def skip(self, count: int, kind: str) -> None:
        self.take(count, kind)

    def rest(self) -> bytes:
        return self._data[self._at :]


def read_scfout(path: Path, reading: Reading) -> list[Imported]:
    """The snapshot of a file.

    Raises:
        InputError: another version, spin, or a file that is damaged.
    """
    file = _Reader(content(path, _MOST, 100), str(path))
    atoms, code, *_, cells = file.take(6, "i4").tolist()
    if not (0 < atoms < 10**6 and 0 <= cells < 10**6) or code // 4 != _VERSION:
        raise InputError(
            f"{path}: expected format {_VERSION} of OpenMX 3.9, got {code // 4} with {atoms} atoms"
        )
    if code % 4 != 0:
        raise InputError(f"{path}: expected a calculation without spin (scf.SpinPolarization off)")
    order_max = int(file.take(1, "i4")[0])
    file.skip(4 * (cells + 1), "f8")
    vectors = file.take(4 * (cells + 1), "i4").reshape(-1, 4)[:, 1:].astype(np.int64)
    sizes = file.take(atoms, "i4").astype(np.int64)
    counts = file.take(atoms, "i4").astype(np.int64) + 1
    if sizes.min() < 1 or sizes.max() > 1000 or counts.min() < 1 or not 0 <= order_max < 100:
        raise InputError(f"{path}: expected numbers of orbitals and neighbours, got others")
    second = [file.take(int(n), "i4").astype(np.int64) - 1 for n in counts]
    images = [file.take(int(n), "i4").astype(np.int64) for n in counts]
    i = np.repeat(np.arange(atoms), counts)
    j, image = np.concatenate(second), np.concatenate(images)
    if j.min() < 0 or j.max() >= atoms or image.min() < 0 or image.max() > cells:
        raise InputError(f"{path}: expected neighbours 1 to {atoms} in cells 0 to {cells}")
    cell = file.take(12, "f8").reshape(3, 4)[:, 1:] * BOHR
    file.skip(12, "f8")
    positions = file.take(4 * atoms, "f8").reshape(atoms, 4)[:, 1:] * BOHR
    index = np.column_stack([i, j, vectors[image]])
    shapes = np.column_stack([sizes[i], sizes[j]])
    total = int(shapes.prod(axis=1).sum())
    hamiltonian = Matrix(index, _blocks(file.take(total, "f8") * HARTREE, shapes))
    overlap = Matrix(index, _blocks(file.take(total, "f8"), shapes))
    file.skip((3 * order_max + 3 + 1 + 2) * total, "f8")  # positions, momenta, density
    file.skip(1, "i4")
    fermi, *_, electrons, _ = file.take(10, "f8").tolist()
    lines = int(file.take(1, "i4")[0])
    text = _text(file.rest(), lines)
    numbers, orbitals = _species(text, atoms, path)
    structure = Structure(numbers, positions, cell, True, name=str(path))
    found = Found(
        structure, orbitals, hamiltonian, overlap, reading.over("openmx"), electrons,
        fermi * HARTREE, name=str(path),
    )  # fmt: skip
    return [finished(found)]


def _blocks(values: Floats, shapes: NDArray[np.int64]) -> list[Floats]:
    ends = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
    return [
        values[a:b].reshape(shape)
        for a, b, shape in zip(ends[:-1], ends[1:], shapes.tolist(), strict=True)
    ]


def _text(raw: bytes, lines: int) -> str:
    """The lines of the input, each up to its first zero."""
    parts = [raw[n * _LINE : (n + 1) * _LINE] for n in range(max(0, min(lines, len(raw) // _LINE)))]
    return "\n".join(
        part.partition(b"\0")[0].decode("ascii", "replace").rstrip("\n") for part in parts
    )


def _species(text: str, atoms: int, path: Path) -> tuple[list[int], Orbitals]:
    """Atomic numbers, and shells by the names of pseudo-atomic orbitals such as C6.0-s2p2d1."""
    defined, placed = _SPECIES.search(text), _ATOMS.search(text)
    if defined is None or placed is None:
        raise InputError(
            f"{path}: expected the blocks Definition.of.Atomic.Species and "
            "Atoms.SpeciesAndCoordinates in the input that ends the file"
        )
    element: dict[str, str] = {}
    shells: dict[str, str] = {}
    for words in (line.split() for line in defined.group(1).splitlines() if line.split()):
        match = re.fullmatch(r"([A-Z][a-z]?)\S*?-((?:[spdfg]\d)+)", words[1]) if words[1:] else None
        if match is None:
            raise InputError(f"{path}: expected orbitals such as C6.0-s2p2d1, got {words[:2]}")
        symbol = match.group(1)
        counted = re.findall(r"([spdfg])(\d)", match.group(2))
        mine = "".join(c * int(n) for c, n in sorted(counted, key=lambda p: LETTERS.index(p[0])))
        if shells.setdefault(symbol, mine) != mine:
            raise InputError(
                f"{path}: expected one basis for {symbol}, got {shells[symbol]}, {mine}"
            )
        element[words[0]] = symbol
    lines = [line.split() for line in placed.group(1).splitlines() if line.split()]
    names = [words[1] if words[1:] else "" for words in lines]
    if len(names) != atoms or not set(names) <= set(element):
        raise InputError(f"{path}: expected {atoms} atoms of the species that are defined")
    symbols = [element[name] for name in names]
    return [atomic_number(one) for one in symbols], Orbitals(
        {one: shells[one] for one in set(symbols)}
    )
