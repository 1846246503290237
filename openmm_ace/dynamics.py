"""`acepot md` in OpenMM: LangevinMiddleIntegrator, Monte Carlo barostats, VerletIntegrator.

On the Reference platform, whose checkpoints hold the random numbers, and whose share of the time
is small beside that of a force. The state is OpenMM's own checkpoint: a run that goes on from it
is the same bit by bit. Friction of a model has a stepper of its own, and so has its state. In npt
OpenMM forgets how far the barostat had tuned the size of its trial moves, and tunes it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

import acepot
from acepot import ChargeModel, Model, Potential
from acepot.errors import InputError
from acepot.md.engine import EngineKind, Floats, Phase, Sample, Task
from acepot.units import OPENMM
from openmm_ace.force import create_force
from openmm_ace.friction import FrictionStepper

import openmm  # isort: skip - the line above says what to install where it is missing
from openmm import app  # isort: skip

_TRAJECTORY = "trajectory.dcd"
#: Steps between trial moves of the barostat, each of one of 1, 3 or 6 degrees of freedom.
_BAROSTAT = {"isotropic": 25, "anisotropic": 10, "full": 5}
#: The parameters that hold the pressure.
_PRESSURES = {
    "isotropic": (openmm.MonteCarloBarostat.Pressure(),),
    "anisotropic": (
        openmm.MonteCarloAnisotropicBarostat.PressureX(),
        openmm.MonteCarloAnisotropicBarostat.PressureY(),
        openmm.MonteCarloAnisotropicBarostat.PressureZ(),
    ),
    "full": (openmm.MonteCarloFlexibleBarostat.Pressure(),),
}
#: Å, the positions that PDB has room for.
_PDB_RANGE = (-999.0, 9999.0)
#: fs in a ps; bar in a GPa.
_PICOSECOND, _BAR = 1e-3, 1e4


class OpenmmEngine:
    """One stage of a simulation in OpenMM.

    Args:
        task: what to simulate.
        state: file to go on from; None: from the start.
    """

    def __init__(self, task: Task, state: Path | None) -> None:
        self._task = task
        self._topology = _topology(task)
        # Without an energy of its own: that of a frame comes with its forces and virial.
        run = task.config.run
        model: Any = acepot.load(task.model, Model | ChargeModel)
        potential = Potential(model, threads=run.threads, precision=run.precision)
        self._bound = potential.bind(task.numbers, task.pbc, task.charge)
        self._integrator = _integrator(task)
        platform = openmm.Platform.getPlatformByName("Reference")
        self._context = openmm.Context(_system(task, self._topology), self._integrator, platform)
        self._friction: FrictionStepper | None = None
        if task.ensemble.friction_model is not None:
            if (cell := task.cell) is not None:
                self._context.setPeriodicBoxVectors(*(_reduced(cell) / OPENMM.length))
            self._friction = FrictionStepper(task, self._context, state)
        elif state is None:
            self._context.setPositions(task.start.positions / OPENMM.length)
            velocities = task.start.velocities / OPENMM.length / _PICOSECOND
            cell = np.zeros((3, 3)) if task.cell is None else task.cell
            _, forces, _ = self._bound.compute(task.start.positions, cell)
            self._context.setVelocities(velocities - self._half_kick(forces))
        else:
            self._load(state)
        if state is None or not (task.folder / "topology.extxyz").exists():
            _write_topology(task, self._topology)
        self._file, self._trajectory = self._open_trajectory(task.folder / _TRAJECTORY)

    def advance(self, steps: int) -> None:
        """Go on by a number of steps."""
        try:
            with _told_once():
                if self._friction is not None:
                    self._rub(self._friction, steps)
                    return
                if not self._task.ramps:
                    self._integrator.step(steps)
                    return
                for _ in range(steps):
                    self._aim(*self._task.targets(self._context.getStepCount() + 1))
                    self._integrator.step(1)
        except openmm.OpenMMException as error:
            raise InputError(f"OpenMM: {error}") from error

    def _rub(self, friction: FrictionStepper, steps: int) -> None:
        for _ in range(steps):
            friction.step(self._task.targets(friction.steps + 1)[0])
        friction.show()

    def _aim(self, kelvin: float, pressure: float) -> None:
        self._integrator.setTemperature(kelvin)
        if self._task.ensemble.kind == "npt":
            for name in _PRESSURES[self._task.ensemble.cell]:
                self._context.setParameter(name, pressure * _BAR)
            self._context.setParameter(openmm.MonteCarloBarostat.Temperature(), kelvin)

    def sample(self) -> Sample:
        """The present energies, virial and volume."""
        positions, velocities, cell = self._now()
        energies, forces, virial = self._bound.compute(positions, cell)
        speeds = velocities + self._half_kick(forces)
        kinetic = 0.5 * float(self._task.masses @ (speeds**2).sum(1)) * OPENMM.energy
        volume = abs(float(np.linalg.det(cell))) if self._task.periodic else 0.0
        return Sample(float(energies.sum()), kinetic, float(np.trace(virial)), volume)

    def phase(self) -> Phase:
        """The present positions, velocities and cell."""
        positions, velocities, cell = self._now()
        _, forces, _ = self._bound.compute(positions, cell)
        velocities = velocities + self._half_kick(forces)
        return Phase(positions, velocities * OPENMM.length * _PICOSECOND, cell)

    def write_frame(self) -> None:
        """Append the present positions to the trajectory."""
        positions, _, cell = self._now()
        box = cell / OPENMM.length if any(self._task.pbc) else None
        self._trajectory.writeModel(positions / OPENMM.length, periodicBoxVectors=box)

    def save(self, path: Path) -> None:
        """Write OpenMM's checkpoint."""
        if self._friction is not None:
            self._friction.save(path)
        else:
            path.write_bytes(self._context.createCheckpoint())

    def close(self) -> None:
        """Close the trajectory."""
        self._file.close()

    def _now(self) -> tuple[Floats, Floats, Floats]:
        """Positions and cell in Å, velocities in nm/ps as the integrator holds them."""
        state = self._context.getState(positions=True, velocities=True)
        positions = state.getPositions(asNumpy=True)._value * OPENMM.length
        cell = np.array(state.getPeriodicBoxVectors()._value) * OPENMM.length
        velocities = state.getVelocities(asNumpy=True)._value
        return positions, velocities, cell if any(self._task.pbc) else np.zeros((3, 3))

    def _half_kick(self, forces: Floats) -> Floats | float:
        """What velocities at the time of the positions have more than the integrator's, in nm/ps.

        VerletIntegrator leaps: its velocities lie half a step back. Those of the middle scheme
        are in thermal equilibrium as they are.

        Args:
            forces: in eV/Å.
        """
        if self._task.ensemble.kind != "nve":
            return 0.0
        half = 0.5 * self._task.config.run.timestep * _PICOSECOND
        kick = half * forces / OPENMM.force / self._task.masses[:, None]
        return np.where(self._task.fixed[:, None], 0.0, kick)

    def _load(self, path: Path) -> None:
        try:
            self._context.loadCheckpoint(path.read_bytes())
        except (openmm.OpenMMException, OSError) as error:
            raise InputError(
                f"{path}: OpenMM cannot go on from this checkpoint; it needs the OpenMM and the "
                f"kind of machine that wrote it: {error}"
            ) from error

    def _open_trajectory(self, path: Path) -> tuple[IO[bytes], app.DCDFile]:
        appends = path.exists()
        file: IO[bytes] = path.open("r+b" if appends else "w+b")
        run = self._task.config
        step = run.run.timestep * _PICOSECOND
        dcd = app.DCDFile(
            file, self._topology, step, firstStep=0, interval=run.output.every, append=appends
        )
        file.flush()
        return file, dcd


@contextmanager
def _told_once() -> Iterator[None]:
    """Do without the log of the force, which keeps errors that OpenMM's own callers would lose."""
    logger = logging.getLogger(create_force.__module__)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _write_topology(task: Task, topology: app.Topology) -> None:
    """What a DCD does not say: topology.pdb for other programs, topology.extxyz for acepot."""
    task.write_structure(task.folder / "topology.extxyz")
    # Nobody takes positions from here, and PDB has no room for far ones.
    places = np.clip(task.start.positions, *_PDB_RANGE) / OPENMM.length
    with (task.folder / "topology.pdb").open("w", encoding="ascii") as file:
        app.PDBFile.writeFile(topology, places, file)


def _topology(task: Task) -> app.Topology:
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain())
    for number in task.numbers.tolist():
        element = app.Element.getByAtomicNumber(number)
        topology.addAtom(element.symbol, element, residue)
    if task.cell is not None:
        topology.setPeriodicBoxVectors(_reduced(task.cell) / OPENMM.length)
    return topology


def _reduced(cell: Floats) -> Floats:
    """Other vectors of the same lattice, in the form that OpenMM wants."""
    a, b, c = np.array(cell)
    c = c - b * np.round(c[1] / b[1])
    c = c - a * np.round(c[0] / a[0])
    b = b - a * np.round(b[0] / a[0])
    return np.array([a, b, c])


def _system(task: Task, topology: app.Topology) -> openmm.System:
    system = openmm.System()
    for mass in np.where(task.fixed, 0.0, task.masses).tolist():  # OpenMM moves no atom of mass 0
        system.addParticle(mass)
    if task.cell is not None:
        system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    threads = task.config.run.threads
    system.addForce(create_force(task.model, topology, periodic=task.pbc, threads=threads))
    ensemble = task.ensemble
    if ensemble.kind == "npt":
        barostat = _barostat(task)
        barostat.setRandomNumberSeed(task.seed())
        system.addForce(barostat)
    return system


def _barostat(task: Task) -> openmm.Force:
    ensemble = task.ensemble
    bar, kelvin = ensemble.pressure * _BAR, ensemble.temperature
    every = _BAROSTAT[ensemble.cell]
    if ensemble.cell == "anisotropic":
        pressures = openmm.Vec3(bar, bar, bar)
        return openmm.MonteCarloAnisotropicBarostat(pressures, kelvin, True, True, True, every)
    if ensemble.cell == "full":
        return openmm.MonteCarloFlexibleBarostat(bar, kelvin, every)
    return openmm.MonteCarloBarostat(bar, kelvin, every)


def _integrator(task: Task) -> openmm.Integrator:
    step = task.config.run.timestep * _PICOSECOND
    if task.ensemble.kind == "nve" or task.ensemble.friction_model is not None:
        return openmm.VerletIntegrator(step)
    integrator = openmm.LangevinMiddleIntegrator(
        task.ensemble.temperature, task.ensemble.friction, step
    )
    integrator.setRandomNumberSeed(task.seed())
    return integrator


OPENMM_ENGINE = EngineKind(
    "openmm", _TRAJECTORY, OpenmmEngine, holds_atoms=True, ramps=True, slabs=True, friction=True
)
