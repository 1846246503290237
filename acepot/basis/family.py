"""What every family of radial functions promises."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from acepot.basis.jet import Array, Jet


class RadialFunctions(Protocol):
    """The functions R_1 … R_count of one ordered pair of elements.

    Attributes:
        count: number of functions.
        cutoff: every function is zero from here on, in Å.
        inner: lower end of the coordinate, in Å.
        zero_inside: whether every function vanishes below `inner`.
        breaks: distances in Å where a second derivative may jump.
    """

    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def cutoff(self) -> float: ...  # noqa: D102
    @property
    def inner(self) -> float: ...  # noqa: D102
    @property
    def zero_inside(self) -> bool: ...  # noqa: D102
    @property
    def breaks(self) -> tuple[float, ...]: ...  # noqa: D102

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        ...


def stays_finite(functions: RadialFunctions) -> bool:
    """Whether values, slopes and curvatures are below 1e100 where tables have their knots.

    Args:
        functions: from a file that may hold anything.
    """
    r = np.linspace(max(functions.inner, 0.1), functions.cutoff, 66)[1:-1]
    with np.errstate(all="ignore"):
        jet = functions.evaluate(r)
        parts = [np.abs(part).max(initial=0.0) for part in (jet.value, jet.first, jet.second)]
    return bool(np.max(parts) <= 1e100)
