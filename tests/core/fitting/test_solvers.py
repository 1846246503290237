"""Both solvers against dense linear algebra on the rows themselves."""

import tomllib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from acepot import Structure, fit
from acepot.errors import ConvergenceError, InputError
from acepot.fitting import solvers
from acepot.fitting.bounds import at_least
from acepot.fitting.config import Data, FitConfig, dump_config
from acepot.fitting.problem import Accumulator
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import Solver, solve
from acepot.fitting.solvers.evidence import Evidence
from acepot.schema import from_mapping

QR, BLR = solvers.QR(damping=0), solvers.BLR()
#: Its damping is chosen by generalised cross-validation.
CHOSEN = solvers.QR()


def _data(count, columns, seed=0, noise=0.1, decades=2.0):
    """Rows with columns of very different size, targets, and a prior γ."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, columns)) * np.logspace(0, -decades, columns)
    truth = rng.normal(size=columns)
    return rows, rows @ truth + noise * rng.normal(size=count), rng.uniform(1, 50, columns)


def _problem(rows, targets):
    accumulator = Accumulator(rows.shape[1])
    accumulator.add(rows, targets)
    return accumulator.finish()


def _evidence(rows, targets):
    problem = _problem(rows, targets)
    left, singular, _ = np.linalg.svd(problem.triangle)
    return Evidence(singular**2, (left.T @ problem.targets) ** 2, problem.outside, problem.rows)


# ---- qr


def test_plain_least_squares_equals_the_dense_answer():
    rows, targets, gamma = _data(700, 12)
    expected = np.linalg.lstsq(rows, targets, rcond=None)[0]
    for prior in (None, gamma):  # without damping the prior does nothing
        solution = solve(_problem(rows, targets), prior, QR)
        np.testing.assert_allclose(solution.coefficients, expected, rtol=1e-9)
    residual = np.sum((rows @ expected - targets) ** 2)
    assert solution.noise == pytest.approx(residual / (700 - 12), rel=1e-10)
    covariance = solution.noise * np.linalg.inv(rows.T @ rows)
    np.testing.assert_allclose(solution.factor @ solution.factor.T, covariance, rtol=1e-8)
    assert solution.report["rank"] == 12 and solution.report["rows"] == 700
    assert solution.report["residual"] == pytest.approx(residual)
    assert solution.prior_variance is None and solution.log_evidence is None


@pytest.mark.parametrize("count", [5, 12, 40, 900])
@pytest.mark.parametrize("with_prior", [True, False])
def test_damped_least_squares_equals_the_augmented_dense_answer(count, with_prior):
    rows, targets, gamma = _data(count, 12, seed=count)
    gamma = gamma if with_prior else np.ones(12)
    augmented = np.vstack([rows, 0.3 * np.diag(gamma)])
    right = np.concatenate([targets, np.zeros(12)])
    expected = np.linalg.lstsq(augmented, right, rcond=None)[0]
    solution = solve(
        _problem(rows, targets), gamma if with_prior else None, solvers.QR(damping=0.3)
    )
    np.testing.assert_allclose(solution.coefficients, expected, rtol=1e-9, atol=1e-12)
    inverse = np.linalg.inv(augmented.T @ augmented)
    effective = np.trace(rows @ inverse @ rows.T)
    assert solution.report["effective parameters"] == pytest.approx(effective, rel=1e-9)
    noise = np.sum((rows @ expected - targets) ** 2) / (count - effective)
    assert solution.noise == pytest.approx(noise, rel=1e-8)
    np.testing.assert_allclose(
        solution.factor @ solution.factor.T, noise * inverse, rtol=1e-8, atol=1e-14
    )


def test_residual_stays_least_at_extreme_condition():
    """Monomials to degree 12 in [0, 1], each twice but for 1e-13, on columns of any size."""
    rng = np.random.default_rng(3)
    x = rng.random(300)
    basis = np.vander(x, 13)
    rows = np.hstack([basis, basis + 1e-13 * rng.normal(size=basis.shape)])
    rows *= 10.0 ** rng.uniform(-5, 5, size=26)
    targets = np.exp(3 * x) + 1e-3 * rng.normal(size=300)
    solution = solve(_problem(rows, targets), None, QR)
    single = np.polynomial.legendre.legvander(2 * x - 1, 12)
    best = np.sum((single @ np.linalg.lstsq(single, targets, rcond=None)[0] - targets) ** 2)
    residual = np.sum((rows @ solution.coefficients - targets) ** 2)
    assert residual < 1.01 * best
    assert residual == pytest.approx(solution.report["residual"], rel=1e-2)
    assert solution.report["condition number"] > 1e13


def test_duplicate_columns_lower_the_rank_not_the_accuracy():
    rows, targets, _ = _data(50, 5)
    doubled = np.hstack([rows, rows])
    solution = solve(_problem(doubled, targets), None, solvers.QR(0, tolerance=1e-13))
    best = solve(_problem(rows, targets), None, QR)
    assert solution.report["rank"] == 5 and solution.factor.shape == (10, 5)
    np.testing.assert_allclose(doubled @ solution.coefficients, rows @ best.coefficients, atol=1e-9)
    assert solution.noise == pytest.approx(best.noise)


def test_underdetermined_least_squares_is_refused():
    rows, targets, gamma = _data(5, 12)
    with pytest.raises(InputError, match=r"^underdetermined: 5 rows for 12 functions; add data"):
        solve(_problem(rows, targets), gamma, QR)
    assert solve(_problem(rows, targets), gamma, CHOSEN).report["effective parameters"] < 2.5


def test_functions_without_data_are_counted():
    rows, targets, gamma = _data(50, 6)
    rows[:, [0, 3]] = 0
    problem = _problem(rows, targets)
    assert solve(problem, gamma, QR).report["never seen"] == 2
    for config in (QR, solvers.QR(damping=0.1), CHOSEN, BLR):
        assert np.abs(solve(problem, gamma, config).coefficients[[0, 3]]).max() < 1e-15


def test_as_many_rows_as_functions_give_no_posterior():
    rows, targets, _ = _data(6, 6)
    solution = solve(_problem(rows, targets), None, QR)
    np.testing.assert_allclose(rows @ solution.coefficients, targets, atol=1e-10)
    assert solution.factor is None and solution.noise == 0
    with pytest.raises(InputError, match="committee: these data determine no posterior"):
        solution.draw(2, np.random.default_rng(0))


# ---- qr with a damping by generalised cross-validation


def _score(rows, targets, gamma, damping):
    """The formula of docs/conventions.md with the dense hat matrix."""
    count = len(rows)
    hat = rows @ np.linalg.inv(rows.T @ rows + damping**2 * np.diag(gamma**2)) @ rows.T
    residual = np.sum((targets - hat @ targets) ** 2) / count
    if 2 * np.trace(hat) >= count:
        return np.inf
    robust = 0.2 + 0.8 * np.trace(hat @ hat) / count
    return residual / (1 - 2 * np.trace(hat) / count) ** 2 * robust


@pytest.mark.parametrize(("count", "columns"), [(90, 10), (30, 25), (20, 40)])
@pytest.mark.parametrize(("noise", "seed"), [(0.02, 0), (0.02, 1), (0.1, 2), (0.5, 3), (2.0, 4)])
def test_the_chosen_damping_has_the_least_score(count, columns, noise, seed):
    """Much noise may leave nothing of the coefficients, an infinite damping."""
    rows, targets, gamma = _data(count, columns, seed, noise, decades=0.5)
    solution = solve(_problem(rows, targets), gamma, CHOSEN)
    report = solution.report
    grid = np.logspace(-4, 4, 2001)
    scores = [_score(rows, targets, gamma, d) for d in grid]
    assert report["least score"] <= min(scores) * (1 + 1e-9)
    assert report["least score"] == pytest.approx(min(scores), rel=1e-3)
    found = _score(rows, targets, gamma, report["damping"])
    assert report["least score"] == pytest.approx(found, rel=1e-8)
    stated = solve(_problem(rows, targets), gamma, solvers.QR(damping=report["damping"]))
    np.testing.assert_array_equal(solution.coefficients, stated.coefficients)
    assert report.items() >= stated.report.items() and stated.line == ""
    assert solution.line == (
        f"qr: damping {report['damping']:.2g} by generalised cross-validation, "
        f"{report['effective parameters']:.0f} of {columns} effective parameters"
    )
    again = solve(_problem(rows, targets), gamma, CHOSEN)
    np.testing.assert_array_equal(again.coefficients, solution.coefficients)


@pytest.mark.parametrize("seed", range(5))
def test_what_least_squares_overfits_the_chosen_damping_does_not(seed):
    """A smooth function of which there are few noisy values, and γ that grows with the degree."""
    rng = np.random.default_rng(seed)
    x, fresh = rng.uniform(-1, 1, size=60), np.linspace(-0.99, 0.99, 200)
    gamma = 1.0 + np.arange(40) ** 2
    rows, there = (np.polynomial.chebyshev.chebvander(z, 39) for z in (x, fresh))
    targets = np.exp(x) + 0.1 * rng.normal(size=60)

    def error(solver):
        found = solve(_problem(rows, targets), gamma, solver)
        return np.sqrt(np.mean((there @ found.coefficients - np.exp(fresh)) ** 2))

    chosen = error(CHOSEN)
    assert chosen < 0.08 and chosen < 0.1 * error(QR)
    assert chosen < 1.3 * min(error(solvers.QR(damping=d)) for d in np.logspace(-4, 1, 41)) + 0.02


def test_the_chosen_damping_of_targets_without_noise_changes_nothing():
    rows, targets, gamma = _data(100, 12, noise=0.0)
    chosen, plain = (solve(_problem(rows, targets), gamma, one) for one in (CHOSEN, QR))
    np.testing.assert_allclose(chosen.coefficients, plain.coefficients, rtol=1e-6)


def test_the_chosen_damping_follows_the_scale_of_the_rows():
    rows, targets, gamma = _data(60, 20, noise=0.5, decades=0)
    unit = solve(_problem(rows, targets), gamma, CHOSEN)
    scaled = solve(_problem(1e-6 * rows, 1e-6 * targets), gamma, CHOSEN)
    assert scaled.report["damping"] == pytest.approx(1e-6 * unit.report["damping"], rel=1e-5)
    np.testing.assert_allclose(scaled.coefficients, unit.coefficients, rtol=1e-5)


def test_zero_targets_or_functions_need_no_choice():
    rows, _, gamma = _data(50, 6)
    found = solve(_problem(rows, np.zeros(50)), gamma, CHOSEN)
    assert not found.coefficients.any() and found.noise == 0
    with pytest.raises(InputError, match="all 3 functions are zero in every row"):
        solve(_problem(np.zeros((9, 3)), np.ones(9)), None, CHOSEN)


@pytest.mark.parametrize("seed", range(4))
def test_a_stated_damping_has_the_numbers_of_a_stated_solver(seed):
    """A state whose damping is chosen, asked for another one, gives what a stated one gives."""
    rows, targets, gamma = _data(30, 6, seed)
    problem = _problem(rows, targets)
    for damping in (0.0, 1e-3, 2.0):
        found = CHOSEN.factorise(problem, gamma).solve(damping=damping)
        stated = solvers.QR(damping=damping).factorise(problem, gamma).solve()
        np.testing.assert_array_equal(found.coefficients, stated.coefficients)


# ---- blr


@pytest.mark.parametrize(("count", "columns"), [(60, 8), (8, 8), (6, 15)])
@pytest.mark.parametrize(("prior", "noise"), [(1.0, 1.0), (1e-2, 3.0), (40.0, 1e-3)])
def test_evidence_is_the_normal_density_of_the_targets(count, columns, prior, noise):
    rows, targets, _ = _data(count, columns, seed=columns)
    covariance = prior * rows @ rows.T + noise * np.eye(count)
    expected = multivariate_normal(np.zeros(count), covariance).logpdf(targets)
    assert _evidence(rows, targets).value(prior, noise) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "columns"), [(60, 8), (6, 15)])
def test_evidence_gradient_is_its_finite_difference(count, columns):
    evidence = _evidence(*_data(count, columns)[:2])
    for prior, noise in ((1.0, 1.0), (0.02, 0.3), (30.0, 0.01)):
        h, k = 1e-5 * prior, 1e-5 * noise
        by_prior = (evidence.value(prior + h, noise) - evidence.value(prior - h, noise)) / (2 * h)
        by_noise = (evidence.value(prior, noise + k) - evidence.value(prior, noise - k)) / (2 * k)
        assert evidence.gradient(prior, noise) == pytest.approx((by_prior, by_noise), rel=1e-6)


@pytest.mark.parametrize(("count", "columns", "seed"), [(80, 10, 0), (70, 20, 1), (25, 60, 2)])
def test_blr_equals_the_dense_posterior_at_the_best_evidence(count, columns, seed):
    rows, targets, gamma = _data(count, columns, seed, noise=0.3)
    solution = solve(_problem(rows, targets), gamma, BLR)
    scaled = rows / gamma

    def loss(x):
        prior, noise = 1e-8 + x**2
        covariance = prior * scaled @ scaled.T + noise * np.eye(count)
        return -multivariate_normal(np.zeros(count), covariance).logpdf(targets)

    best = min((minimize(loss, start) for start in ([1, 1], [5, 0.3])), key=lambda r: r.fun)
    # Its gradients are differences, which may end it a little short of the best.
    best = minimize(loss, best.x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    prior, noise = 1e-8 + best.x**2
    assert solution.log_evidence == pytest.approx(-best.fun, rel=1e-8)
    assert solution.prior_variance == pytest.approx(prior, rel=1e-3)
    assert solution.noise == pytest.approx(noise, rel=1e-3)

    prior, noise = solution.prior_variance, solution.noise
    assert solution.log_evidence == pytest.approx(-loss(np.sqrt([prior, noise])), rel=1e-6)
    covariance = np.linalg.inv(rows.T @ rows / noise + np.diag(gamma**2) / prior)
    assert solution.factor.shape == (columns, columns)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(solution.factor @ solution.factor.T / scale, covariance / scale,
                               atol=1e-9)  # fmt: skip
    mean = covariance @ rows.T @ targets / noise
    np.testing.assert_allclose(solution.coefficients / np.sqrt(np.diag(covariance)),
                               mean / np.sqrt(np.diag(covariance)), atol=1e-8)  # fmt: skip
    augmented = np.vstack([rows, np.sqrt(noise / prior) * np.diag(gamma)])
    least = np.linalg.lstsq(augmented, np.concatenate([targets, np.zeros(columns)]), rcond=None)[0]
    np.testing.assert_allclose(solution.coefficients, least, rtol=1e-6, atol=1e-12)


def test_gradient_vanishes_at_the_maximum_and_the_grid_holds_nothing_better():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        count, columns = rng.integers(2, 60, size=2)
        rows, targets, _ = _data(
            count, columns, seed, 10.0 ** rng.uniform(-4, 2), rng.uniform(0, 9)
        )
        evidence = _evidence(rows, targets)
        prior, noise, _ = evidence.maximise(1e-4)
        best = evidence.value(prior, noise)
        by_prior, by_noise = evidence.gradient(prior, noise)
        assert prior <= 1.001e-8 or abs(prior * by_prior) < 1e-6 * count, seed
        assert noise <= 1.001e-8 or abs(noise * by_noise) < 1e-6 * count, seed
        for one in np.logspace(-8, 12, 81):
            for other in np.logspace(-8, 12, 81):
                assert evidence.value(one, other) <= best + 1e-8 * max(1.0, abs(best)), seed


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_variances_follow_the_scale_of_the_targets(factor):
    rows, targets, gamma = _data(200, 10, noise=0.5, decades=0)
    unit = solve(_problem(rows, targets), gamma, solvers.BLR(floor=1e-12))
    scaled = solve(_problem(rows, factor * targets), gamma, solvers.BLR(floor=1e-12))
    assert scaled.noise == pytest.approx(factor**2 * unit.noise, rel=1e-6)
    assert scaled.prior_variance == pytest.approx(factor**2 * unit.prior_variance, rel=1e-6)
    np.testing.assert_allclose(scaled.coefficients, factor * unit.coefficients, rtol=1e-6)


def test_known_variances_are_found():
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(6000, 800))
    targets = rows @ (0.05 * rng.normal(size=800)) + 2.0 * rng.normal(size=6000)
    solution = solve(_problem(rows, targets), None, BLR)
    assert solution.noise == pytest.approx(4.0, rel=0.06)
    assert solution.prior_variance == pytest.approx(0.0025, rel=0.15)
    assert solution.report["at floor"] == "none" and solution.report["iterations"] > 0


def test_exact_targets_end_at_the_noise_floor():
    rows, targets, _ = _data(100, 5, noise=0.0, decades=0)
    solution = solve(_problem(rows, targets), None, BLR)
    assert solution.noise == 1e-8 and solution.report["at floor"] == "noise"
    np.testing.assert_allclose(rows @ solution.coefficients, targets, atol=1e-6)


def test_zero_targets_end_at_both_floors():
    rows, targets, _ = _data(100, 5)
    solution = solve(_problem(rows, 0 * targets), None, BLR)
    assert not solution.coefficients.any()
    assert solution.noise == pytest.approx(1e-8) and solution.prior_variance == pytest.approx(1e-8)


def test_singular_values_that_are_rounding_are_counted():
    rows, targets, _ = _data(100, 5, decades=0)
    assert solve(_problem(rows, targets), None, BLR).report["below round-off"] == 0
    doubled = solve(_problem(np.hstack([rows, rows[:, :3]]), targets), None, BLR)
    assert doubled.report["below round-off"] == 3


def test_pure_noise_shrinks_the_coefficients_to_nothing():
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(400, 5)), rng.normal(size=400)
    targets -= rows @ np.linalg.lstsq(rows, targets, rcond=None)[0]
    solution = solve(_problem(rows, targets), None, BLR)
    assert solution.prior_variance == pytest.approx(1e-8)
    assert np.abs(solution.coefficients).max() < 1e-10


def test_blr_needs_one_function_that_is_not_zero():
    with pytest.raises(InputError, match="all 3 functions are zero in every row"):
        solve(_problem(np.zeros((9, 3)), np.ones(9)), None, BLR)


@pytest.mark.parametrize("prior", [np.ones(3), np.zeros(5), -np.ones(5), np.full(5, np.nan)])
def test_bad_prior_is_refused(prior):
    rows, targets, _ = _data(20, 5)
    with pytest.raises(InputError, match="prior: expected 5 finite numbers above 0"):
        solve(_problem(rows, targets), prior, BLR)


# ---- rounding


def _nearly_equal(seed=0, noise=1e-2, apart=1e-13, copies=3):
    """Rows whose columns are equal, or so but for a relative difference, and a steep prior."""
    rng = np.random.default_rng(seed)
    x = rng.random(600)
    basis = np.polynomial.chebyshev.chebvander(2 * x - 1, 11)
    smooth = np.vander(x, 12, increasing=True) + apart * rng.normal(size=(600, 12))
    rows = np.hstack([basis, smooth, basis[:, :copies]]) * 10.0 ** rng.uniform(
        -4, 4, size=24 + copies
    )
    return (
        rows,
        np.exp(3 * x) + noise * rng.normal(size=600),
        10.0 ** rng.uniform(0, 5, 24 + copies),
    )


@pytest.mark.parametrize("noise", [1e-1, 1e-3])
@pytest.mark.parametrize("seed", range(4))
def test_rounding_is_not_taken_for_signal(seed, noise):
    """The residual is what is claimed, near the least, and the coefficients stay in proportion."""
    rows, targets, gamma = _nearly_equal(seed, noise)
    problem = _problem(rows, targets)
    best = solve(problem, gamma, QR)
    for config in (BLR, QR, solvers.QR(damping=1e-9), CHOSEN):
        found = solve(problem, gamma, config)
        actual = float(np.sum((rows @ found.coefficients - targets) ** 2))
        assert found.claimed == pytest.approx(actual, rel=0.03)
        assert found.report["claimed residual"] == found.claimed
        assert actual < 1.1 * best.report["residual"]
        lengths = np.linalg.norm(rows, axis=0) * found.coefficients
        assert np.linalg.norm(lengths) < 1e8 * np.linalg.norm(targets)
        members = found.draw(5, np.random.default_rng(0))
        spread = np.linalg.norm(
            (members - found.coefficients) * np.linalg.norm(rows, axis=0), axis=1
        )
        assert spread.max() < 1e9 * np.linalg.norm(targets)


def test_equal_columns_share_their_coefficient():
    rng = np.random.default_rng(2)
    rows, targets, _ = _data(80, 6, decades=0)
    for near in (0.0, 1e-13):
        both = np.hstack([rows, rows * (1 + near * rng.normal(size=rows.shape))])
        found = solve(_problem(both, targets), None, BLR)
        single = solve(_problem(rows, targets), np.full(6, np.sqrt(0.5)), BLR)
        np.testing.assert_allclose(found.coefficients[:6], found.coefficients[6:], rtol=1e-6)
        np.testing.assert_allclose(2 * found.coefficients[:6], single.coefficients, rtol=1e-6)
        assert found.report["below round-off"] == 6


def test_a_solver_whose_claim_is_false_is_an_error(monkeypatch):
    monkeypatch.setattr(Solver, "kinds", dict(Solver.kinds))

    @dataclass(frozen=True)
    class Liar(solvers.QR, kind="liar"):
        def factorise(self, problem, gamma):
            made = super().factorise(problem, gamma)

            class Lies:
                def solve(self, other=None, *, damping=None):
                    said = made.solve(other, damping=damping)
                    return replace(said, claimed=0.9 * said.claimed)

            return Lies()

    with pytest.raises(ConvergenceError, match="rounding was taken for signal"):
        solve(_problem(*_data(40, 4)[:2]), None, Liar())


@pytest.mark.parametrize("scale", [1e-8, 1e-5])
def test_tiny_weights_change_nothing_but_the_noise(scale):
    rows, targets, gamma = _data(200, 10, noise=0.02, decades=0)
    whole = solve(_problem(rows, targets), gamma, BLR)
    found = solve(_problem(scale * rows, scale * targets), gamma, BLR)
    assert found.report["at floor"] == "none"
    np.testing.assert_allclose(found.coefficients, whole.coefficients, rtol=1e-6)
    assert found.noise == pytest.approx(scale**2 * whole.noise, rel=1e-6)


# ---- committee


def test_committee_has_the_posterior_mean_and_covariance():
    rows, targets, gamma = _data(40, 4, noise=0.5, decades=1)
    for config in (QR, solvers.QR(damping=0.2), CHOSEN, BLR):
        solution = solve(_problem(rows, targets), gamma, config)
        members = solution.draw(40_000, np.random.default_rng(1))
        assert members.shape == (40_000, 4)
        covariance = solution.factor @ solution.factor.T
        sigma = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(
            (members.mean(axis=0) - solution.coefficients) / sigma, 0, atol=0.03
        )
        np.testing.assert_allclose(
            np.cov(members.T) / np.outer(sigma, sigma), covariance / np.outer(sigma, sigma),
            atol=0.03,
        )  # fmt: skip
        again = solution.draw(40_000, np.random.default_rng(1))
        np.testing.assert_array_equal(members, again)


def test_draw_uses_the_factor_as_it_is():
    factor = np.array([[2.0], [1.0], [0.0]])
    solution = Solution(np.array([1.0, 2.0, 3.0]), factor, 0.1)
    xi = np.random.default_rng(5).standard_normal((2, 1))
    expected = np.array([1.0, 2.0, 3.0]) + xi @ factor.T
    np.testing.assert_array_equal(solution.draw(2, np.random.default_rng(5)), expected)


# ---- a state, solved again


STATES = pytest.mark.parametrize(
    "solver",
    [QR, solvers.QR(damping=0.2), CHOSEN, BLR],
    ids=["qr", "damped", "chosen", "blr"],
)


@STATES
def test_other_targets_need_no_other_factorisation(solver):
    rows, first, gamma = _data(90, 6, noise=0.5)
    second = np.random.default_rng(8).normal(size=90)
    accumulator = Accumulator(6, targets=2)
    accumulator.add(rows[:40], np.stack([first, second], axis=1)[:40])
    accumulator.add(rows[40:], np.stack([first, second], axis=1)[40:])
    problems = accumulator.finish(0), accumulator.finish(1)
    state = solver.factorise(problems[0], gamma)
    for problem, targets in zip(problems, (first, second), strict=True):
        found = state.solve(problem)
        alone = solve(_problem(rows, targets), gamma, solver)
        # The place of a least value, such as a chosen damping's, is known to half of all digits.
        np.testing.assert_allclose(found.coefficients, alone.coefficients, rtol=1e-7, atol=1e-12)
        assert found.noise == pytest.approx(alone.noise, rel=1e-7)
        np.testing.assert_allclose(
            found.factor @ found.factor.T, alone.factor @ alone.factor.T, rtol=1e-6, atol=1e-14
        )
    own, again = state.solve(), state.solve(problems[0])
    np.testing.assert_array_equal(own.coefficients, again.coefficients)
    with pytest.raises(InputError, match="other: expected the rows that were factorised"):
        state.solve(_problem(rows[:-1], first[:-1]))


@STATES
@pytest.mark.parametrize("damping", [1e-3, 0.3, 20.0])
def test_another_damping_is_that_of_the_augmented_problem(solver, damping):
    rows, targets, gamma = _data(90, 6, noise=0.5)
    state = solver.factorise(_problem(rows, targets), gamma)
    augmented = np.vstack([rows, damping * np.diag(gamma)])
    dense = np.linalg.lstsq(augmented, np.append(targets, np.zeros(6)), rcond=None)[0]
    np.testing.assert_allclose(state.solve(damping=damping).coefficients, dense, rtol=1e-9)
    own = solve(_problem(rows, targets), gamma, solver).coefficients
    np.testing.assert_array_equal(state.solve().coefficients, own)  # it is as it was


def test_several_targets_are_checked():
    accumulator = Accumulator(3, targets=2)
    with pytest.raises(InputError, match=r"expected shapes \(m, 3\) and \(m, 2\), got .*\(4,\)"):
        accumulator.add(np.zeros((4, 3)), np.zeros(4))
    accumulator.add(np.eye(3), np.zeros((3, 2)))
    with pytest.raises(InputError, match="target: expected 0 to 1, got 2"):
        accumulator.finish(2)
    with pytest.raises(InputError, match="targets: expected 1 or more, got 0"):
        Accumulator(3, 0)


def test_a_solver_that_is_added_is_known_everywhere(monkeypatch):
    """One class: in Python, in a mapping, in a fit, with checked settings."""
    monkeypatch.setattr(Solver, "kinds", dict(Solver.kinds))

    @dataclass(frozen=True)
    class Own(Solver, kind="own"):
        damping: float = 1.0

        def check(self):
            at_least("damping", self.damping, above=True)

        def factorise(self, problem, gamma):
            return solvers.QR(self.damping).factorise(problem, gamma)

    rng = np.random.default_rng(0)
    cell = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
    structures = [
        Structure([14, 14], [[0, 0, 0], [2.0, 1.2, 0.3]] + rng.normal(scale=0.1, size=(2, 3)), cell,
                  True, energy=rng.normal(), forces=rng.normal(size=(2, 3)))
        for _ in range(8)
    ]  # fmt: skip
    basis = {"order": 2, "degree": 4, "cutoff": 4.0}
    found = fit(structures, basis, solver={"kind": "own", "damping": 0.2}, threads=1)
    same = fit(structures, basis, solver=solvers.QR(0.2), threads=1)
    np.testing.assert_array_equal(found.model.coefficients, same.model.coefficients)
    assert found.recipe.solver == Own(0.2) and found.report["solver"]["kind"] == "own"
    config = FitConfig(Data("a.xyz"), solver=Own(0.2))
    assert from_mapping(FitConfig, tomllib.loads(dump_config(config))) == config
    with pytest.raises(InputError, match="solver.damping: expected more than 0, got -1.0"):
        fit(structures, basis, solver={"kind": "own", "damping": -1.0})
    with pytest.raises(
        InputError, match=r"expected one of .*'own'.*, got 'onw'; did you mean 'own'"
    ):
        fit(structures, basis, solver="onw")
