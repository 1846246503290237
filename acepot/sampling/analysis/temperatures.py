"""Which temperatures a run can say something about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling.analysis.errors import Runs
from acepot.sampling.analysis.samples import Samples
from acepot.sampling.analysis.thermodynamics import Sums
from acepot.sampling.analysis.validity import validity

__all__ = ["chosen", "spread"]

Floats = NDArray[np.float64]

#: Temperatures are chosen up to so many times the lowest one.
_RANGE = 100.0
#: They are tried at so many points of a range about the last one that the walkers met.
_TRIALS, _BELOW, _ABOVE = 160, 0.2, 500.0


def spread(low: float, high: float, count: int) -> Floats:
    """Temperatures at equal ratios, shape (count,).

    Raises:
        InputError: not 0 < low < high, or fewer than three.
    """
    if not (0.0 < low < high < np.inf) or count < 3:
        raise InputError(
            f"temperatures: expected 0 < lowest < highest and 3 or more of them, got {low:g} K, "
            f"{high:g} K and {count}"
        )
    return np.geomspace(low, high, count)


def chosen(runs: Runs, count: int) -> Floats:
    """Temperatures that every run has samples for.

    From the lowest at which no run is cut short, up to 100 times that, or to where the first K
    iterations count, in which the prior shows.

    Args:
        runs: of a system at one pressure.
        count: of temperatures.

    Returns:
        At equal ratios, rising, shape (count,).

    Raises:
        InputError: there are none; the runs are too short.
    """
    ends = [_end(one, runs.boltzmann) for one in runs.samples]
    trials = spread(_BELOW * min(ends), _ABOVE * max(ends), _TRIALS)
    good = np.ones(_TRIALS, dtype=bool)
    for samples in runs.samples:
        found = validity(Sums(samples, trials, runs.boltzmann))
        good &= found.good & (found.first * samples.at_once >= samples.walkers)
    if good.sum() < 2:
        raise InputError(
            f"{runs.samples[0].name}: its {runs.samples[0].culled} culled configurations suffice "
            "for no temperature; let the run go on, or name temperatures to see what there is"
        )
    low = float(trials[good][0])
    return spread(low, float(min(trials[good][-1], _RANGE * low)), count)


def _end(samples: Samples, boltzmann: float) -> float:
    """Temperature of the last walkers: kT = -dH/d ln X over the last K culled."""
    last = samples.enthalpy[: samples.culled][-samples.walkers - 1 :]
    nats = float((1.0 / samples.alive[-len(last) + 1 :]).sum()) if len(last) > 1 else 0.0
    fall = float(last[0] - last[-1])
    if not fall > 0.0:
        raise InputError(
            f"{samples.name}: expected enthalpies that fall, got {last[-1]:g} eV throughout the "
            "end; name temperatures"
        )
    return fall / nats / boltzmann
