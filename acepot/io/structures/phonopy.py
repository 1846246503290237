"""phonopy's FORCE_SETS and FORCE_CONSTANTS, with the supercell from a file beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.io.files import opened
from acepot.io.structures.frames import Frame
from acepot.structure import Structure

__all__ = ["KEYS", "is_phonopy", "read"]

Floats = NDArray[np.float64]
#: Keys of what is read, as labels are called.
KEYS = {"force_constants": "force_constants", "displaced": "displaced"}
_SETS, _CONSTANTS = "FORCE_SETS", "FORCE_CONSTANTS"
#: Files that hold the supercell, the first that is there.
_CELLS = ("phonopy_disp.yaml", "phonopy_params.yaml", "phonopy.yaml", "SPOSCAR")
#: Displacements that are opposite agree to this part.
_OPPOSITE = 1e-6


def is_phonopy(path: Path) -> bool:
    """Whether a file is one of phonopy's, by its name."""
    return path.name.startswith((_SETS, _CONSTANTS))


def read(path: Path) -> list[Frame]:
    """A frame for each displaced atom and direction, with labels force_constants and displaced.

    Displacements of one atom by ±u are one frame, whose force constants are central differences;
    one without its opposite has its forces over u. Force constants are those of each atom that the
    file lists, along x, y and z, as derivatives.

    Args:
        path: FORCE_SETS (one atom displaced in each set) or FORCE_CONSTANTS, in eV and Å; beside it
            lies phonopy_disp.yaml, phonopy_params.yaml, phonopy.yaml or SPOSCAR.

    Raises:
        InputError: no supercell beside it, other units, or a file that is none of these.
    """
    structure = _supercell(path)
    with opened(path) as text:
        words = text.read().split()
    try:
        made = (_sets if path.name.startswith(_SETS) else _constants)(words, len(structure))
        labels = list(made)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path}: expected {path.name[:15]} of {len(structure)} atoms, one of which is "
            f"displaced in each set, as phonopy writes it; got {error}"
        ) from None
    return [
        Frame(f"{path}: displacement {k}", structure, {"displaced": said}, {"force_constants": phi})
        for k, (said, phi) in enumerate(labels)
    ]


def _sets(words: list[str], atoms: int) -> Iterator[tuple[Floats, Floats]]:
    """FORCE_SETS: number of atoms, of sets; for each the atom, its displacement and all forces."""
    if int(words[0]) != atoms:
        raise ValueError(f"{words[0]} atoms")
    count, size = int(words[1]), 4 + 3 * atoms
    numbers = np.array(words[2:], dtype=float).reshape(count, size)
    left = list(range(count))
    while left:
        first = left.pop(0)
        atom, step = numbers[first, 0], numbers[first, 1:4]
        length = float(np.linalg.norm(step))
        forces = numbers[first, 4:].reshape(atoms, 3)
        other = next((k for k in left if _is_opposite(numbers[first], numbers[k], length)), None)
        if other is None:
            yield np.array([atom - 1, *step / length, -length]), -forces / length
            continue
        left.remove(other)
        change = forces - numbers[other, 4:].reshape(atoms, 3)
        yield np.array([atom - 1, *step / length, length]), -change / (2 * length)


def _is_opposite(one: Floats, other: Floats, length: float) -> bool:
    return bool(one[0] == other[0] and np.abs(one[1:4] + other[1:4]).max() < _OPPOSITE * length)


def _constants(words: list[str], atoms: int) -> Iterator[tuple[Floats, Floats]]:
    """FORCE_CONSTANTS: how many atoms, all or some by all; pairs and their 3x3 blocks."""
    head = 2 if (len(words) - 2) % 11 == 0 else 1
    rows, columns = int(words[0]), int(words[head - 1])
    if columns != atoms:
        raise ValueError(f"{columns} atoms")
    blocks = np.array(words[head:], dtype=float).reshape(rows, atoms, 11)
    for row in blocks:
        atom = row[0, 0] - 1
        order = row[:, 1].astype(int) - 1
        if sorted(order.tolist()) != list(range(atoms)) or (row[:, 0] != row[0, 0]).any():
            raise ValueError("pairs in another order")
        phi = np.empty((atoms, 3, 3))
        phi[order] = row[:, 2:].reshape(atoms, 3, 3)
        for axis in range(3):
            yield np.array([atom, *np.eye(3)[axis], 0.0]), phi[:, axis]


def _supercell(path: Path) -> Structure:
    for name in _CELLS:
        if (beside := path.with_name(name)).is_file():
            return _poscar(beside) if name == "SPOSCAR" else _of_yaml(beside)
    raise InputError(
        f"{path}: expected the supercell in a file beside it, {', '.join(_CELLS)}, got none of them"
    )


def _of_yaml(path: Path) -> Structure:
    try:
        with opened(path) as text:
            table: Any = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        length = (table.get("physical_unit") or {}).get("length", "angstrom")
        cell, points = table["supercell"]["lattice"], table["supercell"]["points"]
        numbers = [atomic_number(one["symbol"]) for one in points]
        places = np.array([one["coordinates"] for one in points], dtype=float)
        vectors = np.array(cell, dtype=float)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: expected a supercell, as phonopy writes it ({error})") from None
    if str(length).strip('"') != "angstrom":
        raise InputError(f"{path}: expected lengths in angstrom, got {length}; convert them first")
    return Structure(numbers, places @ vectors, vectors, True, name=path.name)


def _poscar(path: Path) -> Structure:
    """SPOSCAR, which phonopy writes with elements and direct coordinates."""
    with opened(path) as text:
        lines = text.read().splitlines()
    try:
        vectors = np.array([line.split() for line in lines[2:5]], dtype=float) * float(lines[1])
        symbols, counts = lines[5].split(), [int(n) for n in lines[6].split()]
        if not lines[7].strip().lower().startswith("d"):
            raise ValueError(f"{lines[7].strip()} coordinates")
        numbers = [atomic_number(s) for s, n in zip(symbols, counts, strict=True) for _ in range(n)]
        places = np.array([line.split()[:3] for line in lines[8 : 8 + len(numbers)]], dtype=float)
        return Structure(numbers, places @ vectors, vectors, True, name=path.name)
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: expected a POSCAR with elements, got {error}") from None
