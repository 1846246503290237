"""Peaks, their two sides and the line over pressures of a transition that is known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from acepot.errors import InputError
from acepot.sampling.analysis.clapeyron import lines
from acepot.sampling.analysis.errors import Runs
from acepot.sampling.analysis.peaks import peaks
from acepot.sampling.analysis.sides import RESOLVED, part
from acepot.sampling.analysis.temperatures import chosen, spread
from acepot.sampling.analysis.thermodynamics import Sums
from acepot.units import GIGAPASCAL

#: 10 Å³ and 1.5 eV in a cell of 8 atoms: 1 GPa moves the transition by 4 %.
PRESSURES = (0.0, 2.0, 4.0)


def _exact_peak(system) -> float:
    t = system.temperature
    found = minimize_scalar(
        lambda x: -system.heat_capacity(x), bounds=(0.8 * t, 1.2 * t), method="bounded"
    )
    return float(found.x)


def _exact_width(system) -> float:
    """At half of what rises above k, the heat capacity of either phase."""
    t = np.linspace(0.7, 1.3, 200_001) * system.temperature
    c = system.heat_capacity(t)
    above = t[c > system.k + 0.5 * (c.max() - system.k)]
    return float(above[-1] - above[0])


@pytest.fixture(scope="module")
def found(kit):
    """Systems at three pressures and what six runs say about the peak of each."""
    systems = [kit.TwoPhases(p * GIGAPASCAL) for p in PRESSURES]
    every = []
    for at, system in enumerate(systems):
        samples = [kit.run(system, 60, 110, 10 * at + seed) for seed in range(6)]
        temperatures = spread(0.5 * system.temperature, 1.6 * system.temperature, 80)
        every.append(peaks(Runs(samples, redraws=40), temperatures))
    return systems, every


def test_there_is_one_peak_where_the_phases_are_equally_likely(found) -> None:
    for system, (peak,) in zip(*found, strict=True):
        assert peak.good and peak.resolved
        for measured, exact in (
            (peak.temperature, _exact_peak(system)),
            (peak.latent_heat, system.latent_heat),
            (peak.step, system.step),
            (peak.slope, system.temperature * system.step / system.latent_heat),
        ):
            assert measured.runs is not None and measured.redraws is not None
            assert measured.error == measured.runs
            assert abs(measured.value - exact) < 4.0 * measured.error + 0.01 * exact, (
                measured, exact,
            )  # fmt: skip
            assert 0.3 < measured.runs / measured.redraws < 2.5


def test_height_and_width_are_those_of_the_curve(found) -> None:
    """Both vary with the temperature of the transition, as T does: ΔH is what is fixed."""
    for system, (peak,) in zip(*found, strict=True):
        height = system.heat_capacity(_exact_peak(system))
        assert peak.height.value == pytest.approx(height, rel=0.1)
        assert peak.width.value == pytest.approx(_exact_width(system), rel=0.1)


def test_errors_of_the_peak_of_one_run_are_calibrated(kit) -> None:
    system = kit.TwoPhases(0.0)
    exact, temperatures = _exact_peak(system), spread(450.0, 900.0, 40)
    scores = []
    for seed in range(30):
        runs = Runs([kit.run(system, 40, 110, seed)], redraws=30)
        (peak,) = peaks(runs, temperatures)
        assert peak.temperature.runs is None
        scores.append((peak.temperature.value - exact) / peak.temperature.error)
    assert abs(np.mean(scores)) < 0.5
    assert 0.75 < np.std(scores) < 1.3, np.std(scores)


def test_a_system_without_a_transition_has_no_peak(kit) -> None:
    samples = [kit.run(kit.Harmonic(), 50, 45, seed) for seed in range(2)]
    runs = Runs(samples, redraws=40, boltzmann=1.0)
    assert peaks(runs, spread(0.2, 10.0, 60)) == []


def test_one_normal_distribution_has_no_two_sides(kit) -> None:
    """The share of its variance between its halves is 2/π, in the mean of runs.

    In one run the weights of its shells scatter by as much as themselves, but the two classes
    are halves of it all the same.
    """
    found = []
    for seed in range(10):
        run = kit.run(kit.Harmonic(dimensions=200), 100, 320, seed)
        found.append(part(Sums(run, np.array([1.0]), 1.0), 0).separation)
    assert np.mean(found) == pytest.approx(2 / np.pi, abs=0.02)
    assert max(found) < RESOLVED


def test_two_lines_are_two_sides(kit) -> None:
    system = kit.TwoPhases(0.0)
    sums = Sums(kit.run(system, 200, 110, seed=1), np.array([system.temperature]))
    sides = part(sums, 0)
    assert sides.separation > 0.9
    assert sides.step[0] == pytest.approx(system.step, rel=1e-3)
    assert sides.latent_heat[0] == pytest.approx(system.latent_heat, rel=0.05)
    where, p = sums.probabilities(0)
    low = sums.samples.volume[where] == system.volumes[0]
    below = sums.samples.enthalpy[where] <= sides.parting
    assert p[low != below].sum() < 1e-3


# ------------------------------------------------------------------ lines


def test_the_line_obeys_clausius_and_clapeyron(found) -> None:
    """Both sides of the equation agree with the exact slope and with each other."""
    systems, every = found
    pressures = [p * GIGAPASCAL for p in PRESSURES]
    (line,) = lines(pressures, every)
    assert line.pressures == (0, 1, 2)
    for slope in line.slopes:
        one, other = systems[slope.first], systems[slope.second]
        exact = (other.temperature - one.temperature) / (other.pressure - one.pressure)
        for value, error in (slope.peaks, slope.sides):
            assert error is not None and abs(value - exact) < 4 * error + 0.01 * exact
        assert slope.deviation is not None and abs(slope.deviation) < 4.0


def test_a_wrong_latent_heat_is_seen(found) -> None:
    """Control: with half of ΔV the sides no longer agree with the peaks."""
    _, every = found
    pressures = [p * GIGAPASCAL for p in PRESSURES]

    def halved(peak):
        slope = replace(peak.slope, value=0.5 * peak.slope.value)
        return replace(peak, slope=slope)

    (line,) = lines(pressures, [[halved(peak) for peak in at] for at in every])
    first, last = line.peaks[0], line.peaks[-1]
    change = (last.temperature.value - first.temperature.value) / (pressures[-1] - pressures[0])
    error = np.hypot(first.temperature.error, last.temperature.error) / pressures[-1]
    assert change - first.slope.value > 4 * np.hypot(error, first.slope.error)


def test_peaks_at_several_pressures_are_joined_as_their_slopes_say(found) -> None:
    """Two lines that cross and one that ends, whatever the order of the peaks."""
    _, every = found
    model = every[0][0]

    def peak(temperature, slope):
        return replace(
            model,
            temperature=replace(model.temperature, value=temperature),
            slope=replace(model.slope, value=slope),
        )

    # d ln T/dP = slope/T = 0.1 of one, which crosses another that stays; a third one ends.
    at = [
        [peak(1000.0, 100.0), peak(1150.0, 0.0), peak(3000.0, 100.0)],
        [peak(1105.0, 110.5), peak(1155.0, 0.0)],
        [peak(1148.0, 0.0), peak(1221.0, 122.1)],
    ]
    joined = lines([0.0, 1.0, 2.0], at)
    temperatures = [[p.temperature.value for p in line.peaks] for line in joined]
    assert temperatures == [[1000.0, 1105.0, 1221.0], [1150.0, 1155.0, 1148.0], [3000.0]]
    assert joined[0].slopes[0].peaks[0] == pytest.approx(105.0)


# ------------------------------------------------------------------ temperatures


def test_temperatures_are_those_that_the_runs_suffice_for(kit) -> None:
    """A run that goes on for longer knows lower ones; beta = 5 needs 34 nats."""
    lows = []
    for nats in (25, 36):
        runs = Runs([kit.run(kit.Harmonic(), 100, nats, s) for s in range(2)], boltzmann=1.0)
        found = chosen(runs, 50)
        lows.append(found[0])
        assert len(found) == 50 and found[-1] <= 100 * found[0] * (1 + 1e-12)
    assert lows[0] == pytest.approx(0.2 * np.exp((34.5 - 25) / 4.5), rel=0.35)
    assert lows[1] == pytest.approx(0.2 * np.exp((34.5 - 36) / 4.5), rel=0.35)


def test_a_run_that_suffices_for_nothing_is_refused(kit) -> None:
    runs = Runs([kit.run(kit.Harmonic(), 100, 0.5, seed=1)], boltzmann=1.0)
    with pytest.raises(InputError, match="suffice for no temperature"):
        chosen(runs, 50)


@pytest.mark.parametrize("bad", [(0.0, 1.0, 9), (2.0, 1.0, 9), (1.0, 2.0, 2), (1.0, np.inf, 9)])
def test_impossible_temperatures_are_refused(bad) -> None:
    with pytest.raises(InputError, match="temperatures: expected 0 < lowest < highest"):
        spread(*bad)
