"""Friction tensors from files, checked: symmetric, positive semidefinite, atoms not on atoms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.friction.data import FrictionData, soundness
from acepot.neighbours import build
from acepot.structure import Structure

__all__ = ["read_friction", "write_friction"]

#: How an HDF5 file begins.
_HDF5 = b"\x89HDF\r\n\x1a\n"
_KEYS = ("numbers", "positions", "cell", "pbc", "friction_atoms", "Gamma")
#: Part of a bond length: atoms are never so close, unless the cell is the transposed one.
_CLOSE = 0.25


def read_friction(
    path: str | Path,
    *,
    unit: float = 1.0,
    element: str = "",
    say: Callable[[str], None] = lambda _text: None,
) -> list[FrictionData]:
    """Friction tensors of a file: NPZ as `write_friction` writes it, or HDF5 of ACEfriction.jl.

    A tensor that is not positive semidefinite, but is so with its blocks transposed, is taken in
    that form, and it is said: some files name columns before rows.

    Args:
        path: of the file.
        unit: of the file's numbers, in amu/fs.
        element: of particles that have the atomic number 0; "": there may be none.
        say: takes lines for people.

    Raises:
        InputError: not such a file, tensors that no friction can be, or atoms on top of each
            other.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if start == _HDF5:
        from acepot.friction.hdf5 import read_hdf5

        found = list(read_hdf5(path))
    else:
        found = list(_read_npz(path, element))
    if not found:
        raise InputError(f"{path}: no friction tensor in it")
    sound, cured = [], 0
    for one in found:
        better, turned = _sound(one)
        cured += turned
        if not element:  # particles of no substance may be anywhere
            _check_distances(better)
        sound.append(replace(better, gamma=better.gamma * unit))
    least = min(soundness(one.gamma).least for one in sound)
    say(
        f"{path}: {len(sound)} friction tensors of {sorted({len(one.atoms) for one in sound})} "
        f"atoms, symmetric, smallest eigenvalue {least:.0e} of the largest"
    )
    if cured:
        say(f"{path}: {cured} of them have transposed blocks (columns named before rows)")
    return sound


def write_friction(path: str | Path, data: Sequence[FrictionData]) -> None:
    """Write tensors of structures with the same atoms as NPZ.

    Args:
        path: of the file.
        data: all of as many atoms.

    Raises:
        InputError: different numbers of atoms.
    """
    if len({(len(one.structure), len(one.atoms)) for one in data}) != 1:
        raise InputError(f"{path}: expected structures with as many atoms and as large tensors")
    arrays: dict[str, list[Any]] = {
        "numbers": [one.structure.numbers for one in data],
        "positions": [one.structure.positions for one in data],
        "cell": [one.structure.cell for one in data],
        "pbc": [one.structure.pbc for one in data],
        "friction_atoms": [one.atoms for one in data],
        "Gamma": [one.gamma for one in data],
    }
    with Path(path).open("wb") as file:
        plain: Any = {key: np.array(value) for key, value in arrays.items()}
        np.savez_compressed(file, **plain)


def _read_npz(path: Path, element: str) -> Iterator[FrictionData]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[key] for key in _KEYS]
    except (OSError, KeyError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise InputError(
            f"{path}: expected an NPZ file with {', '.join(_KEYS)}, or an HDF5 file of "
            f"ACEfriction.jl: {error}"
        ) from error
    if len({len(array) for array in arrays}) != 1:
        raise InputError(f"{path}: expected as many structures in all arrays")
    for number, (z, x, cell, pbc, atoms, gamma) in enumerate(zip(*arrays, strict=True)):
        name = f"{path} entry {number + 1}"
        if (z == 0).any():
            if not element:
                raise InputError(
                    f"{name}: particles with the atomic number 0; say which element stands for "
                    "them: data.element"
                )
            z = np.where(z == 0, atomic_number(element), z)
        yield FrictionData(Structure(z, x, cell, pbc, name=name), gamma, atoms)


def _sound(data: FrictionData) -> tuple[FrictionData, bool]:
    """The same data, or with transposed blocks if they are sound only so."""
    found = soundness(data.gamma)
    if found.is_sound:
        return data, False
    turned = _transposed(data.gamma)
    if soundness(turned).is_sound:
        return replace(data, gamma=turned), True
    raise InputError(
        f"{data.structure.name}: expected a symmetric positive semidefinite tensor, got an "
        f"asymmetry of {found.asymmetry:.1e} and a smallest eigenvalue of {found.least:.1e} of the "
        "largest"
    )


def _transposed(gamma: Floats) -> Floats:
    """Every block of three rows and columns transposed."""
    count = len(gamma) // 3
    blocks = gamma.reshape(count, 3, count, 3)
    return np.ascontiguousarray(blocks.transpose(0, 3, 2, 1)).reshape(gamma.shape)


def _check_distances(data: FrictionData) -> None:
    """Refuse a cell that puts atoms on top of each other."""
    if not data.structure.pbc.any():
        return
    length = np.array([BOND_LENGTHS.get(z, 0.0) for z in data.structure.numbers.tolist()])
    edges = build(data.structure, _CLOSE * max(float(length.max(initial=0.0)), 0.1))
    r = np.linalg.norm(edges.vector, axis=1)
    close = r < _CLOSE * (length[edges.centre] + length[edges.neighbour]) / 2
    if close.any():
        raise InputError(
            f"{data.structure.name}: atoms {r[close].min():.2f} Å apart: is the cell "
            "transposed? Its rows are lattice vectors"
        )
