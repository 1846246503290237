"""Solvers that use few of the functions: a path from none to all, and where to stop on it.

A ridge term stands beside the path: the penalty damping² |γ c|² of maximum evidence for all
functions, unless it is stated. With it all functions together are what Bayesian regression gives,
and fewer of them never rest on coefficients that cancel.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from acepot.fitting.bounds import at_least
from acepot.fitting.partition import Division
from acepot.fitting.problem import Problem, joined
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Scaled, State, same_rows
from acepot.fitting.solvers.blr import BLR
from acepot.fitting.solvers.heldout import HeldOut, fewest
from acepot.fitting.solvers.qr import QR

__all__ = ["Sparse", "Sized", "augmented"]

#: Points of a path at which errors are measured.
_POINTS = 48
#: A number of functions is taken when so many times as many have not done better, nor so many.
_FAR, _MANY = 3, 60


@dataclass(frozen=True)
class Sparse(Scaled):
    """What all of them can be told.

    Args:
        damping: √λ of the ridge term; 0: none; None: that of maximum evidence.
        folds: groups of structures that are left out in turn to choose where the path ends.
        slack: the path ends as soon as the errors for structures that are left out are at most
            1 + slack times the least.
    """

    damping: float | None = None
    folds: int = 4
    slack: float = 0.01
    #: The setting that says where the path ends.
    end: ClassVar[str]

    def check(self) -> None:
        """Numbers in their ranges."""
        if self.damping is not None:
            at_least("damping", self.damping)
        at_least("folds", self.folds, 2, most=20)
        at_least("slack", self.slack, most=1.0)

    @property
    def stated(self) -> float | None:
        """Where the path is stated to end."""
        value: float | None = getattr(self, self.end)
        return value

    @property
    def division(self) -> Division:
        """Folds, where the end of the path is to be chosen."""
        return Division(folds=self.folds) if self.stated is None else Division()

    def prepare(self, problem: Problem) -> State:
        """The state; the path depends on the targets."""
        return _State(self, problem)

    @abstractmethod
    def ends(self, problem: Problem) -> Floats:
        """Where a path might end, from the fewest functions on.

        Args:
            problem: whole, with the ridge term.
        """

    @abstractmethod
    def far(self, best: float, last: float) -> bool:
        """Whether the path is far enough beyond the best end to have shown none that is better."""

    @abstractmethod
    def path(self, problem: Problem, ends: Floats) -> Iterator[Floats]:
        """Coefficients where a path might end, in order; fewer where it ends before.

        Args:
            problem: with the ridge term.
            ends: as `ends` gives them.
        """

    def finished(self, problem: Problem, damping: float, coefficients: Floats) -> Solution:
        """The solution on the functions that a path has chosen.

        Args:
            problem: without the ridge term.
            damping: of it.
            coefficients: at the end of the path.
        """
        return on_support(problem, damping, coefficients)


class Sized(Sparse):
    """A solver whose path ends at a number of functions."""

    end = "size"

    def ends(self, problem: Problem) -> Floats:
        """Numbers of functions."""
        most = min(problem.triangle.shape)
        return np.unique(np.geomspace(1, most, _POINTS).astype(int)).astype(float)

    def far(self, best: float, last: float) -> bool:
        """As `Sparse.far`."""
        return last >= max(_FAR * best, _MANY)


@dataclass(frozen=True, eq=False)
class _State:
    solver: Sparse
    problem: Problem

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`."""
        solver, problem = self.solver, same_rows(self.problem, other)
        ridge, report = solver.damping if damping is None else damping, dict[str, float | str]()
        if ridge is None:
            ones = np.ones(problem.columns)
            whole = BLR().factorise(replace(problem, parts=()), ones).solve()
            ridge = math.sqrt(whole.noise / (whole.prior_variance or math.inf))
            report["damping chosen by"] = "evidence"
        at_least("damping", ridge)
        system, end, curve = augmented(problem, ridge), solver.stated, dict[str, list[float]]()
        if end is None:
            end, curve = self._chosen(problem, ridge, system)
            report[f"{solver.end} chosen by"] = "errors of structures that are left out"
            report["least error"] = min(curve["error"])
        reached = list(solver.path(system, np.array([end], dtype=float)))
        coefficients = reached[0] if reached else np.zeros(problem.columns)
        found = solver.finished(problem, ridge, coefficients)
        kept = int(np.count_nonzero(found.coefficients))
        line = f"{solver.kind}: {kept} of {problem.columns} functions"
        if curve:
            line += f" by {solver.folds} folds of structures that are left out in turn"
        report = {
            **found.report, "solver": solver.kind, "functions": problem.columns, "damping": ridge,
            "functions used": kept, solver.end: float(end), **report,
        }  # fmt: skip
        return replace(found, report=report, line=line, curve=curve)

    def _chosen(
        self, problem: Problem, damping: float, system: Problem
    ) -> tuple[float, dict[str, list[float]]]:
        """The end of the path with the errors that decided."""
        solver = self.solver
        held = HeldOut.of(problem, solver.end)
        ends, errors = solver.ends(system), list[float]()
        paths = [solver.path(augmented(one, damping), ends) for one in held.others]
        for coefficients in zip(*paths, strict=False):
            errors.append(held.error(coefficients))
            if solver.far(ends[fewest(errors, solver.slack)], ends[len(errors) - 1]):
                break
        if not errors:  # nothing correlates with the targets
            return float(ends[0]), {solver.end: [float(ends[0])], "error": [held.error(
                [np.zeros(problem.columns)] * len(held.others))]}  # fmt: skip
        found = fewest(errors, solver.slack)
        return float(ends[found]), {solver.end: ends[: len(errors)].tolist(), "error": errors}


def augmented(problem: Problem, damping: float) -> Problem:
    """The problem with the rows damping · c = 0 below its own, without parts."""
    problem = replace(problem, parts=())
    if damping == 0:
        return problem
    count = problem.columns
    ridge = Problem(damping * np.eye(count), np.zeros(count), 0.0, count)
    return replace(joined([problem, ridge]), rows=problem.rows)


def on_support(problem: Problem, damping: float, coefficients: Floats) -> Solution:
    """Damped least squares on the functions whose coefficients are not 0."""
    kept = np.flatnonzero(coefficients)
    if len(kept) == 0:
        return _nothing(problem)
    found = QR(damping).factorise(problem.among(kept), np.ones(len(kept))).solve()
    whole, factor = np.zeros(problem.columns), None
    whole[kept] = found.coefficients
    if found.factor is not None:
        factor = np.zeros((problem.columns, found.factor.shape[1]))
        factor[kept] = found.factor
    return replace(found, coefficients=whole, factor=factor)


def _nothing(problem: Problem) -> Solution:
    """No functions at all, where none of them says anything about the targets."""
    zeros = np.zeros(problem.columns)
    left = problem.residual(zeros)
    report: dict[str, float | str] = {
        "rows": problem.rows, "effective parameters": 0.0, "condition number": 1.0, "residual": left
    }  # fmt: skip
    return Solution(zeros, np.zeros((problem.columns, 1)), left / problem.rows, report=report)
