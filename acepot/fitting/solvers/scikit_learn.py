"""Linear models of scikit-learn, on the compressed rows.

Those are offered whose result follows from |A c - y|², its number of rows and a penalty on c: for
them a triangle and one row for what it leaves are the same data. Models that look at single rows
(those that choose by cross-validation over rows, stochastic and robust ones) are not.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from acepot.errors import ConvergenceError, InputError, MissingDependency
from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers.base import Floats, Scaled, State, condition, same_rows
from acepot.fitting.solvers.rank import Spectrum
from acepot.fitting.solvers.ridge import damped
from acepot.fitting.solvers.sparse import on_support

__all__ = ["ScikitLearn"]

#: Models whose sum of squares is divided by the number of rows.
_MEAN = ("ElasticNet", "Lasso", "LassoLars")
#: Models with a Gamma prior on the precision of the noise, which takes what the rows lack.
_BAYESIAN = ("ARDRegression", "BayesianRidge")
#: A variance of the posterior below this part of the largest is rounding.
_ROUNDED = 1e-14


@dataclass(frozen=True)
class ScikitLearn(Scaled, kind="sklearn"):
    """A linear model of scikit-learn for γ c, without an intercept.

    Args:
        estimator: name of its class in `sklearn.linear_model`.
        arguments: keywords of that class.
    """

    estimator: Literal[
        "ARDRegression", "BayesianRidge", "ElasticNet", "Lars", "Lasso", "LassoLars",
        "LinearRegression", "OrthogonalMatchingPursuit", "Ridge",
    ]  # fmt: skip
    arguments: dict[str, float | int | bool | str] = field(default_factory=dict)

    def check(self) -> None:
        """The intercept is E0, which is subtracted before."""
        if "fit_intercept" in self.arguments:
            raise InputError(
                "arguments: fit_intercept: expected nothing, energies have E0 for that; "
                f"got {self.arguments['fit_intercept']}"
            )

    def prepare(self, problem: Problem) -> State:
        """scikit-learn keeps no decomposition: all is done for the targets."""
        self.model()
        return _State(self, problem)

    def model(self, **more: float) -> Any:
        """The model of scikit-learn.

        Args:
            more: added to the arguments that are numbers, those not given being its defaults.

        Raises:
            InputError: an argument that it does not have.
            MissingDependency: scikit-learn is not installed.
        """
        try:
            from sklearn import linear_model
        except ImportError as error:
            raise MissingDependency(
                'solver.kind = "sklearn" needs scikit-learn: pip install "acepot[sklearn]"'
            ) from error
        made: Any = getattr(linear_model, self.estimator)
        known = made().get_params()
        for name in self.arguments:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise InputError(
                    f"arguments.{name}: {self.estimator} of scikit-learn has no such argument"
                    f"{hint} Known: {', '.join(known)}"
                )
        given = {**self.arguments, "fit_intercept": False}
        given |= {name: given.get(name, known[name]) + value for name, value in more.items()}
        return made(**given)


@dataclass(frozen=True, eq=False)
class _State:
    solver: ScikitLearn
    problem: Problem

    def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Solution:
        """As `State.solve`; with a damping it is ridge regression."""
        problem, solver = same_rows(self.problem, other), self.solver
        if damping is not None:
            at_least("damping", damping, above=True)
            spectrum = Spectrum.plain(problem.triangle, np.ones(problem.columns))
            return damped(spectrum, problem, damping)
        rows, lacking = self._rows(problem)
        model = solver.model(**(lacking if solver.estimator in _BAYESIAN else {}))
        _fit(model, rows, solver.estimator)
        coefficients = np.asarray(model.coef_, dtype=float).ravel()
        return self._solution(problem, model, coefficients)

    def _rows(self, problem: Problem) -> tuple[Floats, dict[str, float]]:
        """[X y] for scikit-learn, and what a Gamma prior of the noise adds for rows they lack."""
        if self.solver.estimator in _BAYESIAN:
            rows = np.column_stack([problem.triangle, problem.targets])
            lacking = {"alpha_1": (problem.rows - len(rows)) / 2, "alpha_2": problem.outside / 2}
            return rows, lacking
        rows = np.zeros((len(problem.targets) + 1, problem.columns + 1))
        rows[:-1, :-1], rows[:-1, -1] = problem.triangle, problem.targets
        rows[-1, -1] = math.sqrt(problem.outside)
        if self.solver.estimator in _MEAN:
            rows *= math.sqrt(len(rows) / problem.rows)
        return rows, {}

    def _solution(self, problem: Problem, model: Any, coefficients: Floats) -> Solution:
        """Coefficients with the model's own posterior, or that of the functions it uses."""
        kept, residual = np.flatnonzero(coefficients), problem.residual(coefficients)
        factor, noise, effective = None, 0.0, float(len(kept))
        if self.solver.estimator in _BAYESIAN:
            noise = 1 / float(model.alpha_)
            factor, effective = _posterior(model, problem, noise)
        elif problem.rows > len(kept) > 0:
            alpha = float(model.get_params()["alpha"]) if self.solver.estimator == "Ridge" else 0.0
            found = on_support(problem, math.sqrt(alpha), coefficients)
            effective = float(found.report["effective parameters"])
            noise = residual / (problem.rows - effective)
            if found.factor is not None and found.noise > 0:
                factor = found.factor * math.sqrt(noise / found.noise)
        singular = np.linalg.svd(problem.triangle, compute_uv=False)
        return Solution(
            coefficients=coefficients,
            factor=factor,
            noise=noise,
            report={
                "solver": "sklearn",
                "estimator": self.solver.estimator,
                "rows": problem.rows,
                "functions": problem.columns,
                "functions used": len(kept),
                "effective parameters": effective,
                "condition number": condition(singular),
                "residual": residual,
            },
            line=f"sklearn: {self.solver.estimator}, {len(kept)} of {problem.columns} functions",
        )


def _fit(model: Any, rows: Floats, name: str) -> None:
    """Fit a model.

    Raises:
        ConvergenceError: it says that it has not converged.
        InputError: it refuses its arguments.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(rows[:, :-1], rows[:, -1])
        except ConvergenceWarning as error:
            raise ConvergenceError(
                f"{name} of scikit-learn: {error}; set max_iter or tol in solver.arguments"
            ) from error
        except (TypeError, ValueError) as error:
            raise InputError(f"arguments: {name} of scikit-learn: {error}") from error


def _posterior(model: Any, problem: Problem, noise: float) -> tuple[Floats, float]:
    """A factor of the covariance that a Bayesian model found, and its effective parameters."""
    sigma = np.asarray(model.sigma_)
    kept = np.arange(problem.columns)
    if len(sigma) < problem.columns:  # of the coefficients that are not 0
        kept = np.flatnonzero(model.lambda_ < model.threshold_lambda)
    values, vectors = np.linalg.eigh((sigma + sigma.T) / 2)
    values = np.where(values > _ROUNDED * values.max(initial=0.0), values, 0.0)
    factor = np.zeros((problem.columns, max(len(kept), 1)))
    factor[kept, : len(kept)] = vectors * np.sqrt(values)
    seen = problem.triangle @ factor
    return factor, float((seen**2).sum()) / noise
