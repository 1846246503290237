"""Smooth radial functions as sums of PACE's ChebPow functions with λ = 1.

g_k = (1 - T_k(2r/rc - 1))/2, k = 1 … K, are all polynomials of degree up to K in r that vanish
at rc, so the coefficients of a smooth function that vanishes there fall geometrically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from acepot.errors import InputError

Floats = NDArray[np.float64]
#: Distances (m,) -> values (functions, m).
Functions = Callable[[Floats], Floats]

#: Largest K: every one-factor product of ML-PACE pays for all K functions.
MAX_ORDER = 256
#: What functions are sampled with to see their coefficients: twice the largest K and more.
_SAMPLES = 1024
#: Distances at which errors are measured.
_CHECKS = 4001
#: Slopes err by K/rc times as much as values: so many functions more are tried for a tenth.
_MORE = 32
#: Weights of the range below the shortest distance in least squares, tried in turn: with the
#: first the continuation may miss its target by a part in thousand before it costs an error of
#: 1e-14 above; a high one needs less.
_SOFT = 1e-11, 1e-12, 1e-13


@dataclass(frozen=True, eq=False)
class Sum:
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


def expand(functions: Functions, cutoff: float, tolerance: float, what: str) -> Sum:
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
    r = np.linspace(0.0, cutoff, _CHECKS)
    gap = np.abs(found @ basis(order, r, cutoff) - functions(r)).max(axis=1)
    return Sum(found, float((gap / scale).max(initial=0.0)))


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


def plus(first: Sum, second: Sum) -> Sum:
    """The sum of two, with the error of the first."""
    short, long = sorted((first.coefficients, second.coefficients), key=lambda c: c.shape[1])
    total = long.copy()
    total[:, : short.shape[1]] += short
    return Sum(total, first.error)


def fit_above(
    functions: Functions,
    continuation: Functions,
    shortest: float,
    cutoff: float,
    orders: tuple[int, int],
    tolerance: float,
    what: str,
) -> Sum:
    """Least squares: functions on [shortest, cutoff], about their continuation below.

    Args:
        functions: finite above `shortest`; they vanish at the cut-off.
        continuation: what they should be like on [0, shortest].
        shortest: in Å.
        cutoff: in Å.
        orders: smallest and largest K to try.
        tolerance: largest error above `shortest`, relative to the largest value there or to
            1 eV, whichever is larger.
        what: how an error begins.

    Raises:
        InputError: K would exceed its bound.
    """
    angle = (np.arange(4 * MAX_ORDER) + 0.5) * np.pi / (4 * MAX_ORDER)
    r = np.sort(cutoff * (1.0 + np.cos(angle)) / 2.0)
    inside = r < shortest
    target = np.concatenate((continuation(r[inside]), functions(r[~inside])), axis=1)
    check = np.linspace(shortest, cutoff, _CHECKS)
    wanted = functions(check)
    scale = max(float(np.abs(wanted).max()), 1.0)
    best = Sum(np.zeros((len(wanted), 0)), np.inf)
    for soft in _SOFT:
        last, weight = orders[1], np.where(inside, soft, 1.0)
        for order in range(orders[0], orders[1] + 1, 8):
            matrix = basis(order, r, cutoff).T * weight[:, None]
            found = np.linalg.lstsq(matrix, (target * weight).T, rcond=1e-16)[0].T
            gap = float(np.abs(found @ basis(order, check, cutoff) - wanted).max()) / scale
            if best.error > tolerance >= gap:
                last = min(last, order + _MORE)
            if gap < best.error:
                best = Sum(np.asarray(found, dtype=float), gap)
            if best.error <= tolerance / 10 or order + 8 > last:
                break
        if best.error <= tolerance:
            return best
    raise InputError(
        f"{what}: {orders[1]} Chebyshev functions reach a relative error of {best.error:.1e} above "
        f"{shortest:.4g} Å, not {tolerance:.1e}"
    )
