"""DCD trajectories, as OpenMM writes them; elements come from a file beside them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.io.structures.frames import Frame
from acepot.structure import Structure

#: The file beside a DCD that says which atoms it has, and which directions are periodic.
TOPOLOGY = "topology.extxyz"
_MAGIC = struct.pack("<i", 84) + b"CORD"
_HAS_CELL = 10  # place of the flag among the integers of the header


def is_dcd(path: Path) -> bool:
    """Whether the first bytes are those of a DCD file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read(path: Path) -> list[Frame]:
    """Every frame of a DCD file, without labels.

    Args:
        path: the file; beside it lies `topology.extxyz` with the same atoms.

    Raises:
        InputError: a damaged file, no topology beside it, or one of other atoms.
    """
    topology = path.with_name(TOPOLOGY)
    if not topology.is_file():
        raise InputError(
            f"{path}: a DCD has positions alone; put a {TOPOLOGY} with one structure of the same "
            "atoms beside it"
        )
    atoms = extxyz.read(topology)[0][0]
    records = _records(path)
    header = np.frombuffer(next(records)[4:], "<i4")
    next(records)
    (count,) = struct.unpack("<i", next(records))
    if count != len(atoms):
        raise InputError(f"{path}: {count} atoms, but {topology.name} has {len(atoms)}")
    frames: list[Frame] = []
    for record in records:
        cell = atoms.cell
        if header[_HAS_CELL]:
            cell = _cell(np.frombuffer(record, "<f8"))
            record = _next(records, path)
        axes = [record, _next(records, path), _next(records, path)]
        places = np.array([np.frombuffer(axis, "<f4") for axis in axes], dtype=float).T
        name = f"{path.name} frame {len(frames)}"
        structure = Structure(atoms.numbers, places, cell, atoms.pbc, name=name)
        frames.append(Frame(f"{path}: frame {len(frames)}", structure, {}, {}))
    return frames


def _next(records: Iterator[bytes], path: Path) -> bytes:
    for record in records:
        return record
    raise InputError(f"{path}: its last frame is cut off")


def _records(path: Path) -> Iterator[bytes]:
    """Fortran's records: a length, the bytes, the length again."""
    with path.open("rb") as file:
        while head := file.read(4):
            size = int.from_bytes(head, "little")
            record = file.read(size)
            if file.read(4) != head or len(record) != size:
                raise InputError(f"{path}: damaged, or cut off, at byte {file.tell()}")
            yield record


def _cell(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lattice vectors as rows, lower triangular, from lengths and cosines of angles."""
    a, gamma, b, beta, alpha, c = values.tolist()
    across = np.array([b * gamma, b * np.sqrt(1 - gamma**2), 0.0])
    x, y = beta, (alpha - beta * gamma) / np.sqrt(1 - gamma**2)
    up = c * np.array([x, y, np.sqrt(1 - x**2 - y**2)])
    return np.array([[a, 0.0, 0.0], across, up])
