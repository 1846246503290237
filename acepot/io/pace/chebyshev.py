"""Smooth radial functions as sums of PACE's ChebPow functions with λ = 1.

g_k = (1 - T_k(2r/rc - 1))/2, k = 1 … K, are all polynomials of degree up to K in r that vanish
at rc, so the coefficients of a smooth function that vanishes there fall geometrically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError

Floats = NDArray[np.float64]
#: Distances (m,) -> values (functions, m).
Functions = Callable[[Floats], Floats]

#: Largest K: every one-factor product of ML-PACE pays for all K functions.
MAX_ORDER = 256
#: What functions are sampled with to see their coefficients: twice the largest K and more.
_SAMPLES = 1024
#: Distances at which errors are measured.
CHECKS = 4001


@dataclass(frozen=True, eq=False)
class Series:
    """Functions written as Σ_k c_k g_k.

    Args:
        coefficients: c, shape (functions, K).
        error: largest error relative to each function's largest value.
    """

    coefficients: Floats
    error: float

    @property
    def order(self) -> int:
        """K."""
        return int(self.coefficients.shape[1])

    def evaluate(self, r: Floats, cutoff: float) -> Floats:
        """Values at distances r in Å, shape (functions, len(r))."""
        return self.coefficients @ basis(self.order, r, cutoff)


def basis(order: int, r: Floats, cutoff: float) -> Floats:
    """g_1 … g_order, shape (order, len(r))."""
    angle = np.arccos(np.clip(2.0 * r / cutoff - 1.0, -1.0, 1.0))
    return np.asarray((1.0 - np.cos(np.arange(1, order + 1)[:, None] * angle)) / 2.0)


def expand(functions: Functions, cutoff: float, tolerance: float, what: str) -> Series:
    """Chebyshev series of functions that are smooth on [0, cutoff].

    Args:
        functions: to write.
        cutoff: in Å; they vanish there.
        tolerance: largest error relative to each function's largest value.
        what: how an error begins.

    Raises:
        InputError: K would exceed its bound.
    """
    series, tail, scale = _series(functions, cutoff, what)
    enough = (tail <= tolerance * scale[:, None]).all(axis=0)
    order = max(int(enough.argmax()), 1) if enough.any() else _SAMPLES
    if order > MAX_ORDER:
        reached = float((tail[:, MAX_ORDER] / scale).max())
        raise InputError(
            f"{what}: {MAX_ORDER} Chebyshev functions reach a relative error of {reached:.1e}, "
            f"not {tolerance:.1e}: its radial functions have kinks (an inner cut-off, a narrow "
            "window) or a tolerance this small is out of reach"
        )
    found = -2.0 * series[:, 1 : order + 1]
    r = np.linspace(0.0, cutoff, CHECKS)
    gap = np.abs(found @ basis(order, r, cutoff) - functions(r)).max(axis=1)
    return Series(found, float((gap / scale).max(initial=0.0)))


def reached(functions: Functions, cutoff: float) -> float:
    """The relative error that the largest K reaches, for functions that `expand` refuses.

    Args:
        functions: finite on [0, cutoff].
        cutoff: in Å.
    """
    _, tail, scale = _series(functions, cutoff, "radial functions")
    return float((tail[:, MAX_ORDER] / scale).max())


def _series(functions: Functions, cutoff: float, what: str) -> tuple[Floats, Floats, Floats]:
    """Chebyshev coefficients, a bound of what is left out from each k on, largest values."""
    from scipy.fft import dct  # here: it is a tenth of the start of every command

    nodes = np.cos(np.pi * np.arange(_SAMPLES + 1) / _SAMPLES)
    with np.errstate(all="ignore"):
        values = functions(cutoff * (1.0 + nodes) / 2.0)
    if not np.isfinite(values).all():
        raise InputError(f"{what}: its functions are not finite down to r = 0")
    series = dct(values, type=1, axis=1) / _SAMPLES
    series[:, -1] /= 2.0
    scale = np.maximum(np.abs(values).max(axis=1), 1e-300)
    # Everything left out, twice: the constant is fixed by the value at the cut-off.
    tail = 2.0 * np.cumsum(np.abs(series[:, :0:-1]), axis=1)[:, ::-1]  # from k = 1 on
    return series, tail, scale


def plus(first: Series, second: Series) -> Series:
    """The sum of two, with the error of the first."""
    short, long = sorted((first.coefficients, second.coefficients), key=lambda c: c.shape[1])
    total = long.copy()
    total[:, : short.shape[1]] += short
    return Series(total, first.error)
