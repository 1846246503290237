"""Exact answers: ideal runs of systems whose thermodynamics is known, with calibrated errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp

from acepot.errors import InputError
from acepot.sampling.analysis.errors import Runs
from acepot.sampling.analysis.thermodynamics import Sums, averages, curves
from acepot.sampling.analysis.validity import validity
from acepot.sampling.analysis.weights import log_weights, ratios

BETAS = {"gas": np.array([0.1, 1.0, 10.0]), "harmonic": np.array([0.1, 1.0, 5.0])}
#: nested_sampling tests T1 and T3: ln Z of N = 8, P = 1, vmax = 1000 and of d = 9, R = 30.
PUBLISHED = {
    "gas": [-47.360, -68.083, -88.806],
    "harmonic": [-13.172, -23.534, -30.776],
}


def _system(kit, name):
    return kit.IdealGas() if name == "gas" else kit.Harmonic()


def _nats(name):
    return {"gas": 95, "harmonic": 45}[name]


@pytest.mark.parametrize("name", BETAS)
def test_the_references_are_those_published(kit, name) -> None:
    np.testing.assert_allclose(
        [_system(kit, name).log_z(beta) for beta in BETAS[name]], PUBLISHED[name], atol=6e-4
    )


# ------------------------------------------------------------------ weights


@pytest.mark.parametrize("at_once", [1, 3])
def test_weights_with_live_points_add_up_to_one(kit, at_once) -> None:
    """As they do only if X_0 = 1: pymatnest's are smaller by K/(K+1)."""
    run = kit.run(kit.Harmonic(), 10, 6, seed=1, at_once=at_once)
    assert logsumexp(log_weights(run)) == pytest.approx(0.0, abs=1e-12)
    (block,) = ratios(run, 50, seed=2)
    sums = (np.exp(log_weights(run)) * block).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-12)


@pytest.mark.parametrize("at_once", [1, 3])
def test_redrawn_weights_scatter_about_those_of_the_samples(kit, at_once) -> None:
    """The logarithm of the volume below each sample has the mean that the weights are made of."""
    run = kit.run(kit.Harmonic(), 10, 6, seed=1, at_once=at_once)
    (block,) = ratios(run, 4000, seed=2)
    weights = np.exp(log_weights(run))

    def log_below(w):
        return np.log(np.cumsum(w[..., ::-1], axis=-1)[..., ::-1])

    drawn = log_below(weights * block)[:, : run.culled]
    expected = log_below(weights)[: run.culled]
    variance = np.concatenate([[0.0], np.cumsum(1.0 / run.alive**2)[:-1]])
    error = np.sqrt(variance / len(block))
    assert (abs(drawn.mean(axis=0) - expected) < 4.5 * error + 1e-12).all()
    np.testing.assert_allclose(drawn.std(axis=0)[1:], np.sqrt(variance)[1:], rtol=0.08)


def test_runs_whose_weights_cannot_be_known_are_refused(kit) -> None:
    run = kit.run(kit.Harmonic(), 2, 30000, seed=1)
    with pytest.raises(InputError, match="take more walkers"):
        next(ratios(run, 20, seed=1))


# ------------------------------------------------------------------ exact thermodynamics


@pytest.mark.parametrize(("name", "at_once"), [("gas", 1), ("harmonic", 1), ("harmonic", 4)])
def test_errors_of_a_single_run_are_calibrated(kit, name, at_once) -> None:
    """Over 100 runs, deviations in units of the error have mean zero and sd one.

    A shift of ln Z by -1/K would give the mean -1/sqrt(D K) = -0.02, but the mean of t in place of
    that of ln t D/2K or sqrt(D/K)/2 = +0.6 of an error: that is what fails here.
    """
    system, temperatures = _system(kit, name), 1.0 / BETAS[name]
    heat = {"gas": 9.0, "harmonic": 4.5}[name]
    exact = [system.log_z(beta) for beta in BETAS[name]]
    scores, theory = [], []
    for seed in range(100):
        run = kit.run(system, 40, _nats(name), 1000 + seed, at_once)
        runs = Runs([run], redraws=80, seed=seed, boltzmann=1.0)
        found = runs.estimate(runs.sums(temperatures))
        assert found.source == "redraws" and found.error is not None
        scores.append(
            [
                (getattr(found.value, key) - right) / getattr(found.error, key)
                for key, right in (
                    ("log_z", exact),
                    ("enthalpy", heat * temperatures),
                    ("heat_capacity", heat),
                    ("volume", heat * temperatures if name == "gas" else 1.5),
                )
            ]
        )
        theory.append((found.value.log_z - exact) / found.theory)
    for values in (np.array(scores), np.array(theory)):
        spread = values.std(axis=0)
        assert (abs(values.mean(axis=0)) < 0.42).all(), values.mean(axis=0)
        assert ((spread > 0.8) & (spread < 1.25)).all(), spread


def test_independent_runs_agree_with_the_answer_within_their_own_error(kit) -> None:
    system, temperatures = kit.Harmonic(), 1.0 / BETAS["harmonic"]
    samples = [kit.run(system, 100, 45, seed) for seed in range(100, 120)]
    runs = Runs(samples, redraws=0, boltzmann=1.0)
    found = runs.estimate(runs.sums(temperatures))
    assert found.source == "runs" and found.redraws is None and found.runs is not None
    exact = [system.log_z(beta) for beta in BETAS["harmonic"]]
    assert (abs(found.value.log_z - exact) < 3.2 * found.runs.log_z).all()
    assert (abs(found.value.heat_capacity - 4.5) < 3.2 * found.runs.heat_capacity).all()
    np.testing.assert_allclose(found.runs.log_z, found.theory, rtol=0.6)


def test_the_mean_of_t_would_shift_ln_z(kit) -> None:
    """Control of the choice of weights: ln X_n = n ln(K/(K+1)) is wrong by D/2K in ln Z."""
    system, k = kit.Harmonic(), 20
    shifts = []
    for seed in range(150):
        run = kit.run(system, k, 45, seed)
        n = np.arange(run.culled)
        terms = n * np.log(k / (k + 1)) - np.log(k + 1) - 5.0 * run.enthalpy[: run.culled]
        ours = curves(run, np.array([0.2]), 1.0)
        shifts.append((logsumexp(terms) - system.log_z(5.0), ours.log_z[0] - system.log_z(5.0)))
    (theirs, ours), error = np.mean(shifts, axis=0), np.std(shifts, axis=0) / np.sqrt(150)
    gained = -system.log_z(5.0) - 4.5
    assert abs(ours) < 3.2 * error[1]
    assert abs(theirs - gained / (2 * k)) < 3.2 * error[0] < theirs / 2


def test_live_points_carry_what_is_below_the_last_culled(kit) -> None:
    """Without them a run of 5 nats misses half of Z; with them ln Z is right."""
    system, temperature = kit.Harmonic(), np.array([30.0])
    with_live, without = [], []
    for seed in range(40):
        run = kit.run(system, 200, 5, seed)
        cut = type(run)(run.enthalpy[: run.culled], run.volume[: run.culled], run.culled, 200)
        with_live.append(curves(run, temperature, 1.0).log_z[0])
        without.append(curves(cut, temperature, 1.0).log_z[0])
    exact, error = system.log_z(1 / 30.0), np.std(with_live) / np.sqrt(40)
    assert abs(np.mean(with_live) - exact) < 3.2 * error
    assert exact - np.mean(without) > 10 * error


def test_errors_that_live_points_have_are_calibrated(kit) -> None:
    """A run of 5 nats: they hold half of the weight, and all that there is of its scatter."""
    system, temperature = kit.Harmonic(), np.array([30.0])
    scores = []
    for seed in range(150):
        runs = Runs([kit.run(system, 40, 5, seed)], redraws=80, seed=seed, boltzmann=1.0)
        found = runs.estimate(runs.sums(temperature))
        assert found.error is not None
        right = (system.log_z(1 / 30.0), 1.5)
        pairs = zip(("log_z", "volume"), right, strict=True)
        scores.append([(getattr(found.value, k) - r) / getattr(found.error, k) for k, r in pairs])
    spread = np.std(scores, axis=0)
    assert ((spread > 0.8) & (spread < 1.25)).all(), spread


@pytest.mark.parametrize("extra", [0, 24])
def test_functions_are_related_as_they_must_be(kit, extra) -> None:
    """To rounding, for one and the same set of weights: dG/dT = -S, dH/dT = C_p, S = (H - G)/T."""
    k = 8.617333262e-5
    run = kit.run(kit.TwoPhases(0.01), 50, 110, seed=3, extra=extra)
    t, step = np.array([300.0, 600.0, 700.0]), 0.02
    here, low, high = (curves(run, t + shift) for shift in (0.0, -step, step))
    slope = {key: (getattr(high, key) - getattr(low, key)) / (2 * step) for key in here.names()}
    np.testing.assert_allclose(slope["gibbs"], -k * here.entropy, rtol=1e-6)
    np.testing.assert_allclose(slope["enthalpy"], k * here.heat_capacity, rtol=1e-5)
    np.testing.assert_allclose(slope["volume"] / here.volume, here.expansion, rtol=1e-4, atol=1e-9)
    bare = here.enthalpy - 0.5 * extra * k * t
    np.testing.assert_allclose(here.entropy, (bare - here.gibbs) / (k * t), rtol=1e-9)
    np.testing.assert_allclose(here.gibbs, -k * t * here.log_z, rtol=1e-9)
    np.testing.assert_allclose(here.internal, here.enthalpy - 0.01 * here.volume, rtol=1e-12)


def test_the_kinetic_part_is_added_once(kit) -> None:
    run = kit.run(kit.Harmonic(), 50, 45, seed=3)
    more = type(run)(run.enthalpy, run.volume, run.culled, 50, extra=9)
    t = np.array([0.5, 2.0])
    with_it, without = curves(more, t, 1.0), curves(run, t, 1.0)
    np.testing.assert_allclose(with_it.heat_capacity, without.heat_capacity + 4.5)
    np.testing.assert_allclose(with_it.enthalpy, without.enthalpy + 4.5 * t)
    np.testing.assert_allclose(with_it.log_z, without.log_z)
    assert np.isnan(with_it.internal).all()  # no pressure, no PV


# ------------------------------------------------------------------ reweighting


def test_a_flat_prior_is_turned_into_that_of_the_ensemble(kit) -> None:
    system, temperatures = kit.FlatGas(), 1.0 / BETAS["gas"][:2]
    exact = [system.log_z(beta) for beta in BETAS["gas"][:2]]
    samples = [kit.run(system, 200, 14, seed, flat=True) for seed in range(30)]
    runs = Runs(samples, redraws=60, boltzmann=1.0)
    found = runs.estimate(runs.sums(temperatures))
    assert found.runs is not None and found.redraws is not None
    assert (abs(found.value.log_z - exact) < 3.5 * found.runs.log_z).all()
    assert (abs(found.value.heat_capacity - 9.0) < 3.5 * found.runs.heat_capacity).all()
    np.testing.assert_allclose(found.redraws.log_z, found.runs.log_z, rtol=0.5)


def test_samples_of_one_pressure_tell_of_another(kit) -> None:
    """Exactly, as far as both share configurations."""
    here, there = kit.TwoPhases(0.01), kit.TwoPhases(0.013)
    temperatures = there.temperature * np.array([0.7, 1.0, 1.3])
    samples = [kit.run(here, 60, 110, seed).at_pressure(0.013) for seed in range(20)]
    runs = Runs(samples, redraws=0)
    found = runs.estimate(runs.sums(temperatures))
    assert found.runs is not None
    # The other pressure's prior ends at another enthalpy, which no temperature here can see.
    assert (abs(found.value.log_z - there.log_z(temperatures)) < 3.5 * found.runs.log_z).all()
    assert (abs(found.value.volume - there.volume(temperatures)) < 3.5 * found.runs.volume).all()


def test_any_observable_is_averaged_with_its_error(kit) -> None:
    """r^4 = 4 E² of a harmonic oscillator from every sample and every seventh, and mere noise."""
    system, temperatures = kit.Harmonic(), np.array([0.5, 1.0])

    def moment(power, t):
        return quad(lambda r: r ** (8 + power) * np.exp(-r * r / 2 / t), 0, 30)[0]

    exact = [moment(4, t) / moment(0, t) for t in temperatures]
    scores, noise = [], []
    for seed in range(60):
        run = kit.run(system, 50, 45, seed)
        sums, rows = Sums(run, temperatures, 1.0), np.arange(3, run.culled, 7)
        for where in (None, rows):
            values = 4.0 * run.enthalpy**2
            values = values if where is None else values[where]
            blocks = ratios(run, 80, seed)
            found = averages(sums, values, where)
            drawn = averages(sums, values, where, blocks)
            assert found.shape == (2,) and drawn.shape == (80, 2)
            scores.append((found - exact) / drawn.std(axis=0, ddof=1))
        values = np.random.default_rng(seed).normal(size=len(rows))
        drawn = averages(sums, values, rows, ratios(run, 80, seed))
        noise.append(averages(sums, values, rows) / drawn.std(axis=0, ddof=1))
    for one, least in ((scores[::2], 0.75), (scores[1::2], 0.6), (noise, 0.75)):
        mean, spread = np.mean(one, axis=0), np.std(one, axis=0)
        assert (abs(mean) < 0.5).all(), mean
        assert ((spread > least) & (spread < 1.3)).all(), spread
    np.testing.assert_allclose(averages(sums, run.volume), sums.curves().volume, rtol=1e-12)
    tensors = run.volume[:, None, None] * np.eye(3)
    np.testing.assert_allclose(averages(sums, tensors)[:, 0, 0], sums.curves().volume, rtol=1e-12)


def test_values_that_are_not_those_of_the_samples_are_refused(kit) -> None:
    run = kit.run(kit.Harmonic(), 20, 5, seed=1)
    sums = Sums(run, np.array([1.0]), 1.0)
    with pytest.raises(InputError, match="values: expected"):
        averages(sums, np.zeros(7))
    with pytest.raises(InputError, match="rows: expected some of the"):
        averages(sums, np.zeros(1), np.array([len(run.enthalpy)]))
    for bad in ([0.0], [np.nan], [-1.0], [[1.0]]):
        with pytest.raises(InputError, match="temperatures: expected numbers above 0 K"):
            Sums(run, np.array(bad))


# ------------------------------------------------------------------ what not to trust


def test_a_run_that_ends_too_early_says_so(kit) -> None:
    """The weight of beta = 5 lies at 22 to 34 nats; with live points or without."""
    temperatures = 1.0 / BETAS["harmonic"]
    for nats, clipped in ((45, [False] * 3), (29, [False, False, True]), (5, [True] * 3)):
        run = kit.run(kit.Harmonic(), 100, nats, seed=1)
        cut = type(run)(run.enthalpy[: run.culled], run.volume[: run.culled], run.culled, 100)
        for one in (run, cut):
            found = validity(Sums(one, temperatures, 1.0))
            assert found.clipped.tolist() == clipped, (nats, found.last, found.iterations)
            assert not (found.good & found.clipped).any()


def test_the_range_of_iterations_and_the_entropy_are_those_of_the_weights(kit) -> None:
    """Of beta = 1: gamma-distributed energies, so a known range of ln X."""
    run = kit.run(kit.Harmonic(), 500, 45, seed=1)
    found = validity(Sums(run, np.array([1.0]), 1.0))
    rng = np.random.default_rng(5)
    log_x = 4.5 * np.log(rng.gamma(4.5, size=400_000) / 450.0)
    first, last = -500 * np.quantile(log_x, [0.99, 0.01])
    assert found.first[0] == pytest.approx(first, abs=4 * np.sqrt(first))
    assert found.last[0] == pytest.approx(last, abs=4 * np.sqrt(last))
    density = np.histogram(log_x, bins=400)
    p = density[0] / density[0].sum()
    p, width = p[p > 0], np.diff(density[1])[0]
    nats = -(p @ np.log(p)) + np.log(width * 500)
    assert found.entropy[0] == pytest.approx(nats, abs=0.1)
    assert found.live[0] < 1e-3 and not found.few[0]


def test_few_samples_are_flagged(kit) -> None:
    run = kit.run(kit.Harmonic(), 10, 45, seed=1)
    found = validity(Sums(run, np.array([1.0]), 1.0))
    assert found.entropy[0] < 5.0 and found.few[0] and not found.good[0]


def test_runs_of_different_systems_are_refused(kit) -> None:
    one = kit.run(kit.Harmonic(), 20, 5, seed=1)
    other = kit.run(kit.Harmonic(atoms=4), 20, 5, seed=1)
    with pytest.raises(InputError, match="expected atoms = 3 as in samples, got 4"):
        Runs([one, other])
    with pytest.raises(InputError, match="at least one run"):
        Runs([])
    with pytest.raises(InputError, match="redraws: expected 0, or 2 and more, got 1"):
        Runs([one], redraws=1)
