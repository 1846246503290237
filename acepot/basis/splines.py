"""Quintic tables of radial functions, with their measured error.

Between two knots a function is the polynomial of degree five that has its value, slope and
curvature at both: the table is twice continuously differentiable wherever the function is,
its error falls with the sixth power of the spacing, and its derivative is exact for the
interpolated energy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acepot.basis.jet import Array, Jet

#: Relative step by which a function is read inside each end of an interval, so that a knot
#: that is also a break is seen from the right side; the step itself is then taken back.
_INSIDE = 1e-14


@dataclass(frozen=True, eq=False)
class Knots:
    """Equidistant knots.

    Args:
        begin: first knot in Å.
        spacing: distance of two knots in Å.
        bins: number of intervals.
    """

    begin: float
    spacing: float
    bins: int

    @property
    def end(self) -> float:
        """Last knot in Å."""
        return self.begin + self.bins * self.spacing


def equidistant(begin: float, end: float, spacing: float, breaks: tuple[float, ...]) -> Knots:
    """Knots that end at `end` and meet every break, starting at `begin` or just before it.

    Args:
        begin: where the table must begin, in Å.
        end: last knot in Å.
        spacing: largest distance of two knots in Å.
        breaks: at most one distance at which a derivative jumps.
    """
    if breaks:
        width = end - breaks[0]
        spacing = width / np.ceil(width / spacing)
        bins = int(np.ceil((end - begin) / spacing * (1 - 1e-12)))
        return Knots(end - bins * spacing, spacing, bins)
    bins = int(np.ceil((end - begin) / spacing * (1 - 1e-12)))
    return Knots(begin, (end - begin) / bins, bins)


def tabulate(evaluate: Callable[[Array], Jet], knots: Knots) -> tuple[Array, Array]:
    """Quintic coefficients of functions between knots.

    Args:
        evaluate: distances (m,) -> Jet of shape (functions, m).
        knots: where the intervals meet.

    Returns:
        Coefficients c of f(r) = Σ_k c_k u^k, u = (r - knot)/spacing, shape
        (bins, 6, functions), and the largest error half-way between two knots, relative to
        each function's largest value, shape (bins,).
    """
    at = np.linspace(knots.begin, knots.end, knots.bins + 1)
    left, right = read_beside(evaluate, at[:-1], at[1:])
    coefficients = quintics(left, right, knots.spacing)  # [k, function, bin]
    middle = evaluate((at[:-1] + at[1:]) / 2).value
    table = np.einsum("kfb,k->fb", coefficients, 0.5 ** np.arange(6))
    scale = np.abs(middle).max(axis=1, initial=0.0)
    error = np.abs(table - middle) / np.where(scale > 0, scale, 1.0)[:, None]
    return np.ascontiguousarray(coefficients.transpose(2, 0, 1)), error.max(axis=0, initial=0.0)


def read_beside(evaluate: Callable[[Array], Jet], left: Array, right: Array) -> tuple[Jet, Jet]:
    """The functions at both ends of intervals, each read from within.

    Args:
        evaluate: distances (m,) -> Jet of shape (functions, m).
        left: where intervals begin in Å, shape (bins,).
        right: where they end.
    """
    return _read(evaluate, left, 1 + _INSIDE), _read(evaluate, right, 1 - _INSIDE)


def quintics(left: Jet, right: Jet, h: float | Array) -> Array:
    """Polynomials of u = 0 … 1 with given values, slopes and curvatures at both ends.

    Args:
        left: the functions at u = 0, shape (functions, bins).
        right: at u = 1.
        h: lengths of the intervals in Å.

    Returns:
        Coefficients of u^k, shape (6, functions, bins).
    """
    f0, d0, s0 = left.value, h * left.first, h * h * left.second / 2
    f1, d1, s1 = right.value, h * right.first, h * h * right.second / 2
    gap, slope, curve = f1 - f0 - d0 - s0, d1 - d0 - 2 * s0, s1 - s0
    return np.stack(
        [
            f0,
            d0,
            s0,
            10 * gap - 4 * slope + curve,
            -15 * gap + 7 * slope - 2 * curve,
            6 * gap - 3 * slope + curve,
        ]
    )


def cubic(evaluate: Callable[[Array], Jet], knots: Knots) -> Array:
    """Cubic Hermite coefficients in the layout of `tabulate`: PACE's own tables.

    They meet values and slopes at the knots and are zero beyond the last one.

    Args:
        evaluate: distances (m,) -> Jet of shape (functions, m).
        knots: where the intervals meet.

    Returns:
        Shape (bins, 6, functions); the two highest powers are zero.
    """
    h = knots.spacing
    jet = evaluate(np.linspace(knots.begin, knots.end, knots.bins + 1))
    f0, d0 = jet.value[:, :-1], h * jet.first[:, :-1]
    f1, d1 = jet.value[:, 1:], h * jet.first[:, 1:]
    zero = np.zeros_like(f0)
    coefficients = np.stack([f0, d0, 3 * (f1 - f0) - 2 * d0 - d1, 2 * (f0 - f1) + d0 + d1])
    padded = np.concatenate((coefficients, [zero, zero]))
    return np.ascontiguousarray(padded.transpose(2, 0, 1))


def _read(evaluate: Callable[[Array], Jet], knots: Array, factor: float) -> Jet:
    """The functions at the knots, continued from just beside them."""
    beside = knots * factor
    jet, step = evaluate(beside), knots - beside
    return Jet(jet.value + step * jet.first, jet.first + step * jet.second, jet.second)
