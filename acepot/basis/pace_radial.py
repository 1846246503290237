"""PACE's radial functions: Chebyshev and Bessel families, inner cut-offs, core repulsion.

Formulas as ML-PACE evaluates them; every class follows `family.RadialFunctions`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.basis.family import RadialFunctions
from acepot.basis.jet import Array, Jet

#: Narrowest window of cheb_exp_cos in Å.
MIN_WINDOW = 1e-3

#: e²/(4πε0) in eV Å and the ZBL screening function, with PACE's digits.
_COULOMB = 14.399645351950543
_ZBL = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))


@dataclass(frozen=True, eq=False)
class ChebyshevRadial:
    """PACE's Chebyshev families g_n(r), with T_n the polynomials of the first kind.

    cheb_exp_cos: x = 1 - 2(e^(-λr/rc) - e^-λ)/(1 - e^-λ), g_1 = 1, g_n = (1 - T_{n-1}(x))/2,
    times (1 + cos(πr/rc))/2 and a last cosine window of width `smoothing`;
    cheb_pow: x = 1 - 2(1 - r/rc)^λ, g_n = (1 - T_n(x))/2; cheb_linear: x = 1 - r/rc, likewise
    (not zero at the cut-off: for reading files only).

    Args:
        family: one of the three names.
        count: number of functions.
        exponent: λ.
        smoothing: width of the window in Å (cheb_exp_cos).
        cutoff: outer cut-off rc in Å.
    """

    family: str
    count: int
    exponent: float
    smoothing: float
    cutoff: float
    inner: float = 0.0
    zero_inside: bool = False

    @property
    def breaks(self) -> tuple[float, ...]:
        """Where the last window begins."""
        windowed = self.family == "cheb_exp_cos" and self.smoothing > 0
        return (self.cutoff - self.smoothing,) if windowed else ()

    @property
    def seams(self) -> tuple[float, ...]:
        """The same."""
        return self.breaks

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        inside = r < self.cutoff
        # Powers of 1 - r/rc may be singular at the cut-off, where the functions end anyway.
        distance = Jet.variable(np.where(inside, r, 0.5 * self.cutoff))
        scaled, rate = distance / self.cutoff, self.exponent
        if self.family == "cheb_exp_cos":
            end = np.exp(-rate)
            x = 1.0 - ((scaled * -rate).exp() - end) * (2.0 / (1.0 - end))
            polynomials = _chebyshev(x, self.count - 1)
            window = ((scaled * np.pi).cos() + 1.0) * 0.5
            for begin in self.breaks:
                last = (((distance - begin) * (np.pi / self.smoothing)).cos() + 1.0) * 0.5
                window = window * last.where(r > begin, 1.0)
            functions = [window] + [(1.0 - t) * 0.5 * window for t in polynomials[1:]]
        else:
            x = 1.0 - scaled
            if self.family == "cheb_pow":
                x = 1.0 - 2.0 * x.power(rate)
            functions = [(1.0 - t) * 0.5 for t in _chebyshev(x, self.count)[1:]]
        return Jet.stack([f.where(inside, 0.0) for f in functions])


def _chebyshev(x: Jet, degree: int) -> list[Jet]:
    """T_0 … T_degree."""
    polynomials = [x * 0.0 + 1.0, x]
    while len(polynomials) <= degree:
        polynomials.append(2.0 * x * polynomials[-1] - polynomials[-2])
    return polynomials[: degree + 1]


@dataclass(frozen=True, eq=False)
class BesselRadial:
    """PACE's orthogonalised spherical Bessel functions of order zero (Kocer et al. 2019).

    f_n = (-1)^n √2 π/rc^(3/2) (n+1)(n+2)/√((n+1)²+(n+2)²) [sinc(r(n+1)π/rc) + sinc(r(n+2)π/rc)],
    g_0 = f_0, g_n = (f_n + √(e_n/d_{n-1}) g_{n-1})/√d_n with e_n = n²(n+2)²/(4(n+1)⁴+1),
    d_n = 1 - e_n/d_{n-1}, d_0 = 1.

    Args:
        count: number of functions.
        cutoff: outer cut-off rc in Å.
    """

    count: int
    cutoff: float
    inner: float = 0.0
    zero_inside: bool = False
    breaks: tuple[float, ...] = ()
    seams: tuple[float, ...] = ()

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        rc, inside = self.cutoff, r < self.cutoff
        waves = [_sinc(r, k * np.pi / rc) for k in range(1, self.count + 2)]
        functions: list[Jet] = []
        d = 1.0
        for n in range(self.count):
            a, b = n + 1, n + 2
            factor = (-1) ** n * np.sqrt(2) * np.pi / rc**1.5 * a * b / np.hypot(a, b)
            f = (waves[n] + waves[n + 1]) * factor
            if n:
                e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
                previous, d = d, 1.0 - e / d
                f = (f + functions[-1] * np.sqrt(e / previous)) / np.sqrt(d)
            functions.append(f)
        return Jet.stack([f.where(inside, 0.0) for f in functions])


def _sinc(r: Array, k: float) -> Jet:
    """sin(kr)/(kr), by its series where the quotient would lose digits."""
    z = k * r
    small = z < 0.1
    y = np.where(small, 1.0, z)
    value = np.sin(y) / y
    first = (np.cos(y) - value) / y
    second = -value - 2 * first / y
    s = z * z
    value = np.where(small, 1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72))), value)
    first = np.where(small, -z / 3 * (1 - s / 10 * (1 - s / 28 * (1 - s / 54))), first)
    second = np.where(small, -1 / 3 + s / 10 * (1 - s * 5 / 84 * (1 - s * 7 / 270)), second)
    return Jet(value, k * first, k * k * second)


# ---------------------------------------------------------------- what wraps a family


def inner_switch(r: Jet, end: float, width: float) -> Jet:
    """PACE's polynomial switch: 1 for r <= end - width, 0 for r >= end, C² between.

    P = 1/2 + 15/4 (x/4 - x³/6 + x⁵/20), x = 1 - 2 (1 + (r - end)/width).

    Args:
        r: the variable.
        end: where the switch is zero.
        width: over which it falls.
    """
    one = r * 0.0 + 1.0
    if width <= 0.0:
        return one.where(r.value <= end, 0.0)
    x = -1.0 - (r - end) * (2.0 / width)
    middle = (x * 0.25 - x.power(3.0) * (1 / 6) + x.power(5.0) * 0.05) * 3.75 + 0.5
    return middle.where(r.value > end - width, 1.0).where(r.value < end, 0.0)


class OverFamily:
    """Functions made of another family, whose distances they share.

    Attributes:
        functions: that family.
    """

    functions: RadialFunctions

    @property
    def count(self) -> int:
        """Number of functions."""
        return self.functions.count

    @property
    def cutoff(self) -> float:
        """Outer cut-off in Å."""
        return self.functions.cutoff

    @property
    def inner(self) -> float:
        """Lower end of the coordinate in Å."""
        return self.functions.inner

    @property
    def zero_inside(self) -> bool:
        """As the family."""
        return self.functions.zero_inside

    @property
    def breaks(self) -> tuple[float, ...]:
        """As the family."""
        return self.functions.breaks

    @property
    def seams(self) -> tuple[float, ...]:
        """As the family."""
        return self.functions.seams


@dataclass(frozen=True, eq=False)
class InnerCutRadial(OverFamily):
    """A family that is switched off at short distance: g (1 - P(r; end, width)).

    Args:
        functions: the family.
        end: from here on it is itself, in Å.
        width: of the switch in Å.
    """

    functions: RadialFunctions
    end: float
    width: float

    @property
    def zero_inside(self) -> bool:
        """Pairs that are too close are refused, as the core repulsion reaches to zero."""
        return False

    @property
    def seams(self) -> tuple[float, ...]:
        """Both ends of the switch, too."""
        return (self.end - self.width, self.end, *self.functions.seams)

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        jet = self.functions.evaluate(r)
        return jet * (1.0 - inner_switch(Jet.variable(r), self.end, self.width))


@dataclass(frozen=True, eq=False)
class MixedRadial(OverFamily):
    """g_1 … g_K, then their combinations R_c = Σ_k mixing[c, k] g_k.

    Rank-one products of a PACE file use the g_k, all others R_nl.

    Args:
        functions: the family g.
        mixing: shape (C, K).
    """

    functions: RadialFunctions
    mixing: Array

    @property
    def count(self) -> int:
        """K + C."""
        return self.functions.count + len(self.mixing)

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (K + C, len(r))."""
        jet = self.functions.evaluate(r)
        return Jet(
            np.concatenate((jet.value, self.mixing @ jet.value)),
            np.concatenate((jet.first, self.mixing @ jet.first)),
            np.concatenate((jet.second, self.mixing @ jet.second)),
        )


@dataclass(frozen=True, eq=False)
class CoreRadial:
    """PACE's core density: |a| exp(-|b| r²)/r (1 + cos(πr/rc))/2, zero where b r² >= 50.

    With an inner cut-off it is multiplied by P(r; end, width).

    Args:
        prefactor: a in eV Å.
        decay: b in 1/Å².
        cutoff: rc in Å.
        end: of the inner switch in Å; None: no switch.
        width: of the inner switch in Å.
    """

    prefactor: float
    decay: float
    cutoff: float
    end: float | None = None
    width: float = 0.0
    count: int = 1
    inner: float = 0.0
    zero_inside: bool = False
    breaks: tuple[float, ...] = ()

    @property
    def seams(self) -> tuple[float, ...]:
        """Both ends of the inner switch."""
        return () if self.end is None else (self.end - self.width, self.end)

    def evaluate(self, r: Array) -> Jet:
        """Value and derivatives at distances r in Å, shape (1, len(r))."""
        x = Jet.variable(r)
        decay = abs(self.decay)
        core = abs(self.prefactor) * (x * x * -decay).exp() / x
        core = core * ((x * (np.pi / self.cutoff)).cos() + 1.0) * 0.5
        if self.end is not None:
            core = core * inner_switch(x, self.end, self.width)
        return Jet.stack([core.where((r < self.cutoff) & (decay * r * r < 50.0), 0.0)])


@dataclass(frozen=True, eq=False)
class ZblRadial:
    """Half the screened nuclear repulsion of Ziegler, Biersack and Littmark, as PACE cuts it.

    prefactor K/2 Z Z' (φ(r/a)/r + S(r)) P(r; rc, dcut); S takes value, slope and curvature of
    the first term to zero at rc.

    Args:
        prefactor: without unit.
        numbers: the two atomic numbers.
        cutoff: rc in Å.
        width: dcut in Å, over which S acts.
    """

    prefactor: float
    numbers: tuple[int, int]
    cutoff: float
    width: float
    count: int = 1
    inner: float = 0.0
    zero_inside: bool = False

    @property
    def breaks(self) -> tuple[float, ...]:
        """S begins where only its third derivative jumps."""
        return ()

    @property
    def seams(self) -> tuple[float, ...]:
        """Where S begins."""
        return (self.cutoff - self.width,)

    def evaluate(self, r: Array) -> Jet:
        """Value and derivatives at distances r in Å, shape (1, len(r))."""
        x, d = Jet.variable(r), self.width
        end = self._screened(Jet.variable(np.array([self.cutoff])))
        e, e1, e2 = float(end.value[0]), float(end.first[0]), float(end.second[0])
        a = (-3 * e1 + d * e2) / d**2
        b = (2 * e1 - d * e2) / d**3
        c = -e + d * e1 / 2 - d * d * e2 / 12
        step = (x - (self.cutoff - d)).where(r > self.cutoff - d, 0.0)
        shifted = self._screened(x) + step.power(3.0) * (a / 3) + step.power(4.0) * (b / 4) + c
        z, other = self.numbers
        scale = self.prefactor * 0.5 * _COULOMB * z * other
        jet = shifted * scale * inner_switch(x, self.cutoff, d)
        return Jet.stack([jet.where(r < self.cutoff, 0.0)])

    def _screened(self, r: Jet) -> Jet:
        """φ(r/a)/r."""
        z, other = self.numbers
        length = 0.4685 / (z**0.23 + other**0.23)
        phi = r * 0.0
        for weight, rate in _ZBL:
            phi = phi + (r * (-rate / length)).exp() * weight
        return phi / r


@dataclass(frozen=True, eq=False)
class SplicedRadial(OverFamily):
    """One function V = Σ_k c_k P_k with a repulsive core below r_i (ACE.jl's pair potential).

    V = e0 + B exp(-A (r/r_i - 1)) r_i/r for r < r_i.

    Args:
        functions: the family P.
        coefficients: c in eV, shape (count of the family,).
        core: r_i in Å, e0 in eV, A, B in eV; None: no core.
    """

    functions: RadialFunctions
    coefficients: Array
    core: tuple[float, float, float, float] | None = None
    count: int = 1

    @property
    def zero_inside(self) -> bool:
        """As the family, unless there is a core."""
        return self.core is None and self.functions.zero_inside

    @property
    def breaks(self) -> tuple[float, ...]:
        """The end of the core, where the second derivative jumps, or those of the family."""
        return self.functions.breaks if self.core is None else (self.core[0],)

    @property
    def seams(self) -> tuple[float, ...]:
        """The end of the core, too."""
        core = () if self.core is None else (self.core[0],)
        return (*core, *self.functions.seams)

    def evaluate(self, r: Array) -> Jet:
        """Value and derivatives at distances r in Å, shape (1, len(r))."""
        family = self.functions.evaluate(r)
        jet = Jet(
            self.coefficients @ family.value,
            self.coefficients @ family.first,
            self.coefficients @ family.second,
        )
        if self.core is not None:
            end, e0, rate, height = self.core
            s = Jet.variable(r) / end
            core = ((s - 1.0) * -rate).exp() / s * height + e0
            jet = jet.where(r >= end, 0.0) + core.where(r < end, 0.0)
        return Jet.stack([jet])
