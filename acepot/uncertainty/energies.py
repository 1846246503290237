"""Exact standard deviations of energies, and the energies and forces that they bias.

With b = Σ_i B_i the energy of a structure is E = Σ_i E0 + c̄·b and its variance is σ² = bᵀ Σ b =
|Fᵀb|², not an estimate from a committee's few members. Its gradient costs one pullback: that of
E - τσ, which hyperactive learning follows (van der Oord et al., npj Comput. Mater. 9, 168 (2023)),
is Σ_k (c̄ - τ F Fᵀb/σ)_k ∂b_k/∂r, the price of plain forces and K² multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.deviating import DeviatingSums
from acepot.evaluate.native import NativeEvaluator, NativeRowBuilder
from acepot.evaluate.protocol import EnergySpread, Sites
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

    def with_posterior(self, posterior: Posterior) -> UncertainPotential:
        """The same functions with other coefficients, without making their tables again.

        Raises:
            InputError: a model of another basis.
        """
        if posterior.model.basis != self.posterior.model.basis:
            raise InputError("posterior: expected one of the same basis, got another")
        other = copy(self)
        for name in ("_sums", "_e0"):
            vars(other).pop(name, None)
        other.posterior = posterior
        return other

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
        return [
            self._deviation(structure, sites)
            for structure, sites in zip(structures, self._sites.values(structures), strict=True)
        ]

    def compute(
        self, structures: Sequence[Structure], tau: float | Sequence[float]
    ) -> list[BiasedEnergy]:
        """E - τσ with forces and virial, for little more than plain forces.

        Args:
            structures: atoms and cells.
            tau: τ, one for all structures or one for each; 0 is the model itself, a negative one
                keeps away from what is unknown.

        Returns:
            One result a structure; those that cannot be evaluated say why.

        Raises:
            InputError: τ is not finite, or there are not as many as structures.
        """
        taus = np.asarray(tau, dtype=float)
        if not np.isfinite(taus).all() or taus.shape not in ((), (len(structures),)):
            raise InputError(
                f"tau: expected a finite number, or one for each of {len(structures)} structures, "
                f"got {tau}"
            )
        weights = np.ones((len(structures), 2))
        weights[:, 1] = -taus
        found = self._sites.deviating_sums(structures, self._sums, weights)
        alone = [float(self._e0[s.numbers].sum()) for s in structures]
        return [
            BiasedEnergy(one.product + e0, one.sigma, t, one.forces, one.virial, one.error)
            for one, e0, t in zip(found, alone, (-weights[:, 1]).tolist(), strict=True)
        ]

    def spread(self, structures: Sequence[Structure]) -> list[EnergySpread]:
        """σ of total energies and its derivatives alone; as `Potential.spread`, but exact.

        Where σ is 0 its derivatives, which do not exist there, are zero.

        Args:
            structures: atoms and cells.

        Returns:
            One spread a structure; those that cannot be evaluated say why.
        """
        weights = np.tile([0.0, 1.0], (len(structures), 1))
        found = self._sites.deviating_sums(structures, self._sums, weights)
        return [EnergySpread(one.sigma, one.forces, one.virial, one.error) for one in found]

    def moments(self, structures: Sequence[Structure]) -> list[tuple[Floats, Floats, Floats]]:
        """Forces, the gradient of σ and the deviations of forces, from one set of design rows.

        Args:
            structures: atoms and cells.

        Returns:
            For each structure F in eV/Å, dσ/dr in eV/Å and the standard deviation of every force
            component in eV/Å, each flat, of shape (3n,).

        Raises:
            InputError: a structure that cannot be evaluated.
        """
        return [self._moments(self.design.of(s, ("energy", "forces"))) for s in structures]

    def _moments(self, rows: Floats) -> tuple[Floats, Floats, Floats]:
        """The same from the row of the energy and those of the forces, shape (1 + 3n, K)."""
        _, slope = self._seen(rows[0])
        forces = rows[1:]
        triangle = self._sums.triangle
        if triangle is None:
            spread = self.posterior.deviation(forces)
        else:
            spread = np.linalg.norm(blas.dtrmm(1.0, triangle, forces.T), axis=0)  # R aᵀ, [k, row]
        return forces @ self.posterior.mean, -(forces @ slope), spread

    def deviations(
        self, structures: Sequence[Structure], observables: Sequence[str] | None = None
    ) -> list[dict[str, Floats]]:
        """Standard deviations of energies, forces, virials and what else can be fitted.

        Each is σ = |Fᵀa| with a its design row, so this costs design rows and K² multiplications
        for each number.

        Args:
            structures: atoms and cells.
            observables: names; None: all that every structure has.

        Returns:
            For each structure σ by name of the observable, flat, in the order of its rows: energy
            (1,) in eV, forces (3n,) in eV/Å, atom by atom, virial (6,) in eV, xx yy zz yz xz xy.

        Raises:
            InputError: an unknown observable, or a structure that cannot be evaluated.
        """
        universal = [name for name, one in Observable.known.items() if one.universal]
        names = universal if observables is None else list(observables)
        wanted = [Observable.named(name, "observables") for name in names]
        return [
            {one.name: self.posterior.deviation(one.rows(s, self.design)) for one in wanted}
            for s in structures
        ]

    # -------------------------------------------------------------- steps

    @cached_property
    def _sums(self) -> DeviatingSums:
        """The coefficients, c ~ N(c̄, F Fᵀ), as the evaluator takes them."""
        return DeviatingSums(self.posterior.mean, self.posterior.factor)

    @cached_property
    def _e0(self) -> Floats:
        """Energies of isolated atoms by atomic number; nan of elements that there are not."""
        model = self.posterior.model
        found = np.full(len(SYMBOLS), np.nan)
        found[list(model.numbers)] = model.e0
        return found

    def _seen(self, sums: Floats) -> tuple[float, Floats]:
        """σ and dσ/db = F Fᵀb/σ for one sum b of shape (K,); 0 where σ is."""
        triangle, factor = self._sums.triangle, self.posterior.factor
        seen = sums @ factor if triangle is None else blas.dtrmv(triangle, sums)  # Fᵀb or R b
        sigma = float(np.linalg.norm(seen))
        if not sigma > 0:
            return sigma, np.zeros(len(factor))
        slope = factor @ seen if triangle is None else blas.dtrmv(triangle, seen, trans=1)
        return sigma, slope / sigma

    def _deviation(self, structure: Structure, sites: Sites) -> EnergyDeviation:
        """Of one structure from the values of its functions."""
        if sites.error is not None:
            return EnergyDeviation(np.full(len(structure), np.nan), np.nan, sites.error)
        values = sites.values[0][..., 0]  # [i, k]
        energies = self._e0[structure.numbers] + values @ self.posterior.mean
        return EnergyDeviation(energies, self._seen(values.sum(axis=0))[0])
