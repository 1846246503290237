"""Distance transforms: the coordinate in which radial polynomials are polynomials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from acepot.basis.jet import Jet
from acepot.errors import InputError
from acepot.schema import Kind

#: Largest exponent, and offset in Å: beyond, powers of distances overflow.
MAX_EXPONENT = 50.0

#: The keys of files in which one table served all transforms.
_FORMER = frozenset({"p", "q", "offset"})


class Transform(Kind, ABC):
    """A transformed distance x(r), before it is mapped to [-1, 1].

    Attributes:
        flat_inside: whether x is constant below the inner cut-off, where its curvature jumps.
    """

    flat_inside: ClassVar[bool] = False

    @abstractmethod
    def coordinate(self, r: Jet, inner: float, r0: float) -> Jet:
        """The transformed distance.

        Args:
            r: distances in Å.
            inner: inner cut-off in Å.
            r0: typical distance in Å.
        """

    def check_smooth(self) -> None:
        """Refuse parameters with which the curvature is infinite at the inner cut-off.

        A basis needs finite curvature; files of other programs may do without.

        Raises:
            InputError: the message says which parameters can be.
        """


def _exponent(name: str, value: float) -> None:
    if not 0 < value <= MAX_EXPONENT:
        raise InputError(f"{name}: expected more than 0, up to {MAX_EXPONENT:g}, got {value}")


@dataclass(frozen=True)
class Agnesi(Transform, kind="agnesi"):
    """1/(1 + a s^q/(1 + s^(q-p))), s = (r - inner)/(r0 - inner), 1 for r <= inner.

    a = (-2q + p(4q - 2))/(p + p² + q + q²) puts the steepest slope at r0 (ACEpotentials.jl).

    Args:
        p: x falls as s^-p far away.
        q: x = 1 - a s^q near the inner cut-off.
    """

    p: float = 2.0
    q: float = 4.0
    flat_inside = True
    former = _FORMER

    def check(self) -> None:
        """Refuse exponents for which the coordinate does not fall."""
        p, q = self.p, self.q
        _exponent("p", p)
        _exponent("q", q)
        if not (q >= p and -2 * q + p * (4 * q - 2) > 0):
            raise InputError(f"q: expected q >= p and q (2p - 1) > p, got p = {p}, q = {q}")

    def check_smooth(self) -> None:
        """As the base says."""
        p, q = self.p, self.q
        if not all(x in (0.0, 1.0) or x >= 2.0 for x in (q, q - p)):
            raise InputError(
                "transform: agnesi needs q and q - p that are each 0, 1 or at least 2; "
                f"got p = {p}, q = {q}"
            )

    def coordinate(self, r: Jet, inner: float, r0: float) -> Jet:
        """As the base says."""
        p, q = self.p, self.q
        a = (-2 * q + p * (4 * q - 2)) / (p + p**2 + q + q**2)
        s = ((r - inner) / (r0 - inner)).where(r.value > inner, 0.0)
        return (1.0 + a * s.power(q) / (1.0 + s.power(q - p))).power(-1.0)


@dataclass(frozen=True)
class PolynomialTransform(Transform, kind="polynomial"):
    """((offset + r0)/(offset + r))^p.

    Args:
        p: exponent.
        offset: in Å.
    """

    p: float = 2.0
    offset: float = 1.0
    former = _FORMER

    def check(self) -> None:
        """Refuse what overflows or does not fall."""
        _exponent("p", self.p)
        if not 0 <= self.offset <= MAX_EXPONENT:
            raise InputError(f"offset: expected 0 to {MAX_EXPONENT:g}, got {self.offset}")

    def coordinate(self, r: Jet, inner: float, r0: float) -> Jet:
        """As the base says."""
        return ((r + self.offset) / (self.offset + r0)).power(-self.p)


@dataclass(frozen=True)
class Morse(Transform, kind="morse"):
    """exp(-p r/r0).

    Args:
        p: rate.
    """

    p: float = 2.0
    former = _FORMER

    def check(self) -> None:
        """Refuse what overflows or does not fall."""
        _exponent("p", self.p)

    def coordinate(self, r: Jet, inner: float, r0: float) -> Jet:
        """As the base says."""
        return (r * (-self.p / r0)).exp()


@dataclass(frozen=True)
class Identity(Transform, kind="identity"):
    """The distance itself."""

    former = _FORMER

    def coordinate(self, r: Jet, inner: float, r0: float) -> Jet:
        """As the base says."""
        return r
