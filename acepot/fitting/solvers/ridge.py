"""Ridge regression by singular values: another damping or other targets cost next to nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Scaled, State, condition, same_rows
from acepot.fitting.solvers.crossvalidation import CrossValidation
from acepot.fitting.solvers.rank import Spectrum

__all__ = ["Ridge", "damped"]


@dataclass(frozen=True)
class Ridge(Scaled, kind="ridge"):
    """Minimise |A c - y|² + damping² |γ c|² by the singular values of A γ⁻¹.

    Args:
        damping: √λ that multiplies the prior's γ; None: chosen by generalised cross-validation.
    """

    damping: float | None = None

    def check(self) -> None:
        """It must be positive."""
        if self.damping is not None:
            at_least("damping", self.damping, above=True)

    def prepare(self, problem: Problem) -> State:
        """The singular values."""
        spectrum = Spectrum.plain(problem.triangle, np.ones(problem.columns))
        return _State(self.damping, problem, spectrum)


@dataclass(frozen=True, eq=False)
class _State:
    damping: float | None
    problem: Problem
    spectrum: Spectrum

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`."""
        problem = same_rows(self.problem, other)
        stated = self.damping if damping is None else damping
        if stated is not None:
            at_least("damping", stated, above=True)
            return damped(self.spectrum, problem, stated)
        left, singular = self.spectrum.reduced
        score = CrossValidation.of(left, singular, problem.targets, problem.outside, problem.rows)
        found, least = score.minimise()
        solution = damped(self.spectrum, problem, found)
        rule, effective = "generalised cross-validation", solution.report["effective parameters"]
        return replace(
            solution,
            report={**solution.report, "damping chosen by": rule, "least score": least},
            curve=score.curve(found),
            line=f"ridge: damping {found:.2g} by {rule}, {effective:.0f} of {problem.columns} "
            "effective parameters",
        )


def damped(spectrum: Spectrum, problem: Problem, damping: float) -> Solution:
    """The minimum of |X c - y|² + damping² |c|², c = V s/(s² + damping²) Uᵀy.

    Args:
        spectrum: X = U S Vᵀ.
        problem: X and y.
        damping: above 0.
    """
    singular, right = spectrum.singular, spectrum.right
    projected = spectrum.left.T[: len(singular)] @ problem.targets  # [r]
    width = np.full(problem.columns, damping**2)  # [K]: s² + damping²
    width[: len(singular)] += singular**2
    kept = singular**2 / width[: len(singular)]
    coefficients = right.T[:, : len(singular)] @ (singular / width[: len(singular)] * projected)
    effective, residual = float(kept.sum()), problem.residual(coefficients)
    rest = problem.targets - spectrum.left[:, : len(singular)] @ (kept * projected)
    freedom, factor, noise = problem.rows - effective, None, 0.0
    if freedom > 1e-8 * problem.rows:
        noise = residual / freedom
        factor = math.sqrt(noise) * right.T / np.sqrt(width)
    return Solution(
        coefficients=coefficients,
        factor=factor,
        noise=noise,
        claimed=float(rest @ rest) + problem.outside,
        report=_report(problem, damping, singular, effective, residual),
    )


def _report(
    problem: Problem, damping: float, singular: Floats, effective: float, residual: float
) -> dict[str, float | str]:
    return {
        "solver": "ridge",
        "damping": damping,
        "rows": problem.rows,
        "functions": problem.columns,
        "effective parameters": effective,
        "condition number": condition(singular),
        "residual": residual,
    }
