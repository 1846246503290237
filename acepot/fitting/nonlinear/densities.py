"""The least-squares problem of E_i = Σ_p w_p F_p(ρ_ip), ρ_ip = Σ_k c_pk B_ik, by site verbs.

Energies and forces are values and a pullback of the functions; products with the Jacobian are

    J δ:   δE = Σ_i F' δρ_i,   δf = pullback of F'' δρ_ip c_pk + F' δc_pk
    Jᵀ u:  Σ_i [(u_E F' - F'' Dρ_ip) B_ik - F' D B_ik],   D = Σ_a u_a ∂/∂r_a + u_W : ∂/∂ε

so that no derivative by a coefficient and a position is ever stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import Embedding, curvature, embed
from acepot.basis.species import species_indices
from acepot.evaluate.protocol import SiteEvaluator, require
from acepot.fitting.observables import Observable
from acepot.fitting.recipe import Recipe
from acepot.structure import Structure
from acepot.voigt import from_voigt, to_voigt

__all__ = ["Densities", "Labelled", "State", "labelled"]

Floats = NDArray[np.float64]
#: Atoms that are handled together, and bytes of values of functions that are kept.
_TOGETHER, _KEPT = 2048, 2e9


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels of one structure and their weights, 0 where there is none.

    Args:
        structure: atoms and cell.
        energy: less E0, in eV.
        forces: in eV/Å, shape (n, 3).
        virial: in eV, in Voigt's order, shape (6,).
        weights: of the energy, of each force component and of each virial component.
    """

    structure: Structure
    energy: float
    forces: Floats
    virial: Floats
    weights: tuple[float, float, float]

    @property
    def numbers(self) -> int:
        """How many there are: of residuals."""
        return 7 + 3 * len(self.structure)


def labelled(structure: Structure, recipe: Recipe, e0: Floats, numbers: Sequence[int]) -> Labelled:
    """What is fitted of a structure.

    Args:
        structure: with labels.
        recipe: which of energy, forces and virial, and their weights.
        e0: by species, in eV.
        numbers: atomic numbers of the species.
    """
    own = float(e0[species_indices(tuple(numbers), structure.numbers)].sum())
    weights, n = recipe.weights_of(structure), len(structure)
    label = {"energy": np.zeros(1), "forces": np.zeros(3 * n), "virial": np.zeros(6)}
    factor = dict.fromkeys(label, 0.0)
    for one in Observable.among(recipe.observables):
        if (given := one.label(structure, own)) is not None:
            label[one.name], factor[one.name] = given, one.factor(weights.of(one), n)
    return Labelled(
        structure,
        float(label["energy"][0]),
        label["forces"].reshape(n, 3),
        label["virial"],
        (factor["energy"], factor["forces"], factor["virial"]),
    )


@dataclass(frozen=True, eq=False)
class State:
    """Everything at some coefficients.

    Args:
        coefficients: shape (P, K).
        slopes: w_p F_p' of every site of every batch, shapes (n, P).
        curvatures: w_p F_p'', likewise.
        residuals: weighted, shape (m,).
    """

    coefficients: Floats
    slopes: tuple[Floats, ...]
    curvatures: tuple[Floats, ...]
    residuals: Floats


class Densities:
    """Residuals of energies, forces and virials, and products with their Jacobian.

    Args:
        evaluator: of the basis functions.
        training: what is fitted.
        embeddings: one for each species.
        restraint: rows and targets of density 1, weighted, shapes (m, K) and (m,).
        kept: bytes of values of functions that may be kept; those of further structures are made
            again each time.
    """

    def __init__(
        self,
        evaluator: SiteEvaluator,
        training: Sequence[Labelled],
        embeddings: Sequence[Embedding],
        restraint: tuple[Floats, Floats] | None = None,
        kept: float = _KEPT,
    ) -> None:
        self._evaluator, self._embeddings = evaluator, tuple(embeddings)
        self._numbers = tuple(evaluator.tables.numbers.tolist())
        self.functions = evaluator.tables.functions
        self.densities = max(len(one.weights) for one in embeddings)
        none = np.zeros((0, self.functions)), np.zeros(0)
        self._rows, self._targets = none if restraint is None else restraint
        self.batches = tuple(_batches(training))
        self._kept = int(kept)
        self._values: dict[int, Floats] = {}

    def at(self, coefficients: Floats) -> State | None:
        """As `Products`."""
        c = coefficients.reshape(self.densities, self.functions)
        slopes, curvatures, residuals = [], [], []
        with np.errstate(over="ignore", invalid="ignore"):
            for number, batch in enumerate(self.batches):
                values = self.values(number)
                energies, slope, second = self._embedded(batch, values @ c.T)
                if not all(np.isfinite(a).all() for a in (energies, slope, second)):
                    return None
                adjoint = slope @ c
                residuals.append(self._weighted(batch, energies, adjoint, less_labels=True))
                slopes.append(slope)
                curvatures.append(second)
        together = np.concatenate([*residuals, self._rows @ c[0] - self._targets])
        if not np.isfinite(together).all():
            return None
        return State(c, tuple(slopes), tuple(curvatures), together)

    def residuals(self, state: State) -> Floats:
        """As `Products`."""
        return state.residuals

    def times(self, state: State, direction: Floats) -> Floats:
        """As `Products`."""
        change, made = direction.reshape(self.densities, self.functions), []
        for number, batch in enumerate(self.batches):
            slope, second = state.slopes[number], state.curvatures[number]
            rho = self.values(number) @ change.T  # δρ, [site, density]
            adjoint = (second * rho) @ state.coefficients + slope @ change
            made.append(self._weighted(batch, (slope * rho).sum(axis=1), adjoint))
        return np.concatenate([*made, self._rows @ change[0]])

    def transposed(self, state: State, weights: Floats) -> Floats:
        """As `Products`."""
        total, start = np.zeros((self.densities, self.functions)), 0
        for number, batch in enumerate(self.batches):
            count = sum(one.numbers for one in batch)
            energy, u, strains = _split(batch, weights[start : start + count])
            start += count
            found = self._evaluator.jvp([one.structure for one in batch], u, strains)
            along = np.concatenate([sites.values[0][..., 0] for sites in require(found)])
            slope, second = state.slopes[number], state.curvatures[number]
            mine = energy[:, None] * slope - second * (along @ state.coefficients.T)
            total += mine.T @ self.values(number) - slope.T @ along
        total[0] += weights[start:] @ self._rows
        return total.ravel()

    def values(self, number: int) -> Floats:
        """B_ik of the sites of a batch, shape (n, K)."""
        if (kept := self._values.get(number)) is not None:
            return kept
        found = self._evaluator.values([one.structure for one in self.batches[number]])
        values = np.concatenate([sites.values[0][..., 0] for sites in require(found)])
        if sum(a.nbytes for a in self._values.values()) + values.nbytes <= self._kept:
            self._values[number] = values
        return values

    def _embedded(self, batch: Sequence[Labelled], rho: Floats) -> tuple[Floats, Floats, Floats]:
        """Energies of the sites, shape (n,), and w F' and w F'', shape (n, P)."""
        species = species_indices(
            self._numbers, np.concatenate([one.structure.numbers for one in batch])
        )
        energies, slope, second = np.zeros(len(rho)), np.zeros_like(rho), np.zeros_like(rho)
        for s, one in enumerate(self._embeddings):
            rows, shifted = species == s, one.kind == "FinnisSinclairShiftedScaled"
            for p, (w, m) in enumerate(zip(one.weights, one.exponents, strict=True)):
                value, first = embed(shifted, m, rho[rows, p])
                energies[rows] += w * value
                slope[rows, p] = w * first
                second[rows, p] = w * curvature(shifted, m, rho[rows, p])
        return energies, slope, second

    def _weighted(
        self,
        batch: Sequence[Labelled],
        energies: Floats,
        adjoint: Floats,
        less_labels: bool = False,
    ) -> Floats:
        """Weighted energies of sites, and forces and virials of adjoints of the functions."""
        ends = np.cumsum([len(one.structure) for one in batch])
        adjoints = [(a[:, :, None],) for a in np.split(adjoint, ends[:-1])]
        pulled = require(self._evaluator.pullback([one.structure for one in batch], adjoints))
        made = []
        for one, part, found in zip(batch, np.split(energies, ends[:-1]), pulled, strict=True):
            energy, forces, virial = part.sum(), found.forces, to_voigt(found.virial)
            if less_labels:
                energy = energy - one.energy
                forces, virial = forces - one.forces, virial - one.virial
            w = one.weights
            made += [np.array([w[0] * energy]), w[1] * forces.ravel(), w[2] * virial]
        return np.concatenate(made)


def _split(batch: Sequence[Labelled], weights: Floats) -> tuple[Floats, list[Floats], list[Floats]]:
    """Weighted residuals: of energies, for every site; of forces; of virials, as strains."""
    energies, forces, strains, start = [], [], [], 0
    halved = from_voigt(np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5]))  # each shear stands twice
    for one in batch:
        u, start = weights[start : start + one.numbers], start + one.numbers
        n, w = len(one.structure), one.weights
        energies.append(np.full(n, w[0] * u[0]))
        forces.append(w[1] * u[1:-6].reshape(n, 3))
        strains.append(w[2] * halved * from_voigt(u[-6:]))
    return np.concatenate(energies), forces, strains


def _batches(training: Sequence[Labelled]) -> Iterator[tuple[Labelled, ...]]:
    """Structures in their order, about so many atoms together."""
    batch: list[Labelled] = []
    atoms = 0
    for one in training:
        if batch and atoms + len(one.structure) > _TOGETHER:
            yield tuple(batch)
            batch, atoms = [], 0
        batch.append(one)
        atoms += len(one.structure)
    if batch:
        yield tuple(batch)
