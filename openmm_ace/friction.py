"""BAOAB with a model of friction around a Context, which only computes forces.

OpenMM's callbacks see no velocities and its custom integrators no matrices, so that positions and
momenta are kept here: two transfers a step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

import acepot
from acepot.errors import InputError
from acepot.friction.thermostat import FrictionThermostat
from acepot.md.engine import Floats, Task
from acepot.units import AMU, OPENMM

__all__ = ["FrictionStepper"]

#: fs in a ps.
_PICOSECOND = 1e-3


class FrictionStepper:
    """Positions and momenta, and the steps that move them.

    Args:
        task: whose ensemble names the model of friction.
        context: of OpenMM, with the forces.
        state: file to go on from; None: from the start.
    """

    def __init__(self, task: Task, context: Any, state: Path | None) -> None:
        ensemble = task.ensemble
        model = acepot.load(str(ensemble.friction_model), acepot.FrictionModel)
        threads = task.config.run.threads
        self._thermostat = FrictionThermostat(model, ensemble.friction_step, threads)
        self._task, self._context = task, context
        self._random, self.steps = task.generator(), 0
        self.positions = np.array(task.start.positions)
        self.momenta = task.start.velocities * task.masses[:, None]
        if state is not None:
            self._load(state)
        self._forces = self._given()
        self.show()

    def step(self, kelvin: float) -> None:
        """One step at a temperature in K."""
        task = self._task
        time, mass = task.config.run.timestep, task.masses[:, None]
        moves = ~task.fixed[:, None]
        momenta = np.where(moves, self.momenta + 0.5 * time * self._forces / AMU, 0.0)
        self.positions = self.positions + 0.5 * time * momenta / mass
        structure = acepot.Structure(task.numbers, self.positions, task.cell, task.pbc)
        fixed = task.fixed if task.fixed.any() else None
        momenta = self._thermostat.step(
            structure, momenta, task.masses, time, kelvin, self._random, fixed
        )
        self.positions = self.positions + 0.5 * time * momenta / mass
        self._forces = self._given()
        self.momenta = np.where(moves, momenta + 0.5 * time * self._forces / AMU, 0.0)
        self.steps += 1

    def show(self) -> None:
        """Tell the Context where the atoms are and how they move."""
        velocities = self.momenta / self._task.masses[:, None]
        self._context.setPositions(self.positions / OPENMM.length)
        self._context.setVelocities(velocities / OPENMM.length / _PICOSECOND)

    def save(self, path: Path) -> None:
        """Write everything from which `FrictionStepper` goes on."""
        with path.open("wb") as file:
            np.savez(
                file,
                positions=self.positions,
                momenta=self.momenta,
                steps=self.steps,
                random=json.dumps(self._random.bit_generator.state),
            )

    def _given(self) -> Floats:
        """Forces in eV/Å."""
        self._context.setPositions(self.positions / OPENMM.length)
        forces = self._context.getState(forces=True).getForces(asNumpy=True)._value
        return np.asarray(forces * OPENMM.force)

    def _load(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as state:
                self.positions, self.momenta = state["positions"], state["momenta"]
                self.steps = int(state["steps"])
                self._random.bit_generator.state = json.loads(str(state["random"]))
        except (ValueError, KeyError, OSError, TypeError, EOFError, BadZipFile) as error:
            raise InputError(f"{path}: not a state of a run in OpenMM: {error}") from error
