"""Levels of noise of their own for energies, forces and virials, by maximum evidence.

y_g = X_g c + e_g, e_g ~ N(0, v_g) for every observable g, c ~ N(0, vc), N_g rows, K coefficients:
the logarithms of all variances are moved along

    2 ∂L/∂ln v_g = (|y_g - X_g c|² + |X_g T⁻¹|²)/v_g - N_g
    2 ∂L/∂ln vc  = (|c|² + |T⁻¹|²)/vc - K,

where T is the triangle of all X_g/√v_g above 1/√vc, and c the minimum of these rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from acepot.errors import InputError
from acepot.fitting.elimination import stacked
from acepot.fitting.problem import Problem, joined
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Solver, proven, same_rows

__all__ = ["SeparateNoise"]

#: Growth of the evidence, as a part of it, below which the search ends; the slope for each row.
_CLOSE, _FLAT = 1e-10, 1e-7
#: Rows of the restraint, which are no labels, are energies.
_ENERGY = "energy"


@dataclass(frozen=True, eq=False)
class SeparateNoise:
    """A problem whose observables have levels of noise of their own.

    Once these are known, rows divided by them have a common one, and Bayesian regression with a
    common noise does the rest.

    Args:
        common: that.
        problem: with parts by observable.
        gamma: of the prior.
        least: smallest variance.
    """

    common: Solver
    problem: Problem
    gamma: Floats
    least: float

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`; with a damping the noise is common."""
        whole, common = same_rows(self.problem, other), self.common
        first = common.factorise(replace(whole, parts=()), self.gamma).solve(damping=damping)
        names, problems = _by_observable(whole)
        if damping is not None or len(names) < 2:
            return first
        levels, calls = _levels([one.scaled(self.gamma) for one in problems], first, self.least)
        counts = np.array([one.rows for one in problems])
        # So that all weights together leave the evidence as it is.
        weights = np.exp(0.5 * (counts @ np.log(levels) / counts.sum() - np.log(levels)))
        evened = joined(problems, weights.tolist())
        solution = proven(evened, common.factorise(evened, self.gamma).solve(), common)
        report: dict[str, float | str] = {
            **solution.report,
            "residual": whole.residual(solution.coefficients),
            "iterations": calls,
            "log evidence of a common noise": first.log_evidence or 0.0,
        }
        told = []
        for name, weight in zip(names, weights, strict=True):
            report[f"noise variance of {name}"] = float(solution.noise / weight**2)
            told.append(f"{math.sqrt(solution.noise) / weight:.3g} ({name})")
        return replace(
            solution, report=report, claimed=None,
            line=f"blr: noise of weighted rows {', '.join(told)}, "
            f"{math.sqrt(first.noise):.3g} if it were common",
        )  # fmt: skip


def _by_observable(problem: Problem) -> tuple[list[str], list[Problem]]:
    """The rows of each observable.

    Raises:
        InputError: they are not divided.
    """
    if not problem.parts:
        raise InputError(
            'noise: expected "common" where the rows are not those of structures, got "separate"'
        )
    found: dict[str, list[Problem]] = {}
    for one in problem.parts:
        found.setdefault(one.observable or _ENERGY, []).append(one.problem)
    return list(found), [one[0] if len(one) == 1 else joined(one) for one in found.values()]


def _levels(problems: Sequence[Problem], start: Solution, least: float) -> tuple[Floats, int]:
    """The variances of noise of largest evidence that are found from a common one, and calls."""
    wholes = [one.whole for one in problems]
    counts = [one.rows for one in problems]
    first = np.log([*[start.noise] * len(problems), start.prior_variance or 1.0])
    bottom = math.log(least)
    found = minimize(
        lambda x: _loss(wholes, counts, x),
        np.maximum(first, bottom),
        jac=True,
        method="L-BFGS-B",
        bounds=[(bottom, None)] * len(first),
        options={"ftol": _CLOSE, "gtol": _FLAT * sum(counts)},
    )
    return np.exp(found.x[:-1]), int(found.nfev)


def _loss(
    wholes: Sequence[Floats], counts: Sequence[int], logarithms: Floats
) -> tuple[float, Floats]:
    """-L and its gradient by the logarithms of all variances.

    Args:
        wholes: triangles of [X_g | y_g].
        counts: N_g.
        logarithms: of v_g, and vc as the last.
    """
    *noise, prior = np.exp(logarithms)
    count = len(wholes[0]) - 1
    ones = np.diag(np.append(np.full(count, prior**-0.5), 0.0))
    whole = stacked([*(one / math.sqrt(v) for one, v in zip(wholes, noise, strict=True)), ones])
    triangle = whole[:count, :count]
    inverse = solve_triangular(triangle, np.eye(count), check_finite=False)
    c = np.append(inverse @ whole[:count, count], -1.0)
    value = whole[count, count] ** 2 + count * math.log(prior)
    value += 2 * np.log(np.abs(triangle.diagonal())).sum()
    slope = []
    for one, rows, v in zip(wholes, counts, noise, strict=True):
        seen = ((one[:count, :count] @ inverse) ** 2).sum()
        slope.append((((one @ c) ** 2).sum() + seen) / v - rows)
        value += rows * math.log(2 * math.pi * v)
    slope.append((c[:-1] @ c[:-1] + (inverse**2).sum()) / prior - count)
    return 0.5 * float(value), -0.5 * np.array(slope)
