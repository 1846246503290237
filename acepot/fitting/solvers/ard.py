"""Automatic relevance determination: a variance for every coefficient, most of which become 0.

y = X c + e, e ~ N(0, ve), c_k ~ N(0, v_k); X is that of γ c. All variances are those of maximum
evidence. With M = X √(v/ve), w the minimum of |y/√ve - M w|² + |w|², and T of 1 + MᵀM = TᵀT,

    L = -½ [ N ln(2π ve) + ln det(TᵀT) + |y/√ve - M w|² + |w|² ],

whose stationary points have v_k = v_k w_k²/g_k and ve = |y - X c|²/(N - Σ g) with c = √v w and
g_k = 1 - [(1 + MᵀM)⁻¹]_kk; these are iterated (MacKay, Neural Comput. 4, 415, 1992; Tipping,
J. Mach. Learn. Res. 1, 211, 2001). Where the others stay as they are, the best v_k is 0 if and
only if w_k² <= g_k (1 - g_k) (Faul and Tipping, AISTATS 2003): such a variance is made smaller at
once, and left out when it has no effect any more. A step that lowers the evidence is replaced by
one that cannot (the geometric mean of old and new: Wipf and Nagarajan, NIPS 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from acepot.errors import ConvergenceError
from acepot.fitting.bounds import SMALLEST, at_least
from acepot.fitting.elimination import stacked
from acepot.fitting.problem import Problem, joined
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Scaled, State, condition, same_rows
from acepot.fitting.solvers.blr import BLR, floor_of
from acepot.fitting.solvers.rank import ROUNDING, Spectrum
from acepot.fitting.solvers.ridge import damped

__all__ = ["ARD"]

#: Growth of the evidence below which the search ends, and steps after which it has failed.
_CLOSE, _STEPS = 1e-3, 1000
#: What the variance of a function that is not relevant is multiplied by, and the part of an
#: effective parameter below which it is left out.
_FALL, _NOTHING = 0.1, 1e-3


@dataclass(frozen=True)
class ARD(Scaled, kind="ard"):
    """Bayesian regression with a variance for every coefficient, by maximum evidence.

    The prior γ says where the search begins: at one variance for all γ c.

    Args:
        floor: smallest standard deviation of the noise, as for "blr".
    """

    floor: float = 1e-4

    def check(self) -> None:
        """It must be positive and may be squared."""
        at_least("floor", self.floor, SMALLEST)

    def prepare(self, problem: Problem) -> State:
        """The search for the evidence depends on the targets."""
        return _State(self.floor, replace(problem, parts=()))


@dataclass(frozen=True, eq=False)
class _State:
    floor: float
    problem: Problem

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`; with a damping all functions count alike."""
        problem = replace(same_rows(self.problem, other), parts=())
        ones = np.ones(problem.columns)
        if damping is not None:
            at_least("damping", damping, above=True)
            return damped(Spectrum.plain(problem.triangle, ones), problem, damping)
        start = BLR(self.floor).factorise(problem, ones).solve()
        least = floor_of(self.floor, problem) ** 2
        found, curve = _search(_started(problem, start), least)
        return found.solution(problem, curve)


@dataclass(frozen=True, eq=False)
class _Variances:
    """Variances, and the rows of the functions that have one above 0.

    Args:
        kept: these functions, shape (k,).
        rows: theirs alone, their triangle of shape (k, k).
        each: v, shape (k,).
        noise: ve.
    """

    kept: NDArray[np.intp]
    rows: Problem
    each: Floats
    noise: float

    def among(self, chosen: NDArray[np.bool_]) -> _Variances:
        """Those of some of the functions."""
        if chosen.all():
            return self
        rows = _compressed(self.rows.among(np.flatnonzero(chosen)))
        return _Variances(self.kept[chosen], rows, self.each[chosen], self.noise)


@dataclass(frozen=True, eq=False)
class _Posterior:
    """What follows from variances.

    Args:
        at: they.
        inverse: T⁻¹, shape (k, k).
        mean: w, shape (k,).
        known: g, shape (k,).
        left: |y - X c|².
        evidence: L.
    """

    at: _Variances
    inverse: Floats
    mean: Floats
    known: Floats
    left: float
    evidence: float

    @classmethod
    def of(cls, at: _Variances) -> _Posterior:
        """By reflections of M above 1: nothing is squared."""
        count, root, rows = len(at.kept), math.sqrt(at.noise), at.rows
        system = rows.whole * np.append(np.sqrt(at.each), 1.0) / root
        ones = np.diag(np.append(np.ones(count), 0.0))
        found = stacked([system, ones])
        triangle, least = found[:count, :count], float(found[count, count] ** 2)
        inverse = solve_triangular(triangle, np.eye(count))
        mean = inverse @ found[:count, count]
        logarithms = 2 * float(np.log(np.abs(triangle.diagonal())).sum())
        known = 1 - np.einsum("ij,ij->i", inverse, inverse)
        return cls(
            at=at, inverse=inverse, mean=mean,
            known=np.clip(known, np.finfo(float).tiny, 1.0),
            left=max(least - float(mean @ mean), 0.0) * at.noise,
            evidence=-0.5 * (rows.rows * math.log(2 * math.pi * at.noise) + logarithms + least),
        )  # fmt: skip

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """The functions whose best variance is above 0."""
        return np.asarray(self.mean**2 > self.known * (1 - self.known))

    def bold(self, least: float) -> _Variances:
        """New variances that may be better, without functions that have no effect."""
        relevant, rows = self.relevant, self.at.rows.rows
        each = np.where(relevant, self.mean**2 / self.known, _FALL) * self.at.each
        noise = max(self.left / (rows - float(self.known.sum())), least)
        new = replace(self.at, each=each, noise=noise)
        return new.among(relevant | (self.known > _NOTHING))

    def careful(self, least: float) -> _Variances:
        """New variances that are no worse."""
        each = np.abs(self.mean) / np.sqrt(self.known) * self.at.each
        rows = self.at.rows.rows
        noise = max(self.left / rows + self.at.noise * float(self.known.sum()) / rows, least)
        return replace(self.at, each=np.maximum(each, np.finfo(float).tiny), noise=noise)

    def solution(self, problem: Problem, curve: dict[str, list[float]]) -> Solution:
        """The coefficients and their posterior; those of all other functions are 0."""
        kept, root = self.at.kept, np.sqrt(self.at.each)
        coefficients = np.zeros(problem.columns)
        coefficients[kept] = root * self.mean
        factor = np.zeros((problem.columns, max(len(kept), 1)))
        factor[kept] = root[:, None] * self.inverse
        residual = problem.residual(coefficients)
        singular = np.linalg.svd(problem.triangle[:, kept], compute_uv=False)
        return Solution(
            coefficients=coefficients,
            factor=factor,
            noise=self.at.noise,
            log_evidence=self.evidence,
            claimed=self.left,
            report={
                "solver": "ard",
                "rows": problem.rows,
                "functions": problem.columns,
                "functions used": len(kept),
                "effective parameters": float(self.known.sum()),
                "condition number": condition(singular) if len(kept) else 1.0,
                "residual": residual,
                "iterations": len(curve["log evidence"]),
            },
            line=f"ard: {len(kept)} of {problem.columns} functions by evidence",
            curve=curve,
        )


def _started(problem: Problem, start: Solution) -> _Variances:
    """One variance for all, and for each column an error of rounding (`rank`)."""
    norms = np.linalg.norm(problem.triangle, axis=0)
    seen = np.flatnonzero(norms > 0)
    columns, zeros = problem.among(seen), np.zeros(len(seen))
    rounding = Problem(np.diag(ROUNDING * norms[seen]), zeros, 0.0, len(seen))
    rows = replace(joined([columns, rounding]), rows=problem.rows)
    each = np.full(len(seen), start.prior_variance)
    return _Variances(seen, rows, each, start.noise)


def _compressed(problem: Problem) -> Problem:
    """The same rows, their triangle of as many rows as columns."""
    count, whole = problem.columns, problem.whole
    return replace(
        problem, triangle=whole[:count, :count], targets=whole[:count, count],
        outside=float(whole[count, count] ** 2),
    )  # fmt: skip


def _search(start: _Variances, least: float) -> tuple[_Posterior, dict[str, list[float]]]:
    """The maximum of the evidence that is reached from one variance for all.

    Returns:
        The posterior there, and the evidence with the number of functions on the way.

    Raises:
        ConvergenceError: it still grows after all steps.
    """
    now = _Posterior.of(start)
    curve: dict[str, list[float]] = {"functions": [], "log evidence": []}
    for _ in range(_STEPS):
        curve["functions"].append(float(len(now.at.kept)))
        curve["log evidence"].append(now.evidence)
        new = _Posterior.of(now.bold(least))
        if not new.evidence > now.evidence - _CLOSE / 2:
            new = _Posterior.of(now.careful(least))
        settled = len(new.at.kept) == len(now.at.kept) and bool(new.relevant.all())
        if abs(new.evidence - now.evidence) < _CLOSE and (settled or not len(new.at.kept)):
            return new, curve
        now = new
    raise ConvergenceError(
        f'solver.kind = "ard": the evidence still grows after {_STEPS} steps; use "blr" or "omp"'
    )
