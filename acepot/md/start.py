"""The atoms at the beginning of a simulation: the same in every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.io.structures.datasets import read_structures
from acepot.masses import masses
from acepot.md.config import MDConfig
from acepot.md.engine import Atoms, Floats, Phase
from acepot.md.orientation import ROUNDING, upright
from acepot.md.snapshot import moving, snapshot, velocities
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN


def prepare(config: MDConfig, file: Path | None = None) -> Atoms:
    """Read the structure, repeat it, turn it and give it velocities.

    OpenMM, i-PI and LAMMPS want a along x and b in the xy plane. A cell that is not so is turned
    together with its atoms (a left-handed one is also mirrored, which changes no energy), and
    every engine then starts from the same numbers. Slabs come to stand in the xy plane, wires along
    x.

    Velocities are those of the structure where the configuration says so. Else they follow
    Maxwell and Boltzmann, v ~ N(0, kT/m). All degrees of freedom of the n atoms that are not fixed
    count: the centre of mass is not held, and the temperature is 2 K / (3 n k).

    Args:
        config: of the simulation.
        file: with the structure; None: that of the configuration.

    Raises:
        InputError: no such file, run or frame, velocities that are not there, copies along a
            direction that is not periodic, or npt of a structure that is not periodic along all
            three.
        MissingDependency: the file needs ASE, which is not installed.
    """
    structure = _chosen(config, source(config) if file is None else file)
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
    mass = _masses(config, structure.numbers)
    moves = velocities(structure, mass) if config.keeps_velocities else np.zeros_like(positions)
    if pbc.any():
        stands = upright(positions, cell, pbc)
        order = list(stands.order)
        positions, moves = positions @ stands.rotation, moves @ stands.rotation
        cell = stands.cell
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
    mass = _masses(config, numbers)
    fixed = np.tile(_held(config, structure), len(shifts))
    if not config.keeps_velocities:
        moves = _drawn(config, mass)
    moves = np.where(fixed[:, None], 0.0, moves)
    directions = (bool(pbc[0]), bool(pbc[1]), bool(pbc[2]))
    return Atoms(numbers, mass, periodic, Phase(moved, moves, cell), fixed, directions)


def source(config: MDConfig) -> Path:
    """The file with the structure at the beginning.

    Raises:
        InputError: a run that has no last state.
    """
    start = config.structure
    return Path(start.file or "") if start.run is None else snapshot(Path(start.run))


def _masses(config: MDConfig, numbers: NDArray[np.int64]) -> Floats:
    """Masses in amu, shape (n,): standard ones, unless the configuration says others."""
    found = np.array(masses(numbers))
    for symbol, mass in config.structure.masses.items():
        mine = numbers == atomic_number(symbol)
        if not mine.any():
            raise InputError(f"structure.masses: the structure has no {symbol}")
        found[mine] = mass
    return found


def _chosen(config: MDConfig, file: Path) -> Structure:
    structures = moving(file) if config.keeps_velocities else read_structures(file)[0]
    frame = config.structure.frame
    if not -len(structures) <= frame < len(structures):
        raise InputError(
            f"structure.frame: expected {-len(structures)} to {len(structures) - 1} for {file}, "
            f"got {frame}"
        )
    return structures[frame]


def _held(config: MDConfig, structure: Structure) -> NDArray[np.bool_]:
    """Whether an atom is fixed, shape (n,).

    Raises:
        InputError: something else is held than whole atoms, all of them are, or the cell moves.
    """
    name = structure.name
    if structure.constraints:
        others = ", ".join(structure.constraints)
        raise InputError(
            f"{name}: expected no constraint but fixed atoms, got {others}, which acepot md cannot "
            "keep; take it off"
        )
    held = structure.fixed
    if held is None:
        return np.zeros(len(structure), dtype=bool)
    fixed = np.asarray(held.all(axis=1))
    if partly := np.flatnonzero(held.any(axis=1) & ~fixed).tolist():
        raise InputError(
            f"{name}: expected atoms that are fixed along all three axes or none, got atom "
            f"{partly[0]} held along {held[partly[0]].tolist()}, which acepot md cannot keep"
        )
    if fixed.all():
        raise InputError(f"{name}: all {len(fixed)} atoms are fixed; expected one that moves")
    if config.ensemble.kind == "npt":
        raise InputError(
            f"{name}: {int(fixed.sum())} atoms are fixed, and npt would move them with the cell; "
            "use nvt or nve, or let them move"
        )
    return fixed


def _drawn(config: MDConfig, mass: Floats) -> Floats:
    """Velocities in Å/fs."""
    kelvin = config.run.initial_temperature
    if kelvin is None or isinstance(kelvin, str):
        kelvin = config.ensemble.temperature
    random = np.random.default_rng([config.run.seed, 0])
    width = np.sqrt(BOLTZMANN * kelvin / (mass * AMU))
    return width[:, None] * random.standard_normal((len(mass), 3))
