"""Tables: everything an evaluator may know about a model, as flat arrays.

Every evaluator reads the same Tables and nothing else, so the same numbers come out
everywhere. Shapes and order are part of the contract (docs/conventions.md).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class RadialTable:
    """Quintic tables of radial channels on one grid per ordered pair of species.

    f(r) = Σ_k coefficients[centre, neighbour, bin, k, channel] u^k with
    bin = floor(t), u = t - bin, t = (r - begin)/spacing; zero from the last knot on.

    Args:
        begin: first knot in Å, shape (S, S).
        spacing: distance of two knots in Å, shape (S, S).
        bins: number of intervals, shape (S, S).
        coefficients: shape (S, S, largest number of bins, 6, channels).
        zero_inside: whether the channels are zero below `begin`, shape (S, S); otherwise a
            closer pair is refused.
        error: largest table error against the analytic functions beyond `lower.NEAR`,
            relative to each function's largest value.
    """

    begin: Floats
    spacing: Floats
    bins: Ints
    coefficients: Floats
    zero_inside: Ints
    error: float

    @property
    def end(self) -> Floats:
        """Last knot in Å, shape (S, S)."""
        return self.begin + self.spacing * self.bins


@dataclass(frozen=True, eq=False)
class Products:
    """The products and basis functions of one central species.

    Args:
        factors: indices of the one-particle functions of each product, shape (T, order),
            padded with their number A, sorted by order.
        function: row k (2L+1) + M + L of each coefficient, shape (nnz,).
        term: its product, shape (nnz,).
        real: Re C, shape (nnz,).
        imaginary: Im C, shape (nnz,).
        weights: coefficients of the model summed per product, shape (outputs, P, T): output 0
            is the model, the others are the members of its committee; P densities.
    """

    factors: Ints
    function: Ints
    term: Ints
    real: Floats
    imaginary: Floats
    weights: Floats


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
    """A model lowered to arrays.

    E_i = E0 + ρ, or E0 + the embedding of ρ_p = Σ_T weights[0, p, T] Re Π_t A_{factors[T, t]},
    A_v = Σ_j R_channel(r_ij) Y_lm(r̂_ij) over the neighbours of species `a_species[v]`, complex
    Condon–Shortley harmonics with ∫|Y|² = 1.

    Args:
        numbers: atomic numbers of the S species, ascending, shape (S,).
        cutoff: no pair farther apart interacts, in Å, shape (S, S).
        radial: tables; their channels are numbered through.
        a_species: neighbour's species of each one-particle function, shape (A,).
        a_channel: its radial channel, shape (A,).
        a_l: its l, shape (A,); functions come in blocks m = -l … l.
        a_m: its m, shape (A,).
        products: per central species.
        e0: energy of the isolated atom in eV, shape (S,).
        functions: number K of basis functions.
        total_l: L of the functions (0 for energies).
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
    functions: int
    total_l: int = 0
    embeddings: Embeddings | None = None
    core: RadialTable | None = None

    @property
    def is_scalar(self) -> bool:
        """Whether the functions are true scalars, of which energies can be made."""
        return self.total_l == 0 and not any(p.imaginary.any() for p in self.products)

    @property
    def outputs(self) -> int:
        """1 + number of committee members."""
        return len(self.products[0].weights)

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
                if value is not None and not isinstance(value, (tuple, RadialTable, Embeddings)):
                    array = np.asarray(value)
                    digest.update(f"{entry.name}{array.dtype.str}{array.shape}".encode())
                    digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
