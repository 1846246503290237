"""`acepot md` in ASE: LangevinBAOAB for nvt and npt, VelocityVerlet for nve, FrictionLangevin.

The state is an NPZ file with positions, momenta, cell, step, momentum and force of the barostat and
the state of the random numbers: a run that goes on from it is the same bit by bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

import acepot
from acepot import ChargeModel, HamiltonianModel, Model, Potential
from acepot.errors import InputError, MissingDependency
from acepot.friction.thermostat import FrictionThermostat
from acepot.md.engine import EngineKind, Floats, Phase, Sample, Task
from acepot.units import GIGAPASCAL

try:
    from ase import Atoms, units
    from ase.constraints import FixAtoms
    from ase.io import Trajectory
    from ase.md.langevinbaoab import LangevinBAOAB
    from ase.md.verlet import VelocityVerlet
except ImportError as error:
    raise MissingDependency("acepot md needs ASE 3.29 or newer: pip install acepot[ase]") from error

from ase_ace.barostat import CellLangevin, state_shape
from ase_ace.calculator import ACECalculator
from ase_ace.friction import FrictionLangevin
from ase_ace.tight_binding import TightBindingCalculator

_TRAJECTORY = "trajectory.traj"


class AseEngine:
    """One stage of a simulation in ASE.

    Args:
        task: what to simulate.
        state: file to go on from; None: from the start.
    """

    def __init__(self, task: Task, state: Path | None) -> None:
        self._random, self._task, self._step = task.generator(), task, 0
        self._has_barostat = task.ensemble.kind == "npt"
        self._atoms = _atoms(task)
        barostat = None if state is None else self._load(state)
        self._atoms.calc = _calculator(task)
        self._dynamics = _dynamics(task, self._atoms, self._random, barostat)
        self._trajectory = Trajectory(  # type: ignore[no-untyped-call]
            task.folder / _TRAJECTORY, "a"
        )

    def advance(self, steps: int) -> None:
        """Go on by a number of steps."""
        step: Callable[[], object] = self._dynamics.step
        for _ in range(steps):
            self._step += 1
            if self._task.ramps:
                self._aim(*self._task.targets(self._step))
            step()

    def _aim(self, kelvin: float, pressure: float) -> None:
        self._dynamics.set_temperature(kelvin)
        if self._has_barostat:
            self._dynamics.set_pressure(pressure * GIGAPASCAL)

    def sample(self) -> Sample:
        """The present energies, virial and volume."""
        atoms = self._atoms
        volume = atoms.get_volume() if atoms.pbc.all() else 0.0
        stress = atoms.get_stress()[:3].sum() if volume else 0.0
        energy, kinetic = atoms.get_potential_energy(), atoms.get_kinetic_energy()
        return Sample(float(energy), float(kinetic), float(-stress * volume), float(volume))

    def phase(self) -> Phase:
        """The present positions, velocities and cell."""
        atoms = self._atoms
        positions, velocities = atoms.get_positions(), atoms.get_velocities() * units.fs
        if self._task.cell is None:
            return Phase(positions, velocities, self._task.start.cell)
        return Phase(positions, velocities, np.array(atoms.cell)).upright()

    def write_frame(self) -> None:
        """Append the present atoms, with energy, forces and momenta, to the trajectory."""
        self._trajectory.write(self._atoms)

    def save(self, path: Path) -> None:
        """Write the state."""
        atoms, dynamics = self._atoms, self._dynamics
        with path.open("wb") as file:
            np.savez(
                file,
                positions=atoms.positions,
                momenta=atoms.get_momenta(),
                cell=np.array(atoms.cell),
                step=self._step,
                barostat=dynamics.state() if self._has_barostat else (),
                random=json.dumps(self._random.bit_generator.state),
            )

    def close(self) -> None:
        """Close the trajectory."""
        self._trajectory.close()

    def _load(self, path: Path) -> Floats:
        """Go back to a state; momentum and force of the barostat, if any, are returned."""
        try:
            with np.load(path, allow_pickle=False) as state:
                self._atoms.set_cell(state["cell"])
                self._atoms.positions[:] = state["positions"]
                self._atoms.set_momenta(state["momenta"])
                self._random.bit_generator.state = json.loads(str(state["random"]))
                if self._task.ramps:  # which states of earlier versions have none of
                    self._step = int(state["step"])
                barostat: Floats = state["barostat"]
                expected = state_shape(self._task.ensemble.cell) if self._has_barostat else (0,)
                if barostat.shape != expected:
                    raise ValueError(f"a barostat of shape {barostat.shape}")
                return barostat
        except (ValueError, KeyError, OSError, TypeError, EOFError, BadZipFile) as error:
            raise InputError(f"{path}: not a state of a run in ASE: {error}") from error


def _atoms(task: Task) -> Any:
    """The atoms at step 0 of a stage."""
    start = task.start
    atoms: Any = Atoms(
        numbers=task.numbers,
        positions=start.positions,
        masses=task.masses,
        cell=task.cell,
        pbc=task.pbc,
        velocities=start.velocities / units.fs,
    )
    if task.fixed.any():
        atoms.set_constraint(FixAtoms(mask=task.fixed))  # type: ignore[no-untyped-call]
    return atoms


def _calculator(task: Task) -> Any:
    """Of an energy, or of a Hamiltonian with its repulsion."""
    run = task.config.run
    model: Any = acepot.load(task.model, Model | ChargeModel | HamiltonianModel)
    if isinstance(model, HamiltonianModel):
        if run.precision != "double":
            raise InputError(f"run.precision: a Hamiltonian has double alone, got {run.precision}")
        return TightBindingCalculator(model, threads=run.threads)
    potential = Potential(model, threads=run.threads, precision=run.precision)
    return ACECalculator(potential, charge=task.charge or None)


def _dynamics(task: Task, atoms: Any, random: np.random.Generator, barostat: Floats | None) -> Any:
    ensemble, step = task.ensemble, task.config.run.timestep * units.fs
    if ensemble.kind == "nve":
        return VelocityVerlet(atoms, step)
    if ensemble.friction_model is not None:
        model = acepot.load(ensemble.friction_model, acepot.FrictionModel)
        thermostat = FrictionThermostat(model, ensemble.friction_step, task.config.run.threads)
        return FrictionLangevin(atoms, step, thermostat, ensemble.temperature, random)
    picosecond = 1000 * units.fs
    options: dict[str, Any] = {
        "temperature_K": ensemble.temperature,
        "T_tau": picosecond / ensemble.friction,
        "rng": random,
    }
    if ensemble.kind == "nvt":
        return LangevinBAOAB(atoms, step, **options)  # type: ignore[no-untyped-call]
    return CellLangevin(
        atoms,
        step,
        ensemble.cell,
        barostat,
        externalstress=-ensemble.pressure * GIGAPASCAL,
        P_tau=ensemble.barostat_time * picosecond,
        **options,
    )


ASE_ENGINE = EngineKind(
    "ase", _TRAJECTORY, AseEngine, holds_atoms=True, ramps=True, slabs=True, friction=True
)
