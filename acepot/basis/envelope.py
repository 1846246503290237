"""Envelopes: the factor that takes polynomial radial functions to zero at the cut-off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from acepot.basis.jet import Jet
from acepot.errors import InputError
from acepot.schema import Kind

#: Largest power, a bound on what a file may ask for.
MAX_POWER = 12


class Envelope(Kind, ABC):
    """The factor common to all functions of a polynomial family."""

    @abstractmethod
    def factor(self, r: Jet, x: Jet, r0: float, cutoff: float) -> Jet:
        """The envelope.

        Args:
            r: distances in Å.
            x: the transformed distances, mapped to [-1, 1].
            r0: typical distance in Å.
            cutoff: outer cut-off in Å.
        """

    @property
    @abstractmethod
    def order(self) -> int:
        """How many derivatives, from the value on, vanish at the cut-off."""

    @property
    def powers(self) -> tuple[int, int] | None:
        """(i, o) if the envelope is (1 + x)^i (1 - x)^o, else None."""
        return None

    @property
    def vanishes_inside(self) -> bool:
        """Whether it is zero at and below an inner cut-off."""
        return self.powers is not None and self.powers[0] > 0

    @property
    def repulsion(self) -> int | None:
        """The p of (r/r0)^-p if it grows so towards r = 0, None if it stays finite."""
        return None


def _power(name: str, value: int, least: int) -> None:
    if not least <= value <= MAX_POWER:
        raise InputError(f"{name}: expected {least} to {MAX_POWER}, got {value}")


@dataclass(frozen=True)
class PolynomialEnvelope(Envelope, kind="x"):
    """(1 + x)^inner (1 - x)^outer in the transformed distance x.

    Args:
        inner: power at the inner cut-off; 0 leaves that side free.
        outer: power at the outer cut-off.
    """

    inner: int = 0
    outer: int = 2

    def check(self) -> None:
        """Refuse negative and huge powers."""
        _power("inner", self.inner, 0)
        _power("outer", self.outer, 1)

    def factor(self, r: Jet, x: Jet, r0: float, cutoff: float) -> Jet:
        """As the base says; powers are whole numbers, so values outside [-1, 1] stay finite."""
        return (x + 1.0).power(self.inner) * (1.0 - x).power(self.outer)

    @property
    def order(self) -> int:
        """The outer power."""
        return self.outer

    @property
    def powers(self) -> tuple[int, int]:
        """Both."""
        return self.inner, self.outer


@dataclass(frozen=True)
class RepulsiveEnvelope(Envelope, kind="r"):
    """s^-p - s_c^-p + p s_c^(-p-1) (s - s_c), s = r/r0, p = outer, s_c at the cut-off.

    Args:
        outer: p.
    """

    outer: int = 2
    former = frozenset({"inner"})

    def check(self) -> None:
        """Refuse impossible powers."""
        _power("outer", self.outer, 1)

    def factor(self, r: Jet, x: Jet, r0: float, cutoff: float) -> Jet:
        """As the base says."""
        p = float(self.outer)
        s, end = r / r0, cutoff / r0
        core: Jet = s.power(-p) - end**-p + (s - end) * (p * end ** (-p - 1))
        return core

    @property
    def order(self) -> int:
        """Value and slope."""
        return 2

    @property
    def repulsion(self) -> int:
        """The power p."""
        return self.outer


@dataclass(frozen=True)
class ShiftedEnvelope(RepulsiveEnvelope, kind="r_shifted"):
    """((r/cut)^-p - 1)(1 - r/cut), p = outer.

    Args:
        outer: p.
    """

    def factor(self, r: Jet, x: Jet, r0: float, cutoff: float) -> Jet:
        """As the base says."""
        s = r / cutoff
        return (s.power(-float(self.outer)) - 1.0) * (1.0 - s)
