"""From the solution of a linear fit to the nonlinear model that begins there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from acepot.basis.embedding import Embedding
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.fitting.holdout import mingled
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.newton_cg import Descent, Ended, descend
from acepot.fitting.nonlinear.densities import Densities, Labelled, State, labelled
from acepot.fitting.problem import Accumulator, Problem
from acepot.fitting.recipe import Recipe
from acepot.fitting.restraint import applies, restraint_rows
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, solve
from acepot.lowering import lower
from acepot.neighbours import build
from acepot.structure import Structure

__all__ = ["Refinement", "refine", "reproduced"]

Floats = NDArray[np.float64]
#: What part of S is taken for its diagonal alone.
_ALIKE = 0.02
#: Sites that first densities are found from.
_SITES = 4000


@dataclass(frozen=True, eq=False)
class Refinement:
    """The coefficients of a nonlinear model, and how they were found.

    Args:
        coefficients: of every density, shape (P, K).
        descent: the last iterate.
        ended: why it is the last.
    """

    coefficients: Floats
    descent: Descent
    ended: Ended

    @property
    def report(self) -> dict[str, Any]:
        """What happened."""
        at = self.descent
        return {
            "ended": self.ended.value,
            "steps": at.iterations,
            "products with the Jacobian": at.products,
            "loss": at.loss,
            **({"held out": list(at.judged)} if at.judged else {}),
        }


def refine(
    train: Sequence[Structure],
    recipe: Recipe,
    basis: LoweredBasis,
    problem: Problem,
    solution: Solution,
    *,
    threads: int,
    start: Descent | None = None,
    watch: Callable[[Descent], bool] | None = None,
) -> Refinement:
    """Fit the densities of a nonlinear model.

    Density 1 has all functions of the basis, further ones those of order 1 and more: pair
    functions are singular at r = 0. The penalty is what evidence finds for the linear model, in
    units of what a density adds to an energy. Further densities begin as a smooth number of
    neighbours, 1 on the average, with the sign that makes a bond the weaker the more there are:
    to the other side of zero there is hardly a way down. Density 1 begins as the linear fit less
    what they add.

    Args:
        train: training structures.
        recipe: resolved, with embeddings.
        basis: its functions.
        problem: the rows of the linear fit.
        solution: of these.
        threads: structures handled at once.
        start: an iterate of an earlier call to go on from.
        watch: called after every step; true ends the loop.

    Raises:
        InputError: the energies of the first coefficients are not finite, or further densities
            have no functions.
    """
    blank = basis.blank
    evaluator = NativeEvaluator(lower(basis.blank.basis, expanded=basis.expanded), threads)
    fitted, judges = _divided(train, recipe.nonlinear.held_out)
    training, judged = (
        [labelled(s, recipe, blank.e0, blank.numbers) for s in part] for part in (fitted, judges)
    )
    restraint = None
    if recipe.restraint.weight > 0 and applies(basis.spec):
        restraint = restraint_rows(basis.spec, basis.expanded, recipe.restraint)
    densities = Densities(evaluator, training, recipe.embeddings(), restraint)
    first = np.zeros((densities.densities, densities.functions))
    free = np.ones_like(first, dtype=bool)
    free[1:] = chosen = basis.expanded.labels.order > 0
    if len(first) > 1:
        crowding = _crowding(densities, recipe, basis, chosen)
        first[1:, chosen] = _signs(recipe.embeddings())[1:, None] * crowding
    slopes = _slopes(densities, first)
    mean = slopes.mean(axis=0)
    first[0] = (solution.coefficients - mean[1:] @ first[1:]) / mean[0]
    held_out = Densities(evaluator, judged, recipe.embeddings())

    def judge(coefficients: Floats) -> float:
        state = held_out.at(coefficients)
        return np.inf if state is None else float(np.mean(state.residuals**2))

    metric = Metric.of(problem, solution, recipe, basis, slopes, free)
    found, ended = descend(
        densities,
        start or Descent(first.ravel()),
        penalty=metric.penalty,
        precondition=metric.inverse,
        metric=metric.times,
        settings=recipe.nonlinear,
        watch=watch,
        judge=judge if judged else None,
    )
    best = found.coefficients if found.best is None else found.best
    return Refinement(best.reshape(first.shape), found, ended)


def _divided(
    train: Sequence[Structure], held_out: float
) -> tuple[list[Structure], list[Structure]]:
    """Structures that are fitted, and those that only say when to end; in order."""
    order = mingled(train, seed=0)
    apart = min(math.ceil(held_out * len(order)), len(order) - 1)
    judges = set(order[:apart])
    return (
        [one for i, one in enumerate(train) if i not in judges],
        [one for i, one in enumerate(train) if i in judges],
    )


def reproduced(
    structures: Sequence[Structure], recipe: Recipe, basis: LoweredBasis, found: Refinement
) -> list[dict[str, Floats]]:
    """What a nonlinear model says, by the verbs of its fit.

    Args:
        structures: any.
        recipe: of the fit.
        basis: its functions.
        found: the coefficients.

    Returns:
        Of each structure energy (less E0), forces and virial in the order of design rows.
    """
    evaluator = NativeEvaluator(lower(basis.blank.basis, expanded=basis.expanded), 1)
    made = []
    for structure in structures:
        zero = np.zeros((len(structure), 3))
        one = Labelled(structure, 0.0, zero, np.zeros(6), (1.0, 1.0, 1.0))
        state = Densities(evaluator, [one], recipe.embeddings()).at(found.coefficients.ravel())
        if state is None:
            raise InputError(f"{structure.name}: its energy is not finite")
        energy, forces, virial = np.split(state.residuals, [1, 1 + zero.size])
        made.append({"energy": energy, "forces": forces, "virial": virial})
    return made


def _signs(embeddings: Sequence[Embedding]) -> Floats:
    """Of each density, so that w_p F_p is convex in the number of neighbours, shape (P,)."""
    signs = np.ones(max(len(one.weights) for one in embeddings))
    for one in embeddings:
        convex = [
            np.sign(w) * (1.0 if m > 1 else -1.0)
            for w, m in zip(one.weights, one.exponents, strict=True)
        ]
        signs[: len(convex)] = convex
    return signs


def _crowding(
    densities: Densities, recipe: Recipe, basis: LoweredBasis, chosen: NDArray[np.bool_]
) -> Floats:
    """Coefficients of a smooth number of neighbours, Σ_j ½ (1 + cos(π r_ij/r_cut)), mean 1.

    Args:
        densities: for values of functions, of so many sites as it takes.
        recipe: for its prior.
        basis: the functions.
        chosen: which of them may be used, shape (K,).

    Raises:
        InputError: none.
    """
    if not chosen.any():
        raise InputError(
            "embedding: further densities are made of functions of order 1 and more, which this "
            "basis does not have: expected basis.order of 1 or more"
        )
    gamma = recipe.prior.gamma(basis.expanded)[chosen]
    rows, sites, total = Accumulator(int(chosen.sum())), 0, 0.0
    cutoff, numbers = basis.tables.cutoff, basis.blank.numbers
    for number, batch in enumerate(densities.batches):
        counts = np.concatenate([_neighbours(one.structure, cutoff, numbers) for one in batch])
        rows.add(densities.values(number)[:, chosen], counts)
        sites, total = sites + len(counts), total + float(counts.sum())
        if sites >= _SITES:
            break
    if total == 0:
        raise InputError("embedding: no atom of the training structures has neighbours")
    return solve(rows.finish(), gamma, BLR()).coefficients * (sites / total)


def _neighbours(structure: Structure, cutoff: Floats, numbers: tuple[int, ...]) -> Floats:
    """How many neighbours every atom has, those near the cut-off counted less, shape (n,)."""
    edges, species = (
        build(structure, float(cutoff.max())),
        species_indices(numbers, structure.numbers),
    )
    reach = cutoff[species[edges.centre], species[edges.neighbour]]
    part = np.minimum(np.linalg.norm(edges.vector, axis=1) / np.maximum(reach, 1e-9), 1.0)
    counts = np.bincount(edges.centre, 0.5 + 0.5 * np.cos(np.pi * part), len(structure))
    return np.asarray(counts, dtype=float)


def _slopes(densities: Densities, coefficients: Floats) -> Floats:
    """w_p F_p' of all sites, shape (sites, P).

    Raises:
        InputError: they are not finite.
    """
    state: State | None = densities.at(coefficients.ravel())
    if state is None:
        raise InputError("embedding: the energies of the first coefficients are not finite")
    return np.concatenate(state.slopes)


@dataclass(frozen=True, eq=False)
class Metric:
    """M = S ⊗ RᵀR + diag(S) ⊗ λ²γ², R of the linear problem: nearly the Hessian.

    S_pq is the mean of w_p F_p' w_q F_q' over all sites. In the basis X that makes λ²γ² one and
    RᵀR diagonal, σ_k², M is a small matrix S σ_k² + diag(S) for each k.

    Args:
        axes: X, shape (K, K).
        strength: λγ, shape (K,).
        slopes: diag(S), shape (P, P).
        blocks: S σ_k² + diag(S), shape (K, P, P).
        inverses: of these.
        free: which coefficients there are, shape (P, K); M is of these alone.
    """

    axes: Floats
    strength: Floats
    slopes: Floats
    blocks: Floats
    inverses: Floats
    free: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        problem: Problem,
        solution: Solution,
        recipe: Recipe,
        basis: LoweredBasis,
        slopes: Floats,
        free: NDArray[np.bool_],
    ) -> Metric:
        """Of a linear problem, with λ² = noise/prior variance of largest evidence.

        Args:
            problem: its rows.
            solution: of whatever solver.
            recipe: for its prior.
            basis: the functions.
            slopes: w_p F_p' of all sites, shape (sites, P).
            free: which coefficients there are, shape (P, K).
        """
        gamma = recipe.prior.gamma(basis.expanded)
        if solution.prior_variance is None:
            solution = solve(problem, gamma, BLR())
        strength = np.sqrt(solution.noise / (solution.prior_variance or 1.0)) * gamma
        _, singular, right = svd(problem.triangle / strength, check_finite=False)
        squares = np.zeros(problem.columns)
        squares[: len(singular)] = singular**2
        mean = slopes.T @ slopes / len(slopes)
        # Densities that are nearly alike would make blocks singular.
        own = np.diag(np.where(np.diag(mean) > 0, np.diag(mean), 1.0))
        mean = (1 - _ALIKE) * mean + _ALIKE * own
        blocks = squares[:, None, None] * mean + own
        return cls(right.T / strength[:, None], strength, own, blocks, np.linalg.inv(blocks), free)

    @property
    def penalty(self) -> Floats:
        """γ² of every coefficient, shape (P K,)."""
        return np.outer(np.diag(self.slopes), self.strength**2).ravel()

    def times(self, vector: Floats) -> Floats:
        """M v."""
        inwards = self.axes.T * self.strength**2  # X⁻¹, as Xᵀ λ²γ² X = 1
        return self._between(inwards, self.blocks, vector)

    def inverse(self, vector: Floats) -> Floats:
        """M⁻¹ v."""
        return self._between(self.axes.T, self.inverses, vector)

    def _between(self, inwards: Floats, blocks: Floats, vector: Floats) -> Floats:
        """Into the basis X, or out of it, through blocks and back."""
        free = self.free.T  # [k, density]
        each = np.einsum("kpq,kq->kp", blocks, inwards @ (vector.reshape(free.T.shape).T * free))
        return np.asarray((inwards.T @ each * free).T.ravel())
