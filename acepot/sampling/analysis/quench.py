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
        The minimum, or where the search ended.

    Raises:
        InputError: a structure that is not periodic, or that cannot be evaluated on the way.
    """
    if not structure.pbc.all():
        raise InputError(f"{structure.name}: expected a structure periodic in all directions")
    count, edge = len(structure), structure.volume ** (1 / 3)

    def at(x: Floats) -> tuple[Structure, Floats, Floats]:
        parts = x.reshape(count + 3, 3)
        deformation = np.eye(3) + parts[count:] / edge
        moved = Structure(
            structure.numbers,
            (structure.positions + parts[:count]) @ deformation,
            structure.cell @ deformation,
            structure.pbc,
            name=structure.name,
        )
        return moved, deformation, parts

    def enthalpy(x: Floats) -> tuple[float, Floats]:
        moved, deformation, _ = at(x)
        result = energies.compute(moved)
        work = pressure * moved.volume
        strain = np.linalg.solve(deformation.T, work * np.eye(3) - result.virial) / edge
        slope = np.concatenate([-result.forces @ deformation.T, strain])
        return float(result.energy + work), slope.ravel()

    found = minimize(
        enthalpy,
        np.zeros(3 * count + 9),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS, "gtol": _FORCE, "ftol": 0.0},
    )
    converged = bool(abs(found.jac).max() <= _FORCE)
    return Quenched(at(found.x)[0], float(found.fun), converged)
