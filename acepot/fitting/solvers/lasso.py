"""The lasso and the elastic net: the whole path of a penalty on Σ |γ c|, exactly.

The minimum of ½|X c - y|² + λ|c|₁ is linear in λ as long as the functions with c ≠ 0 stay the
same, so that the path is followed from corner to corner (Osborne, Presnell and Turlach, IMA J.
Numer. Anal. 20, 389, 2000; Efron, Hastie, Johnstone and Tibshirani, Ann. Stat. 32, 407, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.active import Active
from acepot.fitting.solvers.base import Floats
from acepot.fitting.solvers.sparse import Sized, Sparse, on_support

__all__ = ["ElasticNet", "Lasso"]

#: Smallest penalty that is tried, in units of the largest, and how many are.
_LEAST, _POINTS = 1e-12, 121
#: A penalty is taken when those down to this part of it have not done better.
_FAR = 1e-3
#: Steps after which the correlations are computed anew.
_FRESH = 25
#: The path ends at this part of its first λ; a correlation that falls as fast as λ but for this
#: part never reaches it.
_FLOOR, _PARALLEL = 1e-14, 1e-12


@dataclass(frozen=True)
class Lasso(Sized, kind="lasso"):
    """The functions of the lasso's path, solved for by damped least squares.

    The path says which functions are used; then the penalty on Σ |γ c|, which makes their
    coefficients too small, is left out.

    Args:
        size: how many functions are used; None: chosen on structures that are left out.
    """

    size: int | None = None

    def check(self) -> None:
        """At least one function."""
        super().check()
        if self.size is not None:
            at_least("size", self.size, 1)

    def path(self, problem: Problem, ends: Floats) -> Iterator[Floats]:
        """As `Sparse.path`."""
        wanted, active = [int(n) for n in ends], None
        for active, _signs, _above, _below in _segments(problem):
            if len(active.members) == wanted[0]:
                wanted.pop(0)
                yield active.coefficients()
                if not wanted:
                    return
        if active is not None and active.members:  # more than there are
            yield active.coefficients()


@dataclass(frozen=True)
class ElasticNet(Sparse, kind="elastic_net"):
    """Minimise |A c - y|²/2 + N penalty Σ |γ c| + damping² |γ c|²/2 over N rows.

    Args:
        penalty: of Σ |γ c| for each row; None: chosen on structures that are left out.
    """

    penalty: float | None = None
    end = "penalty"

    def check(self) -> None:
        """It must be positive."""
        super().check()
        if self.penalty is not None:
            at_least("penalty", self.penalty, above=True)

    def ends(self, problem: Problem) -> Floats:
        """From the penalty at which no function is used down."""
        largest = float(np.abs(problem.targets @ problem.triangle).max()) / problem.rows
        return np.geomspace(largest or 1.0, (largest or 1.0) * _LEAST, _POINTS)

    def far(self, best: float, last: float) -> bool:
        """As `Sparse.far`."""
        return last < _FAR * best

    def path(self, problem: Problem, ends: Floats) -> Iterator[Floats]:
        """As `Sparse.path`."""
        wanted = [float(one) * problem.rows for one in ends]
        top = float(np.abs(problem.targets @ problem.triangle).max())
        while wanted and wanted[0] >= top:
            wanted.pop(0)
            yield np.zeros(problem.columns)
        if not wanted:
            return
        for active, signs, _above, below in _segments(problem):
            while wanted and wanted[0] >= below:
                yield active.coefficients(wanted.pop(0) * signs)
            if not wanted:
                return

    def finished(self, problem: Problem, damping: float, coefficients: Floats) -> Solution:
        """As they are at the end of the path; how well they are known, as without the penalty."""
        found = on_support(problem, damping, coefficients)
        residual = problem.residual(coefficients)
        freedom = problem.rows - float(found.report["effective parameters"])
        noise, factor = found.noise, found.factor
        if factor is not None and found.noise > 0:
            noise = residual / freedom
            factor = factor * math.sqrt(noise / found.noise)
        report = {**found.report, "residual": residual}
        return replace(
            found, coefficients=coefficients, noise=noise, factor=factor, claimed=None,
            report=report,
        )  # fmt: skip


def _segments(problem: Problem) -> Iterator[tuple[Active, Floats, float, float]]:
    """The straight parts of the path, from no function on.

    Yields:
        The functions with c ≠ 0, their signs, and λ at both ends, falling.
    """
    columns, targets = problem.triangle, problem.targets
    active, signs = Active(columns, targets), list[float]()
    left, correlated = targets.copy(), targets @ columns  # y - X c, Xᵀ(y - X c)
    joining, leaving = int(np.argmax(np.abs(correlated))), -1
    level = abs(float(correlated[joining]))
    shut, floor, step = np.zeros(len(correlated), bool), _FLOOR * level, 0
    while level > floor:
        joined = joining >= 0 and active.append(joining)
        if joined:
            signs.append(math.copysign(1.0, correlated[joining]))
        elif joining >= 0:
            shut[joining] = True  # in the span of the others
        if not active.members:
            return
        sign = np.array(signs)
        along, outward = active.direction(sign)  # dc and -d(y - X c) as λ falls by 1
        slope = outward @ columns
        outside = ~shut
        outside[active.members] = False
        length, joining = _joins(level, correlated, slope, outside, leaving)
        at = active.coefficients(level * sign)[active.members]
        least, leaving = _leaves(at, along, len(at) - joined)
        if least < length:
            length, joining, leaving = least, -1, active.members[leaving]
        else:
            leaving = -1
        yield active, sign, level, level - length
        step += 1
        level, left = level - length, left - length * outward
        correlated = left @ columns if step % _FRESH == 0 else correlated - length * slope
        if leaving >= 0:
            del signs[active.members.index(leaving)]
            active.drop(leaving)


def _joins(
    level: float, correlated: Floats, slope: Floats, outside: NDArray[np.bool_], left: int
) -> tuple[float, int]:
    """How far λ falls until a further function correlates as well, and which; or to 0, and -1.

    Args:
        level: λ.
        correlated: Xᵀ(y - X c).
        slope: how fast they fall.
        outside: the functions that may join.
        left: the one that has just left, which joins with the other sign at most.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.stack([(level - correlated) / (1 - slope), (level + correlated) / (1 + slope)])
    times[np.stack([1 - slope, 1 + slope]) < _PARALLEL] = math.inf
    times[:, ~outside] = math.inf
    if left >= 0:
        times[0 if correlated[left] > 0 else 1, left] = math.inf
    times = np.maximum(times, 0.0)
    best = int(np.argmin(times.min(axis=0)))
    found = float(times[:, best].min())
    return (found, best) if found < level else (level, -1)


def _leaves(at: Floats, along: Floats, count: int) -> tuple[float, int]:
    """How far λ falls until a coefficient is 0, and its place among the first so many."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = -at[:count] / along[:count]
    times[~(times > 0)] = math.inf
    if count == 0:
        return math.inf, -1
    best = int(np.argmin(times))
    return float(times[best]), best
