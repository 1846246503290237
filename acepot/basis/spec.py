"""A basis given by choices: elements, degrees, cut-offs; what most models are made of."""

from __future__ import annotations

from dataclasses import dataclass

from acepot.basis.basis import Progress, RadialMatrix
from acepot.basis.cache import cached_expansion
from acepot.basis.choices import BasisChoices, PairNumber, pair_number
from acepot.basis.expansion import Expansion
from acepot.basis.family import Radial


@dataclass(frozen=True)
class BasisSpec(BasisChoices):
    """What users choose, as a `Basis`; the fields are those of `BasisChoices`."""

    @property
    def knots(self) -> None:
        """Its radial functions are evaluated as they are."""
        return None

    def expansion(self, progress: Progress | None = None) -> Expansion:
        """The functions written out as products, from the cache on disk or built and kept there."""
        return cached_expansion(self, progress)

    def radial_functions(self, count: int) -> RadialMatrix:
        """R_1 … R_count of every ordered pair of species, [centre][neighbour]."""
        return self._matrix(self.radial, count, self.inner, self.cutoff)

    def pair_functions(self) -> RadialMatrix | None:
        """V_1 … V_degree likewise; None without a pair part."""
        if not self.has_pairs:
            return None
        pair = self.pair
        return self._matrix(pair.radial, pair.degree or 0, pair.inner, pair.cutoff)

    def _matrix(
        self, radial: Radial, count: int, inner: PairNumber, cutoff: PairNumber
    ) -> RadialMatrix:
        return [
            [
                radial.functions(
                    count,
                    pair_number(inner, a, b, "inner"),
                    pair_number(self.r0, a, b, "r0"),
                    pair_number(cutoff, a, b, "cutoff"),
                )
                for b in self.elements
            ]
            for a in self.elements
        ]
