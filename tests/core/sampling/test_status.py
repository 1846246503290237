"""What is said of a run while it lasts."""

import time

import nested_toy as toy
import numpy as np
import pytest

from acepot.sampling.nested import NestedSampling
from acepot.sampling.preparation import prepare
from acepot.sampling.status import Status, Watched


def test_a_status_in_words():
    status = Status(
        1200, np.array([-4.8311, -4.2]), np.array([1800.4, np.nan]),
        {"galilean": 0.314, "shear": np.nan}, 15234.2, 754.0,
    )  # fmt: skip
    assert str(status) == (
        "iteration 1200, H -4.831 to -4.200 eV/atom, about 1800 K, accepted: galilean 31 %, "
        "15234 evaluations/s, about 12:34 left"
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that runs when it is told to."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_the_iterations_to_come(clock):
    prepared = prepare(toy.config(iterations=50), toy.Wave())
    sampling = NestedSampling(prepared.ensemble, prepared.settings, toy.Wave())
    state, recent = sampling.begin(), np.empty((0, 1))
    watched = Watched(prepared, ["galilean", "volume"])
    watched.note(state, recent)
    begin = int(state.calls[0])
    for _ in range(20):
        clock[0] += 2.0
        recent = np.append(recent, [[one.total for one in sampling.step(state)]], axis=0)
        watched.note(state, recent)
    status = watched.status(state, recent)
    # speeds are those of the last half minute: iterations 5 to 20
    assert status.left == pytest.approx(30 * 2.0, rel=0.01)
    assert 0 < status.evaluations < (int(state.calls[0]) - begin) / 30.0
    assert set(status.accepted) == {"galilean", "volume"}


def test_the_time_left_to_a_temperature_is_that_of_the_heat_capacity(clock):
    """A crystal cools by 1/(K C) an iteration, and beyond its temperature a margin is left."""
    kelvin, walkers, capacity = 300.0, 10, 6.0
    prepared = prepare(toy.config(iterations=None, temperature=kelvin), toy.Wave())
    sampling = NestedSampling(prepared.ensemble, prepared.settings, toy.Wave())
    state = sampling.begin()
    watched = Watched(prepared, ["galilean", "volume"])
    kt = prepared.settings.stop.kt
    n = np.arange(2000)
    totals = capacity * 40.0 * kt * np.exp(-n / walkers / capacity)[:, None]  # 40 T at n = 0
    for iteration in range(2, 61):
        clock[0] += 1.0
        state.iteration = iteration
        recent = totals[max(0, iteration - walkers) : iteration + 1]
        watched.note(state, recent)
    left = watched.status(state, recent).left
    warm = walkers * capacity * np.log(40.0) - 60
    assert left == pytest.approx(warm + 10.0 * walkers, rel=0.15)
