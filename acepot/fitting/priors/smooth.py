"""Priors of ACEpotentials.jl 0.8 and later, in n and l of the factors alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from acepot.basis.expansion import Expansion
from acepot.fitting.priors.base import Floats, Scaled

__all__ = ["Algebraic", "Exponential", "Gaussian"]


@dataclass(frozen=True)
class Algebraic(Scaled, kind="algebraic"):
    """γ = Σ_t (l/wl)^p + (n/wn)^p.

    Args:
        p: power of n and l.
        wl: scale of l.
        wn: scale of n.
    """

    p: float = 4.0
    wl: float = 2 / 3
    wn: float = 1.0

    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """As the class says."""
        return np.asarray(((l / self.wl) ** self.p + (n / self.wn) ** self.p).sum(axis=1))


@dataclass(frozen=True)
class Exponential(Scaled, kind="exponential"):
    """γ = exp Σ_t (l/wl + n/wn).

    Args:
        wl: scale of l.
        wn: scale of n.
    """

    wl: float = 1.0
    wn: float = 1.0
    former = frozenset({"p"})

    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """As the class says."""
        return np.asarray(np.exp((l / self.wl + n / self.wn).sum(axis=1)))


@dataclass(frozen=True)
class Gaussian(Scaled, kind="gaussian"):
    """γ = exp Σ_t ((l/wl)² + (n/wn)²).

    Args:
        wl: scale of l.
        wn: scale of n.
    """

    wl: float = 1 / math.sqrt(2)
    wn: float = 1 / math.sqrt(2)
    former = frozenset({"p"})

    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """As the class says."""
        return np.asarray(np.exp(((l / self.wl) ** 2 + (n / self.wn) ** 2).sum(axis=1)))
