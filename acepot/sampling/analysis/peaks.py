"""Peaks of the heat capacity: where phases change, with widths and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.analysis.errors import FEWEST_RUNS, Runs, combined
from acepot.sampling.analysis.sides import RESOLVED, Sides, part
from acepot.sampling.analysis.thermodynamics import Sums
from acepot.sampling.analysis.validity import validity
from acepot.sampling.analysis.weights import ratios

__all__ = ["Measured", "Peak", "measured", "peaks"]

Floats = NDArray[np.float64]

#: A maximum counts if it rises above its feet by this part of its height, and by so many errors.
_PROMINENT, _SIGNIFICANT = 0.05, 3.0
#: How far its feet may be from it, in widths, and at how many temperatures between them it is
#: looked at closely.
_REACH, _CLOSELY = 3.0, 81


@dataclass(frozen=True)
class Measured:
    """A number with its errors.

    Args:
        value: the mean over the runs.
        runs: its standard error over independent runs; None: there is one.
        redraws: its standard error by redrawn weights; None: none were drawn.
        count: of runs.
    """

    value: float
    runs: float | None
    redraws: float | None
    count: int

    @property
    def error(self) -> float | None:
        """The error to quote: over runs where there are three or more of them."""
        if self.runs is not None and (self.count >= FEWEST_RUNS or self.redraws is None):
            return self.runs
        return self.redraws

    def __str__(self) -> str:
        return f"{self.value:.5g}" + ("" if self.error is None else f" ± {self.error:.2g}")


@dataclass(frozen=True)
class Peak:
    """A maximum of C_p along the temperature.

    Args:
        temperature: of the maximum, K.
        height: C_p/k there.
        width: full width at half of what rises above the higher foot, K.
        latent_heat: ΔH between the two sides, eV.
        step: ΔV between them, Å³.
        slope: TΔV/ΔH = dT/dP of the transition after Clausius and Clapeyron, K/(eV/Å³).
        separation: share of the variance of H between the two sides (the mean over runs).
        low: temperature of the low foot, K.
        high: of the high one.
        good: whether the samples suffice at the peak, in every run.
    """

    temperature: Measured
    height: Measured
    width: Measured
    latent_heat: Measured
    step: Measured
    slope: Measured
    separation: float
    low: float
    high: float
    good: bool

    @property
    def resolved(self) -> bool:
        """Whether enthalpies at the peak have two maxima, as at a first-order transition."""
        return self.separation > RESOLVED


def peaks(runs: Runs, temperatures: Floats) -> list[Peak]:
    """The peaks of the heat capacity within a range of temperatures.

    They are looked for in the mean of the runs and then, between the same feet, in every run and
    every redraw; each maximum is that of a parabola through three points. One that rises above its
    feet by no more than three errors of that rise is none.

    Args:
        runs: of a system at one pressure.
        temperatures: in K, rising, close enough to see the peaks, shape (t,).

    Returns:
        From low temperature to high.
    """
    mean = runs.curves(runs.sums(temperatures)).heat_capacity.mean(axis=0)
    found = []
    for at, left, right in _maxima(mean):
        if mean[at] - max(mean[left], mean[right]) > _PROMINENT * mean[at]:
            low, high = _feet(mean, temperatures, at, left, right)
            found.append(_peak(runs, np.linspace(low, high, _CLOSELY)))
    return [peak for peak in found if peak is not None]


def _maxima(curve: Floats) -> list[tuple[int, int, int]]:
    """Maxima inside a curve and their bases: the lowest points before anything higher comes."""
    found = []
    for at in range(1, len(curve) - 1):
        if curve[at - 1] < curve[at] >= curve[at + 1]:
            higher = np.flatnonzero(curve > curve[at])
            before, after = higher[higher < at], higher[higher > at]
            start = int(before[-1]) if len(before) else 0
            stop = int(after[0]) + 1 if len(after) else len(curve)
            left = start + int(curve[start:at].argmin())
            found.append((at, left, at + int(curve[at:stop].argmin())))
    return found


def _feet(
    mean: Floats, temperatures: Floats, at: int, left: int, right: int
) -> tuple[float, float]:
    """Where a peak begins and ends: its bases, but at most three widths away."""
    half = 0.5 * (mean[at] + max(mean[left], mean[right]))
    low, high = at, at
    while low > left and mean[low] > half:
        low -= 1
    while high < right and mean[high] > half:
        high += 1
    reach = _REACH * (temperatures[high] - temperatures[low])
    return (
        float(max(temperatures[left], temperatures[at] - reach)),
        float(min(temperatures[right], temperatures[at] + reach)),
    )


def _peak(runs: Runs, close: Floats) -> Peak | None:
    """The peak within temperatures, or None if it is no larger than its error."""
    sums = runs.sums(close)
    shapes = _shapes(close, runs.curves(sums).heat_capacity)
    drawn = runs.redrawn(sums) if runs.redraws else []
    redrawn = [_shapes(close, one.heat_capacity) for one in drawn]
    temperature, height, width, rise = (
        measured(shapes[:, i], [one[:, i] for one in redrawn]) for i in range(4)
    )
    if rise.error is not None and rise.value < _SIGNIFICANT * rise.error:
        return None
    sides = [_sides(runs, index, shape[0]) for index, shape in enumerate(shapes)]
    latent_heat, step, slope = (
        measured(
            np.array([one.values[i] for one in sides]),
            [one.draws[:, i] for one in sides if one.draws is not None],
        )
        for i in range(3)
    )
    nearest = [int(abs(close - shape[0]).argmin()) for shape in shapes]
    good = [bool(validity(one).good[at]) for one, at in zip(sums, nearest, strict=True)]
    separation = float(np.mean([one.separation for one in sides]))
    return Peak(
        temperature, height, width, latent_heat, step, slope, separation,
        float(close[0]), float(close[-1]), all(good),
    )  # fmt: skip


def _shapes(temperatures: Floats, curves: Floats) -> Floats:
    """Temperature, height, width and rise of the maximum of each curve, shape (rows, 4)."""
    return np.array([_shape(temperatures, curve) for curve in curves])


def _shape(t: Floats, c: Floats) -> tuple[float, float, float, float]:
    at = int(c.argmax())
    top, height = float(t[at]), float(c[at])
    if 0 < at < len(t) - 1:  # the temperatures are evenly spaced
        bend = c[at - 1] - 2.0 * c[at] + c[at + 1]
        shift = 0.5 * (c[at - 1] - c[at + 1]) / bend if bend < 0.0 else 0.0
        top += shift * float(t[1] - t[0])
        height -= 0.25 * float(c[at - 1] - c[at + 1]) * shift
    rise = height - float(max(c[0], c[-1]))
    level = height - 0.5 * rise
    below = np.flatnonzero(c <= level)
    left, right = below[below < at], below[below > at]
    low = _crossing(t, c, int(left[-1]), level) if len(left) else float(t[0])
    high = _crossing(t, c, int(right[0]) - 1, level) if len(right) else float(t[-1])
    return top, height, high - low, rise


def _crossing(t: Floats, c: Floats, at: int, level: float) -> float:
    """Where the line between a point and the next one reaches a level."""
    share = (level - c[at]) / (c[at + 1] - c[at])
    return float(t[at] + share * (t[at + 1] - t[at]))


@dataclass(frozen=True, eq=False)
class _TwoSides:
    """ΔH, ΔV and TΔV/ΔH of one run, shape (3,), and of its redraws, shape (draws, 3)."""

    values: Floats
    draws: Floats | None
    separation: float


def _sides(runs: Runs, index: int, temperature: float) -> _TwoSides:
    """The two sides of a transition in one run."""
    samples = runs.samples[index]
    sums = Sums(samples, np.array([temperature]), runs.boltzmann)
    sides = part(sums, 0)

    def table(one: Sides) -> Floats:
        heat, step = one.latent_heat, one.step
        return np.stack([heat, step, temperature * step / heat], axis=1)

    draws = [
        table(part(sums, 0, block)) for block in ratios(samples, runs.redraws, runs.seed + index)
    ]
    return _TwoSides(table(sides)[0], np.concatenate(draws) if draws else None, sides.separation)


def measured(each: Floats, redraws: Sequence[Floats]) -> Measured:
    """A number from its values in every run, and in the redraws of every run."""
    count = len(each)
    return Measured(
        value=float(each.mean()),
        runs=float(each.std(ddof=1) / np.sqrt(count)) if count > 1 else None,
        redraws=float(combined(np.array([one.std(ddof=1) for one in redraws])))
        if redraws
        else None,
        count=count,
    )
