"""PACE's families of radial functions as users choose them; formulas: `pace_radial`."""

from __future__ import annotations

from dataclasses import dataclass

from acepot.basis.family import FORMER, Radial
from acepot.basis.pace_radial import MIN_WINDOW, BesselRadial, ChebyshevRadial
from acepot.errors import InputError

#: These functions stay finite at r = 0; a pair part of them is restrained as the default one is.
_REPULSION = 2


@dataclass(frozen=True)
class ChebExpCos(Radial, kind="cheb_exp_cos"):
    """PACE's ChebExpCos, see `ChebyshevRadial`.

    Args:
        exponent: λ.
        smoothing: width of the last cosine window in Å (PACE's dcut); 0: none.
    """

    exponent: float = 1.0
    smoothing: float = 0.01
    repulsion = _REPULSION
    former = FORMER

    def check(self) -> None:
        """Refuse a coordinate that is constant and a window of nothing."""
        if not self.exponent > 0:
            raise InputError(f"exponent: expected more than 0, got {self.exponent}")
        if self.smoothing != 0 and not self.smoothing >= MIN_WINDOW:
            raise InputError(
                f"smoothing: expected 0 or {MIN_WINDOW} Å to the cut-off, got {self.smoothing}"
            )

    def functions(self, count: int, inner: float, r0: float, cutoff: float) -> ChebyshevRadial:
        """As the base says."""
        if self.smoothing > cutoff:
            raise InputError(
                f"radial.smoothing: expected 0 or {MIN_WINDOW} Å to the cut-off {cutoff} Å, "
                f"got {self.smoothing}"
            )
        return ChebyshevRadial(self.kind, count, self.exponent, self.smoothing, cutoff)

    @property
    def envelope_order(self) -> int:
        """Two for each cosine window."""
        return 4 if self.smoothing > 0 else 2


@dataclass(frozen=True)
class ChebPow(Radial, kind="cheb_pow"):
    """PACE's ChebPow, see `ChebyshevRadial`.

    Args:
        exponent: λ.
    """

    exponent: float = 1.0
    envelope_order = 1
    repulsion = _REPULSION
    former = FORMER

    def check(self) -> None:
        """Refuse an infinite slope at the cut-off."""
        if not self.exponent >= 1:
            raise InputError(
                "exponent: expected at least 1 (a finite slope at the cut-off), "
                f"got {self.exponent}"
            )

    def functions(self, count: int, inner: float, r0: float, cutoff: float) -> ChebyshevRadial:
        """As the base says."""
        return ChebyshevRadial(self.kind, count, self.exponent, 0.0, cutoff)


@dataclass(frozen=True)
class ChebLinear(Radial, kind="cheb_linear"):
    """PACE's ChebLinear, which does not vanish at the cut-off: for reading files only."""

    envelope_order = 0
    former = FORMER

    def functions(self, count: int, inner: float, r0: float, cutoff: float) -> ChebyshevRadial:
        """As the base says."""
        return ChebyshevRadial(self.kind, count, 1.0, 0.0, cutoff)


@dataclass(frozen=True)
class SBessel(Radial, kind="sbessel"):
    """PACE's simplified spherical Bessel functions, see `BesselRadial`."""

    envelope_order = 2
    repulsion = _REPULSION
    former = FORMER

    def functions(self, count: int, inner: float, r0: float, cutoff: float) -> BesselRadial:
        """As the base says."""
        return BesselRadial(count, cutoff)
