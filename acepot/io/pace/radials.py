"""The radial functions of a model as functions that PACE has, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from acepot.basis.jet import Jet
from acepot.basis.radial import ProductRadial
from acepot.errors import InputError
from acepot.io.pace import chebyshev
from acepot.io.pace.chebyshev import Floats
from acepot.io.pace.family import Channel, Combination, PaceFamily, as_pace_family
from acepot.io.pace.products import SiteProducts
from acepot.model import Model

#: Digits kept of the coefficients of radial functions, relative to the largest.
_DIGITS = 15
#: Relative difference of cut-offs that mean the same.
_SAME = 1e-9


class Radials:
    """Every radial channel of a model in a family of PACE, for each ordered pair of species.

    Attributes:
        exact: pairs whose functions are PACE's already, with their coefficients; None for others.
        combined: family and coefficients of every pair; channels that occur only in functions
            with one factor are zero unless they are PACE's own.
        error: largest error so far, relative to the largest value of each function.
    """

    def __init__(
        self,
        model: Model,
        channels: tuple[Channel, ...],
        sites: Sequence[SiteProducts],
        tolerance: float,
    ) -> None:
        self.channels = channels
        self.sites = sites
        self.tolerance = tolerance
        self.symbols = list(model.elements)
        count = max((max(c) for c in channels if c[0] > 0), default=1)
        self.bodies = model.basis.radial_functions(count)
        has_pairs = any(c[0] < 0 for c in channels)
        self.pair = model.basis.pair_functions() if has_pairs else None
        self.error = 0.0
        every = list(product(range(len(self.symbols)), repeat=2))
        self.exact = {(a, b): self._exact(a, b) for a, b in every}
        self.combined = {(a, b): self.exact[a, b] or self._expanded(a, b) for a, b in every}

    def name(self, a: int, b: int) -> str:
        """The pair in words."""
        return f"{self.symbols[a]}-{self.symbols[b]}"

    def used(self, a: int, b: int, rank_one: bool) -> list[int]:
        """Channels in products of one factor, or of several, with this neighbour."""
        site = self.sites[a]
        here = ((site.order[:, None] == 1) == rank_one) & (site.species == b)
        return sorted({int(c) for c in site.channel[here]})

    def rank_one(self, a: int, b: int) -> tuple[list[int], Floats]:
        """Channels in functions with one factor and their weights, shape (P, channels)."""
        site = self.sites[a]
        here = (site.order == 1) & (site.species[:, 0] == b)
        return [int(c) for c in site.channel[here, 0]], site.weight[:, here]

    def singular(self, a: int, b: int) -> NDArray[np.bool_]:
        """Which channels in functions with one factor are infinite at r = 0."""
        channels, _ = self.rank_one(a, b)
        if not channels or self.exact[a, b] is not None:
            return np.zeros(len(channels), dtype=bool)
        with np.errstate(all="ignore"):
            start = self.values(a, b, channels, np.zeros(1)).value
        return np.asarray(~np.isfinite(start[:, 0]))

    def values(self, a: int, b: int, channels: Sequence[int], r: Floats) -> Jet:
        """Channels at distances r in Å, shape (channels, len(r))."""
        parts: list[Jet] = []
        many = [self.channels[c] for c in channels if self.channels[c][0] > 0]
        if many:
            members = tuple(tuple(n - 1 for n in c) for c in many)
            parts.append(ProductRadial(self.bodies[a][b], members).evaluate(r))
        k = [-self.channels[c][0] - 1 for c in channels if self.channels[c][0] < 0]
        if k and self.pair is not None:
            jet = self.pair[a][b].evaluate(r)
            parts.append(Jet(jet.value[k], jet.first[k], jet.second[k]))
        return Jet(
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.first for p in parts]),
            np.concatenate([p.second for p in parts]),
        )

    def expand(self, a: int, b: int, functions: chebyshev.Functions, cutoff: float) -> Floats:
        """Coefficients of functions of a pair in its polynomials, shape (functions, K).

        Args:
            a: species of the centre.
            b: species of the neighbour.
            functions: smooth on [0, cutoff].
            cutoff: in Å.
        """
        found = chebyshev.expand(functions, cutoff, self.tolerance, self.name(a, b))
        self.error = max(self.error, found.error)
        return rounded(found.coefficients)

    def _exact(self, a: int, b: int) -> Combination | None:
        """All channels of a pair, if they are functions of PACE."""
        pair = None if self.pair is None else self.pair[a][b]
        return as_pace_family(self.bodies[a][b], pair, self.channels)

    def _expanded(self, a: int, b: int) -> Combination:
        """Channels of a pair as polynomials; rows that have one factor only stay zero."""
        many = self.used(a, b, rank_one=False)
        family = PaceFamily("ChebPow", self._cutoff(a, b))
        if not many:
            return Combination(family, np.zeros((len(self.channels), 1)))
        found = self.expand(a, b, lambda r: self.values(a, b, many, r).value, family.cutoff)
        matrix = np.zeros((len(self.channels), found.shape[1]))
        matrix[many] = found
        return Combination(family, matrix)

    def _cutoff(self, a: int, b: int) -> float:
        """The cut-off of an ordered pair.

        Raises:
            InputError: many-body and pair functions end at different distances.
        """
        used = self.used(a, b, rank_one=False) + self.used(a, b, rank_one=True)
        ends = {}
        for kind, family in (("many-body", self.bodies), ("pair", self.pair)):
            if family and any((self.channels[c][0] < 0) == (kind == "pair") for c in used):
                ends[kind] = family[a][b].cutoff
        if max(ends.values(), default=0.0) > min(ends.values(), default=0.0) * (1 + _SAME):
            raise InputError(
                f"{self.name(a, b)}: the many-body functions end at {ends['many-body']} Å, the "
                f"pair functions at {ends['pair']} Å; a .yace file has one cut-off for a pair, and "
                f"to the longer one {chebyshev.MAX_ORDER} functions reach a relative error of only "
                f"{self._mismatch(a, b, ends):.0e}: fit with equal cut-offs"
            )
        return max(ends.values(), default=self.bodies[a][b].cutoff)

    def _mismatch(self, a: int, b: int, ends: dict[str, float]) -> float:
        """The error of the shorter functions of a pair written up to the longer cut-off."""
        short = min(ends, key=lambda kind: ends[kind])
        channels = [
            c
            for rank_one in (True, False)
            for c in self.used(a, b, rank_one)
            if (self.channels[c][0] < 0) == (short == "pair")
        ]
        begin = 0.0
        if short == "pair" and self.singular(a, b).any():
            begin = 0.3 * ends[short]  # smoothly, so that only the kink at its end counts
        return chebyshev.reached(
            lambda r: self.values(a, b, channels, (begin**8 + r**8) ** 0.125).value,
            max(ends.values()),
        )


def rounded(coefficients: Floats) -> Floats:
    """Without the digits that say nothing, so that small numbers are short in the file."""
    scale = float(np.abs(coefficients).max(initial=1e-300))
    return np.round(coefficients, _DIGITS - int(np.ceil(np.log10(scale))))
