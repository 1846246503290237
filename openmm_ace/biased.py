"""E - τσ as an OpenMM PythonForce, for dynamics that seek what a model does not know."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot import Structure
from acepot.errors import InputError, MissingDependency
from acepot.uncertainty.biased import BiasedPotential
from acepot.units import OPENMM
from openmm_ace.particles import atomic_numbers, periodic_directions

try:
    import openmm
    from openmm import app
except ImportError as error:
    raise MissingDependency("openmm_ace needs OpenMM: pip install acepot[openmm]") from error

__all__ = ["BiasedComputation", "create_biased_force"]


def create_biased_force(
    model: str | os.PathLike[str],
    posterior: str | os.PathLike[str],
    tau: float,
    elements: app.Topology | Sequence[str | int],
    *,
    periodic: bool | Sequence[bool] | None = None,
    threads: int | None = None,
) -> openmm.PythonForce:
    """Make a force to add to an OpenMM System.

    Args:
        model: the file of a linear model.
        posterior: the file of its posterior.
        tau: τ.
        elements: the Topology, or the chemical symbol or atomic number of every particle.
        periodic: whether the atoms repeat with OpenMM's box; None: if the Topology has one.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.

    Returns:
        A PythonForce in kJ/mol and kJ/mol/nm.

    Raises:
        InputError: an element the model does not know, or a τ that is not finite.
        ModelFileError: damaged files, or a posterior of another model.
    """
    numbers = tuple(int(z) for z in atomic_numbers(elements, None))
    directions = periodic_directions(elements, periodic)
    data, more = Path(model).read_bytes(), Path(posterior).read_bytes()
    computation = BiasedComputation(data, more, float(tau), numbers, directions, threads)
    computation.open()
    force = openmm.PythonForce(computation)
    force.setName("ACE, biased")
    force.setUsesPeriodicBoundaryConditions(computation.has_box)
    return force


class BiasedComputation:
    """What OpenMM calls at every evaluation of the force; its pickle is plain data.

    Args:
        model: bytes of the model file.
        posterior: bytes of that of its posterior.
        tau: τ.
        numbers: atomic numbers of the particles, shape (n,).
        periodic: whether the atoms repeat with OpenMM's box, or along which of its vectors.
        threads: of the native evaluator.
    """

    def __init__(
        self,
        model: bytes,
        posterior: bytes,
        tau: float,
        numbers: tuple[int, ...],
        periodic: bool | tuple[bool, ...],
        threads: int | None,
    ) -> None:
        self._state = (model, posterior, tau, numbers, periodic, threads)
        self.has_box = bool(np.any(periodic))
        self._potential: BiasedPotential | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return (BiasedComputation, self._state)

    def open(self) -> BiasedPotential:
        """Make the evaluator now rather than at the first call."""
        model, posterior, tau, numbers, _, threads = self._state
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("model.acepot", "posterior.acepot")]
            for file, content in zip(files, (model, posterior), strict=True):
                file.write_bytes(content)
            self._potential = BiasedPotential(files[0], files[1], tau, threads)
        if strange := set(numbers) - {int(z) for z in self._potential.model.numbers}:
            raise InputError(f"elements: the model does not know atomic number {min(strange)}")
        return self._potential

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        """E - τσ in kJ/mol and its forces in kJ/mol/nm, shape (n, 3).

        Args:
            state: of OpenMM, with positions and, if periodic, the box.
        """
        potential = self._potential or self.open()
        positions = state.getPositions(asNumpy=True)._value * OPENMM.length
        cell = None
        if self.has_box:
            cell = np.array(state.getPeriodicBoxVectors()._value) * OPENMM.length
        found = potential.compute(Structure(self._state[3], positions, cell, self._state[4]))
        return found.biased / OPENMM.energy, found.forces / OPENMM.force
