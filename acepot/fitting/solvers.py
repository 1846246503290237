"""From the compressed rows to coefficients: least squares (qr) or maximum evidence (blr).

The prior γ and the damping are applied here, once, and nowhere else; the weights are already in
the rows. Neither solver forms normal equations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular
from scipy.optimize import brentq

from acepot.errors import ConvergenceError, InputError
from acepot.fitting.config import SolverConfig
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution

__all__ = ["Evidence", "solve"]

Array = NDArray[np.float64]

#: Step of the scan in ln(vc/ve). Each term of the evidence is a logistic curve of width 1 in it.
_STEP = 0.25
#: Singular values below this part of the largest do not widen the scan (they are rounding).
_DUST = 1e-20
#: A variance below its floor times this is at its floor: the factor covers rounding only.
_ROUNDED = 1 + 1e-12


def solve(problem: Problem, prior: Array | None, config: SolverConfig) -> Solution:
    """Find the coefficients of a problem.

    Args:
        problem: all rows, weighted.
        prior: γ > 0, the diagonal of the smoothness prior, shape (K,); None: γ = 1.
        config: the method and its numbers.

    Returns:
        Coefficients with their posterior.

    Raises:
        InputError: the prior has a wrong shape or sign; qr without damping is underdetermined
            or has columns of zeros; blr has nothing but columns of zeros.
        ConvergenceError: the evidence has no maximum, or LAPACK failed.
    """
    count = problem.columns
    gamma = np.ones(count) if prior is None else np.asarray(prior, dtype=float)
    if gamma.shape != (count,) or not (np.isfinite(gamma).all() and gamma.min() > 0):
        raise InputError(f"prior: expected {count} finite numbers above 0, got {prior!r}")
    try:
        if config.kind == "qr":
            return _least_squares(problem, gamma, config)
        return _maximum_evidence(problem, gamma, config)
    except np.linalg.LinAlgError as error:
        raise ConvergenceError(f"solver.kind = {config.kind!r}: {error}") from error


def _least_squares(problem: Problem, gamma: Array, config: SolverConfig) -> Solution:
    """Minimise |A c - y|² + damping² |γ c|² by a pivoted QR of the column-scaled system.

    Pivoting, unlike an SVD with the same cut, comes close to the smallest residual even at a
    condition number of 1e16: 3 % above it, the SVD 57 % (24 monomials, 36 random columns, cut
    1e-15, against 60 digits). The reported condition number is that of the scaled system.
    """
    if config.damping == 0:
        _check_determined(problem)
        system = problem.triangle
    else:
        system = np.vstack([problem.triangle, np.diag(config.damping * gamma)])
    scale = 1 / np.linalg.norm(system, axis=0)
    orthogonal, triangle, order = qr(
        system * scale, mode="economic", pivoting=True, overwrite_a=True, check_finite=False
    )
    pivots = np.abs(np.diag(triangle))
    rank = int(np.count_nonzero(pivots > config.tolerance * pivots[0]))
    top = orthogonal[: len(problem.targets), :rank]  # [row of R, r]
    inverse = np.zeros((problem.columns, rank))  # [k, r]: pseudo-inverse = inverse @ top.T
    inverse[order[:rank]] = solve_triangular(triangle[:rank, :rank], np.eye(rank))
    inverse *= scale[:, None]
    coefficients = np.zeros(problem.columns)
    coefficients[order[:rank]] = solve_triangular(triangle[:rank, :rank], top.T @ problem.targets)
    coefficients *= scale

    residual = problem.residual(coefficients)
    effective = rank if config.damping == 0 else float(np.sum(top**2))  # trace of the hat matrix
    freedom = problem.rows - effective
    noise = residual / freedom if freedom > 1e-8 * problem.rows else 0.0
    singular = np.linalg.svd(triangle, compute_uv=False)
    return Solution(
        coefficients=coefficients,
        factor=math.sqrt(noise) * inverse if freedom > 1e-8 * problem.rows else None,
        noise=noise,
        report={
            "solver": "qr",
            "rows": problem.rows,
            "functions": problem.columns,
            "rank": rank,
            "effective parameters": effective,
            "condition number": _ratio(singular),
            "residual": residual,
        },
    )


def _check_determined(problem: Problem) -> None:
    if problem.rows < problem.columns:
        raise InputError(
            f"underdetermined: {problem.rows} rows for {problem.columns} functions; add data, "
            'use solver.kind = "blr" or a solver.damping above 0'
        )
    if zero := int(np.count_nonzero(~problem.triangle.any(axis=0))):
        raise InputError(
            f"{zero} of {problem.columns} functions are zero in every row; add data that has "
            'their elements, use solver.kind = "blr" or a solver.damping above 0'
        )


def _ratio(singular: Array) -> float:
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else math.inf


@dataclass(frozen=True, eq=False)
class Evidence:
    """The log marginal likelihood of y = X c + e with e ~ N(0, ve) and c ~ N(0, vc).

    With X = U S Vᵀ, p = Uᵀy, t = vc s² + ve, and N - r directions outside the span,

        L = -½ Σ (p²/t + ln t) - ½ (outside/ve + (N - r) ln ve) - ½ N ln 2π.

    Args:
        squares: s², shape (r,).
        projections: p², shape (r,).
        outside: squared norm of y outside the span of U.
        rows: N.
    """

    squares: Array
    projections: Array
    outside: float
    rows: int

    def value(self, prior: float, noise: float) -> float:
        """L at the variances vc = prior and ve = noise."""
        t = prior * self.squares + noise
        inside = np.sum(self.projections / t + np.log(t))
        rest = self.outside / noise + (self.rows - len(t)) * math.log(noise)
        return float(-0.5 * (inside + rest + self.rows * math.log(2 * math.pi)))

    def gradient(self, prior: float, noise: float) -> tuple[float, float]:
        """dL/dvc and dL/dve at the variances vc = prior and ve = noise."""
        t = prior * self.squares + noise
        excess = (self.projections / t - 1) / t  # [r]: twice dL/dt
        rest = (self.outside / noise - (self.rows - len(t))) / noise
        return 0.5 * float(self.squares @ excess), 0.5 * float(np.sum(excess) + rest)

    def best_for(self, ratio: float, floor: float) -> tuple[float, float]:
        """The variances of largest evidence among those with vc/ve = ratio, both >= floor².

        Without the floor ve = (Σ p²/(1 + ratio s²) + outside)/N: at a fixed ratio the evidence
        has a single maximum along the scale.
        """
        inside = float(np.sum(self.projections / (1 + ratio * self.squares)))
        least = floor**2 * max(1.0, 1 / ratio)
        noise = max((inside + self.outside) / self.rows, least)
        return max(ratio * noise, floor**2), noise

    def maximise(self, floor: float) -> tuple[float, float, int]:
        """The variances vc and ve, both >= floor², of the global maximum.

        The best scale of each ratio vc/ve is known, which leaves one variable: a scan brackets
        its highest maximum, the root of the derivative there is the answer to full accuracy.

        Returns:
            vc, ve and the number of evaluations of the derivative.

        Raises:
            ConvergenceError: no maximum was found.
        """
        size = max(float(self.projections.sum()) + self.outside, floor**2)
        used = self.squares[self.squares > _DUST**2 * self.squares.max()]
        # A maximum has ve <= |y|²/N and vc <= |y|²/s² for the smallest s: it lies in between.
        low = math.log(floor**2) - math.log(size) - 1
        high = max(math.log(size) - math.log(used.min()) - math.log(floor**2), 0.0) + 1
        grid = np.linspace(low, high, math.ceil((high - low) / _STEP) + 1)
        values = [self.value(*self.best_for(math.exp(u), floor)) for u in grid]

        def slope(u: float) -> float:
            prior, noise = self.best_for(math.exp(u), floor)
            by_prior, by_noise = self.gradient(prior, noise)
            at_floor = prior <= floor**2 * _ROUNDED  # then the ratio moves ve instead of vc
            return -noise * by_noise if at_floor else prior * by_prior

        left = right = int(np.argmax(values))
        while left > 0 and slope(grid[left]) <= 0:
            left -= 1
        while right < len(grid) - 1 and slope(grid[right]) >= 0:
            right += 1
        if not slope(grid[left]) > 0 > slope(grid[right]):
            raise ConvergenceError(
                f"evidence: no maximum for vc/ve between {math.exp(low):.3g} and "
                f'{math.exp(high):.3g}; check the data or use solver.kind = "qr" with a damping'
            )
        root, info = brentq(slope, grid[left], grid[right], xtol=1e-13, full_output=True)
        prior, noise = self.best_for(math.exp(root), floor)
        if self.value(prior, noise) < max(values) - 1e-9 * self.rows:
            raise ConvergenceError("evidence: the search ended below the best value of its scan")
        return prior, noise, info.function_calls


def _maximum_evidence(problem: Problem, gamma: Array, config: SolverConfig) -> Solution:
    """Bayesian linear regression: posterior mean at the variances of maximum evidence.

    On X = A P⁻¹, c = P⁻¹ c̃ with P = diag γ: c̃ = V vc s p/(vc s² + ve), and its covariance is
    V (s²/ve + 1/vc)⁻¹ Vᵀ, with variance vc in the complement of the row space. The reported
    condition number is that of X.
    """
    left, singular, right = np.linalg.svd(problem.triangle / gamma)  # right: [K, K]
    if singular[0] == 0:
        raise InputError(f"all {problem.columns} functions are zero in every row; check the data")
    projected = left.T @ problem.targets  # [r]
    evidence = Evidence(singular**2, projected**2, problem.outside, problem.rows)
    prior, noise, calls = evidence.maximise(config.floor)

    fraction = prior * singular**2 / (prior * singular**2 + noise)
    shrunk = prior * singular * projected / (prior * singular**2 + noise)  # [r]
    coefficients = shrunk @ right[: len(singular)] / gamma
    precision = np.full(problem.columns, 1 / prior)
    precision[: len(singular)] += singular**2 / noise
    floors = [
        name for name, v in (("prior", prior), ("noise", noise)) if v <= config.floor**2 * _ROUNDED
    ]
    return Solution(
        coefficients=coefficients,
        factor=right.T / np.sqrt(precision) / gamma[:, None],
        noise=noise,
        prior_variance=prior,
        log_evidence=evidence.value(prior, noise),
        report={
            "solver": "blr",
            "rows": problem.rows,
            "functions": problem.columns,
            "effective parameters": float(np.sum(fraction)),
            "condition number": _ratio(singular),
            "residual": problem.residual(coefficients),
            "iterations": calls,
            "at floor": " and ".join(floors) or "none",
        },
    )
