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
from acepot.md.orientation import ROUNDING, upright
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN


@dataclass(frozen=True, eq=False)
class Atoms:
    """What moves.

    Args:
        numbers: atomic numbers, shape (n,).
        masses: in amu, shape (n,).
        periodic: whether all three directions are.
        start: positions, velocities and cell at the first step.
        pbc: periodic directions; those that are not come last.
    """

    numbers: NDArray[np.int64]
    masses: Floats
    periodic: bool
    start: Phase
    pbc: tuple[bool, bool, bool]


def prepare(config: MDConfig) -> Atoms:
    """Read the structure, repeat it, turn it and give it velocities.

    OpenMM, i-PI and LAMMPS want a along x and b in the xy plane. A cell that is not so is turned
    together with its atoms (a left-handed one is also mirrored, which changes no energy), and
    every engine then starts from the same numbers. Slabs come to stand in the xy plane, wires along
    x.

    Velocities follow Maxwell and Boltzmann, v ~ N(0, kT/m). All 3n degrees of freedom count: the
    centre of mass is not held, and the temperature is 2 K / (3 n k).

    Raises:
        InputError: no such file or frame, copies along a direction that is not periodic, or npt of
            a structure that is not periodic along all three.
        MissingDependency: the file needs ASE, which is not installed.
    """
    structure = _chosen(config.structure)
    periodic = bool(structure.pbc.all())
    if config.ensemble.kind == "npt" and not periodic:
        raise InputError(
            f"{structure.name}: npt needs a structure that is periodic along all three "
            "directions; use nvt"
        )
    positions, cell, pbc = structure.positions, structure.cell, structure.pbc
    repeat = np.array(config.structure.repeat)
    if (repeat[~pbc] != 1).any():
        raise InputError(
            f"structure.repeat: expected 1 along directions that are not periodic ({structure.name}"
            f" has pbc {pbc.tolist()}), got {repeat.tolist()}"
        )
    if pbc.any():
        stands = upright(positions, cell, pbc)
        order = list(stands.order)
        positions, cell = positions @ stands.rotation, stands.cell
        pbc, repeat = pbc[order], repeat[order]
    if config.ensemble.cell == "anisotropic" and np.abs(np.tril(cell, -1)).max() > (
        ROUNDING * np.abs(cell).max()
    ):
        raise InputError(
            f"{structure.name}: ensemble.cell = 'anisotropic' needs a rectangular cell, got "
            f"{cell.tolist()}; use 'full', which changes angles as well"
        )
    images = np.stack(np.meshgrid(*map(np.arange, repeat.tolist()), indexing="ij"), -1)
    shifts = images.reshape(-1, 3) @ cell  # [image, x]
    numbers = np.tile(structure.numbers, len(shifts))
    moved = (positions[None] + shifts[:, None]).reshape(-1, 3)
    cell = cell * repeat[:, None]
    mass = masses(numbers)
    start = Phase(moved, _velocities(config, mass), cell)
    return Atoms(numbers, mass, periodic, start, (bool(pbc[0]), bool(pbc[1]), bool(pbc[2])))


def _chosen(start: Start) -> Structure:
    structures, _ = read_structures(start.file)
    if not -len(structures) <= start.frame < len(structures):
        raise InputError(
            f"structure.frame: expected {-len(structures)} to {len(structures) - 1} for "
            f"{start.file}, got {start.frame}"
        )
    return structures[start.frame]


def _velocities(config: MDConfig, mass: Floats) -> Floats:
    """Velocities in Å/fs."""
    kelvin = config.run.initial_temperature
    kelvin = config.ensemble.temperature if kelvin is None else kelvin
    random = np.random.default_rng([config.run.seed, 0])
    width = np.sqrt(BOLTZMANN * kelvin / (mass * AMU))
    return width[:, None] * random.standard_normal((len(mass), 3))
