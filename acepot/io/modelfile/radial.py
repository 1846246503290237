"""Radial functions in model files: one table of plain values for each kind.

Matrices of mixed families go into one array of the file, in the order of the tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from math import isqrt
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from acepot.basis.envelope import Envelope, PolynomialEnvelope
from acepot.basis.family import RadialFunctions, stays_finite
from acepot.basis.pace_radial import (
    MIN_WINDOW,
    BesselRadial,
    ChebyshevRadial,
    CoreRadial,
    InnerCutRadial,
    MixedRadial,
    SplicedRadial,
    ZblRadial,
)
from acepot.basis.radial import PolynomialRadial
from acepot.basis.species import SYMBOLS
from acepot.basis.transform import Agnesi, Transform
from acepot.errors import InputError
from acepot.schema import Kind, to_mapping

#: Sanity bounds on what a file may ask for.
MAX_COUNT, MAX_CUTOFF = 1000, 50.0
#: Most functions of a mixed family: n and l of a PACE file up to their bounds.
_MAX_MIXED = 42_000
#: Families in families: mixtures of a family with an inner cut-off are two levels deep.
_DEPTH = 3

Floats = NDArray[np.float64]


class Mixing:
    """The matrices of mixed families, one after the other.

    Args:
        values: all their numbers; None: to be filled.
    """

    def __init__(self, values: Floats | None = None) -> None:
        self._values = np.zeros(0) if values is None else values.ravel()
        self._given: list[Floats] = []
        self._next = 0

    def put(self, matrix: Floats) -> None:
        """Append a matrix."""
        self._given.append(matrix.ravel())

    @property
    def array(self) -> Floats | None:
        """Everything appended, or None if nothing was."""
        return np.concatenate(self._given) if self._given else None

    def take(self, rows: int, columns: int) -> Floats:
        """The next matrix."""
        found = self._values[self._next : self._next + rows * columns]
        if not 0 <= rows * columns <= len(found):
            raise InputError(f"mixing: expected {rows * columns} more numbers, got {len(found)}")
        self._next += len(found)
        return found.reshape(rows, columns)

    @property
    def left(self) -> int:
        """How many numbers nobody took."""
        return len(self._values) - self._next


# ---------------------------------------------------------------- functions <-> table


def radial_table(functions: RadialFunctions, mixing: Mixing) -> dict[str, Any]:
    """The table that stands for radial functions.

    Args:
        functions: of any class of basis/.
        mixing: takes the matrix of a mixed family.

    Raises:
        InputError: another class.
    """
    return to_mapping(_entry(functions, mixing))


def _entry(functions: RadialFunctions, mixing: Mixing) -> RadialEntry:
    kinds = [k for k in RadialEntry.kinds.values() if issubclass(k, RadialEntry)]
    kind = next((k for k in kinds if k.stands_for is type(functions)), None)
    if kind is None:
        raise InputError(f"model.basis: {type(functions).__name__} cannot be saved in a model file")
    if isinstance(functions, MixedRadial):
        mixing.put(functions.mixing)
    values = {one.name: getattr(functions, one.name) for one in fields(kind)}
    if issubclass(kind, _Wrapper):
        values["functions"] = _entry(values["functions"], mixing)
    return kind(**{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()})


def radial_from(entry: RadialEntry, mixing: Mixing) -> RadialFunctions:
    """The functions again.

    Args:
        entry: their table.
        mixing: gives the matrix of a mixed family.

    Raises:
        InputError: values that no functions have.
    """
    functions = entry.functions_from(mixing)
    if not functions.cutoff > max(functions.inner, 0.1) + 0.01:
        raise InputError(
            f"radial: expected room between the inner cut-off {functions.inner} Å (at least 0.1) "
            f"and the cut-off {functions.cutoff} Å"
        )
    if not stays_finite(functions):
        raise InputError("radial: expected finite radial functions, got infinite ones")
    return functions


def radial_matrix(
    entries: Sequence[RadialEntry], mixing: Mixing
) -> tuple[tuple[RadialFunctions, ...], ...]:
    """Families [centre][neighbour] from the tables of all ordered pairs, the centre slowest."""
    functions = [radial_from(entry, mixing) for entry in entries]
    species = isqrt(len(functions))
    return tuple(tuple(functions[s * species : (s + 1) * species]) for s in range(species))


# ---------------------------------------------------------------- one entry for each class


@dataclass(frozen=True)
class RadialEntry(Kind, ABC, tag="kind"):
    """Radial functions as plain values, named as the attributes of their class in basis/."""

    cutoff: float
    count: int
    stands_for: ClassVar[type]
    most: ClassVar[int] = MAX_COUNT

    def check(self) -> None:
        """Refuse what could cost too much."""
        if not 1 <= self.count <= self.most:
            raise InputError(f"count: expected 1 to {self.most} functions, got {self.count}")
        if not 0 < self.cutoff <= MAX_CUTOFF:
            raise InputError(f"cutoff: expected above 0, up to {MAX_CUTOFF} Å, got {self.cutoff}")

    def functions_from(self, mixing: Mixing) -> RadialFunctions:
        """The functions again, with matrices of mixed families from `mixing`."""
        names = {one.name for one in fields(self.stands_for)}
        values = {name: getattr(self, name) for name in names if hasattr(self, name)}
        made: RadialFunctions = self.stands_for(**values | self.remade(mixing))
        return made

    def remade(self, mixing: Mixing) -> dict[str, Any]:
        """The attributes that are no plain values."""
        return {}

    @property
    def depth(self) -> int:
        """Levels of families in families."""
        return 0


@dataclass(frozen=True)
class PolynomialEntry(RadialEntry, kind="polynomial"):
    """Polynomials by their recurrence."""

    recurrence: tuple[tuple[float, ...], ...] = ()
    transform: Transform = field(default_factory=Agnesi)
    scale: float = 1.0
    shift: float = 0.0
    envelope: Envelope = field(default_factory=lambda: PolynomialEnvelope(2, 2))
    inner: float = 0.0
    r0: float = 1.0
    stands_for = PolynomialRadial

    def check(self) -> None:
        """Refuse an impossible range and a recurrence of another length, too."""
        super().check()
        if not 0 <= self.inner < self.cutoff:
            raise InputError(f"inner: expected 0 to the cut-off {self.cutoff}, got {self.inner}")
        if not self.r0 > 0:
            raise InputError(f"r0: expected more than 0, got {self.r0}")
        if len(self.recurrence) != 3 or any(len(row) < self.count for row in self.recurrence):
            raise InputError(f"recurrence: expected 3 rows of {self.count} numbers")

    def remade(self, mixing: Mixing) -> dict[str, Any]:
        """The recurrence as an array."""
        return {"recurrence": np.array([row[: self.count] for row in self.recurrence])}


@dataclass(frozen=True)
class ChebyshevEntry(RadialEntry, kind="chebyshev"):
    """PACE's Chebyshev families."""

    family: Literal["cheb_exp_cos", "cheb_pow", "cheb_linear"]
    exponent: float = 1.0
    smoothing: float = 0.0
    stands_for = ChebyshevRadial

    def check(self) -> None:
        """Refuse impossible exponents and windows, too."""
        super().check()
        if not self.exponent > 0:
            raise InputError(f"exponent: expected more than 0, got {self.exponent}")
        if self.smoothing != 0 and not MIN_WINDOW <= self.smoothing <= self.cutoff:
            raise InputError(
                f"smoothing: expected 0 or {MIN_WINDOW} Å to the cut-off, got {self.smoothing}"
            )


@dataclass(frozen=True)
class BesselEntry(RadialEntry, kind="bessel"):
    """PACE's spherical Bessel functions."""

    stands_for = BesselRadial


def _check_switch(end: float | None, width: float) -> None:
    good = width == 0 or MIN_WINDOW <= width <= MAX_CUTOFF
    if not good or not (end is None or 0 <= end <= MAX_CUTOFF):
        raise InputError(
            f"end and width: expected an inner switch that ends between 0 and {MAX_CUTOFF} Å and "
            f"is 0 or at least {MIN_WINDOW} Å wide, got {end} and {width}"
        )


@dataclass(frozen=True)
class CoreEntry(RadialEntry, kind="core"):
    """PACE's core density."""

    prefactor: float = 0.0
    decay: float = 0.0
    end: float | None = None
    width: float = 0.0
    stands_for = CoreRadial
    most = 1

    def check(self) -> None:
        """Refuse an impossible inner switch, too."""
        super().check()
        _check_switch(self.end, self.width)


@dataclass(frozen=True)
class ZblEntry(RadialEntry, kind="zbl"):
    """Screened nuclear repulsion."""

    prefactor: float = 0.0
    numbers: tuple[int, int] = (1, 1)
    width: float = 0.0
    stands_for = ZblRadial
    most = 1

    def check(self) -> None:
        """Refuse what is no element and an impossible width, too."""
        super().check()
        if not 1 <= min(self.numbers) <= max(self.numbers) < len(SYMBOLS):
            raise InputError(f"numbers: expected two atomic numbers, got {self.numbers}")
        if not MIN_WINDOW <= self.width <= self.cutoff:
            raise InputError(f"width: expected {MIN_WINDOW} Å to the cut-off, got {self.width}")


# ---------------------------------------------------------------- entries that hold another


@dataclass(frozen=True)
class _Wrapper(RadialEntry):
    """Functions made of others."""

    functions: RadialEntry

    def check(self) -> None:
        """Refuse many levels and other numbers than the functions inside give, too."""
        super().check()
        if self.depth > _DEPTH:
            raise InputError(f"functions: expected families at most {_DEPTH} levels deep")
        if self.cutoff != self.functions.cutoff:
            raise InputError(f"cutoff: expected {self.functions.cutoff} Å, got {self.cutoff}")
        if not self.fits():
            raise InputError(
                f"count: {self.count} do not fit the {self.functions.count} functions inside"
            )

    @abstractmethod
    def fits(self) -> bool:
        """Whether the functions inside give so many functions."""

    def remade(self, mixing: Mixing) -> dict[str, Any]:
        """The functions inside."""
        return {"functions": self.functions.functions_from(mixing)}

    @property
    def depth(self) -> int:
        """One more than inside."""
        return 1 + self.functions.depth


@dataclass(frozen=True)
class InnerCutEntry(_Wrapper, kind="inner_cut"):
    """Functions that are switched off at short distance."""

    end: float = 0.0
    width: float = 0.0
    stands_for = InnerCutRadial

    def check(self) -> None:
        """Refuse an impossible switch, too."""
        super().check()
        _check_switch(self.end, self.width)

    def fits(self) -> bool:
        """As many."""
        return self.count == self.functions.count


@dataclass(frozen=True)
class MixedEntry(_Wrapper, kind="mixed"):
    """Functions followed by combinations of them."""

    stands_for = MixedRadial
    most = _MAX_MIXED

    def fits(self) -> bool:
        """As many or more."""
        return self.count >= self.functions.count

    def remade(self, mixing: Mixing) -> dict[str, Any]:
        """The matrix, too."""
        inside = self.functions.count
        return super().remade(mixing) | {"mixing": mixing.take(self.count - inside, inside)}


@dataclass(frozen=True)
class SplicedEntry(_Wrapper, kind="spliced"):
    """One combination of functions, with a core."""

    coefficients: tuple[float, ...] = ()
    core: tuple[float, float, float, float] | None = None
    stands_for = SplicedRadial

    def check(self) -> None:
        """Refuse a core beyond the cut-off, too."""
        super().check()
        if len(self.coefficients) != self.functions.count:
            raise InputError(f"coefficients: expected {self.functions.count} numbers")
        if self.core is not None and not 0.0 <= self.core[0] <= self.cutoff - 0.1:
            raise InputError(f"core: expected an end below the cut-off, got {self.core[0]}")

    def fits(self) -> bool:
        """One."""
        return self.count == 1

    def remade(self, mixing: Mixing) -> dict[str, Any]:
        """The coefficients as an array, too."""
        return super().remade(mixing) | {"coefficients": np.array(self.coefficients)}
