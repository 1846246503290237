"""Exact standard deviations of energies, and the energies and forces that they bias.

With b = Σ_i B_i the energy of a structure is E = Σ_i E0 + c̄·b and its variance is σ² = bᵀ Σ b =
|Fᵀb|², not an estimate from a committee's few members. Its gradient costs one pullback: that of
E - τσ, which hyperactive learning follows (van der Oord et al., npj Comput. Mater. 9, 168 (2023)),
is Σ_k (c̄ - τ F Fᵀb/σ)_k ∂b_k/∂r, the price of plain forces and K² multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator, NativeRowBuilder
from acepot.evaluate.protocol import EnergySpread, Pullback, Sites
from acepot.fitting.observables import DesignRows, Observable
from acepot.lowering import lower
from acepot.structure import Structure
from acepot.uncertainty.posterior import Posterior

__all__ = ["BiasedEnergy", "EnergyDeviation", "UncertainPotential"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EnergyDeviation:
    """The energy of one structure and its standard deviation.

    Args:
        energies: E_i in eV, shape (n,).
        sigma: σ of the total energy in eV.
        error: why this structure could not be evaluated; then all numbers are nan.
    """

    energies: Floats
    sigma: float
    error: InputError | None = None

    @property
    def energy(self) -> float:
        """Total energy in eV."""
        return float(self.energies.sum())


@dataclass(frozen=True, eq=False)
class BiasedEnergy:
    """E - τσ of one structure, with its forces and virial.

    Args:
        energy: E in eV, without the bias.
        sigma: σ of it in eV.
        tau: τ.
        forces: -d(E - τσ)/dr in eV/Å, shape (n, 3).
        virial: -d(E - τσ)/dε in eV, shape (3, 3).
        error: why this structure could not be evaluated; then all numbers are nan.
    """

    energy: float
    sigma: float
    tau: float
    forces: Floats
    virial: Floats
    error: InputError | None = None

    @property
    def biased(self) -> float:
        """E - τσ in eV."""
        return self.energy - self.tau * self.sigma


class UncertainPotential:
    """A linear model that knows its posterior: energies with exact standard deviations.

    Args:
        posterior: of the model's coefficients.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.

    Raises:
        MissingDependency: the native evaluator was not built.
    """

    def __init__(self, posterior: Posterior, threads: int | None = None) -> None:
        self.posterior = posterior
        self._sites = NativeEvaluator(lower(posterior.model.basis), threads)

    @cached_property
    def design(self) -> DesignRows:
        """Makes the design rows of structures."""
        builder = NativeRowBuilder(self._sites.tables, self._sites.threads)
        return DesignRows(builder, len(self.posterior.factor))

    def energies(self, structures: Sequence[Structure]) -> list[EnergyDeviation]:
        """Energies and their standard deviations, by values of the functions alone.

        Args:
            structures: atoms and cells.

        Returns:
            One result a structure; those that cannot be evaluated say why.
        """
        return [one for one, _ in self._evaluated(structures)]

    def compute(self, structures: Sequence[Structure], tau: float) -> list[BiasedEnergy]:
        """E - τσ with forces and virial: values of the functions, then one pullback.

        Args:
            structures: atoms and cells.
            tau: τ; 0 is the model itself, a negative one keeps away from what is unknown.

        Returns:
            One result a structure; those that cannot be evaluated say why.

        Raises:
            InputError: τ is not finite.
        """
        if not np.isfinite(tau):
            raise InputError(f"tau: expected a finite number, got {tau}")
        found = self._evaluated(structures)
        slopes = [self.posterior.mean - tau * slope for _, slope in found]
        pulled = self._pulled(structures, slopes)
        return [
            BiasedEnergy(one.energy, one.sigma, tau, p.forces, p.virial, one.error or p.error)
            for (one, _), p in zip(found, pulled, strict=True)
        ]

    def spread(self, structures: Sequence[Structure]) -> list[EnergySpread]:
        """σ of total energies and its derivatives alone; as `Potential.spread`, but exact.

        Where σ is 0 its derivatives, which do not exist there, are zero.

        Args:
            structures: atoms and cells.

        Returns:
            One spread a structure; those that cannot be evaluated say why.
        """
        found = self._evaluated(structures)
        pulled = self._pulled(structures, [slope for _, slope in found])
        return [
            EnergySpread(one.sigma, p.forces, p.virial, one.error or p.error)
            for (one, _), p in zip(found, pulled, strict=True)
        ]

    def deviations(
        self, structures: Sequence[Structure], observables: Sequence[str] | None = None
    ) -> list[dict[str, Floats]]:
        """Standard deviations of energies, forces, virials and what else can be fitted.

        Each is σ = |Fᵀa| with a its design row, so this costs design rows and K² multiplications
        for each number.

        Args:
            structures: atoms and cells.
            observables: names; None: all that are known.

        Returns:
            For each structure σ by name of the observable, flat, in the order of its rows: energy
            (1,) in eV, forces (3n,) in eV/Å, atom by atom, virial (6,) in eV, xx yy zz yz xz xy.

        Raises:
            InputError: an unknown observable, or a structure that cannot be evaluated.
        """
        names = list(Observable.known) if observables is None else list(observables)
        wanted = [Observable.named(name, "observables") for name in names]
        return [
            {one.name: self.posterior.deviation(one.rows(s, self.design)) for one in wanted}
            for s in structures
        ]

    # -------------------------------------------------------------- steps

    def _evaluated(self, structures: Sequence[Structure]) -> list[tuple[EnergyDeviation, Floats]]:
        """Energy and σ of each structure, and dσ/db = F Fᵀb/σ, shape (K,)."""
        return [
            self._of_values(s, v)
            for s, v in zip(structures, self._sites.values(structures), strict=True)
        ]

    def _of_values(self, structure: Structure, sites: Sites) -> tuple[EnergyDeviation, Floats]:
        model, factor = self.posterior.model, self.posterior.factor
        values = sites.values[0][..., 0]  # [i, k]
        if sites.error is not None:
            nan = np.full(len(structure), np.nan)
            return EnergyDeviation(nan, np.nan, sites.error), np.zeros(len(factor))
        e0 = model.e0[species_indices(model.numbers, structure.numbers)]
        seen = values.sum(axis=0) @ factor  # Fᵀb, [r]
        sigma = float(np.linalg.norm(seen))
        slope = factor @ (seen / sigma) if sigma > 0 else np.zeros(len(factor))
        return EnergyDeviation(e0 + values @ self.posterior.mean, sigma), slope

    def _pulled(self, structures: Sequence[Structure], slopes: Sequence[Floats]) -> list[Pullback]:
        """The pullback of Σ_k w_k b_k for each structure, w of shape (K,)."""
        adjoints = [
            (np.broadcast_to(w[:, None], (len(s), len(w), 1)),)
            for s, w in zip(structures, slopes, strict=True)
        ]
        return self._sites.pullback(structures, adjoints)
