"""Bayesian linear regression: posterior mean at the variances of maximum evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.errors import InputError
from acepot.fitting.bounds import SMALLEST, at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Solver, condition, same_rows
from acepot.fitting.solvers.evidence import ROUNDED, Evidence

__all__ = ["BLR"]


@dataclass(frozen=True)
class BLR(Solver, kind="blr"):
    """Bayesian linear regression by maximum evidence.

    Args:
        floor: smallest standard deviation of noise and prior.
    """

    floor: float = 1e-4
    former = frozenset({"damping", "tolerance"})

    def check(self) -> None:
        """Both variances must be positive and may be squared."""
        at_least("floor", self.floor, above=True)
        at_least("floor", self.floor, SMALLEST)

    def factorise(self, problem: Problem, gamma: Floats) -> _Spectrum:
        """Singular values of R γ⁻¹."""
        left, singular, right = np.linalg.svd(problem.triangle / gamma)  # right: [K, K]
        if singular[0] == 0:
            raise InputError(
                f"all {problem.columns} functions are zero in every row; check the data"
            )
        return _Spectrum(problem, gamma, self.floor, left, singular, right)


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """X = A P⁻¹ = U S Vᵀ with P = diag γ, and c = P⁻¹ c̃.

    c̃ = V vc s p/(vc s² + ve) with p = Uᵀy, and its covariance is V (s²/ve + 1/vc)⁻¹ Vᵀ, with
    variance vc in the complement of the row space. The reported condition number is that of X;
    singular values below round-off, which are counted, say nothing about the data.
    A damping √λ is the ratio λ = ve/vc; the scale of both is then that of largest evidence.
    """

    problem: Problem
    gamma: Floats
    floor: float
    left: Floats
    singular: Floats
    right: Floats

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`."""
        problem = same_rows(self.problem, other)
        singular, right = self.singular, self.right
        projected = self.left.T @ problem.targets  # [r]
        evidence = Evidence(singular**2, projected**2, problem.outside, problem.rows)
        if damping is None:
            prior, noise, calls = evidence.maximise(self.floor)
        else:
            at_least("damping", damping, above=True)
            (prior, noise), calls = evidence.best_for(damping**-2, self.floor), 0

        fraction = prior * singular**2 / (prior * singular**2 + noise)
        shrunk = prior * singular * projected / (prior * singular**2 + noise)  # [r]
        coefficients = shrunk @ right[: len(singular)] / self.gamma
        precision = np.full(problem.columns, 1 / prior)
        precision[: len(singular)] += singular**2 / noise
        floors = [
            name for name, v in (("prior", prior), ("noise", noise)) if v <= self.floor**2 * ROUNDED
        ]
        return Solution(
            coefficients=coefficients,
            factor=right.T / np.sqrt(precision) / self.gamma[:, None],
            noise=noise,
            prior_variance=prior,
            log_evidence=evidence.value(prior, noise),
            report={
                "solver": "blr",
                "rows": problem.rows,
                "functions": problem.columns,
                "effective parameters": float(np.sum(fraction)),
                "condition number": condition(singular),
                "residual": problem.residual(coefficients),
                "below round-off": int(np.count_nonzero(singular < _round_off(singular))),
                "iterations": calls,
                "at floor": " and ".join(floors) or "none",
            },
        )


def _round_off(singular: Floats) -> float:
    """What a decomposition in double precision makes of a singular value that is zero."""
    return float(len(singular) * np.finfo(float).eps * singular[0])
