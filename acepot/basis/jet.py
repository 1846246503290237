"""Functions of one variable carried with their first and second derivative.

Radial formulas are written once, on `Jet`s, and their derivatives follow exactly by the
chain rule; no formula is differentiated by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Jet:
    """A value f(r) with f'(r) and f''(r), arrays of one shape.

    Args:
        value: f.
        first: f'.
        second: f''.
    """

    value: Array
    first: Array
    second: Array

    @staticmethod
    def variable(r: Array) -> Jet:
        """The variable itself: r, 1, 0."""
        return Jet(r, np.ones_like(r), np.zeros_like(r))

    @staticmethod
    def stack(jets: list[Jet]) -> Jet:
        """Jets of shape (m,) as one of shape (len(jets), m)."""
        return Jet(
            np.stack([j.value for j in jets]),
            np.stack([j.first for j in jets]),
            np.stack([j.second for j in jets]),
        )

    def compose(self, f: Array, f1: Array, f2: Array) -> Jet:
        """f(self), given the outer f, f' and f'' at self.value."""
        return Jet(f, f1 * self.first, f2 * self.first**2 + f1 * self.second)

    def __add__(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(
                self.value + other.value, self.first + other.first, self.second + other.second
            )
        return Jet(self.value + other, self.first, self.second)

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.first, -self.second)

    def __sub__(self, other: Jet | float) -> Jet:
        return self + (-other)

    def __rsub__(self, other: float) -> Jet:
        return -self + other

    def __mul__(self, other: Jet | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(
                self.value * other.value,
                self.first * other.value + self.value * other.first,
                self.second * other.value
                + 2 * self.first * other.first
                + self.value * other.second,
            )
        return Jet(self.value * other, self.first * other, self.second * other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Jet | float) -> Jet:
        return self * (other.power(-1.0) if isinstance(other, Jet) else 1.0 / other)

    def power(self, p: float) -> Jet:
        """self^p; zero coefficients silence the singularities of p = 0 and 1 at zero."""
        x = self.value

        def term(coefficient: float, exponent: float) -> Array:
            return np.zeros_like(x) if coefficient == 0.0 else coefficient * x**exponent

        return self.compose(x**p, term(p, p - 1), term(p * (p - 1), p - 2))

    def exp(self) -> Jet:
        """The exponential."""
        e = np.exp(self.value)
        return self.compose(e, e, e)

    def cos(self) -> Jet:
        """The cosine."""
        c, s = np.cos(self.value), np.sin(self.value)
        return self.compose(c, -s, -c)

    def where(self, condition: NDArray[np.bool_], other: float) -> Jet:
        """Self where the condition holds, a constant elsewhere."""
        return Jet(
            np.where(condition, self.value, other),
            np.where(condition, self.first, 0.0),
            np.where(condition, self.second, 0.0),
        )
