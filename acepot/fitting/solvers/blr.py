"""Bayesian linear regression: posterior mean at the variances of maximum evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from acepot.errors import InputError
from acepot.fitting.bounds import SMALLEST, at_least
from acepot.fitting.partition import Division
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Solver, State, condition, same_rows
from acepot.fitting.solvers.evidence import ROUNDED, Evidence
from acepot.fitting.solvers.noise import SeparateNoise
from acepot.fitting.solvers.rank import ROUNDING, Spectrum, dependent
from acepot.schema import LATER

__all__ = ["BLR", "floor_of"]

#: Root mean square of weighted targets below which floors are relative to it.
_TINY = 1e-2
#: Part of the sum of squares that is left which rounding may have in it.
_HARMLESS = 1e-6
#: Rounding of singular values, in units of what the prior adds to them, that is corrected.
_COARSE = 1e-9


@dataclass(frozen=True)
class BLR(Solver, kind="blr"):
    """Bayesian linear regression by maximum evidence.

    Args:
        floor: smallest standard deviation of noise and prior; of weighted targets whose root
            mean square is below 0.01, in units of that.
        noise: one level for all weighted rows, or one for each observable.
    """

    floor: float = 1e-4
    noise: Literal["common", "separate"] = field(default="common", metadata=LATER)
    former = frozenset({"damping", "tolerance"})

    def check(self) -> None:
        """Both variances must be positive and may be squared."""
        at_least("floor", self.floor, above=True)
        at_least("floor", self.floor, SMALLEST)

    @property
    def division(self) -> Division:
        """By observable, where each has its own level."""
        return Division(by_observable=self.noise == "separate")

    def factorise(self, problem: Problem, gamma: Floats) -> State:
        """Singular values of R γ⁻¹."""
        if self.noise == "separate":
            least = floor_of(self.floor, problem) ** 2
            return SeparateNoise(BLR(self.floor), problem, gamma, least)
        plain = Spectrum.plain(problem.triangle, gamma)
        if plain.singular[0] == 0:
            raise InputError(
                f"all {problem.columns} functions are zero in every row; check the data"
            )
        return _State(problem, gamma, self.floor, plain, dependent(problem.triangle))


@dataclass(frozen=True, eq=False)
class _State:
    """X = A P⁻¹ = U S Vᵀ with P = diag γ, and c = P⁻¹ c̃.

    c̃ = V vc s p/(vc s² + ve) with p = Uᵀy, and its covariance is V (s²/ve + 1/vc)⁻¹ Vᵀ, with
    variance vc in the complement of the row space. The reported condition number is that of X.
    A damping √λ is the ratio λ = ve/vc; the scale of both is then that of largest evidence.

    Usually the prior is so strong that directions which are all rounding have no component in c.
    Where it is not, they are made harmless (`Spectrum.without_rounding`): no component, and a
    variance below that of the prior. Equal columns share c evenly, by γ, in any case, and their
    differences, whose variance is about the prior's, predict nothing.
    """

    problem: Problem
    gamma: Floats
    floor: float
    plain: Spectrum
    dependent: int

    @cached_property
    def careful(self) -> Spectrum:
        """The spectrum in which rounding has no part."""
        return Spectrum.without_rounding(self.problem.triangle, self.gamma)

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`."""
        problem = same_rows(self.problem, other)
        solution = self._solved(problem, self.plain, damping)
        if (self.dependent or not self.plain.resolved) and self._rounds(problem, solution):
            return self._solved(problem, self.careful, damping)
        return solution

    def _rounds(self, problem: Problem, solution: Solution) -> bool:
        """Whether the error of the columns matters beside what the coefficients leave."""
        lengths = np.linalg.norm(problem.triangle, axis=0) * solution.coefficients
        error = ROUNDING**2 * float(lengths @ lengths)
        return error > _HARMLESS * problem.residual(solution.coefficients)

    def _correction(
        self, problem: Problem, coefficients: Floats, root: Floats, noise: float, prior: float
    ) -> Floats:
        """A step of Newton's method from coefficients that the decomposition gives.

        Singular values are off by rounding of the largest: with it coefficients of copper are off
        by 1.5e-5 of their standard deviation, after a step by 1e-8, as the triangle itself is.

        Args:
            problem: the rows.
            coefficients: shape (K,).
            root: rows whose sum of squares is the covariance of γ c, shape (K, K).
            noise: variance of the error of a row.
            prior: variance of γ c beforehand.
        """
        left = problem.targets - problem.triangle @ coefficients
        slope = (left @ problem.triangle) / self.gamma / noise
        slope -= self.gamma * coefficients / prior
        return (root @ slope) @ root / self.gamma

    def _solved(self, problem: Problem, spectrum: Spectrum, damping: float | None) -> Solution:
        """The solution by a decomposition."""
        left, singular, right = spectrum.left, spectrum.singular, spectrum.right
        projected = left.T @ problem.targets  # [r]
        outside = problem.outside
        if not spectrum.whole:
            whole = float(problem.targets @ problem.targets)
            outside += max(whole - float(projected @ projected), 0.0)
        evidence = Evidence(singular**2, projected**2, outside, problem.rows)
        floor = floor_of(self.floor, problem)
        if damping is None:
            prior, noise, calls = evidence.maximise(floor)
        else:
            at_least("damping", damping, above=True)
            (prior, noise), calls = evidence.best_for(damping**-2, floor), 0

        fraction = prior * singular**2 / (prior * singular**2 + noise)
        shrunk = prior * singular * projected / (prior * singular**2 + noise)  # [r]
        coefficients = shrunk @ right[: len(singular)] / self.gamma
        precision = np.full(problem.columns, 1 / prior)
        precision[: len(singular)] += singular**2 / noise
        rounding = float(np.finfo(float).eps) * singular[0]
        if spectrum.whole and rounding > _COARSE * math.sqrt(noise / prior):
            coefficients += self._correction(
                problem, coefficients, right / np.sqrt(precision)[:, None], noise, prior
            )
        floors = [
            name for name, v in (("prior", prior), ("noise", noise)) if v <= floor**2 * ROUNDED
        ]
        rest = problem.targets - left @ (fraction * projected)
        return Solution(
            coefficients=coefficients,
            factor=right.T / np.sqrt(precision) / self.gamma[:, None],
            noise=noise,
            prior_variance=prior,
            log_evidence=evidence.value(prior, noise),
            claimed=float(rest @ rest) + problem.outside,
            curve=evidence.curve(prior / noise, floor) if damping is None else {},
            report={
                "solver": "blr",
                "rows": problem.rows,
                "functions": problem.columns,
                "effective parameters": float(np.sum(fraction)),
                "condition number": condition(singular),
                "residual": problem.residual(coefficients),
                "below round-off": self.dependent,
                "iterations": calls,
                "at floor": " and ".join(floors) or "none",
            },
        )


def floor_of(floor: float, problem: Problem) -> float:
    """The floor of some targets: an absolute one would swallow tiny targets whole."""
    square = (float(problem.targets @ problem.targets) + problem.outside) / problem.rows
    return floor * (math.sqrt(square) if 0 < square < _TINY**2 else 1.0)
