"""Quenching: the nearest minimum of the enthalpy, positions and cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.structure import Structure

__all__ = ["Energies", "Quenched", "quench"]

Floats = NDArray[np.float64]

#: Converged when no force is larger, eV/Å; the cell's counts as virial over the edge of a cube.
_FORCE = 1e-3
_STEPS = 1000


class Energies(Protocol):
    """What has energies, forces and virials of structures, such as a Potential."""

    def compute(self, structure: Structure) -> Result:
        """Energies in eV, forces in eV/Å, virial in eV."""
        ...


@dataclass(frozen=True, eq=False)
class Quenched:
    """A minimum of the enthalpy.

    Args:
        structure: at the minimum.
        enthalpy: E + PV there, eV.
        converged: whether all forces and the rest of the stress are small.
    """

    structure: Structure
    enthalpy: float
    converged: bool


def quench(energies: Energies, structure: Structure, pressure: float) -> Quenched:
    """Minimise E + PV over positions and cell.

    Variables are displacements u and a deformation F: positions (r + u) F, cell h F. The slopes are
    -f Fᵀ and F⁻ᵀ (PV - W), W = -dE/dε being the virial.

    Args:
        energies: such as a Potential.
        structure: periodic in all directions.
        pressure: in eV/Å³.

    Returns:
        The minimum, or the last point before the search failed, as where atoms came too close.

    Raises:
        InputError: a structure that is not periodic or cannot be evaluated.
    """
    if not structure.pbc.all():
        raise InputError(f"{structure.name}: expected a structure periodic in all directions")
    search = _Search(energies, structure, pressure)
    start = np.zeros(3 * len(structure) + 9)
    search.enthalpy(start)
    try:
        minimize(
            search.enthalpy,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _STEPS, "gtol": _FORCE, "ftol": 0.0},
        )
    except InputError:
        return Quenched(search.structure, search.lowest, False)
    return Quenched(search.structure, search.lowest, search.slope <= _FORCE)


class _Search:
    """The enthalpy as a function of all variables, and the lowest that was met."""

    def __init__(self, energies: Energies, structure: Structure, pressure: float) -> None:
        self._energies, self._start, self._pressure = energies, structure, pressure
        self._edge = structure.volume ** (1 / 3)
        self.structure, self.lowest, self.slope = structure, np.inf, np.inf

    def enthalpy(self, x: Floats) -> tuple[float, Floats]:
        """E + PV and its slopes."""
        start, count = self._start, len(self._start)
        parts = x.reshape(count + 3, 3)
        deformation = np.eye(3) + parts[count:] / self._edge
        moved = Structure(
            start.numbers,
            (start.positions + parts[:count]) @ deformation,
            start.cell @ deformation,
            start.pbc,
            name=start.name,
        )
        result = self._energies.compute(moved)
        work = self._pressure * moved.volume
        strain = np.linalg.solve(deformation.T, work * np.eye(3) - result.virial) / self._edge
        slopes = np.concatenate([-result.forces @ deformation.T, strain]).ravel()
        found = float(result.energy + work)
        if found <= self.lowest:
            self.structure, self.lowest = moved, found
            self.slope = float(abs(slopes).max())
        return found, slopes
