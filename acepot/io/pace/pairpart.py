"""Functions with one factor in `.yace` files: the pair part, and its safe continuation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import Embedding, embed
from acepot.basis.family import RadialFunctions
from acepot.basis.jet import Jet
from acepot.basis.radial import PolynomialRadial
from acepot.errors import InputError
from acepot.io.pace import chebyshev, repulsion
from acepot.io.pace.chebyshev import Floats
from acepot.io.pace.continuation import Function
from acepot.io.pace.radials import Radials, rounded

#: An ordered pair of species.
End = tuple[int, int]


class PairPart:
    """Functions with one factor of a model, as sums of the g_k of their pairs.

    Args:
        radials: of the model; takes note of errors.
        embeddings: by species, all with the same number of densities.
        provenance: of the model, for its shortest distances.

    Attributes:
        coefficients: of the g_k for every ordered pair, shape (P, K).
        continued: below which distance in Å singular functions go on as a repulsion, by pair of
            elements.
    """

    def __init__(
        self,
        radials: Radials,
        embeddings: Sequence[Embedding],
        provenance: Mapping[str, object],
    ) -> None:
        self._radials = radials
        self._embeddings = embeddings
        self._provenance = provenance
        self.continued: dict[str, float] = {}
        self.coefficients = self._all()

    def _all(self) -> dict[End, Floats]:
        """Coefficients of the functions with one factor of every pair, shape (P, K)."""
        found: dict[End, Floats] = {}
        for a, b in self._radials.combined:
            if (a, b) in found:
                continue
            ends = [(a, b)] if a == b else [(a, b), (b, a)]
            singular = [end for end in ends if self._radials.singular(*end).any()]
            for end in ends:
                found[end] = self._regular(*end, self._radials.singular(*end))
            if singular:
                self._continue(singular, ends, found)
        last = {end: np.flatnonzero(c.any(axis=0)).max(initial=-1) for end, c in found.items()}
        return {end: c[:, : last[end] + 1] for end, c in found.items()}

    def _regular(self, a: int, b: int, singular: NDArray[np.bool_]) -> Floats:
        """Those of a pair; the density of singular functions is left out."""
        radials = self._radials
        channels, weight = radials.rank_one(a, b)
        combined = radials.combined[a, b]
        if not channels:
            return np.zeros((len(weight), 0))
        if radials.exact[a, b] is not None:
            return weight @ combined.matrix[channels]
        kept: NDArray[np.bool_] = np.asarray(weight.any(axis=1))
        if singular.any():
            p = self._linear_density(a, b)
            if np.delete(weight[:, singular], p, axis=0).any():
                raise InputError(
                    f"{radials.name(a, b)}: a pair function that is singular at r = 0 must belong "
                    "to a density with exponent 1"
                )
            kept[p] = False
        if not kept.any():
            return np.zeros((len(weight), 0))
        regular = [c for c, infinite in zip(channels, singular, strict=True) if not infinite]
        found = radials.expand(
            a, b,
            lambda r: weight[np.ix_(kept, ~singular)] @ radials.values(a, b, regular, r).value,
            combined.family.cutoff,
        )  # fmt: skip
        out = np.zeros((len(weight), found.shape[1]))
        out[kept] = found
        return out

    def _linear_density(self, a: int, b: int) -> int:
        """The density that enters the energy linearly."""
        one = self._embeddings[a]
        for p, (w, m) in enumerate(zip(one.weights, one.exponents, strict=True)):
            if m == 1.0 and w > 0.0:
                return p
        raise InputError(
            f"{self._radials.name(a, b)}: a singular pair function needs a density with exponent 1"
        )

    def _continue(
        self,
        singular: list[End],
        ends: list[End],
        found: dict[End, Floats],
    ) -> None:
        """Give the singular functions of a pair a repulsive continuation."""
        a, b = ends[0]
        cutoffs = [self._radials.combined[end].family.cutoff for end in singular]
        name = self._radials.name(a, b)
        shortest = repulsion.shortest_distance(
            self._provenance,
            (self._radials.symbols[a], self._radials.symbols[b]),
            self._typical(a, b),
            min(cutoffs),
        )
        self.continued[name] = shortest

        def function(end: End) -> Function:
            channels, weight = self._radials.rank_one(*end)
            w = weight[self._linear_density(*end)]

            def values(r: Floats) -> Jet:
                jet = self._radials.values(*end, channels, r)
                return Jet(w @ jet.value, w @ jet.first, w @ jet.second)

            return values

        def energy(r: Floats, values: list[Floats]) -> Floats:
            total = np.zeros(len(r))
            for end in ends if len(ends) == 2 else ends * 2:
                density = self._density(*end, r, found[end])
                if end in singular:
                    density[self._linear_density(*end)] += values[singular.index(end)]
                one = self._embeddings[end[0]]
                for rho, w, m in zip(density, one.weights, one.exponents, strict=True):
                    total += w * embed(one.kind == "FinnisSinclairShiftedScaled", m, rho)[0]
            return total

        least = max(self._radials.combined[end].matrix.shape[1] for end in ends)
        sums = repulsion.continued(
            [function(end) for end in singular], shortest, cutoffs, energy, max(least, 32),
            self._radials.tolerance, name,
        )  # fmt: skip
        for end, one in zip(singular, sums, strict=True):
            self._radials.error = max(self._radials.error, one.error)
            other = found[end]
            out = np.zeros((len(other), max(one.order, other.shape[1])))
            out[:, : other.shape[1]] = other
            out[self._linear_density(*end), : one.order] = rounded(one.coefficients)[0]
            found[end] = out

    def _typical(self, a: int, b: int) -> float:
        """The typical distance of two neighbours in Å."""
        choices: list[RadialFunctions] = [self._radials.bodies[a][b]]
        if self._radials.pair is not None:
            choices.append(self._radials.pair[a][b])
        known = [f.r0 for f in choices if isinstance(f, PolynomialRadial)]
        return known[0] if known else 0.4 * choices[0].cutoff

    def _density(self, a: int, b: int, r: Floats, single: Floats) -> Floats:
        """ρ_p of an atom with one neighbour on the z axis, but for singular parts, (P, m)."""
        site, cutoff = self._radials.sites[a], self._radials.combined[a, b].family.cutoff
        out = single @ chebyshev.basis(single.shape[1], r, cutoff)
        alone = ((site.species == b) | (site.species < 0)).all(axis=1)
        products = site.take((site.order > 1) & alone & ~site.m.any(axis=1))
        if len(products.order):
            radial = np.ones((len(self._radials.channels) + 1, len(r)))
            used = sorted({int(c) for c in products.channel.ravel() if c >= 0})
            radial[used] = self._radials.values(a, b, used, r).value
            size = np.sqrt(2.0 * np.maximum(products.l, 0) + 1.0)  # of PACE's Y_l0 on the axis
            out += products.weight @ (radial[products.channel] * size[..., None]).prod(axis=1)
        return out
