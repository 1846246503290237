"""Least squares by a rank-revealing QR: a subset of the functions, in the order of the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Scaled, State, condition, same_rows
from acepot.fitting.solvers.qr import QR
from acepot.fitting.solvers.truncation import Truncation

__all__ = ["RRQR"]


@dataclass(frozen=True)
class RRQR(Scaled, kind="rrqr"):
    """Least squares with the columns of the largest pivots of A γ⁻¹; all others have c = 0.

    In each step the column is taken whose part outside the span of those before it is longest,
    so the prior decides the order: functions that it penalises come last.

    Args:
        tolerance: pivots below this part of the largest are dropped; None: how many are kept is
            chosen by generalised cross-validation.
    """

    tolerance: float | None = None

    def check(self) -> None:
        """It is a part."""
        if self.tolerance is not None:
            at_least("tolerance", self.tolerance, most=1.0)

    def prepare(self, problem: Problem) -> State:
        """The decomposition with column pivoting."""
        orthogonal, triangle, order = qr(problem.triangle, mode="economic", pivoting=True)
        return _State(self.tolerance, problem, orthogonal, triangle, order)


@dataclass(frozen=True, eq=False)
class _State:
    tolerance: float | None
    problem: Problem
    orthogonal: Floats
    triangle: Floats
    order: NDArray[np.intp]

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`; with a damping all functions count."""
        problem = same_rows(self.problem, other)
        if damping is not None:
            return QR(damping).factorise(problem, np.ones(problem.columns)).solve()
        pivots = np.abs(np.diag(self.triangle))
        projected = self.orthogonal.T @ problem.targets
        chosen = Truncation(pivots, projected, problem, self.tolerance)
        rank = chosen.kept
        triangle, kept = self.triangle[:rank, :rank], self.order[:rank]
        coefficients = np.zeros(problem.columns)
        coefficients[kept] = solve_triangular(triangle, projected[:rank])
        rest = problem.targets - self.orthogonal[:, :rank] @ projected[:rank]
        residual, freedom = problem.residual(coefficients), problem.rows - rank
        noise, factor = 0.0, None
        if freedom:
            noise = residual / freedom
            factor = np.zeros((problem.columns, rank))
            factor[kept] = math.sqrt(noise) * solve_triangular(triangle, np.eye(rank))
        return Solution(
            coefficients=coefficients,
            factor=factor,
            noise=noise,
            claimed=float(rest @ rest) + problem.outside,
            report={
                "solver": "rrqr",
                "rows": problem.rows,
                "functions": problem.columns,
                "rank": rank,
                "effective parameters": rank,
                "condition number": condition(np.linalg.svd(triangle, compute_uv=False)),
                "residual": residual,
                **chosen.report,
            },
            line=f"rrqr: {chosen.line}" if chosen.line else "",
            curve=chosen.curve,
        )
