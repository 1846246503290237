"""Langevin dynamics with a model of friction, without an engine: BAOAB, and the overdamped limit.

Half kick, half drift, O-step for the whole step, half drift, half kick: one call of the forces and
one of the friction a step. Units are eV, Å, fs and amu.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.thermostat import FrictionThermostat
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN

__all__ = ["Langevin", "Overdamped", "Point", "drift"]

#: Forces in eV/Å of a structure, shape (n, 3).
Forces = Callable[[Structure], Floats]
#: Atoms up to which the divergence of the mobility is summed up exactly.
_EXACT_DIVERGENCE = 20
#: Smallest eigenvalue of Γ relative to the largest with which overdamped dynamics make sense.
_REGULAR = 1e-12


@dataclass(frozen=True, eq=False)
class Point:
    """Where a trajectory is.

    Args:
        structure: atoms and cell.
        momenta: in amu Å/fs, shape (n, 3).
        forces: in eV/Å there, shape (n, 3).
    """

    structure: Structure
    momenta: Floats
    forces: Floats


class Langevin:
    """BAOAB.

    Args:
        forces: of the potential, or of mean force.
        thermostat: the O-step.
        masses: in amu, shape (n,).
        timestep: in fs.
        kelvin: temperature in K; 0: friction alone.
        random: of the noise; with its state and a `Point` a run goes on bit by bit.
    """

    def __init__(
        self,
        forces: Forces,
        thermostat: FrictionThermostat,
        masses: ArrayLike,
        timestep: float,
        kelvin: float,
        random: np.random.Generator,
    ) -> None:
        self._forces, self.thermostat, self.random = forces, thermostat, random
        self.masses = np.asarray(masses, dtype=float)
        self.timestep, self.kelvin = timestep, kelvin

    def start(self, structure: Structure, momenta: Floats) -> Point:
        """A point to begin with."""
        return Point(structure, np.array(momenta, dtype=float), self._forces(structure))

    def step(self, at: Point) -> Point:
        """The next point."""
        half, mass = 0.5 * self.timestep, self.masses[:, None]
        p = at.momenta + half * at.forces / AMU
        middle = moved(at.structure, at.structure.positions + half * p / mass)
        p = self.thermostat.step(middle, p, self.masses, self.timestep, self.kelvin, self.random)
        end = moved(middle, middle.positions + half * p / mass)
        forces = self._forces(end)
        return replace(at, structure=end, momenta=p + half * forces / AMU, forces=forces)


def moved(structure: Structure, positions: Floats) -> Structure:
    """The same atoms elsewhere."""
    return Structure(
        structure.numbers, positions, structure.cell, structure.pbc, name=structure.name
    )


class Overdamped:
    """u' = Γ⁻¹F + kT ∇·Γ⁻¹ + √(2 kT) Γ^(-1/2) W', Euler and Maruyama.

    Without the middle term the stationary law is not exp(-E/kT) where Γ depends on u.

    Args:
        forces: of the potential, or of mean force.
        evaluator: of a Γ that no motion escapes: not one that conserves momentum.
        timestep: in fs.
        kelvin: temperature in K.
        random: of the noise.
    """

    def __init__(
        self,
        forces: Forces,
        evaluator: FrictionEvaluator,
        timestep: float,
        kelvin: float,
        random: np.random.Generator,
    ) -> None:
        if evaluator.model.conserves_momentum:
            raise InputError(
                "overdamped dynamics: this friction conserves momentum, so that Γ has no inverse"
            )
        self._forces, self._evaluator, self.random = forces, evaluator, random
        self.timestep, self.kelvin = timestep, kelvin

    def step(self, structure: Structure) -> Structure:
        """The next positions.

        Raises:
            InputError: Γ is singular.
        """
        kt = BOLTZMANN * self.kelvin / AMU
        gamma = self._evaluator.gamma(structure)
        values, vectors = np.linalg.eigh(gamma)
        if values[0] <= _REGULAR * values[-1]:
            raise InputError(
                f"{structure.name or 'structure'}: overdamped dynamics: Γ has the eigenvalues "
                f"{values[0]:.1e} to {values[-1]:.1e} amu/fs: expected all of them above 0"
            )
        mobility = (vectors / values) @ vectors.T
        shift = mobility @ (self._forces(structure).ravel() / AMU)
        shift = shift + kt * drift(self._evaluator, structure, mobility, self.random)
        noise = vectors @ (self.random.standard_normal(len(values)) / np.sqrt(values))
        moves = self.timestep * shift + np.sqrt(2 * kt * self.timestep) * noise
        return moved(structure, structure.positions + moves.reshape(-1, 3))


def drift(
    evaluator: FrictionEvaluator,
    structure: Structure,
    mobility: Floats,
    random: np.random.Generator,
) -> Floats:
    """∇·Γ⁻¹ = -Σ_b Γ⁻¹ (∂_b Γ) Γ⁻¹ e_b, shape (3n,).

    Exact for few atoms; for more, the same along one random vector z with ⟨z zᵀ⟩ = 1 in place of
    the sum over all unit vectors, whose mean it is.

    Args:
        evaluator: of Γ.
        structure: atoms and cell.
        mobility: Γ⁻¹, shape (3n, 3n).
        random: of z.
    """
    sigma = [f.matrix for f in evaluator.sigma(structure).factors]
    size = len(mobility)
    few = len(structure) <= _EXACT_DIVERGENCE
    probes = np.eye(size) if few else random.choice((-1.0, 1.0), size=(1, size))
    total = np.zeros(size)
    for z in probes:
        slopes = [f.matrix for f in evaluator.slope(structure, z.reshape(-1, 3)).factors]
        v = mobility @ z
        for s, d in zip(sigma, slopes, strict=True):
            total -= mobility @ (d @ (s.T @ v) + s @ (d.T @ v))
    return total
