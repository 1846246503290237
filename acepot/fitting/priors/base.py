"""What a smoothness prior promises: a diagonal γ with which γ_k c_k is penalised.

Larger n and l describe faster variation; a prior that grows with them keeps the potential
smooth where there are no data.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from acepot.basis.expansion import Expansion
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.schema import Kind

__all__ = ["Floats", "NoPrior", "Prior", "Scaled"]

Floats = NDArray[np.float64]

#: Smaller γ, by which rows are divided, would overflow in squares.
_LEAST = 1e-100


class Prior(Kind, tag="kind"):
    """How the penalty on a coefficient grows with n and l of its function."""

    @abstractmethod
    def gamma(self, expansion: Expansion) -> Floats:
        """γ of every function of a basis, shape (K,), positive.

        Raises:
            InputError: it overflows.
        """

    def moved(self, _rename: Callable[[str], str]) -> Prior:
        """The same with the names of files, where it has any, passed through a function."""
        return self


@dataclass(frozen=True)
class NoPrior(Prior, kind="none"):
    """All coefficients alike: γ = 1."""

    former = frozenset({"p", "wl", "wn"})

    def gamma(self, expansion: Expansion) -> Floats:
        """Ones."""
        return np.ones(expansion.size)


class Scaled(Prior):
    """A prior of n and l, whose fields are numbers above 0."""

    def check(self) -> None:
        """Every field."""
        for one in fields(self):  # type: ignore[arg-type]  # its subclasses are dataclasses
            at_least(one.name, getattr(self, one.name), above=True)

    @abstractmethod
    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """γ from n and l of the factors, shape (K, order), both 0 where there is no factor."""

    def gamma(self, expansion: Expansion) -> Floats:
        """As `Prior.gamma`."""
        used = expansion.labels.l >= 0
        n = np.where(used, expansion.labels.n, 0).astype(float)
        l = np.where(used, expansion.labels.l, 0).astype(float)
        with np.errstate(over="ignore"):
            gamma = np.asarray(self.grown(expansion, n, l))
        if not np.isfinite(gamma).all():
            raise InputError(
                f"prior.{self.kind}: overflows at n = {n.max():.0f}, l = {l.max():.0f}; "
                "raise wn and wl or choose algebraic"
            )
        if (least := gamma[used.any(axis=1)].min(initial=1.0)) < _LEAST:
            raise InputError(
                f"prior.{self.kind}: expected γ of {_LEAST:g} or more, got {least:.1e}; "
                "lower wn and wl"
            )
        varies = used.any(axis=1)  # the constant does not: it is penalised as little as any
        return np.where(varies, gamma, gamma[varies].min(initial=1.0))
