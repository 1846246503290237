"""The nonlinear loop: known minima, linear problems in one step, and runs that go on."""

from __future__ import annotations

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.fitting.gauss_newton import Iterate, Levenberg, Stop, minimise
from acepot.fitting.solvers import BLR, QR


def exponentials(t, values):
    """Residuals of c0 exp(-c1 t) + c2 exp(-c3 t), in two blocks."""

    def residuals(c):
        first, second = np.exp(-c[1] * t), np.exp(-c[3] * t)
        rows = np.stack([first, -c[0] * t * first, second, -c[2] * t * second], axis=1)
        r = c[0] * first + c[2] * second - values
        yield r[:7], rows[:7]
        yield r[7:], rows[7:]

    return residuals


def rosenbrock(c):
    """A narrow bent valley, in four dimensions."""
    for i in range(len(c) - 1):
        row = np.zeros((2, len(c)))
        row[0, i], row[0, i + 1], row[1, i] = -20 * c[i], 10.0, -1.0
        yield np.array([10 * (c[i + 1] - c[i] ** 2), 1 - c[i]]), row


def test_exponentials_are_recovered():
    t = np.linspace(0, 4, 40)
    truth = np.array([2.0, 0.5, -1.0, 2.5])
    values = truth[0] * np.exp(-0.5 * t) - np.exp(-2.5 * t)
    found = minimise(exponentials(t, values), [1.0, 0.2, -0.5, 1.5])
    np.testing.assert_allclose(found.at.coefficients, truth, rtol=1e-10)
    assert found.stop.converged and found.at.loss < 1e-25


@pytest.mark.parametrize("start", [(-1.2, 1.0), (1.3, 1.7, 0.4, 0.2), (8.0, -3.0, 5.0)])
@pytest.mark.parametrize("solver", [QR(), BLR()])
def test_the_end_of_a_bent_valley_is_found(start, solver):
    found = minimise(rosenbrock, start, solver=solver, settings=Levenberg(iterations=500))
    np.testing.assert_allclose(found.at.coefficients, 1.0, rtol=1e-10)
    assert found.stop.converged and found.at.evaluations < 500


def test_derivatives_of_a_minimum_with_residuals_vanish():
    rng = np.random.default_rng(1)
    t = np.linspace(0, 3, 60)
    values = 1.5 * np.exp(-0.7 * t) + 0.5 * np.exp(-3 * t) + 0.01 * rng.normal(size=60)
    residuals = exponentials(t, values)
    gamma = np.array([0.1, 0.2, 0.1, 0.3])
    found = minimise(residuals, [1.0, 0.2, 0.5, 4.0], gamma=gamma)

    def loss(c):
        return 0.5 * sum(np.sum(r**2) for r, _ in residuals(c)) + 0.5 * np.sum((gamma * c) ** 2)

    assert found.stop is Stop.GRADIENT or found.stop.converged
    assert found.at.loss == pytest.approx(loss(found.at.coefficients), rel=1e-12)
    for k in range(4):
        for h in (1e-4, -1e-4):
            assert loss(found.at.coefficients + h * np.eye(4)[k]) > found.at.loss


def test_a_linear_problem_takes_one_step():
    rng = np.random.default_rng(2)
    rows, targets, gamma = rng.normal(size=(60, 8)), rng.normal(size=60), rng.uniform(1, 9, 8)
    rows *= np.logspace(0, -4, 8)
    found = minimise(lambda c: [(rows @ c - targets, rows)], np.zeros(8), gamma=gamma)
    assert found.at.iterations == 1 and found.at.evaluations <= 2 and found.stop.converged
    dense = np.linalg.lstsq(np.vstack([rows, np.diag(gamma)]), np.append(targets, np.zeros(8)))[0]
    np.testing.assert_allclose(found.at.coefficients, dense, rtol=1e-10)


def test_a_finnis_sinclair_model_is_recovered():
    """E = Σ_i ρ_i + √(σ_i² + 1), two linear densities of site functions."""
    rng = np.random.default_rng(3)
    sites = rng.normal(size=(40, 6, 5))  # [structure, atom, k]
    truth = rng.normal(size=10)

    def energies(c):
        inner = sites @ c[5:]
        root = np.sqrt(inner**2 + 1)
        slopes = np.concatenate([sites, (inner / root)[..., None] * sites], axis=-1)
        return (sites @ c[:5] + root).sum(axis=1), slopes.sum(axis=1)

    labels = energies(truth)[0]

    def residuals(c):
        energy, slopes = energies(c)
        for part in np.array_split(np.arange(40), 3):
            yield energy[part] - labels[part], slopes[part]

    found = minimise(residuals, truth + 0.3 * rng.normal(size=10))
    assert found.stop.converged and found.at.loss < 1e-20
    sign = np.sign(found.at.coefficients[5] / truth[5])  # σ and -σ are the same model
    np.testing.assert_allclose(found.at.coefficients[:5], truth[:5], rtol=1e-9)
    np.testing.assert_allclose(sign * found.at.coefficients[5:], truth[5:], rtol=1e-9)


def test_a_loop_goes_on_from_its_iterate_to_the_same_bits():
    seen: list[Iterate] = []
    whole = minimise(rosenbrock, (-1.2, 1.0), watch=lambda at: bool(seen.append(at)))
    assert len(seen) == whole.at.iterations > 5
    half = minimise(rosenbrock, (-1.2, 1.0), watch=lambda at: at.iterations == 5)
    assert half.stop is Stop.ASKED and half.at.iterations == 5
    rest = minimise(rosenbrock, half.at)
    np.testing.assert_array_equal(rest.at.coefficients, whole.at.coefficients)
    assert rest.at.iterations == whole.at.iterations
    assert rest.at.evaluations == whole.at.evaluations


def test_a_loop_begins_at_an_iterate_of_coefficients_alone():
    plain = minimise(rosenbrock, (-1.2, 1.0))
    found = minimise(rosenbrock, Iterate(np.array([-1.2, 1.0])))
    np.testing.assert_array_equal(found.at.coefficients, plain.at.coefficients)
    assert found.at.evaluations == plain.at.evaluations


def test_units_of_the_coefficients_do_not_matter():
    plain = minimise(rosenbrock, (-1.2, 1.0))
    factor = np.array([1024.0, 2.0**-20])

    def scaled(c):
        for r, rows in rosenbrock(c / factor):
            yield r, rows / factor

    found = minimise(scaled, np.array([-1.2, 1.0]) * factor)
    assert found.at.iterations == plain.at.iterations
    np.testing.assert_allclose(found.at.coefficients / factor, 1.0, rtol=1e-10)


def test_every_end_says_why():
    assert minimise(rosenbrock, (1.0, 1.0)).stop is Stop.GRADIENT
    few = minimise(rosenbrock, (-1.2, 1.0), settings=Levenberg(iterations=2))
    assert few.stop is Stop.ITERATIONS and not few.stop.converged and few.at.iterations == 2

    def wrong(c):  # a slope of the wrong sign: no step can help
        yield np.array([c[0] ** 2 + 1.0]), np.array([[-2 * c[0]]])

    stuck = minimise(wrong, [0.5])
    assert not stuck.stop.converged and stuck.at.coefficients == [0.5]
    assert all(stop.value.islower() or " " in stop.value for stop in Stop)


def test_steps_into_nothing_are_taken_back():
    def logarithm(c):
        with np.errstate(invalid="ignore"):
            yield np.log(c) - 1.0, 1 / c[:, None]

    found = minimise(logarithm, [30.0])  # the plain Newton step ends below 0
    np.testing.assert_allclose(found.at.coefficients, np.e, rtol=1e-10)
    with pytest.raises(InputError, match="residuals: expected finite numbers at the start"):
        minimise(logarithm, [-1.0])


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match=r"start: expected finite numbers of shape \(K,\)"):
        minimise(rosenbrock, [[1.0]])
    with pytest.raises(InputError, match=r"gamma: expected shape \(2,\), got \(3,\)"):
        minimise(rosenbrock, [1.0, 2.0], gamma=np.ones(3))
    with pytest.raises(InputError, match="damping: expected more than 0"):
        Levenberg(damping=0.0)
    with pytest.raises(InputError, match=r"damping: expected more than 0, up to 1e\+12, got 1"):
        Levenberg(damping=1e13)
    with pytest.raises(InputError, match=r"start.scale: expected shape \(2,\), got \(3,\)"):
        minimise(rosenbrock, Iterate(np.array([-1.2, 1.0]), scale=np.ones(3)))
