"""The solvers beside qr and blr, against closed forms, conditions of optimality and known truth."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from acepot.errors import InputError
from acepot.fitting import solvers
from acepot.fitting.partition import Division, Partition
from acepot.fitting.problem import Accumulator, joined
from acepot.fitting.solvers import noise, solve
from acepot.fitting.solvers.heldout import HeldOut, fewest
from acepot.fitting.solvers.sparse import augmented

SHAPES = pytest.mark.parametrize(("count", "columns"), [(90, 20), (20, 20), (15, 40)])
SPARSE = [solvers.OMP, solvers.Lasso, solvers.ElasticNet]


def _data(count, columns, seed=0, error=0.1):
    """Rows, targets and a prior γ."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, columns)) * np.logspace(0, -1, columns)
    targets = rows @ rng.normal(size=columns) + error * rng.normal(size=count)
    return rows, targets, rng.uniform(1, 20, columns)


def _few(count, columns, seed=0, error=0.1):
    """Targets of five functions; two columns are nearly equal, two are equal."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, columns))
    rows[:, 1] = rows[:, 0] + 0.05 * rng.normal(size=count)
    rows[:, 5] = rows[:, 6]
    used, truth = [2, 3, 9, 11, 12], np.zeros(columns)
    truth[used] = [1.0, -2.0, 0.7, 1.5, -1.0]
    return rows, rows @ truth + error * rng.normal(size=count), used


def _problem(rows, targets, folds=0, names=("",), each=None):
    division = Division(folds, by_observable=len(names) > 1)
    made = Partition(rows.shape[1], division)
    kinds = np.zeros(len(rows), int) if each is None else each
    for i in range(len(rows)):
        made.add(rows[[i]], targets[[i]], fold=i % max(folds, 1), observable=names[kinds[i]])
    return made.finish()


def _ridge(rows, targets, weights):
    """The minimum of |A c - y|² + |weights c|² and the inverse of its matrix."""
    matrix = rows.T @ rows + np.diag(np.broadcast_to(weights, rows.shape[1]) ** 2)
    stacked = np.vstack([rows, np.diag(np.broadcast_to(weights, rows.shape[1]))])
    right = np.append(targets, np.zeros(rows.shape[1]))
    return np.linalg.lstsq(stacked, right, rcond=None)[0], np.linalg.inv(matrix)


# ---- ridge, lsqr


@SHAPES
@pytest.mark.parametrize("make", [solvers.Ridge, solvers.LSQR])
def test_damped_least_squares_equals_the_dense_answer(make, count, columns):
    rows, targets, gamma = _data(count, columns)
    settings = {"tolerance": 1e-6} if make is solvers.LSQR else {}
    found = solve(_problem(rows, targets), gamma, make(damping=0.2, **settings))
    expected, inverse = _ridge(rows, targets, 0.2 * gamma)
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-5, atol=1e-8)
    effective = np.trace(rows @ inverse @ rows.T)
    assert found.report["effective parameters"] == pytest.approx(effective, rel=1e-8)
    left = np.sum((rows @ expected - targets) ** 2) / (count - effective)
    assert found.noise == pytest.approx(left, rel=1e-6)
    covariance = found.factor @ found.factor.T
    np.testing.assert_allclose(covariance, left * inverse, rtol=1e-5, atol=1e-12)


@SHAPES
@pytest.mark.parametrize("make", [solvers.Ridge, solvers.LSQR])
def test_the_damping_is_that_which_qr_chooses(make, count, columns):
    rows, targets, gamma = _data(count, columns, seed=1)
    problem = _problem(rows, targets)
    one, other = (solve(problem, gamma, s) for s in (solvers.QR(), make()))
    assert other.report["damping"] == pytest.approx(one.report["damping"], rel=1e-6)
    assert min(other.curve["score"]) >= other.report["least score"] * (1 - 1e-12)
    assert len(other.curve["damping"]) == len(other.curve["score"]) > 10


@pytest.mark.parametrize("tolerance", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("damping", [0.01, 1.0])
def test_lsqr_is_off_by_no_more_standard_deviations_than_stated(tolerance, damping):
    """In every direction, whatever the units of rows and columns."""
    rows, targets, gamma = _data(200, 60, seed=2)
    exact, inverse = _ridge(rows, targets, damping * gamma)
    found = solve(_problem(rows, targets), gamma, solvers.LSQR(damping, tolerance))
    wrong = found.coefficients - exact
    off = np.sqrt(wrong @ np.linalg.solve(inverse, wrong) / found.noise)
    assert off <= tolerance and off <= found.report["off by standard deviations"] * 1.01
    units = np.logspace(-6, 6, 60)
    other = solve(
        _problem(1e3 * rows * units, 1e3 * targets),
        gamma * units,
        solvers.LSQR(1e3 * damping, tolerance),
    )
    np.testing.assert_allclose(other.coefficients * units, found.coefficients, rtol=1e-6)
    assert other.report["steps"] == found.report["steps"]


def test_lsqr_takes_fewer_steps_for_less():
    rows, targets, gamma = _data(300, 80, seed=3)
    steps = [
        solve(_problem(rows, targets), gamma, solvers.LSQR(1e-3, t)).report["steps"]
        for t in (3.0, 1e-4, 1e-9)
    ]
    assert steps[0] < steps[1] < steps[2] <= 80


# ---- svd, rrqr


@SHAPES
def test_truncated_svd_is_the_pseudo_inverse_with_a_cut(count, columns):
    rows, targets, gamma = _data(count, columns)
    for tolerance in (0.3, 0.01):
        found = solve(_problem(rows, targets), gamma, solvers.TruncatedSVD(tolerance))
        inverse = np.linalg.pinv(rows / gamma, rcond=tolerance)
        np.testing.assert_allclose(found.coefficients, inverse @ targets / gamma, atol=1e-9)
        assert found.report["rank"] == np.linalg.matrix_rank(rows / gamma, rtol=tolerance)
        if found.factor is not None:
            covariance = found.noise * inverse @ inverse.T / np.outer(gamma, gamma)
            np.testing.assert_allclose(found.factor @ found.factor.T, covariance, atol=1e-9)


@pytest.mark.parametrize("make", [solvers.TruncatedSVD, solvers.RRQR])
@pytest.mark.parametrize(("count", "columns"), [(90, 20), (40, 60)])
def test_the_rank_has_the_least_score(make, count, columns):
    rows, targets, gamma = _data(count, columns, error=1.0)
    problem = _problem(rows, targets)
    found = solve(problem, gamma, make())

    def score(rank):
        hat = np.sum((rows @ _at_rank(make, rows / gamma, targets, rank) - targets) ** 2) / count
        return hat / (1 - 2 * rank / count) ** 2 * (0.2 + 0.8 * rank / count)

    possible = range(1, min(columns, (count - 1) // 2) + 1)
    scores = {rank: score(rank) for rank in possible if 2 * rank < count}
    best = min(scores, key=scores.__getitem__)
    assert found.report["rank"] == best
    assert found.report["least score"] == pytest.approx(scores[best], rel=1e-9)
    for rank, value in zip(found.curve["rank"], found.curve["score"], strict=True):
        assert value == pytest.approx(scores[int(rank)], rel=1e-7)


def _at_rank(make, scaled, targets, rank):
    """Coefficients of γ c of so many directions, mapped back by the caller's rows: of `scaled`."""
    import scipy.linalg

    if make is solvers.TruncatedSVD:
        left, singular, right = np.linalg.svd(scaled, full_matrices=False)
        inner = right[:rank].T @ (left[:, :rank].T @ targets / singular[:rank])
    else:
        _, _, order = scipy.linalg.qr(scaled, mode="economic", pivoting=True)
        inner = np.zeros(scaled.shape[1])
        kept = order[:rank]
        inner[kept] = np.linalg.lstsq(scaled[:, kept], targets, rcond=None)[0]
    return inner / _data(*SHAPE_OF[scaled.shape], error=1.0)[2]


SHAPE_OF = {(90, 20): (90, 20), (40, 60): (40, 60)}


def test_rank_revealing_qr_drops_what_the_prior_penalises_first():
    rows, targets, _ = _data(60, 12)
    rows[:, 11] = rows[:, 0] + rows[:, 1]  # one of the three is not needed
    for late in (0, 1, 11):
        gamma = np.ones(12)
        gamma[late] = 100.0
        found = solve(_problem(rows, targets), gamma, solvers.RRQR(1e-10))
        assert np.flatnonzero(found.coefficients == 0).tolist() == [late]
        assert not found.factor[late].any() and found.report["rank"] == 11
        best = np.linalg.lstsq(rows, targets, rcond=None)[0]
        np.testing.assert_allclose(rows @ found.coefficients, rows @ best, atol=1e-10)


# ---- omp, lasso, elastic net


@pytest.mark.parametrize("size", [1, 4, 10])
def test_matching_pursuit_takes_the_smallest_angle_each_time(size):
    rows, targets, gamma = _data(60, 20)
    scaled, kept, left = rows / gamma, [], targets
    for _ in range(size):
        score = np.abs(left @ scaled) / np.linalg.norm(scaled, axis=0)
        score[kept] = 0
        kept.append(int(np.argmax(score)))
        best = np.linalg.lstsq(scaled[:, kept], targets, rcond=None)[0]
        left = targets - scaled[:, kept] @ best
    found = solve(_problem(rows, targets), gamma, solvers.OMP(size=size, damping=0.0))
    assert set(np.flatnonzero(found.coefficients)) == set(kept)
    np.testing.assert_allclose(found.coefficients[kept] * gamma[kept], best, rtol=1e-8)
    assert found.report["functions used"] == size and found.curve == {}


@SHAPES
@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_the_elastic_net_is_at_its_minimum(count, columns, damping):
    """The slope of each coefficient is balanced by the penalty, or less than it where c = 0."""
    rows, targets, gamma = _data(count, columns, seed=4)
    rows[:, 7] = rows[:, 8]
    for penalty in (1e-1, 1e-3, 1e-5):
        solver = solvers.ElasticNet(damping=damping, penalty=penalty)
        inner = solve(_problem(rows, targets), gamma, solver).coefficients * gamma
        scaled = rows / gamma
        slope = (targets - scaled @ inner) @ scaled - damping**2 * inner
        limit, used = count * penalty, inner != 0
        np.testing.assert_allclose(slope[used], limit * np.sign(inner[used]), rtol=1e-5, atol=1e-9)
        assert np.abs(slope[~used]).max(initial=0.0) <= limit * (1 + 1e-7)


def test_the_lasso_solves_again_for_the_functions_of_its_path():
    rows, targets, gamma = _data(80, 25, seed=5)
    for size in (3, 9):
        found = solve(_problem(rows, targets), gamma, solvers.Lasso(size=size, damping=0.1))
        kept = np.flatnonzero(found.coefficients)
        assert len(kept) == size
        expected, _ = _ridge(rows[:, kept], targets, 0.1 * gamma[kept])
        np.testing.assert_allclose(found.coefficients[kept], expected, rtol=1e-8)


@pytest.mark.parametrize("make", [solvers.OMP, solvers.Lasso, solvers.ElasticNet, solvers.ARD])
@pytest.mark.parametrize(("count", "columns"), [(200, 30), (120, 160)])
def test_functions_that_made_the_targets_are_found(make, count, columns):
    rows, targets, used = _few(count, columns)
    found = solve(_problem(rows, targets, folds=4), None, make())
    assert set(used) <= set(np.flatnonzero(found.coefficients))
    assert set(used) == set(np.argsort(np.abs(found.coefficients))[-5:])
    if make in (solvers.OMP, solvers.Lasso):
        assert found.report["functions used"] <= 8
    assert np.count_nonzero(found.coefficients) < columns / 1.5
    unused = found.coefficients == 0
    assert not found.factor[unused].any()
    members = found.draw(3, np.random.default_rng(0))
    assert not members[:, unused].any() and members[:, used].all()


@pytest.mark.parametrize("make", SPARSE)
def test_the_end_of_a_path_has_the_least_errors_for_what_is_left_out(make):
    rows, targets, _ = _few(120, 30, seed=2, error=0.5)
    rows[:, 5] = np.random.default_rng(9).normal(size=120)  # which of two equal ones is chance
    solver = make(slack=0.0, damping=0.3)
    found = solve(_problem(rows, targets, folds=4), None, solver)
    ends, errors = found.curve[solver.end], found.curve["error"]
    stated = "size" if make in (solvers.OMP, solvers.Lasso) else "penalty"
    for k in np.linspace(0, len(ends) - 1, 5).astype(int):
        squares = 0.0
        for fold in range(4):
            out = np.arange(120) % 4 == fold
            value = ends[k] if stated == "penalty" else int(ends[k])
            others = _problem(rows[~out], targets[~out])
            c = solve(others, None, make(damping=0.3, **{stated: value})).coefficients
            squares += np.sum((rows[out] @ c - targets[out]) ** 2)
        assert errors[k] == pytest.approx(np.sqrt(squares / 120), rel=1e-6)
    assert found.report[solver.end] == ends[int(np.argmin(errors))]
    assert found.report["least error"] == min(errors)
    greedy = solve(_problem(rows, targets, folds=4), None, make(slack=0.3, damping=0.3))
    assert greedy.report["functions used"] <= found.report["functions used"]


@pytest.mark.parametrize("make", SPARSE)
def test_where_nothing_can_be_left_out_the_end_must_be_stated(make):
    rows, targets, _ = _few(50, 20)
    with pytest.raises(InputError, match=rf"^{make.end}: expected a number where fewer than two"):
        solve(_problem(rows, targets), None, make())


@pytest.mark.parametrize("make", SPARSE)
def test_targets_that_are_zero_need_no_function(make):
    rows, _, _ = _few(50, 20)
    found = solve(_problem(rows, np.zeros(50), folds=4), None, make(damping=0.1))
    assert not found.coefficients.any() and found.report["functions used"] == 0


@pytest.mark.parametrize("make", [solvers.OMP, solvers.Lasso])
def test_a_size_beyond_all_functions_takes_all(make):
    rows, targets, gamma = _data(60, 8)
    found = solve(_problem(rows, targets), gamma, make(size=50, damping=0.1))
    np.testing.assert_allclose(found.coefficients, _ridge(rows, targets, 0.1 * gamma)[0], rtol=1e-8)


def test_equal_columns_do_not_enter_a_path_twice():
    rows, targets, _ = _data(60, 8)
    doubled = np.hstack([rows, rows])
    for make in (solvers.OMP, solvers.Lasso):
        found = solve(_problem(doubled, targets), None, make(size=16, damping=0.0))
        assert found.report["functions used"] == 8
        best = np.linalg.lstsq(rows, targets, rcond=None)[0]
        np.testing.assert_allclose(doubled @ found.coefficients, rows @ best, atol=1e-9)


def test_fewest_is_the_first_that_is_good_enough():
    errors = [5.0, 2.0, 1.05, 1.0, 1.2]
    assert fewest(errors, 0.0) == 3 and fewest(errors, 0.06) == 2 and fewest(errors, 1.0) == 1


# ---- ard


@pytest.mark.parametrize(("count", "columns", "seed"), [(120, 25, 0), (40, 50, 1)])
def test_ard_is_at_a_maximum_of_the_evidence(count, columns, seed):
    """Of the variances of functions that are used, and of the noise, and 0 for the others."""
    rows, targets, _ = _few(count, columns, seed)
    gamma = np.random.default_rng(seed).uniform(0.5, 2, columns)
    found = solve(_problem(rows, targets), gamma, solvers.ARD())
    kept = np.flatnonzero(found.coefficients)
    scaled, inner = rows / gamma, found.coefficients * gamma
    # v from the posterior: c = v Xᵀ (X v Xᵀ + ve)⁻¹ y, so v = c / Xᵀ(y - X c) ve.
    slope = (targets - scaled @ inner) @ scaled / found.noise
    variances = np.zeros(columns)
    variances[kept] = inner[kept] / slope[kept]
    assert variances[kept].min() > 0

    def evidence(v, ve):
        covariance = (scaled * v) @ scaled.T + ve * np.eye(count)
        return multivariate_normal(np.zeros(count), covariance).logpdf(targets)

    best = evidence(variances, found.noise)
    assert found.log_evidence == pytest.approx(best, abs=1e-4)
    assert found.curve["log evidence"][-1] <= best + 1e-3
    assert np.diff(found.curve["log evidence"]).min() > -1e-3
    for factor in (0.8, 1.25):
        assert evidence(variances, factor * found.noise) < best + 0.02
        for k in range(columns):
            moved = variances.copy()
            moved[k] = factor * moved[k] if moved[k] else 1e-3
            assert evidence(moved, found.noise) < best + 0.02
    matrix = scaled[:, kept].T @ scaled[:, kept] / found.noise + np.diag(1 / variances[kept])
    covariance = np.linalg.inv(matrix) / np.outer(gamma[kept], gamma[kept])
    np.testing.assert_allclose((found.factor @ found.factor.T)[np.ix_(kept, kept)], covariance,
                               rtol=1e-6, atol=1e-12)  # fmt: skip


def test_ard_of_targets_that_are_noise_alone_uses_next_to_nothing():
    rng = np.random.default_rng(0)
    found = solve(
        _problem(rng.normal(size=(300, 20)), rng.normal(size=300)), None, solvers.ARD()
    )  # fmt: skip
    assert found.report["effective parameters"] < 6
    assert found.noise == pytest.approx(1.0, rel=0.2)


# ---- noise of each observable


NAMES, LEVELS = ("energy", "forces", "virial"), (0.03, 0.4, 3.0)


def _levelled(counts, columns, seed=0):
    rng = np.random.default_rng(seed)
    each = np.repeat(np.arange(3), counts)
    rows = rng.normal(size=(len(each), columns))
    targets = rows @ rng.normal(size=columns) + np.array(LEVELS)[each] * rng.normal(size=len(each))
    return rows, targets, each


def test_noise_of_each_observable_is_found():
    rows, targets, each = _levelled((300, 500, 400), 12)
    problem = _problem(rows, targets, names=NAMES, each=each)
    found = solve(problem, None, solvers.BLR(noise="separate"))
    common = solve(problem, None, solvers.BLR())
    for name, level in zip(NAMES, LEVELS, strict=True):
        variance = found.report[f"noise variance of {name}"]
        assert variance == pytest.approx(level**2, rel=0.25)  # 4 standard deviations of 300
        assert name in found.line
    assert found.log_evidence > common.log_evidence + 100
    assert found.report["log evidence of a common noise"] == pytest.approx(common.log_evidence)
    variances = np.array([found.report[f"noise variance of {n}"] for n in NAMES])[each]
    covariance = found.prior_variance * rows @ rows.T + np.diag(variances)
    dense = multivariate_normal(np.zeros(len(each)), covariance).logpdf(targets)
    assert found.log_evidence == pytest.approx(dense, abs=1e-5)
    inverse = np.linalg.inv(
        rows.T @ (rows / variances[:, None]) + np.eye(12) / found.prior_variance
    )
    np.testing.assert_allclose(found.coefficients, inverse @ rows.T @ (targets / variances),
                               rtol=1e-8)  # fmt: skip
    np.testing.assert_allclose(found.factor @ found.factor.T, inverse, rtol=1e-6)


@pytest.mark.parametrize("counts", [(20, 50, 30), (3, 9, 6)])
def test_the_slope_of_the_evidence_is_its_finite_difference(counts):
    rows, targets, each = _levelled(counts, 25)
    parts = [_problem(rows[each == g], targets[each == g]) for g in range(3)]
    wholes, at = [one.whole for one in parts], np.array([-1.0, 0.3, 1.0, -0.5])
    value, slope = noise._loss(wholes, counts, at)
    variances = np.exp(at)
    covariance = variances[3] * rows @ rows.T + np.diag(variances[each])
    dense = multivariate_normal(np.zeros(len(each)), covariance).logpdf(targets)
    assert value == pytest.approx(-dense, rel=1e-10)
    numbers = approx_fprime(at, lambda x: noise._loss(wholes, counts, x)[0], 1e-6)
    np.testing.assert_allclose(slope, numbers, rtol=1e-4, atol=1e-4)


def test_separate_noise_needs_rows_by_observable():
    rows, targets, gamma = _data(40, 5)
    with pytest.raises(InputError, match='^noise: expected "common" where the rows are not those'):
        solve(_problem(rows, targets), gamma, solvers.BLR(noise="separate"))


# ---- all of them


ALL = {
    "ridge": solvers.Ridge(),
    "lsqr": solvers.LSQR(tolerance=1e-6),
    "svd": solvers.TruncatedSVD(),
    "rrqr": solvers.RRQR(),
    "ard": solvers.ARD(),
    "omp": solvers.OMP(size=4),
    "lasso": solvers.Lasso(size=4),
    "elastic_net": solvers.ElasticNet(penalty=1e-3),
}


@pytest.mark.parametrize("solver", ALL.values(), ids=ALL)
def test_other_targets_need_no_other_rows(solver):
    rows, first, gamma = _data(90, 6, error=0.5)
    second = np.random.default_rng(8).normal(size=90)
    accumulator = Accumulator(6, targets=2)
    accumulator.add(rows, np.stack([first, second], axis=1))
    state = solver.factorise(accumulator.finish(0), gamma)
    for number, targets in enumerate((first, second)):
        found = state.solve(accumulator.finish(number))
        alone = solve(_problem(rows, targets), gamma, solver)
        np.testing.assert_allclose(found.coefficients, alone.coefficients, rtol=1e-5, atol=1e-9)
    with pytest.raises(InputError, match="other: expected the rows that were factorised"):
        state.solve(_problem(rows[:-1], first[:-1]))


@pytest.mark.parametrize("name", ["ridge", "lsqr", "svd", "rrqr", "ard"])
def test_another_damping_is_that_of_the_augmented_problem(name):
    rows, targets, gamma = _data(90, 6, error=0.5)
    state = ALL[name].factorise(_problem(rows, targets), gamma)
    for damping in (1e-2, 0.3):
        dense = _ridge(rows, targets, damping * gamma)[0]
        found = state.solve(damping=damping).coefficients
        np.testing.assert_allclose(found, dense, rtol=1e-5)


@pytest.mark.parametrize("solver", ALL.values(), ids=ALL)
def test_the_prior_is_applied_once(solver):
    """Rows divided by γ, and coefficients that are: the same as γ itself."""
    rows, targets, gamma = _data(90, 12, seed=6)
    found = solve(_problem(rows, targets), gamma, solver)
    other = solve(_problem(rows / gamma, targets), None, solver)
    np.testing.assert_allclose(found.coefficients * gamma, other.coefficients, rtol=1e-7)
    assert found.report["residual"] == pytest.approx(
        np.sum((rows @ found.coefficients - targets) ** 2), rel=1e-8
    )
    covariance = found.factor @ found.factor.T * np.outer(gamma, gamma)
    expected = other.factor @ other.factor.T
    np.testing.assert_allclose(covariance, expected, rtol=1e-5, atol=1e-9 * expected.max())


@pytest.mark.parametrize("solver", ALL.values(), ids=ALL)
def test_functions_that_are_zero_in_every_row(solver):
    rows, targets, gamma = _data(50, 8)
    rows[:, [0, 3]] = 0
    found = solve(_problem(rows, targets), gamma, solver)
    assert np.abs(found.coefficients[[0, 3]]).max() < 1e-12
    with pytest.raises(InputError, match="all 3 functions are zero in every row"):
        solve(_problem(np.zeros((9, 3)), np.ones(9)), None, solver)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: solvers.Ridge(0.0), "^damping: expected more than 0"),
        (lambda: solvers.LSQR(tolerance=0.0), "^tolerance: expected more than 0"),
        (lambda: solvers.TruncatedSVD(2.0), "^tolerance: expected 0 or more, up to 1"),
        (lambda: solvers.OMP(size=0), "^size: expected 1 or more"),
        (lambda: solvers.Lasso(folds=1), "^folds: expected 2 or more"),
        (lambda: solvers.ElasticNet(penalty=0.0), "^penalty: expected more than 0"),
        (lambda: solvers.OMP(slack=-1.0), "^slack: expected 0 or more"),
        (lambda: solvers.ARD(floor=0.0), "^floor: expected"),
        (lambda: solvers.BLR(noise="own"), "^noise: expected one of 'common', 'separate'"),
        (lambda: solvers.ScikitLearn("SVR"), "^estimator: expected one of 'ARDRegression'"),
        (lambda: solvers.ScikitLearn("os.system"), "^estimator: expected one of"),
    ],
)
def test_settings_that_cannot_be(made, message):
    with pytest.raises(InputError, match=message):
        made()


# ---- rows in parts


@pytest.mark.parametrize(("count", "columns"), [(300, 12), (7, 12)])
def test_parts_are_the_rows_and_together_all_of_them(count, columns):
    rows, targets, _ = _data(count, columns)
    problem = _problem(
        rows, targets, folds=3, names=("energy", "forces"), each=np.arange(count) % 2
    )
    assert problem.rows == count == sum(one.problem.rows for one in problem.parts)
    assert {(one.fold, one.observable) for one in problem.parts} == {
        (i % 3, ("energy", "forces")[i % 2]) for i in range(count)
    }
    for c in np.random.default_rng(1).normal(size=(3, columns)):
        expected = np.sum((rows @ c - targets) ** 2)
        assert problem.residual(c) == pytest.approx(expected, rel=1e-12)
        assert sum(p.problem.residual(c) for p in problem.parts) == pytest.approx(expected)
    weighted = joined([one.problem for one in problem.parts], [2.0] * len(problem.parts))
    assert weighted.residual(c) == pytest.approx(4 * expected)


def test_what_is_left_out_and_what_is_not():
    rows, targets, _ = _data(90, 5)
    made = Partition(5, Division(3))
    for i in range(90):
        made.add(rows[[i]], targets[[i]], fold=-1 if i < 6 else i % 3)
    held = HeldOut.of(made.finish(), "size")
    c = np.random.default_rng(2).normal(size=(3, 5))
    squares = 0.0
    for fold in range(3):
        out = (np.arange(90) % 3 == fold) & (np.arange(90) >= 6)
        left = np.sum((rows[out] @ c[fold] - targets[out]) ** 2)
        assert held.left_out[fold].residual(c[fold]) == pytest.approx(left)
        others = np.sum((rows[~out] @ c[fold] - targets[~out]) ** 2)
        assert held.others[fold].residual(c[fold]) == pytest.approx(others)
        squares += left
    assert held.rows == 84 and held.error(list(c)) == pytest.approx(np.sqrt(squares / 84))


def test_structures_of_a_group_go_to_all_folds_in_turn():
    division = Division(3)
    assert division.folds_of(["a", "a", "b", "a", "a", "b"]) == [0, 1, 0, 2, 0, 1]
    assert division.folds_of(["a", "b"], ["a", "a", "b"]) == [2, 1]
    assert Division().folds_of(["a", "a"]) == [-1, -1]


def test_parts_go_on_from_their_state_to_the_same_bits():
    rows, targets, _ = _data(900, 8)
    division = Division(2, by_observable=True)
    one = Partition(8, division)
    for k in range(0, 600, 100):
        one.add(rows[k : k + 100], targets[k : k + 100], fold=k % 3 % 2, observable="a.b")
    other = Partition.restored({k: v.copy() for k, v in one.state().items()}, division)
    for each in (one, other):
        each.add(rows[600:], targets[600:], fold=1, observable="virial")
    first, second = one.finish(), other.finish()
    np.testing.assert_array_equal(first.triangle, second.triangle)
    assert [(p.fold, p.observable) for p in first.parts] == [
        (p.fold, p.observable) for p in second.parts
    ]


def test_a_ridge_term_is_rows_more():
    rows, targets, _ = _data(30, 40)
    system = augmented(_problem(rows, targets), 0.7)
    c = np.random.default_rng(0).normal(size=40)
    expected = np.sum((rows @ c - targets) ** 2) + 0.49 * c @ c
    assert system.residual(c) == pytest.approx(expected) and system.rows == 30
