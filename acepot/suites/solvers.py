"""Laws of solvers.

class TestTikhonov(SolverLaws):
solver = Tikhonov(1e-6)
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from acepot.evaluate.protocol import Floats
from acepot.fitting.partition import Partition
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import Solver, solve
from acepot.schema import from_mapping, to_mapping

__all__ = ["SolverLaws", "hold"]

_ROWS, _COLUMNS, _GROUPS = 240, 12, 8


class SolverLaws:
    """What a solver promises, whatever its method.

    A subclass sets `solver`; `leaves` where its method shrinks or leaves out coefficients.
    """

    solver: Solver
    #: Part of the root mean square of exact data that the coefficients may leave.
    leaves = 1e-3

    def data(self, noise: float, seed: int = 1) -> tuple[Floats, Floats]:
        """Rows, and targets that known coefficients give, with noise."""
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(_ROWS, _COLUMNS))
        truth = np.where(np.arange(_COLUMNS) % 3 == 0, 2.0, 0.5)
        return rows, rows @ truth + noise * rng.normal(size=_ROWS)

    def problem(self, rows: Floats, targets: Floats, *, backwards: bool = False) -> Problem:
        """The rows as a fit gives them, in groups of which some may be left out together."""
        division = self.solver.division
        made = Partition(_COLUMNS, division)
        groups = np.array_split(np.arange(len(targets)), _GROUPS)
        folds = division.folds_of(["a"] * _GROUPS)
        order = list(zip(folds, groups, strict=True))
        for fold, group in reversed(order) if backwards else order:
            made.add(rows[group], targets[group], fold=fold, observable="energy")
        return made.finish()

    def solved(self, noise: float, seed: int = 1) -> tuple[Problem, Solution]:
        """A problem and its solution."""
        problem = self.problem(*self.data(noise, seed))
        return problem, solve(problem, None, self.solver)

    def test_exact_data_are_described(self) -> None:
        """What known coefficients give is what the found ones give."""
        rows, targets = self.data(0.0)
        found = solve(self.problem(rows, targets), None, self.solver)
        off = np.sqrt(np.mean((rows @ found.coefficients - targets) ** 2))
        hold(off <= self.leaves * np.sqrt(np.mean(targets**2)), f"left {off:.1e} of exact data")

    def test_the_order_of_the_rows_does_not_matter(self) -> None:
        """Rounding aside."""
        rows, targets = self.data(0.1)
        one, other = (
            solve(self.problem(rows, targets, backwards=b), None, self.solver).coefficients
            for b in (False, True)
        )
        off = np.abs(one - other).max()
        hold(off <= 1e-6 * np.abs(one).max(), f"coefficients moved by {off:.1e}")

    def test_equal_problems_give_equal_solutions(self) -> None:
        """Nothing is random that is not a setting."""
        one, other = (self.solved(0.1)[1].coefficients for _ in range(2))
        hold(np.array_equal(one, other), f"{one} and {other}")

    def test_more_noise_is_seen(self) -> None:
        """The variance that is found is near that of the data."""
        for noise in (0.05, 0.5):
            found = self.solved(noise)[1].noise
            hold(0.25 < found / noise**2 < 4, f"noise {noise**2:.1e}, found {found:.1e}")

    def test_the_report_is_json_and_says_what_is_left(self) -> None:
        """Rows, functions and the residual, in finite numbers."""
        problem, found = self.solved(0.1)
        told = json.loads(json.dumps(found.report, allow_nan=False))
        hold(told["rows"] == _ROWS and told["functions"] == _COLUMNS, f"report: {told}")
        left = problem.residual(found.coefficients)
        hold(abs(told["residual"] - left) <= 1e-6 * left, f"{told['residual']}, not {left}")

    def test_a_posterior_is_a_covariance(self) -> None:
        """A factor of one, if there is any: finite, and wider where data say less."""
        factor = self.solved(0.1)[1].factor
        if factor is not None:
            hold(factor.shape[0] == _COLUMNS and np.isfinite(factor).all(), "factor: not finite")
            wider = self.solved(1.0)[1].factor
            hold(wider is not None and np.sum(wider**2) > np.sum(factor**2), "noise narrows it")

    def test_settings_are_read_as_they_are_written(self) -> None:
        """As TOML and model files keep them."""
        kinds: Any = Solver
        again = from_mapping(kinds, to_mapping(self.solver))
        hold(again == self.solver, f"{again} was {self.solver}")


def hold(law: bool | np.bool_, broken: str) -> None:
    """Fail with a message; asserts would be gone under `python -O`."""
    if not law:
        raise AssertionError(broken)
