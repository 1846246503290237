"""What walkers move on: E - τσ of many structures in one call, and how sure its forces are.

For a linear model with c ~ N(c̄, F Fᵀ) all of it is exact: σ² = |Fᵀb|² of the energy, whose gradient
costs one pullback, and σ² = |Fᵀa|² of a force component with the design row a. A factor of K/√M
differences of M drawn members in place of F is a committee: the same formulas are then its mean
squares, σ² = mean_m (E_m - Ē)², and cost M in place of K multiplications for each function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.structure import Structure
from acepot.uncertainty.energies import BiasedEnergy, UncertainPotential
from acepot.uncertainty.posterior import Posterior

__all__ = ["FunctionSurface", "Measured", "ModelSurface", "Surface", "committee"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """What decides on bias and end of a walk.

    Args:
        forces: F̄ of the model in eV/Å, shape (n, 3).
        push: dσ/dr in eV/Å, shape (n, 3).
        spread: root of the summed variances of the three components of each force, in eV/Å,
            shape (n,).
    """

    forces: Floats
    push: Floats
    spread: Floats


class Surface(Protocol):
    """E - τσ of many structures."""

    def compute(self, structures: Sequence[Structure], tau: Sequence[float]) -> list[BiasedEnergy]:
        """E, σ, and forces of E - τσ.

        Args:
            structures: atoms and cells.
            tau: τ of each.

        Returns:
            One result a structure; those that cannot be evaluated say why.
        """
        ...

    def measure(self, structures: Sequence[Structure]) -> list[Measured]:
        """Forces, the gradient of σ and the deviations of forces.

        Args:
            structures: that were evaluated without an error.
        """
        ...


def committee(posterior: Posterior, members: int, random: np.random.Generator) -> Posterior:
    """The posterior of members that are drawn from another one: F' = (c_m - c̄)/√M.

    Args:
        posterior: from which they are drawn.
        members: M.
        random: draws them.
    """
    drawn = posterior.factor @ random.standard_normal((posterior.factor.shape[1], members))
    return Posterior(posterior.model, drawn / np.sqrt(members), posterior.noise)


class ModelSurface:
    """That of a linear model.

    Args:
        potential: with its posterior.
    """

    def __init__(self, potential: UncertainPotential) -> None:
        self._potential = potential

    def compute(self, structures: Sequence[Structure], tau: Sequence[float]) -> list[BiasedEnergy]:
        """As `Surface`."""
        return self._potential.compute(structures, tau)

    def measure(self, structures: Sequence[Structure]) -> list[Measured]:
        """As `Surface`, from one set of design rows."""
        return [self._measured(one) for one in self._potential.moments(structures)]

    @staticmethod
    def _measured(found: tuple[Floats, Floats, Floats]) -> Measured:
        forces, push, deviations = (one.reshape(-1, 3) for one in found)
        return Measured(forces, push, np.sqrt((deviations**2).sum(axis=1)))


class FunctionSurface:
    """That of a plain function, for tests and for truths that are known.

    Args:
        function: takes a structure, and returns E in eV, σ in eV, the forces of E and -dσ/dr in
            eV/Å, both of shape (n, 3).
    """

    def __init__(
        self, function: Callable[[Structure], tuple[float, float, Floats, Floats]]
    ) -> None:
        self._function = function

    def compute(self, structures: Sequence[Structure], tau: Sequence[float]) -> list[BiasedEnergy]:
        """As `Surface`; an InputError of the function is kept."""
        return [self._one(s, t) for s, t in zip(structures, tau, strict=True)]

    def _one(self, structure: Structure, tau: float) -> BiasedEnergy:
        try:
            energy, sigma, forces, push = self._function(structure)
        except InputError as error:
            nan = np.full((len(structure), 3), np.nan)
            return BiasedEnergy(np.nan, np.nan, tau, nan, np.full((3, 3), np.nan), error)
        return BiasedEnergy(energy, sigma, tau, forces - tau * push, np.zeros((3, 3)))

    def measure(self, structures: Sequence[Structure]) -> list[Measured]:
        """As `Surface`; the deviation of a force is taken to be |dσ/dr|."""
        found = [self._function(s) for s in structures]
        return [Measured(f, -g, np.linalg.norm(g, axis=1)) for _, _, f, g in found]
