"""A model of friction as the thermostat of i-PI, at the positions of the (classical) beads."""

from __future__ import annotations

from typing import Any

import numpy as np

import acepot
from acepot.errors import MissingDependency
from acepot.friction.thermostat import FrictionThermostat
from acepot.md.engine import Task
from acepot.units import IPI

try:
    from ipi.utils.units import unit_to_internal
except ImportError as error:
    raise MissingDependency("acepot md needs i-PI: pip install acepot[ipi]") from error

__all__ = ["couple"]

_FEMTOSECOND = float(unit_to_internal("time", "femtosecond", 1.0))
_DALTON = float(unit_to_internal("mass", "dalton", 1.0))
_KELVIN = float(unit_to_internal("temperature", "kelvin", 1.0))
#: i-PI's unit of momentum in amu Å/fs.
_MOMENTUM = IPI.length * _FEMTOSECOND / _DALTON


class _Random:
    """i-PI's random numbers, whose state is in RESTART, as numpy's generator has them."""

    def __init__(self, prng: Any) -> None:
        self._prng = prng

    def standard_normal(self, shape: Any) -> np.ndarray:
        return np.asarray(self._prng.gvec(shape), dtype=float)

    def permutation(self, count: int) -> np.ndarray:
        return np.argsort(self._prng.gvec(count), kind="stable")


def couple(system: Any, task: Task) -> None:
    """Put friction and noise of a model in place of the steps of i-PI's thermostat.

    Args:
        system: of i-PI, with one bead and a Langevin thermostat in the splitting BAOAB.
        task: whose ensemble names the model.
    """
    ensemble = task.ensemble
    model = acepot.load(str(ensemble.friction_model), acepot.FrictionModel)
    thermostat = FrictionThermostat(model, ensemble.friction_step, task.config.run.threads)
    own = system.motion.thermostat
    random: Any = _Random(system.motion.prng)

    def step() -> None:
        beads, cell = system.beads, np.array(system.cell.h).T * IPI.length
        structure = acepot.Structure(
            task.numbers,
            np.array(beads.q[0]).reshape(-1, 3) * IPI.length,
            cell if any(task.pbc) else None,
            task.pbc,
        )
        momenta = thermostat.step(
            structure,
            np.array(beads.p[0]).reshape(-1, 3) * _MOMENTUM,
            task.masses,
            float(own.dt) / _FEMTOSECOND,
            float(system.ensemble.temp) / _KELVIN,
            random,
            task.fixed if task.fixed.any() else None,
        )
        beads.p[0] = (momenta / _MOMENTUM).ravel()

    own.step = step
