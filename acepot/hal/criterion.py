"""When a walk has come to what the model does not know: relative uncertainties of forces.

    f_i = √(Σ_x σ²(F_ix)) / (|F_i| + ε)

of every atom, from the exact deviations of its force (van der Oord et al., npj Comput. Mater. 9,
168 (2023), where they are root mean squares over a committee). `relative` ends a walk where the
largest f_i is above the tolerance. The largest of many atoms is larger than that of few at the same
state: the 90 % quantile, which the log also has, does not depend on the size.

`softmax` takes s_i = exp f_i / Σ_j exp f_j instead. It asks whether one atom stands out from all
others: N atoms of equal f have 1/N each, and the largest exceeds s only where its f is above that
of the others by ln[(N - 1) s/(1 - s)].
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.hal.surface import Measured
from acepot.schema import Kind

__all__ = ["Criterion", "Relative", "Softmax", "relative"]

Floats = NDArray[np.float64]


def relative(measured: Measured, regularisation: float) -> Floats:
    """f_i of every atom, shape (n,).

    Args:
        measured: forces and their deviations.
        regularisation: ε in eV/Å.
    """
    lengths = np.linalg.norm(measured.forces, axis=1)
    return np.asarray(measured.spread / (lengths + regularisation))


class Criterion(Kind, tag="kind"):
    """What ends a walk.

    Args:
        tolerance: of the largest number of an atom.
        regularisation: ε in eV/Å, beside which small forces do not count.
        every: steps between looks.
    """

    tolerance: float
    regularisation: float
    every: int

    def check(self) -> None:
        """Refuse numbers that cannot be."""
        for name in ("tolerance", "regularisation"):
            if not 0.0 < (value := getattr(self, name)) <= 1e6:
                raise InputError(f"{name}: expected more than 0, up to 1e6, got {value:g}")
        if not 1 <= self.every <= 1_000_000:
            raise InputError(f"every: expected 1 to 1000000 steps, got {self.every}")

    @abstractmethod
    def grades(self, measured: Measured) -> Floats:
        """What is compared with the tolerance, of every atom, shape (n,)."""


@dataclass(frozen=True)
class Relative(Criterion, kind="relative"):
    """The relative uncertainty f_i itself.

    Args:
        tolerance: of the largest f_i.
        regularisation: ε in eV/Å, beside which small forces do not count.
        every: steps between looks.
    """

    tolerance: float = 0.3
    regularisation: float = 0.2
    every: int = 10

    def grades(self, measured: Measured) -> Floats:
        """f_i."""
        return relative(measured, self.regularisation)


@dataclass(frozen=True)
class Softmax(Criterion, kind="softmax"):
    """An atom's part of the sum of exp f_i over all atoms.

    Args:
        tolerance: of the largest part.
        regularisation: ε in eV/Å, beside which small forces do not count.
        every: steps between looks.
    """

    tolerance: float = 0.5
    regularisation: float = 0.2
    every: int = 10

    def grades(self, measured: Measured) -> Floats:
        """The part of each atom; the largest f is subtracted first, so that nothing overflows."""
        f = relative(measured, self.regularisation)
        weights = np.exp(f - f.max())
        return np.asarray(weights / weights.sum())
