"""From densities to an energy: Finnis–Sinclair embeddings and PACE's core repulsion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from acepot.basis.family import RadialFunctions
from acepot.basis.jet import Array
from acepot.errors import InputError
from acepot.schema import Settings

#: Where the regularised power of `FinnisSinclair` begins (PACE's w).
REGULAR = 1e6

#: How the core repulsion enters: density and distance switch the embedding off where the
#: core density is large; zbl where a neighbour is near.
CoreMode = Literal["none", "density", "distance", "zbl"]


@dataclass(frozen=True)
class Embedding(Settings):
    """E = Σ_p w_p F_{m_p}(ρ_p), switched off by the core density.

    FinnisSinclair: F(ρ) = sgn(ρ) [(1 - g)|ρ|^m + λ g |ρ|], g = exp(-(w|ρ|)³), w = 10⁶,
    λ = w^(1-m). FinnisSinclairShiftedScaled: m = 1: F = ρ; else with a = |ρ|, e = exp(-a),
    ν = 1/m: F = sgn(ρ) [(ν^(ν/(1-ν)) e + a)^m - ν^(1/(1-ν)) e].

    Args:
        kind: the function F.
        weights: w_p, one per density.
        exponents: m_p.
        core_limit: core density in eV at which the embedding is zero.
        core_width: over which it falls.
    """

    kind: Literal["FinnisSinclair", "FinnisSinclairShiftedScaled"]
    weights: tuple[float, ...]
    exponents: tuple[float, ...]
    core_limit: float = 1e5
    core_width: float = 250.0

    def check(self) -> None:
        """Refuse other numbers of densities and exponents that are not positive."""
        if not 1 <= len(self.weights) <= 16 or len(self.weights) != len(self.exponents):
            raise InputError(
                "weights: expected one weight and one exponent for each of 1 to 16 densities, "
                f"got {len(self.weights)} and {len(self.exponents)}"
            )
        if min(self.exponents) <= 0:
            raise InputError(f"exponents: expected positive ones, got {self.exponents}")

    @property
    def shares_rows(self) -> bool:
        """Whether E = ρ exactly."""
        return (
            self.kind == "FinnisSinclairShiftedScaled"
            and self.weights == (1.0,)
            and self.exponents == (1.0,)
        )


@dataclass(frozen=True, eq=False)
class Nonlinear:
    """What a model has beyond a linear sum.

    Args:
        embeddings: one per species.
        mode: how the core repulsion enters.
        core: core density ρ_core(r) of every ordered pair of species (one function each), or
            None without core repulsion.
        inner: for zbl: r_in - δ_in and δ_in of every ordered pair in Å, shape (S, S, 2).
    """

    embeddings: tuple[Embedding, ...]
    mode: CoreMode = "none"
    core: tuple[tuple[RadialFunctions, ...], ...] | None = None
    inner: Array | None = None

    @property
    def densities(self) -> int:
        """The largest number of densities of a species."""
        return max(len(e.weights) for e in self.embeddings)


def embed(shifted: bool, m: float, rho: Array) -> tuple[Array, Array]:
    """F_m(ρ) and F_m'(ρ).

    Args:
        shifted: FinnisSinclairShiftedScaled, else FinnisSinclair.
        m: exponent.
        rho: densities, any shape.
    """
    a, sign = np.abs(rho), np.sign(rho)
    if shifted:
        if m == 1.0:
            return rho, np.ones_like(rho)
        x, y, e = _screened(m, a)
        base = x * e + a
        return (
            sign * (base**m - y * e),
            m * (1 - x * e) * base ** (m - 1) + y * e,
        )
    scale = REGULAR ** (1 - m)
    g = _regular(a)
    slope = -3 * REGULAR**3 * a**2 * g
    tiny = a <= 1e-10
    safe = np.where(tiny, 1.0, a)
    value = (1 - g) * safe**m + scale * g * safe
    first = (1 - g) * m * safe ** (m - 1) - slope * safe**m + scale * slope * safe + scale * g
    return np.where(tiny, scale * rho, sign * value), np.where(tiny, scale, first)


def _screened(m: float, a: Array) -> tuple[float, float, Array]:
    """ν^(ν/(1-ν)), ν^(1/(1-ν)) and exp(-a) of FinnisSinclairShiftedScaled, ν = 1/m."""
    nu = 1.0 / m
    return nu ** (nu / (1 - nu)), nu ** (1 / (1 - nu)), np.exp(-a)


def _regular(a: Array) -> Array:
    """G = exp(-(w a)³) of FinnisSinclair, 0 where (w a)³ > 30."""
    cube = (REGULAR * a) ** 3
    return np.asarray(np.where(cube <= 30.0, np.exp(-np.minimum(cube, 30.0)), 0.0))


def curvature(shifted: bool, m: float, rho: Array) -> Array:
    """F_m''(ρ), which changes its sign at ρ = 0 as F_m does.

    Args:
        shifted: FinnisSinclairShiftedScaled, else FinnisSinclair.
        m: exponent.
        rho: densities, any shape.
    """
    a, sign = np.abs(rho), np.sign(rho)
    if shifted:
        if m == 1.0:
            return np.zeros_like(rho)
        x, y, e = _screened(m, a)
        base, slope = x * e + a, 1 - x * e
        second = m * (m - 1) * base ** (m - 2) * slope**2 + m * base ** (m - 1) * x * e
        return np.asarray(sign * (second - y * e))
    scale = REGULAR ** (1 - m)
    g = _regular(a)
    first = -3 * REGULAR**3 * a**2 * g
    second = (9 * REGULAR**6 * a**4 - 6 * REGULAR**3 * a) * g
    safe = np.where(a <= 1e-10, 1.0, a)
    value = (1 - g) * m * (m - 1) * safe ** (m - 2) - 2 * first * m * safe ** (m - 1)
    value += second * (scale * safe - safe**m) + 2 * scale * first
    return np.asarray(np.where(a <= 1e-10, 0.0, sign * value))
