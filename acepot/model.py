"""Model: a fitted potential as frozen data. No evaluation, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import Nonlinear
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError


@dataclass(frozen=True, eq=False)
class Model:
    """E = Σ_i (E0 + Σ_k c_k B_k).

    Args:
        basis: a resolved specification, or products written out one by one.
        coefficients: c in eV, shape (K,); with several densities shape (K, P).
        e0: energy of an isolated atom of each element in eV, in the order of the elements,
            shape (S,).
        committee: coefficients of further members, shape (M, K), or None.
        nonlinear: embeddings and core repulsion, or None for a linear model.
        provenance: where the model came from: plain values that JSON can hold.

    Raises:
        InputError: wrong shapes or non-finite numbers.
    """

    basis: BasisSpec | ExplicitBasis
    coefficients: NDArray[np.float64]
    e0: NDArray[np.float64]
    committee: NDArray[np.float64] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    nonlinear: Nonlinear | None = None

    def __post_init__(self) -> None:
        shapes = {"coefficients": 1 if self.nonlinear is None else 2, "e0": 1, "committee": 2}
        for name, dimensions in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = np.array(value, dtype=float, order="C")
            if array.ndim != dimensions or not np.isfinite(array).all():
                raise InputError(f"model.{name}: expected {dimensions}-dimensional finite numbers")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if len(self.e0) != len(self.numbers):
            raise InputError(f"model.e0: expected {len(self.numbers)} energies, got {len(self.e0)}")
        if self.nonlinear is not None:
            self._check_nonlinear(self.nonlinear)
        elif self.committee is not None and self.committee.shape[1] != len(self.coefficients):
            raise InputError(
                f"model.committee: expected {len(self.coefficients)} coefficients a member, "
                f"got {self.committee.shape[1]}"
            )

    def _check_nonlinear(self, nonlinear: Nonlinear) -> None:
        if self.committee is not None:
            raise InputError("model.committee: expected None for a nonlinear model")
        if len(nonlinear.embeddings) != len(self.numbers):
            raise InputError(
                f"model.nonlinear: expected {len(self.numbers)} embeddings, "
                f"got {len(nonlinear.embeddings)}"
            )
        if self.coefficients.shape[1] != nonlinear.densities:
            raise InputError(
                f"model.coefficients: expected {nonlinear.densities} densities, "
                f"got {self.coefficients.shape[1]}"
            )

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.basis.numbers

    @property
    def elements(self) -> tuple[str, ...]:
        """Their symbols."""
        return tuple(SYMBOLS[z] for z in self.numbers)
