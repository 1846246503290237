"""Least squares for a function that is singular at r = 0, about a continuation that is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from acepot.basis.jet import Jet
from acepot.errors import InputError
from acepot.io.pace.chebyshev import CHECKS, MAX_ORDER, Floats, Series, basis

#: Distances (m,) in Å -> Jet of shape (m,).
Function = Callable[[Floats], Jet]

#: Slopes err by K/rc times as much as values: so many functions more are tried for a tenth.
_MORE = 32
#: Step of the K that are tried.
_STEP = 8
#: Weights of the range below the shortest distance in least squares, tried in turn: with the
#: first the continuation may miss its target by a part in thousand before it costs an error of
#: 1e-14 above; a high one needs less.
_SOFT = 1e-11, 1e-12, 1e-13
#: No direction is left out for being small: each weight is small by itself.
_ALL = 1e-16


class Continued:
    """A function on [shortest, cutoff] with a repulsion of any height below.

    Below, it goes on with its value, slope and curvature and h (1 - r/r_s)³. Least squares are
    linear in the target: they are solved once for each K and serve every h. The matrices of all K
    are the first columns of one, which is made square once.

    Args:
        function: finite above `shortest`; it vanishes at the cut-off.
        shortest: r_s in Å.
        cutoff: in Å.
        least: smallest K to use.
    """

    def __init__(self, function: Function, shortest: float, cutoff: float, least: int) -> None:
        self._shortest, self._least = shortest, least
        angle = (np.arange(4 * MAX_ORDER) + 0.5) * np.pi / (4 * MAX_ORDER)
        r = np.sort(cutoff * (1.0 + np.cos(angle)) / 2.0)
        self._below = r < shortest
        self._columns = basis(MAX_ORDER, r, cutoff).T
        self._targets = _targets(function, shortest, r)
        check = np.linspace(shortest, cutoff, CHECKS)
        self._checked = basis(MAX_ORDER, check, cutoff)
        self._wanted = function(check).value
        self._square: dict[float, tuple[Floats, Floats]] = {}
        self._solved: dict[tuple[float, int], Floats] = {}

    def fit(self, height: float, tolerance: float, what: str) -> Series:
        """The function with one height, about so below `shortest`.

        Args:
            height: h in eV.
            tolerance: largest error above `shortest`, relative to the largest value there or to
                1 eV, whichever is larger.
            what: how an error begins.

        Raises:
            InputError: K would exceed its bound.
        """
        scale = max(float(np.abs(self._wanted).max()), 1.0)
        best = Series(np.zeros((1, 0)), np.inf)
        for soft in _SOFT:
            last = MAX_ORDER
            for order in range(self._least, MAX_ORDER + 1, _STEP):
                found = np.array([1.0, height]) @ self._solution(soft, order)
                gap = float(np.abs(found @ self._checked[:order] - self._wanted).max()) / scale
                if best.error > tolerance >= gap:
                    last = min(last, order + _MORE)
                if gap < best.error:
                    best = Series(found[None], gap)
                if best.error <= tolerance / 10 or order + _STEP > last:
                    break
            if best.error <= tolerance:
                return best
        raise InputError(
            f"{what}: {MAX_ORDER} Chebyshev functions reach a relative error of {best.error:.1e} "
            f"above {self._shortest:.4g} Å, not {tolerance:.1e}"
        )

    def _solution(self, soft: float, order: int) -> Floats:
        """Coefficients of the targets, shape (2, K)."""
        if soft not in self._square:
            weight = np.where(self._below, soft, 1.0)
            q, r = np.linalg.qr(self._columns * weight[:, None])
            self._square[soft] = r, q.T @ (self._targets * weight).T
        if (soft, order) not in self._solved:
            r, projected = self._square[soft]
            found = np.linalg.lstsq(r[:order, :order], projected[:order], rcond=_ALL)[0]
            self._solved[soft, order] = np.asarray(found.T, dtype=float)
        return self._solved[soft, order]


def _targets(function: Function, shortest: float, r: Floats) -> Floats:
    """The function with its continuation of no height, and the height alone, shape (2, len(r))."""
    start = function(np.array([shortest]))
    below = r < shortest
    step = r[below] - shortest
    targets = np.zeros((2, len(r)))
    targets[0, ~below] = function(r[~below]).value
    targets[0, below] = start.value + start.first * step + start.second / 2 * step**2
    targets[1, below] = -((step / shortest) ** 3)
    return targets
