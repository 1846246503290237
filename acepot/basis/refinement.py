"""Quintic tables whose intervals are halved where a function bends sharply.

Equidistant knots serve smooth functions. Where one formula takes over from another within a
hundredth of an Å, or a second derivative is infinite, they would have to be closer than memory
allows: here knots meet every seam, and intervals that err too much are halved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.basis.jet import Array, Jet
from acepot.basis.splines import quintics, read_beside

Functions = Callable[[Array], Jet]

#: How often an interval is halved, at most: 0.02 Å become 2e-8 Å.
_HALVINGS = 20
#: Knots closer than this to a seam, in steps, give way to it.
_APART = 1e-6
#: Where the error within an interval is measured.
_WITHIN = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class RefinedTable:
    """Polynomials between knots that are not equidistant.

    Args:
        begin: first knot in Å.
        spacing: unit of `knots` in Å.
        knots: (r - begin)/spacing of every knot, shape (bins + 1,); the last is whole.
        coefficients: c of f = Σ_k c_k u^k, u = (r - begin)/spacing - knot, shape
            (bins, 6, functions).
        error: largest error within each interval, relative to each function's largest value,
            shape (bins,).
    """

    begin: float
    spacing: float
    knots: Array
    coefficients: Array
    error: Array


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Intervals left … right in steps, their polynomials of u = 0 … 1, and their errors."""

    left: Array
    right: Array
    coefficients: Array  # [k, function, interval]
    error: Array

    def __getitem__(self, which: NDArray[np.bool_]) -> _Pieces:
        return _Pieces(
            self.left[which], self.right[which], self.coefficients[..., which], self.error[which]
        )


def refined(
    evaluate: Functions,
    begin: float,
    end: float,
    spacing: float,
    seams: tuple[float, ...],
    allowed: Callable[[Array], Array],
    most: int,
) -> RefinedTable:
    """The table of functions on [begin, end) with as few intervals as its error allows.

    Args:
        evaluate: distances (m,) -> Jet of shape (functions, m).
        begin: first knot in Å.
        end: last knot in Å.
        spacing: longest interval in Å.
        seams: distances that knots must meet; those outside are ignored.
        allowed: ends of intervals in Å -> largest error that is no reason to halve them.
        most: intervals there may be; where more were needed, the error stays larger.
    """
    cells = int(np.ceil((end - begin) / spacing * (1 - 1e-12)))
    step = (end - begin) / cells
    joints = np.unique([(s - begin) / step for s in seams if begin < s < end])
    joints = joints[(joints > _APART) & (joints < cells - _APART)]
    knots = _with(np.arange(cells + 1.0), joints)
    special = np.concatenate(([0.0], joints, [float(cells)]))
    made = _Maker(evaluate, begin, step, special, allowed, (knots[:-1] + knots[1:]) / 2)
    pieces = made.pieces(knots[:-1], knots[1:])
    done, count = [], len(knots) - 1
    for _ in range(_HALVINGS):
        bad = made.errs(pieces)
        count += int(bad.sum())
        if not bad.any() or count > most:
            break
        done.append(pieces[~bad])
        halved, middle = pieces[bad], (pieces.left + pieces.right)[bad] / 2
        pieces = made.pieces(
            np.concatenate((halved.left, middle)), np.concatenate((middle, halved.right))
        )
    found = _joined([*done, pieces])
    scale = (found.right - found.left) ** -np.arange(6.0)[:, None]
    coefficients = (found.coefficients * scale[:, None]).transpose(2, 0, 1)
    at = np.append(found.left, float(cells))
    return RefinedTable(begin, step, at, np.ascontiguousarray(coefficients), found.error)


class _Maker:
    """Makes polynomials of intervals.

    Args:
        evaluate: as `refined`.
        begin: as `refined`.
        step: unit of places in Å.
        special: places of seams and of both ends.
        allowed: as `refined`.
        middles: places that say how large the functions are.
    """

    def __init__(
        self,
        evaluate: Functions,
        begin: float,
        step: float,
        special: Array,
        allowed: Callable[[Array], Array],
        middles: Array,
    ) -> None:
        self._evaluate, self._begin, self._step = evaluate, begin, step
        self._special, self._allowed = special, allowed
        largest = np.abs(self._values(middles)).max(axis=1, initial=0.0)
        self._scale = np.where(largest > 0, largest, 1.0)[:, None]

    def errs(self, pieces: _Pieces) -> NDArray[np.bool_]:
        """Which intervals err too much."""
        limit = self._allowed(self._begin + self._step * pieces.right)
        return ~(pieces.error <= limit)  # NaN errs, too

    def pieces(self, left: Array, right: Array) -> _Pieces:
        """The polynomials between two places each.

        Beside a seam or an end, where they err too much otherwise, the curvature there is left
        out of their conditions: it may be infinite.
        """
        begin, end = (self._begin + self._step * t for t in (left, right))
        at_begin, at_end = read_beside(self._evaluate, begin, end)
        found = self._measured(left, right, quintics(at_begin, at_end, end - begin))
        beside = np.isin(left, self._special), np.isin(right, self._special)
        for free in ((False, True), (True, False), (True, True)):
            here = self.errs(found)
            for side, wanted in zip(beside, free, strict=True):
                here &= side | (not wanted)
            if not here.any():
                continue
            h = (end - begin)[here]
            ends = _curved(_some(at_begin, here), _some(at_end, here), h, free)
            other = self._measured(left[here], right[here], quintics(*ends, h))
            better = ~(found.error[here] <= other.error)
            which = np.flatnonzero(here)[better]
            found.coefficients[..., which] = other.coefficients[..., better]
            found.error[which] = other.error[better]
        return found

    def _measured(self, left: Array, right: Array, coefficients: Array) -> _Pieces:
        worst = np.zeros(len(left))
        for u in _WITHIN:
            value = np.tensordot(u ** np.arange(6.0), coefficients, axes=1)
            error = np.abs(value - self._values(left + (right - left) * u))
            worst = np.maximum(worst, (error / self._scale).max(axis=0, initial=0.0))
        return _Pieces(left, right, coefficients, worst)

    def _values(self, t: Array) -> Array:
        return self._evaluate(self._begin + self._step * t).value


def _with(knots: Array, joints: Array) -> Array:
    """Knots that meet the joints; those too close to one are left out."""
    ends = knots[[0, -1]]
    if len(joints):
        knots = knots[np.abs(knots[:, None] - joints).min(axis=1) > _APART]
    return np.unique(np.concatenate((ends, knots, joints)))


def _joined(parts: list[_Pieces]) -> _Pieces:
    """Intervals in order."""
    left = np.concatenate([p.left for p in parts])
    order = np.argsort(left)
    return _Pieces(
        left[order],
        np.concatenate([p.right for p in parts])[order],
        np.concatenate([p.coefficients for p in parts], axis=2)[..., order],
        np.concatenate([p.error for p in parts])[order],
    )


def _some(jet: Jet, which: NDArray[np.bool_]) -> Jet:
    return Jet(jet.value[:, which], jet.first[:, which], jet.second[:, which])


def _curved(left: Jet, right: Jet, h: Array, free: tuple[bool, bool]) -> tuple[Jet, Jet]:
    """Both ends; where one is free, with the curvature that needs no fifth, or fourth, power."""
    rise, mean = (right.value - left.value) / h, (left.first + right.first) / 2
    bend = 12 * (mean - rise) / h  # by which curvatures differ where there is no fifth power
    if all(free):
        middle = (right.first - left.first) / h
        return replace(left, second=middle - bend / 2), replace(right, second=middle + bend / 2)
    if free[1]:
        return left, replace(right, second=left.second + bend)
    return replace(left, second=right.second - bend), right
