"""An engine in one file: velocity Verlet in numpy, nve only, its trajectory a text file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import acepot
from acepot.errors import InputError
from acepot.md.engine import EngineKind, Phase, Sample, Task
from acepot.units import AMU


class Verlet:
    """One stage of a simulation."""

    def __init__(self, task: Task, state: Path | None) -> None:
        if task.ensemble.kind != "nve":
            raise InputError(f"ensemble.kind: verlet knows only nve, got {task.ensemble.kind!r}")
        self._task, self._step = task, task.config.run.timestep
        self._mass = AMU * task.masses[:, None]
        self._potential = acepot.Potential(acepot.load(task.model), threads=1)
        self._positions, self._velocities = task.start.positions, task.start.velocities
        if state is not None:
            with np.load(state) as saved:
                self._positions, self._velocities = saved["positions"], saved["velocities"]
        self._now = self._compute()
        self._frames = (task.folder / "trajectory.txt").open("a")

    def _compute(self) -> acepot.Result:
        task = self._task
        cell = task.start.cell if task.periodic else None
        structure = acepot.Structure(task.numbers, self._positions, cell, task.periodic)
        return self._potential.compute(structure)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            half = self._velocities + 0.5 * self._step * self._now.forces / self._mass
            self._positions = self._positions + self._step * half
            self._now = self._compute()
            self._velocities = half + 0.5 * self._step * self._now.forces / self._mass

    def sample(self) -> Sample:
        kinetic = 0.5 * float((self._mass * self._velocities**2).sum())
        periodic = self._task.periodic
        virial = float(np.trace(self._now.virial)) if periodic else 0.0
        return Sample(self._now.energy, kinetic, virial, self._task.structure.volume * periodic)

    def phase(self) -> Phase:
        return Phase(self._positions, self._velocities, self._task.start.cell)

    def write_frame(self) -> None:
        self._frames.write(f"{self._positions.tolist()}\n")
        self._frames.flush()

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, positions=self._positions, velocities=self._velocities)

    def close(self) -> None:
        self._frames.close()


ENGINE = EngineKind("verlet", "trajectory.txt", Verlet)
