"""The atoms at the beginning of a simulation: the same in every engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.structures.datasets import read_structures
from acepot.md.config import MDConfig, Start
from acepot.md.engine import Floats, Phase
from acepot.md.masses import masses
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN

#: Off-diagonal components below this part of a cell's length are rounding of its file.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Atoms:
    """What moves.

    Args:
        numbers: atomic numbers, shape (n,).
        masses: in amu, shape (n,).
        periodic: whether all three directions are (else none is).
        start: positions, velocities and cell at the first step.
    """

    numbers: NDArray[np.int64]
    masses: Floats
    periodic: bool
    start: Phase


def prepare(config: MDConfig) -> Atoms:
    """Read the structure, repeat it, turn it and give it velocities.

    OpenMM, i-PI and LAMMPS want a along x and b in the xy plane. A cell that is not so is turned
    together with its atoms (a left-handed one is also mirrored, which changes no energy), and
    every engine then starts from the same numbers.

    Velocities follow Maxwell and Boltzmann, v ~ N(0, kT/m). All 3n degrees of freedom count: the
    centre of mass is not held, and the temperature is 2 K / (3 n k).

    Raises:
        InputError: no such file or frame, a structure periodic along one or two directions, or npt
            of one that is not periodic.
        MissingDependency: the file needs ASE, which is not installed.
    """
    structure = _chosen(config.structure)
    periodic = bool(structure.pbc.all())
    if structure.pbc.any() and not periodic:
        raise InputError(
            f"{structure.name}: expected a structure that is periodic along all three directions "
            f"or none, got {structure.pbc.tolist()}; add vacuum and make it periodic"
        )
    if config.ensemble.kind == "npt" and not periodic:
        raise InputError(f"{structure.name}: npt needs a periodic structure; use nvt")
    positions, cell = structure.positions, structure.cell
    if periodic:
        positions, cell = _turned(positions, cell)
    if config.ensemble.cell == "anisotropic" and np.abs(np.tril(cell, -1)).max() > (
        _ROUNDING * np.abs(cell).max()
    ):
        raise InputError(
            f"{structure.name}: ensemble.cell = 'anisotropic' needs a rectangular cell, got "
            f"{cell.tolist()}; use 'full', which changes angles as well"
        )
    if not periodic and config.structure.repeat != (1, 1, 1):
        raise InputError("structure.repeat: expected [1, 1, 1] for a structure without a cell")
    images = np.stack(np.meshgrid(*map(np.arange, config.structure.repeat), indexing="ij"), -1)
    shifts = images.reshape(-1, 3) @ cell  # [image, x]
    numbers = np.tile(structure.numbers, len(shifts))
    moved = (positions[None] + shifts[:, None]).reshape(-1, 3)
    cell = cell * np.array(config.structure.repeat)[:, None]
    mass = masses(numbers)
    return Atoms(numbers, mass, periodic, Phase(moved, _velocities(config, mass), cell))


def _chosen(start: Start) -> Structure:
    structures, _ = read_structures(start.file)
    if not -len(structures) <= start.frame < len(structures):
        raise InputError(
            f"structure.frame: expected {-len(structures)} to {len(structures) - 1} for "
            f"{start.file}, got {start.frame}"
        )
    return structures[start.frame]


def _turned(positions: Floats, cell: Floats) -> tuple[Floats, Floats]:
    """Positions and cell after the rotation that makes the cell lower triangular."""
    above = np.abs(np.triu(cell, 1)).max()
    if above <= _ROUNDING * np.abs(cell).max() and (cell.diagonal() > 0).all():
        return positions, np.tril(cell)
    q, r = np.linalg.qr(cell.T)  # cell = rᵀ qᵀ
    q = q * np.sign(r.diagonal())
    return positions @ q, np.tril(cell @ q)


def _velocities(config: MDConfig, mass: Floats) -> Floats:
    """Velocities in Å/fs."""
    kelvin = config.run.initial_temperature
    kelvin = config.ensemble.temperature if kelvin is None else kelvin
    random = np.random.default_rng([config.run.seed, 0])
    width = np.sqrt(BOLTZMANN * kelvin / (mass * AMU))
    return width[:, None] * random.standard_normal((len(mass), 3))
