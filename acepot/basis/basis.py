"""What a model may be made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from acepot.basis.expansion import Expansion
from acepot.basis.family import RadialFunctions
from acepot.basis.irrep import Irrep

#: Told how many functions are done, and how many there are.
Progress = Callable[[int, int], None]
#: Radial functions of every ordered pair of species, [centre][neighbour].
RadialMatrix = list[list[RadialFunctions]]


class Basis(Protocol):
    """Functions B_k of a site: products of A's, and the radial functions in them.

    Attributes:
        numbers: atomic numbers of the elements, ascending.
        symmetries: (L, parity) of the functions.
        constant: whether the first function of every centre is 1.
        knots: distance in Å of the cubic tables that the program it comes from interpolates in,
            or None.
    """

    @property
    def numbers(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def symmetries(self) -> tuple[Irrep, ...]: ...  # noqa: D102
    @property
    def constant(self) -> bool: ...  # noqa: D102
    @property
    def knots(self) -> float | None: ...  # noqa: D102

    def expansion(self, progress: Progress | None = None) -> Expansion:
        """The functions written out as products."""
        ...

    def radial_functions(self, count: int) -> RadialMatrix:
        """R_1 … R_count, at least, of every ordered pair of species."""
        ...

    def pair_functions(self) -> RadialMatrix | None:
        """The functions of the pair part likewise; None without one."""
        ...
