"""LSQR: products with the triangle instead of a decomposition, and a rule when to stop.

Golub–Kahan steps (Paige and Saunders, ACM Trans. Math. Softw. 8, 43, 1982), orthogonal to each
other in full, on X = A γ⁻¹ above damping · 1 with columns scaled to length 1. With d the damping,
f(c) = |X c - y|² + d² |c|², its minimum c*, and g = d² c - Xᵀ(y - X c) at c,

    (c - c*)ᵀ (XᵀX + d²) (c - c*) = gᵀ (XᵀX + d²)⁻¹ g <= |g|²/d²,

and ve (XᵀX + d²)⁻¹ is the posterior covariance. So |g| <= tolerance · d √ve means: the
coefficients, and whatever is predicted with them, are off by less than `tolerance` posterior
standard deviations, in every direction. No bound on |g| alone says that, whatever it is relative
to. When the steps span all there is, the solution is exact but for rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Scaled, State, condition, same_rows
from acepot.fitting.solvers.crossvalidation import CrossValidation
from acepot.fitting.solvers.rank import Spectrum
from acepot.fitting.solvers.sparse import augmented

__all__ = ["LSQR"]

#: Steps before the rule is looked at first, and the growth of their number until the next look.
_FIRST, _GROWTH = 8, 1.2
#: A step shorter than this part of the first is rounding: the span is complete.
_COMPLETE = 1e-14
#: Standard deviations by which coefficients may be off.
_TOLERANCE = 0.01
_RULE = "generalised cross-validation"


@dataclass(frozen=True)
class LSQR(Scaled, kind="lsqr"):
    """Minimise |A c - y|² + damping² |γ c|² by LSQR with scaled columns.

    Args:
        damping: √λ that multiplies the prior's γ; None: chosen by generalised cross-validation.
        tolerance: posterior standard deviations by which coefficients may be off; None: 0.01.
    """

    damping: float | None = None
    tolerance: float | None = None

    def check(self) -> None:
        """Both must be positive."""
        for name in ("damping", "tolerance"):
            if (value := getattr(self, name)) is not None:
                at_least(name, value, above=True)

    def prepare(self, problem: Problem) -> State:
        """The steps depend on the targets."""
        return _State(self, problem)


@dataclass(frozen=True, eq=False)
class _State:
    solver: LSQR
    problem: Problem

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`."""
        problem = same_rows(self.problem, other)
        stated = self.solver.damping if damping is None else damping
        if stated is not None:
            at_least("damping", stated, above=True)
            return self._solved(problem, stated)
        ones = np.ones(problem.columns)
        left, singular = Spectrum.plain(problem.triangle, ones).reduced
        score = CrossValidation.of(left, singular, problem.targets, problem.outside, problem.rows)
        found, least = score.minimise()
        solution = self._solved(problem, found)
        report = {**solution.report, "damping chosen by": _RULE, "least score": least}
        line = f"{solution.line} by {_RULE}"
        return replace(solution, report=report, line=line, curve=score.curve(found))

    def _solved(self, problem: Problem, damping: float) -> Solution:
        """Steps until the coefficients are as good as they are to be."""
        system = augmented(problem, damping)
        scale = 1 / np.linalg.norm(system.triangle, axis=0)
        steps, look = _Steps(system.triangle * scale, system.targets), _FIRST
        tolerance = self.solver.tolerance or _TOLERANCE
        while True:
            complete = not steps.grow()
            if not complete and steps.count < look:
                continue
            look = math.ceil(steps.count * _GROWTH)
            c = scale * steps.least_squares()
            left = problem.targets - problem.triangle @ c
            slope = float(np.linalg.norm(damping**2 * c - left @ problem.triangle))
            noise = problem.residual(c) / problem.rows
            off = slope / (damping * math.sqrt(noise)) if noise > 0 else math.inf
            if complete or off <= tolerance:
                return _solution(problem, damping, c, system.triangle, steps.count, off)


class _Steps:
    """X V = U B with orthonormal U and V, B lower bidiagonal, and |y| U[:, 0] = y.

    Args:
        columns: X, shape (n, K).
        targets: y, shape (n,).
    """

    def __init__(self, columns: Floats, targets: Floats) -> None:
        self._columns = columns
        most = min(columns.shape)
        self._left = np.zeros((len(targets), most + 1), order="F")
        self._right = np.zeros((columns.shape[1], most), order="F")
        self._bidiagonal = np.zeros((most + 1, most))
        self.count = 0
        self.length = float(np.linalg.norm(targets))
        if self.length > 0:
            self._left[:, 0] = targets / self.length

    @property
    def span(self) -> Floats:
        """V, shape (K, count)."""
        return self._right[:, : self.count]

    @property
    def bidiagonal(self) -> Floats:
        """B, shape (count + 1, count)."""
        return self._bidiagonal[: self.count + 1, : self.count]

    def grow(self) -> bool:
        """One step more; whether there may be another."""
        k, most = self.count, self._right.shape[1]
        if k == most:
            return False
        alpha, self._right[:, k] = _next(self._left[:, k] @ self._columns, self.span)
        if not alpha > _COMPLETE * self._bidiagonal[0, 0]:
            return False
        rest = self._columns @ self._right[:, k] - alpha * self._left[:, k]
        beta, self._left[:, k + 1] = _next(rest, self._left[:, : k + 1])
        self._bidiagonal[k, k], self._bidiagonal[k + 1, k] = alpha, beta
        self.count = k + 1
        return bool(beta > _COMPLETE * self._bidiagonal[0, 0]) and self.count < most

    def least_squares(self) -> Floats:
        """The minimum of |X c - y|² in the span, shape (K,)."""
        right = np.zeros(self.count + 1)
        right[0] = self.length
        return np.asarray(self.span @ np.linalg.lstsq(self.bidiagonal, right, rcond=None)[0])


def _next(vector: Floats, others: Floats) -> tuple[float, Floats]:
    """Length and direction of what a vector has outside the span of orthonormal ones."""
    for _ in range(2):
        vector = vector - others @ (vector @ others)
    length = float(np.linalg.norm(vector))
    return length, vector / length if length > 0 else vector


def _solution(
    problem: Problem, damping: float, coefficients: Floats, triangle: Floats, steps: int, off: float
) -> Solution:
    """The coefficients, and how well they are known by the triangle of the damped rows."""
    inverse = solve_triangular(triangle, np.eye(problem.columns))
    effective = float(((problem.triangle @ inverse) ** 2).sum())
    residual = problem.residual(coefficients)
    freedom, noise, factor = problem.rows - effective, 0.0, None
    if freedom > 1e-8 * problem.rows:
        noise = residual / freedom
        factor = math.sqrt(noise) * inverse
    return Solution(
        coefficients=coefficients,
        factor=factor,
        noise=noise,
        report={
            "solver": "lsqr",
            "damping": damping,
            "rows": problem.rows,
            "functions": problem.columns,
            "steps": steps,
            "effective parameters": effective,
            "condition number": condition(np.linalg.svd(triangle, compute_uv=False)),
            "residual": residual,
            "off by standard deviations": off,
        },
        line=f"lsqr: {steps} steps for {problem.columns} functions, damping {damping:.2g}",
    )
