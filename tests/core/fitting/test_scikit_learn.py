"""Models of scikit-learn on compressed rows are those on the rows themselves."""

import builtins

import numpy as np
import pytest

from acepot.errors import ConvergenceError, InputError, MissingDependency
from acepot.fitting.problem import Accumulator
from acepot.fitting.solvers import ScikitLearn, solve

linear_model = pytest.importorskip("sklearn.linear_model")
TIGHT = {"tol": 1e-12, "max_iter": 100_000}
CASES = {
    "ARDRegression": {"tol": 1e-10, "max_iter": 5000},
    "BayesianRidge": {"tol": 1e-12, "max_iter": 5000},
    "ElasticNet": {"alpha": 0.02, "l1_ratio": 0.7, **TIGHT},
    "Lars": {"n_nonzero_coefs": 5},
    "Lasso": {"alpha": 0.02, **TIGHT},
    "LassoLars": {"alpha": 0.02},
    "LinearRegression": {},
    "OrthogonalMatchingPursuit": {"n_nonzero_coefs": 5},
    "Ridge": {"alpha": 3.0},
}


def _data(count=200, columns=12):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, columns))
    truth = np.where(np.arange(columns) % 3 == 0, rng.normal(size=columns), 0.0)
    return rows, rows @ truth + 0.2 * rng.normal(size=count), rng.uniform(0.5, 2, columns)


def _problem(rows, targets):
    made = Accumulator(rows.shape[1])
    made.add(rows, targets)
    return made.finish()


@pytest.mark.parametrize("name", CASES)
def test_a_model_is_that_of_all_rows(name):
    rows, targets, gamma = _data()
    found = solve(_problem(rows, targets), gamma, ScikitLearn(name, CASES[name]))
    model = getattr(linear_model, name)(fit_intercept=False, **CASES[name])
    model.fit(rows / gamma, targets)
    np.testing.assert_allclose(found.coefficients * gamma, model.coef_, rtol=2e-5, atol=1e-7)
    assert found.report["estimator"] == name
    assert found.report["functions used"] == np.count_nonzero(model.coef_)
    residual = np.sum((rows @ found.coefficients - targets) ** 2)
    assert found.report["residual"] == pytest.approx(residual)
    assert found.noise == pytest.approx(0.04, rel=0.4)
    assert not found.factor[found.coefficients == 0].any()
    if name == "BayesianRidge":
        assert found.noise == pytest.approx(1 / model.alpha_, rel=1e-5)
        covariance = found.factor @ found.factor.T * np.outer(gamma, gamma)
        np.testing.assert_allclose(covariance, model.sigma_, rtol=1e-5, atol=1e-12)


def test_every_model_that_is_offered_is_tried():
    from typing import get_args, get_type_hints

    assert set(get_args(get_type_hints(ScikitLearn)["estimator"])) == set(CASES)


def test_arguments_that_cannot_be():
    problem = _problem(*_data()[:2])
    with pytest.raises(InputError, match=r"^arguments.alpa: Ridge of scikit-learn has no .*alpha"):
        solve(problem, None, ScikitLearn("Ridge", {"alpa": 1.0}))
    with pytest.raises(InputError, match="^arguments: Ridge of scikit-learn: .*alpha"):
        solve(problem, None, ScikitLearn("Ridge", {"alpha": -1.0}))
    with pytest.raises(InputError, match="^arguments: fit_intercept: expected nothing"):
        ScikitLearn("Ridge", {"fit_intercept": True})
    with pytest.raises(ConvergenceError, match="^Lasso of scikit-learn: .*set max_iter or tol"):
        solve(problem, None, ScikitLearn("Lasso", {"alpha": 1e-6, "max_iter": 1, "tol": 1e-16}))


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **more):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependency, match=r'pip install "acepot\[sklearn\]"'):
        solve(_problem(*_data()[:2]), None, ScikitLearn("Ridge"))
