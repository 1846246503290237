"""Least squares by the largest singular values alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Scaled, State, condition, same_rows
from acepot.fitting.solvers.rank import Spectrum
from acepot.fitting.solvers.ridge import damped
from acepot.fitting.solvers.truncation import Truncation

__all__ = ["TruncatedSVD"]


@dataclass(frozen=True)
class TruncatedSVD(Scaled, kind="svd"):
    """Least squares in the span of the largest singular values of A γ⁻¹, of least |γ c|.

    Args:
        tolerance: singular values below this part of the largest are dropped; None: how many are
            kept is chosen by generalised cross-validation.
    """

    tolerance: float | None = None

    def check(self) -> None:
        """It is a part."""
        if self.tolerance is not None:
            at_least("tolerance", self.tolerance, most=1.0)

    def prepare(self, problem: Problem) -> State:
        """The singular values."""
        spectrum = Spectrum.plain(problem.triangle, np.ones(problem.columns))
        return _State(self.tolerance, problem, spectrum)


@dataclass(frozen=True, eq=False)
class _State:
    tolerance: float | None
    problem: Problem
    spectrum: Spectrum

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`; with a damping all singular values count."""
        problem = same_rows(self.problem, other)
        if damping is not None:
            at_least("damping", damping, above=True)
            return damped(self.spectrum, problem, damping)
        left, singular, right = self.spectrum.left, self.spectrum.singular, self.spectrum.right
        projected = left.T[: len(singular)] @ problem.targets
        chosen = Truncation(singular, projected, problem, self.tolerance)
        rank = chosen.kept
        inverse = right[:rank].T / singular[:rank]  # [K, rank]
        coefficients = inverse @ projected[:rank]
        rest = problem.targets - left[:, :rank] @ projected[:rank]
        residual, freedom = problem.residual(coefficients), problem.rows - rank
        noise = residual / freedom if freedom else 0.0
        return Solution(
            coefficients=coefficients,
            factor=math.sqrt(noise) * inverse if freedom else None,
            noise=noise,
            claimed=float(rest @ rest) + problem.outside,
            report={
                "solver": "svd",
                "rows": problem.rows,
                "functions": problem.columns,
                "rank": rank,
                "effective parameters": rank,
                "condition number": condition(singular),
                "residual": residual,
                **chosen.report,
            },
            line=f"svd: {chosen.line}" if chosen.line else "",
            curve=chosen.curve,
        )
