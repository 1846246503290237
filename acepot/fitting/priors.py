"""Smoothness priors: a diagonal γ with which γ_k c_k is penalised.

Larger n and l describe faster variation; a prior that grows with them keeps the potential
smooth where there are no data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.basis.expansion import Expansion
from acepot.errors import InputError
from acepot.fitting.config import PriorConfig

Floats = NDArray[np.float64]

#: Scales (wl, wn) of each kind when none are given (docs/conventions.md, "Priors").
_SCALES = {
    "algebraic": (2 / 3, 1.0),
    "exponential": (1.0, 1.0),
    "gaussian": (1 / np.sqrt(2), 1 / np.sqrt(2)),
    "algebraic_ace1": (1.5, 1.0),
    "algebraic_06": (1.0, 1.0),
}


def prior(expansion: Expansion, config: PriorConfig) -> Floats | None:
    """γ of every basis function, or None for no prior.

    algebraic: Σ_t (l/wl)^p + (n/wn)^p; exponential: exp Σ_t (l/wl + n/wn);
    gaussian: exp Σ_t ((l/wl)² + (n/wn)²) (ACEpotentials.jl >= 0.8);
    algebraic_ace1: 1 + |C_k| Σ_t (n^p + wl l^p (1 + l/(p+1))) (its compatibility prior);
    algebraic_06: 1 + √(Σ_T |C_kT|² w_T²), w_T = Σ_t (n^p + wl (l^p + |m|^p)) (ACE1).

    Args:
        expansion: the basis.
        config: kind, power and scales.

    Returns:
        Shape (K,), positive; None for kind "none".

    Raises:
        InputError: γ overflows.
    """
    if config.kind == "none":
        return None
    wl, wn = _SCALES[config.kind]
    wl = wl if config.wl is None else config.wl
    wn = wn if config.wn is None else config.wn
    used = expansion.labels.l >= 0
    n = np.where(used, expansion.labels.n, 0).astype(float)
    l = np.where(used, expansion.labels.l, 0).astype(float)  # noqa: E741
    p = config.p
    with np.errstate(over="ignore"):
        if config.kind == "algebraic":
            gamma = ((l / wl) ** p + (n / wn) ** p).sum(axis=1)
        elif config.kind == "exponential":
            gamma = np.exp((l / wl + n / wn).sum(axis=1))
        elif config.kind == "gaussian":
            gamma = np.exp(((l / wl) ** 2 + (n / wn) ** 2).sum(axis=1))
        elif config.kind == "algebraic_ace1":
            weight = ((n / wn) ** p + wl * l**p * (1 + l / (p + 1))).sum(axis=1)
            gamma = 1 + _norms(expansion, None) * weight
        else:
            gamma = 1 + _norms(expansion, (p, wl, wn))
    if not np.isfinite(gamma).all():
        raise InputError(
            f"prior.{config.kind}: overflows at n = {n.max():.0f}, l = {l.max():.0f}; "
            "raise wn and wl or choose algebraic"
        )
    return np.asarray(gamma)


def _norms(expansion: Expansion, weights: tuple[float, float, float] | None) -> Floats:
    """√(Σ_T |C_kT|² w_T²) over all products, both halves of a conjugate pair counted.

    Pair functions have C = 1: their 1/2 is how energies are counted, not part of the basis.
    """
    total = np.zeros(expansion.size)
    channel_n = np.array([sum(c) for c in expansion.channels], dtype=float)
    width = 2 * expansion.block_l + 1
    n = np.repeat(channel_n[expansion.block_channel], width)
    l = np.repeat(expansion.block_l, width).astype(float)  # noqa: E741
    m = np.concatenate([np.arange(-x, x + 1) for x in expansion.block_l]).astype(float)
    for terms, real, imaginary in zip(
        expansion.terms, expansion.real, expansion.imaginary, strict=True
    ):
        w = np.ones(len(terms))
        if weights is not None:
            p, wl, wn = weights
            each = np.append((n / wn) ** p + wl * (l**p + np.abs(m) ** p), 0.0)
            w = each[terms].sum(axis=1)
        # A term whose conjugate is another product stands for both, each with half of C;
        # A_{l,m} A_{l,-m} is its own conjugate.
        mirrored = np.sort(terms - np.append(2 * m, 0.0)[terms].astype(np.int64), axis=1)
        half = np.where((mirrored == terms).all(axis=1), 1.0, 0.5)
        total += (real.power(2) + imaginary.power(2)) @ (half * w**2)
    pair = expansion.labels.pair
    if weights is None:
        total[pair] = 1.0
    else:
        total[pair] = (expansion.labels.n[pair, 0] / weights[2]) ** (2 * weights[0])
    return np.sqrt(total)
