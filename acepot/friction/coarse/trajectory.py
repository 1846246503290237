"""Fine trajectories mapped to beads: where they are, how they move, what acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats, Ints
from acepot.friction.coarse.config import Mapping
from acepot.io.structures.datasets import read_structures
from acepot.masses import masses
from acepot.structure import Structure

__all__ = ["Beads", "read_beads", "write_trajectory"]

_KEYS = ("numbers", "positions", "forces", "cell", "pbc")


@dataclass(frozen=True, eq=False)
class Beads:
    """A trajectory of beads.

    Args:
        numbers: atomic numbers that stand for them, shape (n,).
        mass: in amu, shape (n,).
        positions: in Å, no jumps at the cell's border, shape (frames, n, 3).
        forces: in eV/Å, shape (frames, n, 3).
        cell: lattice vectors as rows in Å, shape (3, 3).
        pbc: periodic directions, shape (3,).
    """

    numbers: Ints
    mass: Floats
    positions: Floats
    forces: Floats
    cell: Floats
    pbc: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.positions)

    def velocities(self, interval: float) -> Floats:
        """Central differences in Å/fs, shape (frames, n, 3)."""
        return np.asarray(np.gradient(self.positions, interval, axis=0))

    def structure(self, frame: int, *, forces: bool = False) -> Structure:
        """One frame, as training data with its forces."""
        cell = self.cell if self.pbc.any() else None
        acting = self.forces[frame] if forces else None
        return Structure(
            self.numbers, self.positions[frame], cell, self.pbc, forces=acting,
            name=f"frame {frame}",
        )  # fmt: skip


def read_beads(path: str | Path, mapping: Mapping) -> Beads:
    """A trajectory of atoms as one of beads.

    Args:
        path: NPZ with the arrays of `write_trajectory`, or any file of structures with forces.
        mapping: what a bead is.

    Raises:
        InputError: no such file, frames of different atoms or cells, frames without forces, or a
            number of atoms that beads do not divide.
    """
    path = Path(path)
    if path.suffix == ".npz":
        numbers, x, f, cell, pbc = _of_npz(path)
    else:
        numbers, x, f, cell, pbc = _of_structures(path)
    x = _unwrapped(x, cell, pbc)
    size = mapping.atoms_per_bead
    if len(numbers) % size:
        raise InputError(
            f"{path}: {len(numbers)} atoms: expected a multiple of mapping.atoms_per_bead = {size}"
        )
    mass = masses(numbers).reshape(-1, size)
    x, f = x.reshape(len(x), -1, size, 3), f.reshape(len(f), -1, size, 3)
    x = _whole(x, cell, pbc)
    share = mass / mass.sum(axis=1, keepdims=True)
    beads = mass.sum(axis=1) if mapping.mass is None else np.full(len(mass), mapping.mass)
    return Beads(
        np.full(len(mass), atomic_number(mapping.element)),
        beads,
        np.einsum("tbac,ba->tbc", x, share),
        f.sum(axis=2),
        cell,
        pbc,
    )


def write_trajectory(
    path: str | Path, numbers: Ints, positions: Floats, forces: Floats, cell: Floats | None
) -> None:
    """Write a fine trajectory as NPZ.

    Args:
        path: of the file.
        numbers: atomic numbers, shape (n,).
        positions: in Å, shape (frames, n, 3).
        forces: in eV/Å, likewise.
        cell: lattice vectors as rows in Å; None: not periodic.
    """
    with Path(path).open("wb") as file:
        np.savez(
            file,
            numbers=numbers,
            positions=positions,
            forces=forces,
            cell=np.zeros((3, 3)) if cell is None else cell,
            pbc=np.full(3, cell is not None),
        )


Parts = tuple[Ints, Floats, Floats, Floats, NDArray[np.bool_]]


def _of_npz(path: Path) -> Parts:
    try:
        with np.load(path, allow_pickle=False) as file:
            numbers, x, f, cell, pbc = (file[key] for key in _KEYS)
    except (OSError, KeyError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise InputError(f"{path}: expected an NPZ with {', '.join(_KEYS)}: {error}") from error
    if x.ndim != 3 or x.shape != f.shape or x.shape[1:] != (len(numbers), 3):
        raise InputError(
            f"{path}: expected positions and forces of shape (frames, {len(numbers)}, 3), got "
            f"{x.shape} and {f.shape}"
        )
    return numbers, np.asarray(x, float), np.asarray(f, float), cell, np.asarray(pbc, bool)


def _of_structures(path: Path) -> Parts:
    found, _ = read_structures(path)
    first = found[0]
    for one in found:
        same = np.array_equal(one.numbers, first.numbers) and np.allclose(one.cell, first.cell)
        if one.forces is None or not same:
            raise InputError(f"{one.name}: expected forces, and the atoms and cell of {first.name}")
    forces = np.array([one.forces for one in found])
    positions = np.array([one.positions for one in found])
    return first.numbers, positions, forces, first.cell, first.pbc


def _nearest(d: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """Differences without whole lattice vectors."""
    if not pbc.any():
        return d
    vectors = np.where(pbc[:, None], cell, 0.0)
    inverse = np.linalg.pinv(vectors)
    return np.asarray(d - np.round(d @ inverse) @ vectors)


def _unwrapped(x: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """Positions without jumps from frame to frame."""
    steps = _nearest(np.diff(x, axis=0), cell, pbc)
    return np.concatenate((x[:1], x[:1] + np.cumsum(steps, axis=0)))


def _whole(x: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """Atoms of a bead beside each other, along the chain, shape (frames, beads, atoms, 3)."""
    steps = _nearest(np.diff(x, axis=2), cell, pbc)
    start = x[:, :, :1]
    return np.concatenate((start, start + np.cumsum(steps, axis=2)), axis=2)
