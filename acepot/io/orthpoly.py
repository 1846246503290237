"""The orthogonal polynomials of ACE.jl, which its own files and PACE's hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.basis.envelope import Envelope
from acepot.basis.family import RadialFunctions, stays_finite
from acepot.basis.radial import PolynomialRadial
from acepot.basis.transform import Transform
from acepot.io.document import Item

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OrthPoly:
    """P_1 = A_1 (t - t_in)^p_in (t - t_out)^p_out, P_n = (A_n t + B_n) P_{n-1} + C_n P_{n-2}.

    t_in and t_out are the coordinates of the ends towards small and large r. With
    h = (t_out - t_in)/2 ours is x = (t - t_in)/h - 1: the factors of P_1 are h (x + 1) and
    -h (1 - x), and A_n t + B_n is A_n h x + A_n (t_in + h) + B_n.

    Args:
        a: A, shape (K,).
        b: B, likewise; B_1 is not used.
        c: C, likewise; C_1 and C_2 are not used.
        low: t_in and p_in.
        high: t_out and p_out.
    """

    a: Floats
    b: Floats
    c: Floats
    low: tuple[float, int]
    high: tuple[float, int]

    def radial(
        self,
        transform: Transform,
        inner: float,
        r0: float,
        cutoff: float,
        envelope: Envelope,
        line: tuple[float, float] = (1.0, 0.0),
        factor: float = 1.0,
    ) -> PolynomialRadial:
        """These polynomials as functions of the distance.

        Args:
            transform: of the distance.
            inner: where it begins, in Å.
            r0: its typical distance in Å.
            cutoff: in Å.
            envelope: of all functions.
            line: t is its first number times the transformed distance plus the second.
            factor: of all functions.
        """
        (t_in, p_in), (t_out, p_out) = self.low, self.high
        h = (t_out - t_in) / 2
        recurrence = np.zeros((3, len(self.a)))
        with np.errstate(all="ignore"):
            recurrence[0] = self.a * h
            recurrence[1, 1:] = (self.a * (t_in + h) + self.b)[1:]
            recurrence[2, 2:] = self.c[2:]
            recurrence[0, 0] = self.a[0] * factor * h ** (p_in + p_out) * (-1) ** p_out
            scale, shift = line[0] / h, (line[1] - t_in) / h - 1.0
        return PolynomialRadial(recurrence, transform, scale, shift, envelope, inner, r0, cutoff)

    @classmethod
    def of(cls, f: PolynomialRadial) -> OrthPoly:
        """The polynomials in t, the transformed distance itself, that functions are."""
        h = 1.0 / f.scale
        t_in, (p_in, p_out) = -(f.shift + 1.0) * h, f.envelope.powers or (0, 0)
        a, b, c = f.recurrence[0] / h, f.recurrence[1].copy(), f.recurrence[2]
        b[1:] -= a[1:] * (t_in + h)
        a[0] = f.recurrence[0, 0] / (h ** (p_in + p_out) * (-1) ** p_out)
        return cls(a, b, c, (t_in, p_in), (t_in + 2.0 * h, p_out))


def padded(radial: PolynomialRadial, count: int) -> PolynomialRadial:
    """The same functions, followed by zeros up to `count`."""
    missing = count - radial.count
    return replace(radial, recurrence=np.pad(radial.recurrence, ((0, 0), (0, missing))))


def check(item: Item, radial: RadialFunctions) -> None:
    """Refuse functions of a file without room or with values that are not finite."""
    if not radial.cutoff > max(radial.inner, 0.1) + 0.1:
        item.fail(f"expected room between {radial.inner} Å and the cut-off {radial.cutoff} Å")
    if not stays_finite(radial):
        item.fail("expected finite radial functions, got infinite ones")
