"""What a solver promises: a factorisation that can be solved again, and a Solution."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import ConvergenceError, InputError
from acepot.fitting.partition import Division
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.schema import Kind

__all__ = [
    "Floats", "Scaled", "Solver", "State", "condition", "proven", "same_rows", "solve",
]  # fmt: skip

Floats = NDArray[np.float64]
#: Claimed and actual sums of squares may differ by this part, and by this part of the targets,
#: which is rounding where nothing is left.
_AGREE, _NOTHING = 0.03, 1e-14


class State(Protocol):
    """A problem that is factorised: each solution of it costs little."""

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """Coefficients with their posterior.

        Args:
            other: other targets of the same rows, as `Accumulator.finish` gives them; None:
                those of the problem that was factorised.
            damping: √λ of the penalty λ |γ c|² instead of what the solver's settings say. The
                rows are not needed again: the triangle stands for them.

        Raises:
            InputError: these data do not determine the coefficients, or the rows are others.
            ConvergenceError: the method failed.
        """
        ...


class Solver(Kind, tag="kind"):
    """A method to solve the linear problem of a fit, and its settings."""

    @property
    def division(self) -> Division:
        """The parts in which it needs the rows beside all of them together: none."""
        return Division()

    @abstractmethod
    def factorise(self, problem: Problem, gamma: Floats) -> State:
        """Do what does not depend on the targets.

        Args:
            problem: all rows, weighted and compressed: |A c - y|² = |R c - Qᵀy|² + outside.
            gamma: γ > 0, the diagonal of the smoothness prior, shape (K,).

        Raises:
            InputError: data or settings that cannot work.
        """


class Scaled(Solver):
    """A solver whose unknowns are γ c: for all of these the prior is applied here."""

    @abstractmethod
    def prepare(self, problem: Problem) -> State:
        """As `factorise`, for a prior of γ = 1.

        Args:
            problem: of γ c.
        """

    def factorise(self, problem: Problem, gamma: Floats) -> State:
        """As `Solver.factorise`."""
        if not problem.triangle.any():
            raise InputError(
                f"all {problem.columns} functions are zero in every row; check the data"
            )
        return _Unscaled(problem, gamma, self.prepare(problem.scaled(gamma)))


@dataclass(frozen=True, eq=False)
class _Unscaled:
    """The state of a problem of c, where that of γ c is known."""

    problem: Problem
    gamma: Floats
    inner: State

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`."""
        if other is not None:
            other = same_rows(self.problem, other).scaled(self.gamma)
        found = self.inner.solve(other, damping=damping)
        factor = None if found.factor is None else found.factor / self.gamma[:, None]
        return replace(found, coefficients=found.coefficients / self.gamma, factor=factor)


def solve(problem: Problem, prior: ArrayLike | None, solver: Solver) -> Solution:
    """Find the coefficients of a problem.

    Args:
        problem: all rows, weighted.
        prior: γ > 0, the diagonal of the smoothness prior, shape (K,); None: γ = 1.
        solver: the method with its settings.

    Returns:
        Coefficients with their posterior.

    Raises:
        InputError: the prior has a wrong shape or sign; data or settings that cannot work.
        ConvergenceError: the method, or LAPACK, failed, or the coefficients do not leave the
            residual that the method claims.
    """
    count = problem.columns
    gamma = np.ones(count) if prior is None else np.asarray(prior, dtype=float)
    if gamma.shape != (count,) or not (np.isfinite(gamma).all() and gamma.min() > 0):
        raise InputError(f"prior: expected {count} finite numbers above 0, got {prior!r}")
    try:
        solution = solver.factorise(problem, gamma).solve()
    except np.linalg.LinAlgError as error:
        raise ConvergenceError(f"solver.kind = {solver.kind!r}: {error}") from error
    return proven(problem, solution, solver)


def proven(problem: Problem, solution: Solution, solver: Solver) -> Solution:
    """The solution, whose coefficients leave the residual that the solver says they leave.

    Raises:
        ConvergenceError: they leave another one.
    """
    if solution.claimed is None:
        return solution
    actual, claimed = problem.residual(solution.coefficients), solution.claimed
    whole = float(problem.targets @ problem.targets) + problem.outside
    if not abs(actual - claimed) <= _AGREE * max(actual, claimed) + _NOTHING * whole:
        raise ConvergenceError(
            f"solver.kind = {solver.kind!r}: its coefficients leave a sum of squares of "
            f"{actual:.6g} where it claims {claimed:.6g}: rounding was taken for signal. Lower the "
            'degree, or raise solver.tolerance ("qr"), solver.floor ("blr") or solver.damping'
        )
    report = {**solution.report, "residual": actual, "claimed residual": claimed}
    return replace(solution, report=report)


def same_rows(problem: Problem, other: Problem | None) -> Problem:
    """The problem to solve, where the rows of `problem` are factorised.

    Raises:
        InputError: the other one has other rows.
    """
    if other is None:
        return problem
    if not np.array_equal(other.triangle, problem.triangle):
        raise InputError("other: expected the rows that were factorised, got other ones")
    return other


def condition(singular: NDArray[np.floating[Any]]) -> float:
    """The condition number that singular values, largest first, tell."""
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else math.inf
