"""A of a cell that repeats, exactly: sums over reciprocal vectors and, where it is cheaper, pairs.

Gaussians of width σ, the same for all atoms, are summed in reciprocal space; what those of width s
have more falls off like a Gaussian and is summed over pairs of atoms:

    A_ij/k_e = (4π/V) Σ_{k≠0} exp(-k² σ²)/k² cos k·(r_i - r_j)
               + Σ_n [erf(r/γ_ij) - erf(r/2σ)]/r          (i = j, n = 0 left out)
               + δ_ij [1/(s_i √π) - 1/(σ √π)] + (2π/V) (s_i² + s_j² - 2σ²)

Without σ the widths are those of the atoms and there are no pairs. The last term belongs to charged
cells: where the charges add up to 0 it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import TypeVar

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.extension import extension
from acepot.evaluate.protocol import Floats, Ints
from acepot.structure import Structure
from acepot.units import COULOMB

__all__ = ["Ewald", "Pairs", "half_space", "refusing", "splitting"]

_Made = TypeVar("_Made")

_PI = float(np.sqrt(np.pi))
#: What is left out of either sum, as a part of its largest term.
ACCURACY = 1e-14
#: Numbers in an array of phases.
_BLOCK = 4_000_000
#: Reciprocal vectors of one cell; an absurd cell or width asks for more.
_MOST = 20_000_000


def splitting(structure: Structure, widths: Floats) -> float | None:
    """σ with which A is found soonest, in Å; None: without pairs.

    Args:
        structure: atoms and cell.
        widths: s in Å, shape (n,).
    """
    least = float(widths.min(initial=np.inf))
    n, volume = len(structure), structure.volume
    # As many reciprocal vectors as pairs of an atom, weighted by what each costs.
    balanced = 0.45 * (volume**2 / n) ** (1 / 6) / _PI
    return None if least >= 0.5 * balanced else balanced


class Ewald:
    """A of one structure.

    Args:
        structure: atoms and a cell that repeats in three directions.
        widths: s of every atom in Å, shape (n,); 0: points.
        split: σ in Å; None: no pairs; "auto": as `splitting`.
        accuracy: what is left out of a sum.

    Raises:
        InputError: points without σ, coinciding points, a cell with too many vectors.
    """

    def __init__(
        self,
        structure: Structure,
        widths: Floats,
        split: float | str | None = "auto",
        accuracy: float = ACCURACY,
    ) -> None:
        self._widths = np.asarray(widths, dtype=float)
        self._volume = structure.volume
        sigma = splitting(structure, self._widths) if isinstance(split, str) else split
        if sigma is None and not self._widths.min() > 0:
            raise InputError("widths: point charges need a splitting σ")
        self._sigma = sigma
        least = float(self._widths.min()) if sigma is None else sigma
        self._h = half_space(structure, float(np.sqrt(-np.log(accuracy))) / least)
        inverse = np.linalg.inv(structure.cell)
        self._k = 2 * np.pi * self._h @ inverse.T
        self._fractions = structure.positions @ inverse
        self._square = np.einsum("kx,kx->k", self._k, self._k)
        self._kept: tuple[Floats, Floats] | None = None  # all waves, where they are few
        # Both halves of the vectors at once.
        self._factor = 8 * np.pi / self._volume / self._square
        self._pairs = None if sigma is None else Pairs(structure, self._widths, sigma, accuracy)

    @property
    def _smeared(self) -> Floats:
        """Widths of the Gaussians in reciprocal space, shape (n,)."""
        return self._widths if self._sigma is None else np.full(len(self._widths), self._sigma)

    def _blocks(self) -> list[slice]:
        size = max(1, _BLOCK // max(len(self._widths), 1))
        return [slice(a, a + size) for a in range(0, len(self._k), size)]

    def _waves(self, block: slice) -> tuple[Floats, Floats]:
        """√f w cos k·r and √f w sin k·r, shape (n, vectors)."""
        if self._kept is None:
            made = self._made(block)
            if len(self._blocks()) > 1:
                return made
            self._kept = made
        return self._kept

    def _made(self, block: slice) -> tuple[Floats, Floats]:
        """`_waves` from the waves along each reciprocal lattice vector."""
        h = self._h[block]
        waves = np.ones((len(self._widths), len(h)), dtype=complex)
        for axis in range(3):
            least = int(h[:, axis].min(initial=0))
            turns = np.arange(least, int(h[:, axis].max(initial=0)) + 1)
            along = np.exp(2j * np.pi * np.multiply.outer(self._fractions[:, axis], turns))
            waves *= along[:, h[:, axis] - least]
        widths, kinds = np.unique(self._smeared, return_inverse=True)
        size = np.exp(-0.5 * np.outer(widths**2, self._square[block]))
        size *= np.sqrt(self._factor[block])
        waves *= size[kinds]
        return np.ascontiguousarray(waves.real), np.ascontiguousarray(waves.imag)

    @cached_property
    def matrix(self) -> Floats:
        """As `Interaction`."""
        n = len(self._widths)
        made = np.zeros((n, n))
        for block in self._blocks():
            c, s = self._waves(block)
            made += c @ c.T + s @ s.T
        if self._pairs is not None and self._sigma is not None:
            made += self._pairs.dense(self._pairs.value)
            own = np.divide(1, self._widths * _PI, out=np.zeros(n), where=self._widths > 0)
            made[np.diag_indices(n)] += own - 1 / (self._sigma * _PI)
            made += self._background
        return COULOMB * made

    @property
    def _background(self) -> Floats:
        """What the neutralising background has with widths other than σ, shape (n, n)."""
        square = self._widths**2 - (self._sigma or 0.0) ** 2
        return 2 * np.pi / self._volume * (square[:, None] + square)

    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """As `Interaction`."""
        forces, virial = np.zeros((len(left), 3)), np.zeros((3, 3))
        width = self._smeared**2
        for block in self._blocks():
            c, s = self._waves(block)
            k, square = self._k[block], self._square[block]
            lc, ls, rc, rs = left @ c, left @ s, right @ c, right @ s
            along = left[:, None] * (s * rc - c * rs) + right[:, None] * (s * lc - c * ls)
            forces += along @ k
            one = lc * rc + ls * rs  # Re L R*
            wide = (left * width) @ c * rc + (left * width) @ s * rs
            wide += lc * ((right * width) @ c) + ls * ((right * width) @ s)
            virial -= np.einsum("k,kx,ky->xy", 2 * one / square + wide, k, k)
            virial += one.sum() * np.eye(3)
        if self._pairs is not None:
            f, w = self._pairs.pull(left, right)
            forces += f
            virial += w + float(left @ self._background @ right) * np.eye(3)
        return COULOMB * forces, COULOMB * virial

    def gradient(self) -> Floats:
        """As `Interaction`."""
        n = len(self._widths)
        made = np.zeros((n, 3, n))
        for block in self._blocks():
            c, s = self._waves(block)
            for x in range(3):
                k = self._k[block][:, x]
                made[:, x] += (c * k) @ s.T - (s * k) @ c.T
        if self._pairs is not None:
            p = self._pairs
            for x in range(3):
                made[:, x] -= p.dense(p.slope * p.vector[:, x], -1.0)
        return COULOMB * made

    def strain(self) -> Floats:
        """As `Interaction`."""
        n = len(self._widths)
        made = np.zeros((3, 3, n, n))
        width = self._smeared**2
        for block in self._blocks():
            c, s = self._waves(block)
            k, square = self._k[block], self._square[block]
            for a in range(3):
                for b in range(a, 3):
                    kk = k[:, a] * k[:, b]
                    plain = (c * (2 * kk / square)) @ c.T + (s * (2 * kk / square)) @ s.T
                    wide = (c * kk) @ c.T + (s * kk) @ s.T
                    made[a, b] += plain + (width[:, None] + width) * wide
            for a in range(3):
                made[a, a] -= c @ c.T + s @ s.T
        if self._pairs is not None:
            p = self._pairs
            for a in range(3):
                for b in range(a, 3):
                    made[a, b] += p.dense(p.slope * p.vector[:, a] * p.vector[:, b])
                made[a, a] -= self._background
        for a, b in ((0, 1), (0, 2), (1, 2)):
            made[b, a] = made[a, b]
        return COULOMB * made


def half_space(structure: Structure, longest: float) -> Ints:
    """Reciprocal vectors up to a length, one of each pair k and -k, without 0.

    Args:
        structure: its cell.
        longest: in 1/Å.

    Returns:
        In units of the reciprocal lattice, shape (m, 3).

    Raises:
        InputError: there are too many.
    """
    # |h_a| <= |k| |a| / 2π, a the lattice vector.
    most = np.floor(longest * np.linalg.norm(structure.cell, axis=1) / (2 * np.pi)).astype(int)
    if float(np.prod(2.0 * most + 1)) > _MOST:
        raise InputError(
            f"cell: {np.prod(2.0 * most + 1):.3g} reciprocal vectors up to {longest:.3g}/Å, "
            f"expected up to {_MOST:.0e}; use wider charges or a smaller cell"
        )
    grids = np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij")
    h = np.stack([g.ravel() for g in grids], axis=1)
    h = h[len(h) // 2 + 1 :]  # 0 stands in the middle
    k = 2 * np.pi * h @ np.linalg.inv(structure.cell).T
    return np.asarray(h[np.einsum("kx,kx->k", k, k) <= longest**2])


class Pairs:
    """[erf(r/γ_ij) - erf(r/2σ)]/r of all pairs of atoms and images, each of them once.

    Args:
        structure: atoms and cell.
        widths: s of every atom in Å, shape (n,).
        sigma: σ in Å.
        accuracy: what the error functions have left where pairs end.

    Raises:
        InputError: coinciding atoms, or more pairs than any matter has.
    """

    def __init__(self, structure: Structure, widths: Floats, sigma: float, accuracy: float) -> None:
        self._n = len(structure)
        every, kinds = np.unique(widths, return_inverse=True)
        gamma = np.sqrt(2 * (every[:, None] ** 2 + every**2))
        reach = np.sqrt(-np.log(accuracy)) * np.maximum(gamma, 2 * sigma)
        reach[np.isclose(gamma, 2 * sigma, rtol=1e-15, atol=0)] = 0.0
        self._widest = max(float(gamma.max(initial=0.0)), 2 * sigma)
        self._native = refusing(
            extension().ScreenedPairs, structure.positions, kinds.astype(np.int32), every,
            structure.cell, np.linalg.inv(structure.cell), reach, sigma,
        )  # fmt: skip

    def within(self, accuracy: float) -> Pairs:
        """The nearest of these pairs: those of a lower accuracy."""
        near = copy(self)
        near.__dict__.pop("_arrays", None)
        near._native = self._native.within(self._widest * float(np.sqrt(-np.log(accuracy))))
        return near

    @cached_property
    def _arrays(self) -> tuple[Ints, Floats, Floats, Floats]:
        """Atoms (2, P), vectors (P, 3) in Å, values in 1/Å and slopes in 1/Å³ (P,)."""
        made: tuple[Ints, Floats, Floats, Floats] = self._native.arrays()
        return made

    @property
    def vector(self) -> Floats:
        """From first to second atom in Å, shape (P, 3)."""
        return self._arrays[1]

    @property
    def value(self) -> Floats:
        """In 1/Å, shape (P,)."""
        return self._arrays[2]

    @property
    def slope(self) -> Floats:
        """The derivative by r over r, in 1/Å³, shape (P,)."""
        return self._arrays[3]

    def product(self, charges: Floats) -> Floats:
        """Sums of the values times the charge of the other atom, shape (n,).

        Args:
            charges: q in e, shape (n,).
        """
        return np.asarray(self._native.product(np.ascontiguousarray(charges)))

    def dense(self, values: Floats, sign: float = 1.0) -> Floats:
        """Sums of numbers of pairs by their two atoms, shape (n, n).

        Args:
            values: of the pairs, shape (P,).
            sign: of the number of the same pair seen from its other end.
        """
        n, (first, second) = self._n, self._arrays[0]
        once = np.asarray(np.bincount(first * n + second, values, minlength=n * n), dtype=float)
        once = once.reshape(n, n)
        return np.asarray(once + sign * once.T)

    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """As `Interaction.pull`, over k_e."""
        forces, virial = self._native.pull(np.ascontiguousarray(left), np.ascontiguousarray(right))
        return forces, virial


def refusing(make: Callable[..., _Made], *numbers: object) -> _Made:
    """What the compiled library makes of numbers.

    Raises:
        InputError: it refuses them, as coinciding atoms.
    """
    try:
        return make(*numbers)
    except ValueError as error:
        raise InputError(str(error)) from None
