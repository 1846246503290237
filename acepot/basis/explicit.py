"""A basis given product by product, as other programs' files hold it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from acepot.basis.basis import Progress, RadialMatrix
from acepot.basis.expansion import Assembly, Expansion
from acepot.basis.family import RadialFunctions
from acepot.basis.irrep import SCALAR, Irrep


@dataclass(frozen=True, eq=False)
class ExplicitProduct:
    """One product Re Π_t A_{z_t n_t l_t m_t}, complex Condon–Shortley harmonics.

    Args:
        centre: species index of the central atom.
        factors: (z, n, l, m) of every factor; n from 1.
    """

    centre: int
    factors: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, eq=False)
class ExplicitBasis:
    """Products and radial functions listed one by one; one coefficient each.

    Args:
        numbers: atomic numbers, ascending.
        radial: radial functions of every ordered pair of species, [centre][neighbour].
        products: the many-body functions.
        knots: distance in Å of the cubic tables its own program interpolates in, or None.
        pair: pair functions likewise, or None: E_i += 1/2 Σ_j Σ_k c_k V_k, coefficients after
            those of the products, by unordered pair of species, then k.
    """

    numbers: tuple[int, ...]
    radial: tuple[tuple[RadialFunctions, ...], ...]
    products: tuple[ExplicitProduct, ...]
    pair: tuple[tuple[RadialFunctions, ...], ...] | None = None
    knots: float | None = None

    def expansion(self, progress: Progress | None = None) -> Expansion:
        """The products numbered, one function for each."""
        return expand_explicit(self)

    def radial_functions(self, count: int) -> RadialMatrix:
        """Those that the basis lists, however many are asked for."""
        return [list(row) for row in self.radial]

    def pair_functions(self) -> RadialMatrix | None:
        """Those that the basis lists."""
        return None if self.pair is None else [list(row) for row in self.pair]

    @property
    def constant(self) -> bool:
        """There is no constant function."""
        return False

    @property
    def symmetries(self) -> tuple[Irrep, ...]:
        """True scalars, as the files that such bases come from."""
        return (SCALAR,)


#: Centre and (z, n, l) of every factor.
_Group = tuple[int, tuple[tuple[int, int, int], ...]]


@lru_cache(maxsize=2)  # one model is expanded for its tables, its check and its export
def expand_explicit(basis: ExplicitBasis) -> Expansion:
    """Number the products of an explicit basis, one function for each."""
    assembly = Assembly(len(basis.numbers))
    assembly.begin(SCALAR)
    # Products that differ only in m are handled together: their numbers and their m.
    groups: dict[_Group, tuple[list[int], list[list[int]]]] = {}
    for item in basis.products:
        factors = tuple(f[:3] for f in item.factors)
        names = tuple((n, l, z) for z, n, l in factors)
        functions, ms = groups.setdefault((item.centre, factors), ([], []))
        functions.append(assembly.function(item.centre, len(factors), names))
        ms.append([f[3] for f in item.factors])
    for (centre, factors), (functions, ms) in groups.items():
        assembly.add(
            centre,
            np.array(functions, dtype=np.int64),
            tuple((z, l, (n,)) for z, n, l in factors),
            np.array(ms, dtype=np.int64).reshape(len(ms), len(factors)),
            np.ones((1, len(ms)), dtype=complex),
        )
    if basis.pair is not None:
        assembly.add_pairs(basis.pair[0][0].count)
    return assembly.finish()
