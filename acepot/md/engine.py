"""What a simulation asks of an engine, and what it tells it.

An engine's part is one function `open_engine(task, state)` that returns an `Engine`. The loop,
the log, checkpoints and files are in the other modules of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.conversion import convert
from acepot.io.structures import extxyz
from acepot.md.config import Ensemble, MDConfig
from acepot.structure import Structure

Floats = NDArray[np.float64]
#: Off-diagonal components below this part of a cell's length are rounding of its file.
ROUNDING = 1e-9


def lower_triangular(cell: Floats) -> tuple[Floats, Floats]:
    """The rotation that makes a cell lower triangular, and the cell after it.

    A left-handed cell is also mirrored, which changes no energy.

    Args:
        cell: three independent lattice vectors as rows, shape (3, 3).

    Returns:
        What vectors are multiplied by from the right, shape (3, 3), and the cell.
    """
    above = np.abs(np.triu(cell, 1)).max()
    if above <= ROUNDING * np.abs(cell).max() and (cell.diagonal() > 0).all():
        return np.eye(3), np.tril(cell)
    q, r = np.linalg.qr(cell.T)  # cell = rᵀ qᵀ
    q = q * np.sign(r.diagonal())
    return q, np.tril(cell @ q)


@dataclass(frozen=True, eq=False)
class Phase:
    """Where the atoms are and how they move.

    Args:
        positions: in Å, shape (n, 3).
        velocities: in Å/fs, shape (n, 3).
        cell: lattice vectors as rows in Å, lower triangular, shape (3, 3).
    """

    positions: Floats
    velocities: Floats
    cell: Floats

    def upright(self) -> Phase:
        """The same after the rotation that makes the cell lower triangular."""
        rotation, cell = lower_triangular(self.cell)
        return Phase(self.positions @ rotation, self.velocities @ rotation, cell)


@dataclass(frozen=True, eq=False)
class Atoms:
    """What moves.

    Args:
        numbers: atomic numbers, shape (n,).
        masses: in amu, shape (n,).
        periodic: whether all three directions are.
        start: positions, velocities and cell at the first step.
        fixed: whether an atom is held where it is, shape (n,).
        pbc: periodic directions; those that are not come last.
    """

    numbers: NDArray[np.int64]
    masses: Floats
    periodic: bool
    start: Phase
    fixed: NDArray[np.bool_]
    pbc: tuple[bool, bool, bool]

    @property
    def free(self) -> int:
        """Number of atoms that move."""
        return int((~self.fixed).sum())


@dataclass(frozen=True)
class Sample:
    """What a row of the log is made of.

    Args:
        potential: energy in eV.
        kinetic: energy of all atoms in eV.
        virial: trace of W = -∂E/∂ε in eV.
        volume: of the cell in Å³; 0 without a cell.
    """

    potential: float
    kinetic: float
    virial: float
    volume: float


@dataclass(frozen=True, eq=False)
class Task:
    """One stage of a simulation, in full.

    Args:
        config: of the simulation.
        ensemble: of this stage.
        numbers: atomic numbers, shape (n,).
        masses: in amu, shape (n,).
        periodic: whether all three directions are.
        start: the atoms at step 0 of this stage.
        stage: 0: equilibration, 1: the run.
        folder: where the engine may write files.
        fixed: whether an atom is held where it is, shape (n,); its velocity is zero.
        pbc: periodic directions; those that are not come last, and their lattice vectors, which
            have no meaning, are orthogonal to all others.
    """

    config: MDConfig
    ensemble: Ensemble
    numbers: NDArray[np.int64]
    masses: Floats
    periodic: bool
    start: Phase
    stage: int
    folder: Path
    fixed: NDArray[np.bool_]
    pbc: tuple[bool, bool, bool]

    @property
    def cell(self) -> Floats | None:
        """Lattice vectors as rows in Å at step 0 of this stage; None: no direction is periodic."""
        return self.start.cell if any(self.pbc) else None

    @property
    def charge(self) -> float:
        """Total charge in e."""
        return self.config.structure.charge

    @property
    def ramps(self) -> bool:
        """Whether the targets change in this stage."""
        return self.stage == 1 and bool(self.config.ramp)

    def targets(self, step: int) -> tuple[float, float]:
        """Temperature in K and pressure in GPa that the ensemble has at a step of this stage."""
        return self.config.targets(step if self.ramps else 0)

    @property
    def model(self) -> Path:
        """The model file."""
        return Path(self.config.model)

    @property
    def structure(self) -> Structure:
        """The atoms at step 0 of this stage."""
        return Structure(self.numbers, self.start.positions, self.cell, self.pbc, name="start")

    @property
    def symbols(self) -> list[str]:
        """The chemical symbol of every atom."""
        return [SYMBOLS[number] for number in self.numbers.tolist()]

    def generator(self, step: int = 0) -> np.random.Generator:
        """The random numbers of this stage from a step on."""
        return np.random.default_rng([self.config.run.seed, 1 + self.stage, step])

    def seed(self, step: int = 0) -> int:
        """A number from 1 to 900,000,000 for engines that are seeded with one."""
        return int(self.generator(step).integers(1, 900_000_001))

    def write_structure(self, path: Path) -> None:
        """Write the atoms at step 0 of this stage as extended XYZ."""
        extxyz.write_structures(path, [self.structure])

    def export_tables(self, path: Path) -> None:
        """Write the model as LAMMPS' pair_style acepot reads it."""
        convert(self.config.model, path, "tables")


class Engine(Protocol):
    """One stage of a simulation in one engine; its steps are counted from 0."""

    def advance(self, steps: int) -> None:
        """Go on by a number of steps."""
        ...

    def sample(self) -> Sample:
        """The present energies, virial and volume."""
        ...

    def phase(self) -> Phase:
        """The present positions, velocities and cell; the velocities are those of `sample`."""
        ...

    def write_frame(self) -> None:
        """Append the present atoms to the trajectory."""
        ...

    def save(self, path: Path) -> None:
        """Write everything from which `open_engine` goes on as if nothing had happened."""
        ...

    def close(self) -> None:
        """Close files and end processes."""
        ...


@dataclass(frozen=True)
class EngineKind:
    """An engine as `simulate` takes it.

    Args:
        name: of the engine.
        trajectory: name of the trajectory in the folder of a run. All its files may grow, and
            change within their first 64 bytes, but not elsewhere.
        open: starts a stage (state None), or goes on from a file that `Engine.save` wrote.
        holds_atoms: whether it holds the atoms that `Task.fixed` names; where it does not,
            structures with fixed atoms are refused.
        slabs: whether it takes structures that are periodic along one or two directions, as
            `Task.pbc` says; where it does not, they are refused.
        ramps: whether it follows `Task.targets`; where it does not, ramps are refused.
        friction: whether it takes `Ensemble.friction_model`; where it does not, that is refused.
    """

    name: str
    trajectory: str
    open: Callable[[Task, Path | None], Engine]
    holds_atoms: bool = False
    ramps: bool = False
    slabs: bool = False
    friction: bool = False
