"""Intervals as wide as errors of other structures say (split conformal prediction).

An interval of level p around a prediction of deviation σ is q_p σ wide to either side, q_p the
p-quantile of |error|/σ of structures that were not fitted (Vovk, Gammerman and Shafer, Algorithmic
Learning in a Random World, 2005). Errors need not be normal: those of models have long tails.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError

__all__ = ["STATED", "held", "likely_scale", "widths"]

Floats = NDArray[np.float64]
#: Levels of the intervals of which it is said how often they hold.
STATED = (0.68, 0.90, 0.95)


def likely_scale(errors: Sequence[Floats], sigmas: Sequence[Floats]) -> float:
    """The factor of deviations with which they are as large as errors.

    For errors e ~ N(0, (s σ)²) the likelihood is largest for s² = mean of e²/σ².

    Args:
        errors: of every structure.
        sigmas: deviations likewise, more than 0.
    """
    return float(np.sqrt(np.mean(np.concatenate(_ratios(errors, sigmas)) ** 2)))


def widths(errors: Sequence[Floats], sigmas: Sequence[Floats]) -> dict[float, float]:
    """Half the width of intervals in units of the deviation, q_p, by their level.

    Args:
        errors: of every structure.
        sigmas: deviations likewise, more than 0.
    """
    found = np.quantile(np.concatenate(_ratios(errors, sigmas)), STATED)
    return {level: float(q) for level, q in zip(STATED, found, strict=True)}


def held(errors: Sequence[Floats], sigmas: Sequence[Floats]) -> dict[float, float]:
    """The part of all errors within intervals that the other structures determine, by level.

    Args:
        errors: of every structure; where there is but one it judges itself.
        sigmas: deviations likewise, more than 0.
    """
    ratios = _ratios(errors, sigmas)
    inside = np.zeros(len(STATED))
    for n, own in enumerate(ratios):
        others = ratios[:n] + ratios[n + 1 :] or [own]
        inside += [(own <= q).sum() for q in np.quantile(np.concatenate(others), STATED)]
    count = sum(map(len, ratios))
    return {level: float(k / count) for level, k in zip(STATED, inside, strict=True)}


def _ratios(errors: Sequence[Floats], sigmas: Sequence[Floats]) -> list[Floats]:
    if not sum(map(len, errors)) or not all(bool((s > 0).all()) for s in sigmas):
        raise InputError("intervals: expected errors, and deviations above 0 for all of them")
    return [np.abs(e) / s for e, s in zip(errors, sigmas, strict=True)]
