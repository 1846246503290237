"""Whether samples can say anything about a temperature: where the weight lies, and how much of it.

Averages at a temperature come from the iterations that hold its canonical weight. Where these are
few, or where the weight goes on beyond the last iteration, numbers look as good as elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.analysis.thermodynamics import Sums

__all__ = ["FEWEST_NATS", "Validity", "validity"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: Entropy of the weights below which averages are those of too few samples: e^5 = 148 of them.
FEWEST_NATS = 5.0
#: The range of iterations holds the weight between these quantiles.
_FIRST, _LAST = 0.01, 0.99


@dataclass(frozen=True, eq=False)
class Validity:
    """Where the canonical weight of every temperature lies, arrays of shape (t,).

    Args:
        first: iteration below which 1 % of the weight lies.
        last: iteration below which 99 % of it lies; `iterations` where live points are needed.
        entropy: -sum p ln p of the weights in nats.
        live: share of the weight that live points hold.
        iterations: of the run.
    """

    first: Whole
    last: Whole
    entropy: Floats
    live: Floats
    iterations: int

    @property
    def few(self) -> NDArray[np.bool_]:
        """Too few samples hold the weight."""
        return self.entropy < FEWEST_NATS

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """The weight goes on beyond the last iteration: the run is too short."""
        return self.last >= self.iterations

    @property
    def good(self) -> NDArray[np.bool_]:
        """Neither."""
        return ~(self.few | self.clipped)


def validity(sums: Sums) -> Validity:
    """Where the canonical weight lies.

    Where there are no live points, K more with the weight of the last culled one stand for them:
    theirs would be no smaller.

    Args:
        sums: of a replica at temperatures.
    """
    samples, count = sums.samples, len(sums.temperatures)
    first, last = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    entropy, live = np.empty(count), np.empty(count)
    dead = samples.culled
    for index in range(count):
        where, p = sums.probabilities(index)
        if dead == len(samples.enthalpy) and where.stop == dead:
            missing = samples.walkers * p[-1]
            p = np.append(p, missing) / (1.0 + missing)
        below = np.cumsum(p)
        first[index] = where.start + np.searchsorted(below, _FIRST)
        last[index] = where.start + np.searchsorted(below, _LAST)
        positive = p[p > 0.0]
        entropy[index] = -float(positive @ np.log(positive))
        live[index] = float(p[max(dead - where.start, 0) :].sum())
    rounds = -(-dead // samples.at_once)
    limits = [np.minimum(one // samples.at_once, rounds) for one in (first, last)]
    return Validity(limits[0], limits[1], entropy, live, rounds)
