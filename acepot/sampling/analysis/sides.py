"""The two sides of a transition: the samples at its temperature, parted by their enthalpy.

At the temperature of a heat-capacity peak a small system is in one phase for part of its weight
and in the other for the rest. The enthalpy that parts them is the one with the largest variance
between the two classes (Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979)); the differences of
their averages are the latent heat and the change of volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.analysis.thermodynamics import Sums

__all__ = ["RESOLVED", "Sides", "part"]

Floats = NDArray[np.float64]

#: Share of the variance of H that lies between the classes: 0.64 for one normal distribution, 0.75
#: for a uniform one, 1 for two lines. Above it there are two maxima, two phases.
RESOLVED = 0.75


@dataclass(frozen=True, eq=False)
class Sides:
    """What lies below and above the enthalpy that parts two phases, arrays of shape (draws,).

    Args:
        parting: that enthalpy, eV.
        separation: share of the variance of H between the two, from 0.64 to 1.
        low: mean enthalpy of the low side, eV.
        high: of the high side.
        volume_low: mean volume of the low side, Å³.
        volume_high: of the high side.
    """

    parting: float
    separation: float
    low: Floats
    high: Floats
    volume_low: Floats
    volume_high: Floats

    @property
    def latent_heat(self) -> Floats:
        """ΔH in eV."""
        return self.high - self.low

    @property
    def step(self) -> Floats:
        """ΔV in Å³."""
        return self.volume_high - self.volume_low


def part(sums: Sums, index: int, ratios: Floats | None = None) -> Sides:
    """Part the samples at a temperature into two phases.

    Args:
        sums: of a replica at temperatures.
        index: of the temperature of the transition.
        ratios: what to multiply the weights by, shape (draws, m); None: by nothing, one draw.

    Returns:
        The two sides.
    """
    where, p = sums.probabilities(index)
    h, v = sums.samples.enthalpy[where], sums.samples.volume[where]
    order = np.argsort(h, kind="stable")
    parting, separation = _best_parting(h[order], p[order])
    below = h <= parting
    weights = p[None] if ratios is None else ratios[:, where] * p

    def mean(values: Floats, which: NDArray[np.bool_]) -> Floats:
        found: Floats = weights[:, which] @ values[which] / weights[:, which].sum(axis=1)
        return found

    return Sides(
        parting, separation, mean(h, below), mean(h, ~below), mean(v, below), mean(v, ~below)
    )


def _best_parting(h: Floats, p: Floats) -> tuple[float, float]:
    """The largest enthalpy of the low class, and the share of the variance between the two."""
    mean = float(p @ h)
    share, moment = np.cumsum(p)[:-1], np.cumsum(p * (h - mean))[:-1]
    inner = share * (1.0 - share)
    between = np.divide(moment**2, inner, out=np.zeros_like(inner), where=inner > 1e-12)
    best = int(between.argmax())
    return float(h[best]), float(between[best] / (p @ (h - mean) ** 2))
