"""Tables: everything an evaluator may know about a model, as flat arrays.

Every evaluator reads the same Tables and nothing else, so the same numbers come out
everywhere. Shapes and order are part of the contract (docs/conventions.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.irrep import SCALAR, Irrep
from acepot.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class RadialTable:
    """Quintic tables of radial channels on one grid per ordered pair of species.

    f(r) = Σ_k coefficients[centre, neighbour, bin, k, channel] u^k with
    t = (r - begin)/spacing, bin = floor(t), u = t - bin; zero from the last knot on. Where
    `knots` are given, bin is the last one with knots[bin] <= t, and u = t - knots[bin].

    Args:
        begin: first knot in Å, shape (S, S).
        spacing: unit of t in Å, which is the distance of two equidistant knots, shape (S, S).
        bins: number of intervals, shape (S, S).
        coefficients: shape (S, S, largest number of bins, 6, channels).
        zero_inside: whether the channels are zero below `begin`, shape (S, S); otherwise a
            closer pair is refused.
        error: largest table error against the analytic functions beyond `tabulation.NEAR`,
            relative to each function's largest value.
        knots: t where each interval begins and the last one ends, shape (S, S, largest number
            of bins + 1); the first is 0, the last one a whole number. None: equidistant.
    """

    begin: Floats
    spacing: Floats
    bins: Ints
    coefficients: Floats
    zero_inside: Ints
    error: float
    knots: Floats | None = None

    @property
    def end(self) -> Floats:
        """Last knot in Å, shape (S, S)."""
        last: Floats | Ints = self.bins
        if self.knots is not None:
            last = np.take_along_axis(self.knots, self.bins[..., None].astype(int), 2)[..., 0]
        return self.begin + self.spacing * last


@dataclass(frozen=True, eq=False)
class Products:
    """The products of one central species, the basis functions and what is read out of them.

    Rows run over the components M = -L … L of one function, or output, after the other.

    Args:
        factors: indices of the one-particle functions of each product, shape (T, order),
            padded with their number A, sorted by order; a row of padding is the constant 1.
        function: row of each coefficient C, shape (nnz,).
        term: its product, shape (nnz,).
        real: Re C, shape (nnz,).
        imaginary: Im C, shape (nnz,).
        weights: real part of the coefficients of the outputs summed per product, shape
            (members, output rows, T): member 0 is the model, the others are its committee.
        weights_imaginary: imaginary part likewise; no rows where it is zero throughout, as it
            is for true scalars.
    """

    factors: Ints
    function: Ints
    term: Ints
    real: Floats
    imaginary: Floats
    weights: Floats
    weights_imaginary: Floats


@dataclass(frozen=True, eq=False)
class Embeddings:
    """How densities become an energy; see basis/embedding.py for the functions.

    E_i = Σ_p weight[s, p] F(ρ_p; exponent[s, p]) f + (core part) + E0.

    Args:
        shifted: FinnisSinclairShiftedScaled, else FinnisSinclair, shape (S,).
        weight: w_p, shape (S, P), 0 where a species has fewer densities.
        exponent: m_p, shape (S, P).
        core_limit: core density in eV at which f is zero, shape (S,).
        core_width: over which f falls, shape (S,).
        mode: of the core repulsion: 0 none, 1 density or distance, 2 zbl.
        inner: for zbl: r_in - δ_in and δ_in in Å, shape (S, S, 2).
    """

    shifted: Ints
    weight: Floats
    exponent: Floats
    core_limit: Floats
    core_width: Floats
    mode: int
    inner: Floats


@dataclass(frozen=True, eq=False)
class Tables:
    """A model, or a basis, lowered to arrays.

    B_k = Re Σ_T C_kT Π_t A_{factors[T, t]}, y_o = Σ_k c_ok B_k = Re Σ_T weights[o, T] Π_t A,
    A_v = Σ_j R_channel(r_ij) Y_lm(r̂_ij) over the neighbours of species `a_species[v]`, or of all,
    complex Condon–Shortley harmonics with ∫|Y|² = 1. Energies are one reader of outputs:
    E_i = E0 + ρ, or E0 + the embedding of the densities ρ_p = y_p.

    Args:
        numbers: atomic numbers of the S species, ascending, shape (S,).
        cutoff: no pair farther apart interacts, in Å, shape (S, S).
        radial: tables; their channels are numbered through.
        a_species: neighbour's species of each one-particle function, -1 where it is a sum over
            those of all, shape (A,).
        a_channel: its radial channel, shape (A,).
        a_l: its l, shape (A,); functions come in blocks m = -l … l.
        a_m: its m, shape (A,).
        products: per central species.
        e0: energy of the isolated atom in eV, shape (S,); zeros where nothing is an energy.
        irreps: (L, parity) of the functions.
        sizes: number of functions of each irrep.
        outputs: number of outputs of each irrep and member; () for a basis, whose functions are
            read themselves.
        embeddings: None for a linear model (P = 1, E = ρ).
        core: table of the core density, one channel, or None.
    """

    numbers: Ints
    cutoff: Floats
    radial: tuple[RadialTable, ...]
    a_species: Ints
    a_channel: Ints
    a_l: Ints
    a_m: Ints
    products: tuple[Products, ...]
    e0: Floats
    irreps: tuple[Irrep, ...]
    sizes: tuple[int, ...]
    outputs: tuple[int, ...] = ()
    embeddings: Embeddings | None = None
    core: RadialTable | None = None

    @property
    def reach(self) -> float:
        """Å within which an evaluator needs neighbours: the longest cut-off."""
        return float(self.cutoff.max()) or 1.0  # any list will do where nothing has a cut-off

    @property
    def functions(self) -> int:
        """Number K of basis functions of all irreps."""
        return sum(self.sizes)

    @property
    def members(self) -> int:
        """1 + number of committee members; 0 for a basis."""
        return len(self.products[0].weights)

    @property
    def is_scalar(self) -> bool:
        """Whether all functions are true scalars, of which energies can be made."""
        return self.irreps == (SCALAR,) and not any(p.imaginary.any() for p in self.products)

    @property
    def is_energy(self) -> bool:
        """Whether the outputs are read as an energy: one density, or several in an embedding."""
        one = self.embeddings is not None or self.outputs == (1,)
        return self.is_scalar and self.members > 0 and one

    @property
    def widths(self) -> tuple[int, ...]:
        """How many values a site has of each irrep: outputs of all members, or functions."""
        return tuple(self.members * n for n in self.outputs) if self.members else self.sizes

    @property
    def basis(self) -> Tables:
        """The same without outputs: what is read are the functions themselves."""
        none = np.zeros((0, 0, 0))
        products = tuple(replace(p, weights=none, weights_imaginary=none) for p in self.products)
        return replace(
            self, products=products, e0=np.zeros_like(self.e0), outputs=(), embeddings=None,
            core=None,
        )  # fmt: skip

    def read_out(self, coefficients: Floats | Sequence[Floats]) -> Tables:
        """The same A's and functions with other coefficients.

        Args:
            coefficients: [member, output, k] of each irrep in turn (an array where there is one
                irrep), the same number of members for all.

        Raises:
            InputError: arrays of other shapes, or numbers that are not finite.
        """
        given = [coefficients] if isinstance(coefficients, np.ndarray) else list(coefficients)
        arrays = [np.asarray(c, dtype=float) for c in given]
        shapes = [c.shape for c in arrays]
        members = {shape[0] for shape in shapes if shape}
        fitting = [shape[2:] for shape in shapes] == [(n,) for n in self.sizes]
        if not fitting or len(members) != 1 or 0 in members:
            raise InputError(
                f"coefficients: expected shapes {[('member', 'output', n) for n in self.sizes]}, "
                f"the same number of members for all, got {shapes}"
            )
        if not all(np.isfinite(c).all() for c in arrays):
            raise InputError("coefficients: expected finite numbers")
        products = tuple(self._weighted(p, arrays) for p in self.products)
        return replace(self, products=products, outputs=tuple(s[1] for s in shapes))

    def _weighted(self, products: Products, coefficients: Sequence[Floats]) -> Products:
        """Σ_k c_ok C_kT for every component of every output."""
        terms = len(products.factors)
        parts: dict[str, list[Floats]] = {"real": [], "imaginary": []}
        start = 0
        for irrep, size, c in zip(self.irreps, self.sizes, coefficients, strict=True):
            stop = start + size * irrep.dim
            mine = (products.function >= start) & (products.function < stop)
            k, component = np.divmod(products.function[mine] - start, irrep.dim)
            place = (k, component * terms + products.term[mine])
            for name, made in parts.items():
                matrix = csr_array(
                    (getattr(products, name)[mine], place), shape=(size, irrep.dim * terms)
                )
                members, outputs, _ = c.shape
                summed = c.reshape(members * outputs, size) @ matrix
                made.append(summed.reshape(members, outputs * irrep.dim, terms))
            start = stop
        real, imaginary = (np.concatenate(made, axis=1) for made in parts.values())
        kept = imaginary if imaginary.any() else np.zeros((len(real), 0, terms))
        return replace(products, weights=real, weights_imaginary=kept)

    @property
    def digest(self) -> str:
        """SHA-256 over every array, as hexadecimal digits."""
        digest = hashlib.sha256()
        parts: tuple[Tables | RadialTable | Products | Embeddings | None, ...] = (
            self,
            *self.radial,
            *self.products,
            self.embeddings,
            self.core,
        )
        for item in parts:
            if item is None:
                continue
            for entry in fields(item):
                value = getattr(item, entry.name)
                if value is None:
                    continue
                if entry.name not in ("radial", "products", "embeddings", "core"):
                    array = np.asarray(value)
                    digest.update(f"{entry.name}{array.dtype.str}{array.shape}".encode())
                    digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
