"""A family of radial functions: what users choose, and what the functions promise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from acepot.basis.jet import Array, Jet
from acepot.schema import Kind

#: The keys of files in which one table served all families.
FORMER = frozenset({"transform", "envelope", "nodes", "exponent", "smoothing"})


class RadialFunctions(Protocol):
    """The functions R_1 … R_count of one ordered pair of elements.

    Attributes:
        count: number of functions.
        cutoff: every function is zero from here on, in Å.
        inner: lower end of the coordinate, in Å.
        zero_inside: whether every function vanishes below `inner`.
        breaks: distances in Å where a second derivative may jump: at most one, which equidistant
            knots meet.
        seams: every distance in Å where one formula takes over from another, `breaks` included.
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
    @property
    def seams(self) -> tuple[float, ...]: ...  # noqa: D102

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        ...


class Radial(Kind, ABC, tag="family"):
    """A family of radial functions as users choose it."""

    @abstractmethod
    def functions(self, count: int, inner: float, r0: float, cutoff: float) -> RadialFunctions:
        """The first `count` functions of one ordered pair of elements.

        Args:
            count: number of functions.
            inner: inner cut-off in Å.
            r0: typical distance in Å.
            cutoff: outer cut-off in Å.

        Raises:
            InputError: the family has no such functions; the message begins with "radial.".
        """

    @property
    @abstractmethod
    def envelope_order(self) -> int:
        """How many derivatives, from the value on, vanish at the cut-off: C^(k-1) for k."""

    def degree_of_product(self, indices: tuple[int, ...]) -> int | None:
        """The highest n whose span holds R_{n1} R_{n2} …, or None if no n does."""
        return None

    @property
    def repulsion(self) -> int | None:
        """The p of the (r/r0)^-p that a fit's restraint asks of a pair part at short distance.

        None: a pair part of this family is not restrained.
        """
        return None

    @property
    def title(self) -> str:
        """The family in a few words."""
        return self.kind


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
