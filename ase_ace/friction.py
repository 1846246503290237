"""Langevin dynamics with a model of friction in ASE: BAOAB, with the O-step of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from acepot import Structure
from acepot.errors import InputError, MissingDependency
from acepot.friction.thermostat import FrictionThermostat

try:
    from ase import units
    from ase.constraints import FixAtoms
    from ase.md.md import MolecularDynamics
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE 3.29 or newer: pip install acepot[ase]") from error


__all__ = ["FrictionLangevin"]


class FrictionLangevin(MolecularDynamics):
    """M u'' = F(u) - Γ(u) u' + √(2 kT) Σ(u) W' by BAOAB: one force and one Γ a step.

    With the positions and momenta of `atoms` and the state of `rng` a run goes on bit by bit.

    Args:
        atoms: with a calculator; FixAtoms is its only constraint, if any.
        timestep: in ASE's unit.
        thermostat: the O-step: `FrictionThermostat(model, kind)`.
        temperature_K: temperature in K.
        rng: of the noise.
        options: of ASE's MolecularDynamics.

    Raises:
        InputError: other constraints.
    """

    def __init__(
        self,
        atoms: Any,
        timestep: float,
        thermostat: FrictionThermostat,
        temperature_K: float,
        rng: np.random.Generator,
        **options: Any,
    ) -> None:
        super().__init__(atoms, timestep, **options)
        self.thermostat, self.rng = thermostat, rng
        self._kelvin = temperature_K
        self._fixed = np.zeros(len(atoms), dtype=bool)
        for constraint in atoms.constraints:
            if not isinstance(constraint, FixAtoms):
                raise InputError(
                    f"FrictionLangevin: expected no constraint but FixAtoms, got {constraint!r}"
                )
            self._fixed[constraint.index] = True

    def set_temperature(self, temperature_K: float) -> None:
        """Another temperature from the next step on."""
        self._kelvin = temperature_K

    def step(self, forces: np.ndarray | None = None) -> np.ndarray:
        """One step; the forces at its end."""
        atoms: Any = self.atoms
        half = 0.5 * self.dt
        if forces is None:
            forces = atoms.get_forces(md=True)
        momenta = atoms.get_momenta() + half * forces
        mass = atoms.get_masses()
        self._drift(momenta, mass, half)
        structure = Structure(
            atoms.numbers,
            atoms.positions,
            np.array(atoms.cell) if atoms.pbc.any() else None,
            atoms.pbc,
        )
        momenta = self.thermostat.step(
            structure,
            momenta * units.fs,
            mass,
            self.dt / units.fs,
            self._kelvin,
            self.rng,
            self._fixed if self._fixed.any() else None,
        )
        momenta = momenta / units.fs
        self._drift(momenta, mass, half)
        atoms.set_momenta(momenta)
        forces = atoms.get_forces(md=True)
        atoms.set_momenta(momenta + half * forces)
        return np.asarray(forces)

    def _drift(self, momenta: np.ndarray, mass: np.ndarray, time: float) -> None:
        moves = np.where(self._fixed[:, None], 0.0, time * momenta / mass[:, None])
        atoms: Any = self.atoms
        atoms.set_positions(atoms.positions + moves)
