"""A basis, built and lowered once for all that a fit does with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.basis.expansion import Expansion
from acepot.basis.irrep import SCALAR
from acepot.basis.learned import LearnedBasis
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.lowering import lower
from acepot.model import Model
from acepot.potential import Potential
from acepot.run.progress import Progress
from acepot.tables import Tables

__all__ = ["LoweredBasis"]


@dataclass(frozen=True, eq=False)
class LoweredBasis:
    """The functions of an energy: as products, as Tables, and as a model without coefficients.

    Args:
        spec: the resolved choices: which products there are.
        size: how many functions there are: of each order, of pairs, in total.
        expanded: they, written out as products.
        blank: their model, with E0, whose coefficients are 0.
        tables: it, lowered.
    """

    spec: BasisSpec
    size: dict[str, int]
    expanded: Expansion
    blank: Model
    tables: Tables

    @classmethod
    def of(
        cls,
        spec: BasisSpec,
        e0: Mapping[str, float],
        say: Callable[[str], None],
        watched: bool = False,
    ) -> LoweredBasis:
        """Build and lower the functions of a resolved basis.

        Args:
            spec: the basis.
            e0: energy of an isolated atom of each element in eV by symbol.
            say: told how large it is, before it is built.
            watched: show how far it is built, where that takes more than a second.

        Raises:
            InputError: its functions are no energies.
        """
        if spec.symmetries != (SCALAR,):
            given = f"irreps = {list(spec.irreps)}" if spec.irreps else f"total_l = {spec.total_l}"
            given = given if spec.irreps or spec.parity > 0 else f"{given}, parity = {spec.parity}"
            raise InputError(
                f"basis.{'irreps' if spec.irreps else 'total_l'}: energies are scalars: expected "
                f"total_l = 0 and parity = 1, or irreps = ['0e'], got {given}; for outputs of "
                "other irreps there is acepot.fit_tensors"
            )
        if spec.constant:
            raise InputError(
                "basis.constant: energies have E0 in place of a constant: expected false, got true"
            )
        size = basis_size(spec)
        parts = ", ".join(f"{n} {name}" for name, n in size.items() if name != "total")
        say(f"basis: {size['total']} functions for {' '.join(spec.elements)} ({parts})")
        bars: list[Progress] = []

        def note(done: int, total: int) -> None:
            if not bars:
                bars.append(Progress("building the basis", total))
            bars[0].update(done)

        expanded = spec.expansion(note if watched else None)
        blank = Model(spec, np.zeros(expanded.size), np.array([e0[s] for s in spec.elements]))
        return cls(spec, size, expanded, blank, lower(blank, expanded=expanded))

    def learned(self, weights: NDArray[np.float64], by_l: bool) -> LoweredBasis:
        """The same products over radial functions that were learned.

        Args:
            weights: as in `LearnedBasis`.
            by_l: whether every l has radial functions of its own.
        """
        basis = LearnedBasis(self.spec, weights, by_l)
        blank = replace(self.blank, basis=basis)
        expanded = basis.expansion()
        return replace(self, expanded=expanded, blank=blank, tables=lower(blank, expanded=expanded))

    def potential(self, model: Model, threads: int) -> Potential:
        """A model of this basis bound to the native evaluator.

        Args:
            model: with coefficients.
            threads: structures handled at once.
        """
        return Potential(model, threads=threads, tables=lower(model, basis=self.tables))
