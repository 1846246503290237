"""The loop: culling, cloning, tuning, exchange and its end."""

from __future__ import annotations

import numpy as np
import pytest
from exact_cases import averages, ideal_gas, log_weights, no_energy
from scipy.stats import kstest
from walking import Array

from acepot.errors import ConvergenceError, InputError
from acepot.sampling.energies import FunctionEnergies
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.exchange import exchange
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.species import Transmutation
from acepot.sampling.moves.volume import Volume
from acepot.sampling.nested import NestedSampling
from acepot.sampling.prior import Prior
from acepot.sampling.settings import Exchange, Settings, Stop, Tuning
from acepot.sampling.walkers import State, Walkers

NOTHING = FunctionEnergies(no_energy, batched=True)


def gas(pressures: list[float], stop: Stop, walkers: int = 20, **more: object) -> NestedSampling:
    prior = Prior(volume_max=10.0, shape="fixed")
    settings = Settings(walkers, 12, (Volume(),), stop, batch=4, **more)
    return NestedSampling(Ensemble([1, 1], prior, pressures), settings, NOTHING)


def test_each_iteration_culls_the_highest_walker_of_each_replica() -> None:
    sampling = gas([1.0, 2.0], Stop(40))
    state = sampling.begin()
    before = np.full(2, np.inf)
    while not sampling.finished(state):
        highest = state.walkers.total.max(axis=1)
        births, where = state.walkers.birth.copy(), sampling._highest(state)
        births[[0, 1], where] = highest
        culled = sampling.step(state)
        assert [one.replica for one in culled] == [0, 1]
        assert [one.total for one in culled] == highest.tolist()
        assert (highest <= before).all() and (state.walkers.total <= highest[:, None]).all()
        assert (state.walkers.birth == births).all(), "a clone is born where one was culled"
        for one, pressure in zip(culled, (1.0, 2.0), strict=True):
            assert one.iteration == state.iteration - 1
            np.testing.assert_allclose(one.volume * pressure, one.total, rtol=1e-12)
            np.testing.assert_allclose(np.linalg.det(one.cell), one.volume, rtol=1e-12)
        before = highest
    assert state.iteration == 40
    assert state.tried.sum() > 0


def test_prior_masses_of_all_samples_sum_to_one() -> None:
    log = log_weights(300, 20)
    np.testing.assert_allclose(np.exp(log).sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(log[0], -np.log(21))


def test_the_first_limits_are_order_statistics_of_the_prior() -> None:
    """The mass above the first culled walker of K is Beta(1, K): its V³ of K others is below."""
    top = []
    for seed in range(300):
        sampling = gas([1.0], Stop(1), walkers=5, seed=seed)
        top.append(sampling.begin().walkers.total.max())
    assert kstest((np.array(top) / 20) ** 3, lambda x: x**5).pvalue > 1e-3


@pytest.mark.parametrize(("kt", "later"), [(1.0, 0), (0.01, 60)])
def test_a_run_ends_when_the_weights_of_its_temperature_have_passed(kt: float, later: int) -> None:
    """ln w - H/kT falls by the margin below its maximum; colder runs are longer."""
    sampling = gas([1.0], Stop(kt=kt), walkers=20)
    state, found = sampling.begin(), []
    while not sampling.finished(state):
        found += [one.total for one in sampling.step(state)]
    weight = log_weights(len(found) + 1, 20)[: len(found) + 1]
    last = state.walkers.total.max()
    terms = weight - np.append(found, last) / kt
    assert terms[-1] < terms[:-1].max() - 10
    assert (terms[:-1][terms[:-1].argmax() :] > terms.max() - 10.0 - 1e-9).all()
    h = np.append(found, state.walkers.total[0])
    mean = averages(log_weights(len(found), 20), h, h, 1 / kt)[1]
    assert 0.5 < mean / (3 * kt) < 1.7, "the distribution of that temperature is in the samples"
    assert len(found) > later


def test_a_discrete_energy_gives_its_partition_function() -> None:
    """Eight atoms of two elements: totals fall on nine values, told apart by their keys."""
    atoms, mu = 8, 1.0
    prior = Prior(8.0, shape="fixed", volume="fixed")
    ensemble = Ensemble([3] * atoms, prior, potentials={11: mu}, elements=[3, 11])
    settings = Settings(100, 64, (Transmutation(),), Stop(kt=0.25), batch=16, seed=3)
    sampling = NestedSampling(ensemble, settings, NOTHING)
    state, found = sampling.begin(), []
    while not sampling.finished(state):
        found += [one.total for one in sampling.step(state)]
    h = np.append(found, state.walkers.total[0])
    for beta in (0.5, 1.0, 4.0):
        z, mean, _, _ = averages(log_weights(len(found), 100), h, h, beta)
        exact = atoms * np.log((1 + np.exp(beta * mu)) / 2)
        slope = -atoms * mu / (1 + np.exp(-beta * mu))
        width = np.sqrt(max(-exact + beta * -slope, 0.1) / 100)
        assert abs(z - exact) < 3.5 * width
        assert abs(mean - slope) < 0.4


# ------------------------------------------------------------------ tuning


def test_steps_are_tuned_into_their_window_on_copies() -> None:
    sampling = ideal_gas()
    settings = Settings(
        50, 8, (Volume(step=1e-3),), Stop(1), seed=1, tuning=Tuning(1, 400, rounds=80)
    )
    run = NestedSampling(sampling.ensemble, settings, NOTHING)
    state = run.begin()
    before = state.walkers.take(slice(None))
    highest = run._highest(state)
    found = run._tune(state, highest)
    assert found is not None and 0.25 <= found.rates[0, 0] <= 0.5
    assert found.steps[0, 0] > 1.0 and found.calls >= 400
    assert all((a == before.arrays()[k]).all() for k, a in state.walkers.arrays().items())
    assert state.calls[0] == 50 and state.steps[0, 0] == 1e-3
    run.step(state)
    assert state.steps[0, 0] == found.steps[0, 0]


def test_a_step_that_only_shrinks_is_an_error() -> None:
    """An energy that grows whenever it is asked for: no move is accepted."""
    calls = [0]

    def growing(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        calls[0] += 1
        return np.full(len(positions), float(calls[0])), np.ones_like(positions)

    prior = Prior(8.0, shape="fixed", volume="fixed")
    settings = Settings(5, 8, (Galilean(),), Stop(1), tuning=Tuning(1, 5, factor=1e3))
    run = NestedSampling(Ensemble([1], prior), settings, FunctionEnergies(growing, batched=True))
    with pytest.raises(ConvergenceError, match="no step of a move is small enough"):
        run.step(run.begin())


# ------------------------------------------------------------------ exchange

PRESSURES = np.array([1.0, 3.0])


def two_replicas(volumes: list[list[float]]) -> tuple[Ensemble, State]:
    ensemble = Ensemble([1, 1], Prior(volume_max=1000.0, shape="fixed"), PRESSURES)
    walkers = Walkers.empty((2, 1), 2)
    v = np.array(volumes)
    walkers.cells[:] = np.cbrt(v)[:, :, None, None] * np.eye(3)
    walkers.energy[:] = [[0.5], [-0.25]]
    walkers.total[:] = walkers.energy + PRESSURES[:, None] * v
    return ensemble, State.of(walkers, np.array([1.0]))


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ([9.0, 30.0], True),
        # x of replica 0, U + 3 V = 18.5, must be below the limit of replica 1, and y of
        # replica 1, U + V = 7.75, below that of replica 0: not the other way round
        ([7.7, 30.0], False),
        ([9.0, 18.4], False),
        ([7.8, 18.6], True),
    ],
)
def test_an_exchange_compares_each_walker_with_the_limit_it_comes_under(
    limits: list[float], allowed: bool
) -> None:
    ensemble, state = two_replicas([[6.0], [8.0]])
    settings = Settings(2, 1, (Volume(),), Stop(1), exchange=Exchange(1))
    object.__setattr__(settings, "walkers", 1)  # one pair alone, which no run has
    exchange(ensemble, settings, state, np.array(limits), np.ones(2))
    volumes = np.linalg.det(state.walkers.cells)[:, 0]
    np.testing.assert_allclose(volumes, [8.0, 6.0] if allowed else [6.0, 8.0], rtol=1e-12)
    energies = [-0.25, 0.5] if allowed else [0.5, -0.25]
    assert state.walkers.energy[:, 0].tolist() == energies
    total = np.array(energies) + PRESSURES * volumes  # P V of the new pressure, once
    np.testing.assert_allclose(state.walkers.total[:, 0], total, rtol=1e-12)
    assert state.exchanged.tolist() == [[1, int(allowed)]]


def test_exchanges_leave_the_replicas_uniform() -> None:
    """Ideal gases at three pressures under limits of their own: V^N in each."""
    pressures, limits = [1.0, 1.5, 4.0], np.array([12.0, 15.0, 30.0])
    prior = Prior(volume_max=1000.0, shape="fixed")
    ensemble = Ensemble([1, 1], prior, pressures)
    count = 2000
    settings = Settings(count, 1, (Volume(),), Stop(1), exchange=Exchange(1, attempts=3000))
    walkers = Walkers.empty((3, count), 2)
    v = np.random.default_rng(8).random((3, count)) ** (1 / 3) * (limits / pressures)[:, None]
    walkers.cells[:] = np.cbrt(v)[:, :, None, None] * np.eye(3)
    walkers.total[:] = np.array(pressures)[:, None] * v
    state = State.of(walkers, np.array([1.0]))
    for _ in range(3):
        exchange(ensemble, settings, state, limits, np.ones(3))
        state.iteration += 1
    after = np.linalg.det(state.walkers.cells)
    assert (np.abs(after - v) > 1e-9).mean() > 0.5
    for r in range(3):
        part = (after[r] * pressures[r] / limits[r]) ** 3
        assert kstest(part, "uniform").pvalue > 1e-3
    rate = state.exchanged[:, 1] / state.exchanged[:, 0]
    assert 0.1 < rate.min() < rate.max() < 0.9


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"walkers": 1}, "walkers: expected 2 or more, got 1"),
        ({"batch": 20}, "batch: expected 1 to 19"),
        ({"length": 0}, "length, tries, shape_rounds: expected positive numbers"),
        ({"moves": ()}, "moves: expected one or more kinds"),
        ({"seed": -1}, "seed: expected 0 to 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict, text: str) -> None:
    good: dict = {"walkers": 20, "length": 5, "moves": (Volume(),), "stop": Stop(1)}
    Settings(**good)
    with pytest.raises(InputError, match=text):
        Settings(**{**good, **given})


def test_a_run_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match="stop: expected iterations or kt, got neither"):
        Stop()
