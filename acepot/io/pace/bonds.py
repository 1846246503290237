"""Radial functions of one ordered pair of elements in a PACE file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acepot.basis.envelope import PolynomialEnvelope
from acepot.basis.family import RadialFunctions
from acepot.basis.pace_radial import (
    BesselRadial,
    ChebyshevRadial,
    CoreRadial,
    InnerCutRadial,
    SplicedRadial,
    ZblRadial,
)
from acepot.basis.radial import PolynomialRadial
from acepot.basis.transform import Identity, PolynomialTransform
from acepot.io.document import WordItem
from acepot.io.orthpoly import OrthPoly, check

Floats = NDArray[np.float64]
Mode = Literal["density", "distance", "zbl"]

#: Largest number of radial functions, l, power of an envelope; longest cut-off in Å.
MAX_COUNT, MAX_L, _POWER, _FAR = 1000, 40, 12, 50.0
#: Narrowest window or switch in Å.
_NARROW = 1e-3
#: Relative difference of two numbers that mean the same.
_SAME = 1e-9

CHEBYSHEV = {
    "ChebExpCos": "cheb_exp_cos",
    "ChebPow": "cheb_pow",
    "ChebLinear": "cheb_linear",
}
BESSEL = ("SBessel", "TEST_SBessel")


@dataclass(frozen=True, eq=False)
class Bond:
    """What a file says about one ordered pair of elements.

    Args:
        name: radbasename.
        base: number of the functions g_k.
        cutoff: of them, in Å.
        exponent: λ of the Chebyshev families.
        window: dcut in Å.
        coefficients: crad, shape (n, l, k).
        mode: inner_cutoff_type.
        prefactor: of the core repulsion.
        decay: of the core repulsion in 1/Å².
        end: r_in in Å.
        width: δ_in in Å.
        numbers: the two atomic numbers.
        polynomial: the functions of ACE.jl, which have no coefficients.
    """

    name: str
    base: int
    cutoff: float
    exponent: float
    window: float
    coefficients: Floats
    mode: Mode = "density"
    prefactor: float = 0.0
    decay: float = 0.0
    end: float = 0.0
    width: float = 0.0
    numbers: tuple[int, int] = (0, 0)
    polynomial: PolynomialRadial | None = None

    def limits(self, rank: int) -> tuple[int, int]:
        """Largest n and l in a product of so many factors."""
        if self.polynomial is not None:
            return self.base, MAX_L
        if rank == 1:
            return self.base, 0
        return self.coefficients.shape[0], self.coefficients.shape[1] - 1

    def functions(self, count: int) -> RadialFunctions:
        """g_1 … g_count, switched off inside the inner cut-off."""
        family: RadialFunctions
        if self.name in CHEBYSHEV:
            family = ChebyshevRadial(
                CHEBYSHEV[self.name], count, self.exponent, self.window, self.cutoff
            )
        elif self.name in BESSEL:
            family = BesselRadial(count, self.cutoff)
        else:
            family = zeros(count, self.cutoff)
        if self.mode == "distance" and self.end > 0:
            return InnerCutRadial(family, self.end, self.width)
        return family

    @property
    def repels(self) -> bool:
        """Whether there is any core repulsion."""
        inside = self.mode == "density" or (self.mode == "distance" and self.end > 0)
        return self.mode == "zbl" or (inside and self.prefactor != 0.0)

    @property
    def core(self) -> RadialFunctions:
        """The core density."""
        if self.mode == "zbl":
            return ZblRadial(self.prefactor, self.numbers, self.cutoff, self.window)
        if self.mode == "density":
            return CoreRadial(self.prefactor, self.decay, self.cutoff)
        return CoreRadial(self.prefactor, self.decay, self.cutoff, self.end, self.width)

    @property
    def inner(self) -> tuple[float, float]:
        """r_in - δ_in and δ_in in Å."""
        return self.end - self.width, self.width


def zeros(count: int, cutoff: float) -> PolynomialRadial:
    """PACE's test families: functions that vanish everywhere."""
    nothing = np.zeros((3, count))
    return PolynomialRadial(
        nothing, Identity(), 1.0, 0.0, PolynomialEnvelope(0, 1), 0.0, 1.0, cutoff
    )


def read(node: WordItem, number: int, other: int) -> Bond:
    """One entry of `bonds`.

    Args:
        node: the entry.
        number: atomic number of the centre.
        other: atomic number of the neighbour.
    """
    name = node.at("radbasename").word()
    if name.startswith("ACE.jl"):
        if node.get("recursion_coefficients") is None:
            node.fail("expected recursion_coefficients; tables of splines cannot be read")
        radial = polynomials(node)
        none = np.zeros((0, 0, 0))
        return Bond(name, radial.count, radial.cutoff, 1.0, 0.0, none, polynomial=radial)
    if name not in CHEBYSHEV and name not in BESSEL and not name.startswith("TEST_"):
        families = ", ".join((*CHEBYSHEV, *BESSEL, "ACE.jl.Basic"))
        node.at("radbasename").fail(f"expected one of {families}, got {name[:40]!r}")
    cutoff = node.at("rcut").number(0.2, _FAR)
    window = node.at("dcut").number(0.0, cutoff)
    if name == "ChebExpCos" and 0 < window < _NARROW:
        node.at("dcut").fail(f"expected 0 or at least {_NARROW} Å, got {window}")
    exponent = 1.0
    if name in ("ChebExpCos", "ChebPow"):
        parameters = node.at("radparameters")
        parameters.entries(1)
        exponent = float(parameters.numbers()[0])
        low = 1.0 if name == "ChebPow" else 1e-6
        if not low <= exponent <= 100.0:
            parameters.fail(f"expected λ from {low:g} to 100 first, got {exponent}")
    base = node.at("nradbasemax").integer(1, MAX_COUNT)
    n = node.at("nradmax").integer(0, MAX_COUNT)
    width = node.at("lmax").integer(0, MAX_L) + 1
    rows = node.at("radcoefficients").items(n, n)
    nested = [[row.numbers(base, base) for row in item.items(width, width)] for item in rows]
    coefficients = np.array(nested, dtype=float).reshape(n, width, base)
    mode, end, inner_width = _inner(node)
    prefactor = node.at("prehc").number()
    if mode == "zbl" and (inner_width < _NARROW or window < _NARROW):
        node.fail(
            f"expected dcut and dcut_in of at least {_NARROW} Å with zbl, "
            f"got {window} and {inner_width}"
        )
    return Bond(
        name, base, cutoff, exponent, window, coefficients, mode, prefactor,
        node.at("lambdahc").number(), end, inner_width, (number, other),
    )  # fmt: skip


def _inner(node: WordItem) -> tuple[Mode, float, float]:
    """inner_cutoff_type, r_in and δ_in."""
    stored = node.get("inner_cutoff_type")
    mode = "density" if stored is None else stored.word()
    end, width = (
        0.0 if (value := node.get(key)) is None else value.number(0.0, _FAR)
        for key in ("rcut_in", "dcut_in")
    )
    if mode == "density":
        return "density", end, width
    if mode == "zbl":
        return "zbl", end, width
    if mode != "distance":
        node.at("inner_cutoff_type").fail(f"expected density, distance or zbl, got {mode[:40]!r}")
    if end > 0 and width < _NARROW:
        node.fail(f"expected a dcut_in of at least {_NARROW} Å beside rcut_in, got {width}")
    return "distance", end, width


# ---------------------------------------------------------------- ACE.jl


def polynomials(node: WordItem) -> PolynomialRadial:
    """Those of t = ((1 + r0)/(1 + r))^p, which falls from xr, where r is small, to xl."""
    r0, p = node.at("r0").number(1e-3, _FAR), node.at("p").number(1e-3, 50.0)
    cutoff = node.at("rcut").number(0.2, _FAR)
    t_out, t_in = node.at("xl").number(0.0, 1e10), node.at("xr").number(0.0, 1e10)
    p_out, p_in = node.at("pl").integer(1, _POWER), node.at("pr").integer(0, _POWER)
    end = ((1 + r0) / (1 + cutoff)) ** p
    if not t_out < t_in or abs(end - t_out) > _SAME * max(t_in, 1.0):
        node.fail(f"expected xl = {end!r}, the coordinate of rcut, below xr, got {t_out}, {t_in}")
    count = node.at("maxn").integer(1, MAX_COUNT)
    stored = node.at("recursion_coefficients")
    a, b, c = (stored.at(key).numbers(count, count) for key in "ABC")
    inner = 0.0
    if p_in:
        inner = max(0.0, (1 + r0) * t_in ** (-1 / p) - 1)
    radial = OrthPoly(a, b, c, (t_in, p_in), (t_out, p_out)).radial(
        PolynomialTransform(p, offset=1.0), inner, r0, cutoff, PolynomialEnvelope(p_in, p_out)
    )
    check(node, radial)
    return radial


def read_pair(root: WordItem, files: list[int]) -> tuple[tuple[RadialFunctions, ...], ...] | None:
    """Polypairpot and reppot: one function for each ordered pair of species, or None."""
    node = root.get("polypairpot")
    if node is None:
        if (core := root.get("reppot")) is not None:
            core.fail("expected a polypairpot beside it")
        return None
    functions = polynomials(node)
    listed = node.at("coefficients")
    cores = root.get("reppot")
    rows: list[list[SplicedRadial]] = []
    for i in files:
        rows.append([])
        for j in files:
            key = (str(i), str(j))
            c = listed.at(key).numbers(functions.count, functions.count)
            inner = None
            if cores is not None:
                stored = cores.at("coefficients").at(key)
                ri, e0, a, b = (stored.at(name).number() for name in ("ri", "e0", "A", "B"))
                inner = (ri, e0, a, b)
                stored.at("ri").number(_NARROW, functions.cutoff - 0.1)
            rows[-1].append(SplicedRadial(functions, c, inner))
            check(listed, rows[-1][-1])
    return tuple(tuple(row) for row in rows)
