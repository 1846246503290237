"""Prior weights of samples: what is known of them, and draws of what they may be.

Of `alive` walkers uniform in a volume X the one with the highest enthalpy leaves t X below it,
t ~ Beta(alive, 1). With X_0 = 1 a culled one stands for w_n = X_n - X_(n+1), a live one for
X_end / K; together they are 1. ln t has the mean -1/alive, which is what the weights are made of:
an error of ln X then has mean zero. K/(K+1), the mean of t itself, makes ln X_n too large by
n/(2 K²) on average and ln Z by D/(2 K), half the square of its standard error, D nats being how
far the canonical distribution is from the prior (Skilling, Bayesian Analysis 1, 833 (2006); for
several culled at once Martiniani et al., Phys. Rev. X 4, 031034 (2014), eq. 3).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from acepot.errors import InputError
from acepot.sampling.analysis.samples import Samples

__all__ = ["log_weights", "ratios"]

Floats = NDArray[np.float64]

#: Numbers in a block of redrawn weights: 80 MB.
_BLOCK = 10_000_000
#: Logarithms of ratios of weights that doubles still hold with room to spare.
_FAR = 300.0


def log_weights(samples: Samples) -> Floats:
    """Logarithms of the prior weights, which add up to one if there are live points.

    A flat prior is turned into one of density V^N: the weights are multiplied by it and made to
    add up to one again.

    Args:
        samples: of a replica.

    Returns:
        In the order of the samples, shape (m,).
    """
    steps = -1.0 / samples.alive
    edges = np.concatenate([[0.0], np.cumsum(steps)])
    return _tilted(samples, _shells(samples, edges, steps))


def _shells(samples: Samples, edges: Floats, steps: Floats) -> Floats:
    """Of the culled ones ln X_n + ln(1 - t_n), of the live ones ln X_end - ln K."""
    dead = edges[..., :-1] + np.log(-np.expm1(steps))
    live = len(samples.enthalpy) - samples.culled
    if not live:
        return dead
    ends = np.repeat(edges[..., -1:], live, axis=-1) - np.log(live)
    return np.concatenate([dead, ends], axis=-1)


def _tilted(samples: Samples, weights: Floats) -> Floats:
    if not samples.flat:
        return weights
    tilted: Floats = weights + samples.atoms * np.log(samples.volume)
    total: Floats = logsumexp(tilted, axis=-1, keepdims=True)
    return tilted - total


def ratios(samples: Samples, count: int, seed: int) -> Iterator[Floats]:
    """Weights that the samples may have, divided by those of `log_weights`.

    t_n ~ Beta(alive, 1) independently; the volume below the last culled one is shared among the
    live ones at random (uniformly on the simplex). As 1 - t is exponential with mean 1/alive, one
    draw varies the weight of every sample by as much as itself: the scatter among draws holds the
    error of the volumes and that of one sample standing for its shell.

    Args:
        samples: of a replica.
        count: of draws.
        seed: of the random numbers.

    Yields:
        Blocks of draws, together shape (count, m).

    Raises:
        InputError: so many iterations with so few walkers that weights are not known to within
            a factor of e^300.
    """
    rng = np.random.default_rng(seed)
    known, total = log_weights(samples), len(samples.enthalpy)
    alive, live = samples.alive, total - samples.culled
    block = max(1, _BLOCK // total)
    for start in range(0, count, block):
        rows = min(block, count - start)
        steps = -rng.standard_exponential((rows, samples.culled)) / alive
        edges = np.concatenate([np.zeros((rows, 1)), np.cumsum(steps, axis=1)], axis=1)
        drawn = _shells(samples, edges, steps)
        if live:
            shares = rng.standard_exponential((rows, live))
            drawn[:, samples.culled :] += np.log(shares / shares.mean(axis=1, keepdims=True))
        drawn = _tilted(samples, drawn)
        drawn -= known
        if not drawn.max() < _FAR:
            raise InputError(
                f"{samples.name}: {samples.culled} culled with {samples.walkers} walkers leave "
                "the weights unknown; take more walkers"
            )
        yield np.exp(drawn, out=drawn)
