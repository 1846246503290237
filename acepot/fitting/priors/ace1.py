"""Priors of ACE1.jl, which weigh the coupling coefficients of a function as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.basis.expansion import Expansion
from acepot.fitting.priors.base import Floats, Scaled

__all__ = ["Algebraic06", "AlgebraicACE1"]


@dataclass(frozen=True)
class AlgebraicACE1(Scaled, kind="algebraic_ace1"):
    """γ = 1 + |C_k| Σ_t (n^p + wl l^p (1 + l/(p+1))), n in units of wn (compatibility of ACE1).

    Args:
        p: power of n and l.
        wl: scale of l.
        wn: scale of n.
    """

    p: float = 4.0
    wl: float = 1.5
    wn: float = 1.0

    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """As the class says."""
        p = self.p
        weight = ((n / self.wn) ** p + self.wl * l**p * (1 + l / (p + 1))).sum(axis=1)
        return np.asarray(1 + _norms(expansion, None) * weight)


@dataclass(frozen=True)
class Algebraic06(Scaled, kind="algebraic_06"):
    """γ = 1 + √(Σ_T |C_kT|² w_T²), w_T = Σ_t (n^p + wl (l^p + |m|^p)), n in units of wn.

    Args:
        p: power of n, l and m.
        wl: scale of l and m.
        wn: scale of n.
    """

    p: float = 4.0
    wl: float = 1.0
    wn: float = 1.0

    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """As the class says."""
        return np.asarray(1 + _norms(expansion, (self.p, self.wl, self.wn)))


def _norms(expansion: Expansion, weights: tuple[float, float, float] | None) -> Floats:
    """√(Σ_T |C_kT|² w_T²) over all products, both halves of a conjugate pair counted.

    Pair functions have C = 1: their 1/2 is how energies are counted, not part of the basis.
    """
    total = np.zeros(expansion.size)
    components = np.repeat([irrep.dim for irrep in expansion.irreps], expansion.sizes)
    owner = np.repeat(np.arange(expansion.size), components)  # the function of every row
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
        rows = (real.power(2) + imaginary.power(2)) @ (half * w**2)
        total += np.bincount(owner, rows, minlength=expansion.size)
    pair = expansion.labels.pair
    if weights is None:
        total[pair] = 1.0
    else:
        total[pair] = (expansion.labels.n[pair, 0] / weights[2]) ** (2 * weights[0])
    return np.sqrt(total)
