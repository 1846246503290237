"""Radial functions in model files: one table of plain values for each family.

Matrices of mixed families go into one array of the file, in the order of the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acepot.basis.family import RadialFunctions, stays_finite
from acepot.basis.pace_radial import (
    BesselRadial,
    ChebyshevRadial,
    CoreRadial,
    InnerCutRadial,
    MixedRadial,
    SplicedRadial,
    ZblRadial,
)
from acepot.basis.radial import MIN_WINDOW, PolynomialRadial, check_transform
from acepot.basis.spec import Envelope, Transform
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.schema import to_mapping

#: Sanity bounds on what a file may ask for.
MAX_COUNT, MAX_CUTOFF, MAX_POWER = 1000, 50.0, 12
#: Most functions of a mixed family: n and l of a PACE file up to their bounds.
_MAX_MIXED = 42_000
#: Families in families: mixtures of a family with an inner cut-off are two levels deep.
_DEPTH = 3

Floats = NDArray[np.float64]
Kind = Literal["polynomial", "chebyshev", "bessel", "inner_cut", "mixed", "spliced", "core", "zbl"]
#: What each kind has besides its kind, count and cut-off.
_KEYS: dict[str, tuple[str, ...]] = {
    "polynomial": ("recurrence", "transform", "scale", "shift", "envelope", "inner", "r0"),
    "chebyshev": ("family", "exponent", "smoothing"),
    "bessel": (),
    "inner_cut": ("functions", "end", "width"),
    "mixed": ("functions",),
    "spliced": ("functions", "coefficients", "core"),
    "core": ("prefactor", "decay", "end", "width"),
    "zbl": ("prefactor", "numbers", "width"),
}


@dataclass(frozen=True)
class RadialEntry:
    """One family of radial functions as plain values (fields as in basis/)."""

    kind: Kind
    cutoff: float
    count: int
    recurrence: tuple[tuple[float, ...], ...] = ()
    transform: Transform = Transform()  # noqa: RUF009 - frozen
    scale: float = 1.0
    shift: float = 0.0
    envelope: Envelope = Envelope()  # noqa: RUF009 - frozen
    inner: float = 0.0
    r0: float = 1.0
    family: str = ""
    exponent: float = 1.0
    smoothing: float = 0.0
    functions: RadialEntry | None = None
    coefficients: tuple[float, ...] = ()
    core: tuple[float, float, float, float] | None = None
    prefactor: float = 0.0
    decay: float = 0.0
    numbers: tuple[int, int] = (1, 1)
    end: float | None = None
    width: float = 0.0


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


# ---------------------------------------------------------------- functions -> table


def radial_table(functions: RadialFunctions, mixing: Mixing) -> dict[str, Any]:
    """The table that stands for a family, with the keys its kind has.

    Args:
        functions: any family of basis/.
        mixing: takes the matrix of a mixed family.

    Raises:
        InputError: another family.
    """
    kind, values = _described(functions)
    if isinstance(functions, MixedRadial):
        mixing.put(functions.mixing)
    inner = values.pop("functions", None)
    entry = RadialEntry(kind, functions.cutoff, functions.count, **values)
    keys = ("kind", "cutoff", "count", *_KEYS[kind])
    table = {key: value for key, value in to_mapping(entry).items() if key in keys}
    if inner is not None:
        table["functions"] = radial_table(inner, mixing)
    return table


def _described(functions: RadialFunctions) -> tuple[Kind, dict[str, Any]]:
    """The kind of a family and the values of its own keys."""
    f = functions
    if isinstance(f, PolynomialRadial):
        rows = tuple(tuple(float(x) for x in row) for row in f.recurrence)
        return "polynomial", {
            "recurrence": rows, "transform": f.transform, "scale": f.scale, "shift": f.shift,
            "envelope": f.envelope, "inner": f.inner, "r0": f.r0,
        }  # fmt: skip
    if isinstance(f, ChebyshevRadial):
        return "chebyshev", {
            "family": f.family, "exponent": f.exponent, "smoothing": f.smoothing,
        }  # fmt: skip
    if isinstance(f, BesselRadial):
        return "bessel", {}
    if isinstance(f, InnerCutRadial):
        return "inner_cut", {"functions": f.functions, "end": f.end, "width": f.width}
    if isinstance(f, MixedRadial):
        return "mixed", {"functions": f.functions}
    if isinstance(f, SplicedRadial):
        c = tuple(float(x) for x in f.coefficients)
        return "spliced", {"functions": f.functions, "coefficients": c, "core": f.core}
    if isinstance(f, CoreRadial):
        return "core", {
            "prefactor": f.prefactor, "decay": f.decay, "end": f.end, "width": f.width,
        }  # fmt: skip
    if isinstance(f, ZblRadial):
        return "zbl", {"prefactor": f.prefactor, "numbers": f.numbers, "width": f.width}
    raise InputError(f"model.basis: {type(f).__name__} cannot be saved in a model file")


# ---------------------------------------------------------------- table -> functions


def radial_from(entry: RadialEntry, mixing: Mixing) -> RadialFunctions:
    """The family again.

    Args:
        entry: its table.
        mixing: gives the matrix of a mixed family.

    Raises:
        InputError: values that no family has.
    """
    functions = _made(entry, mixing, 0)
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


def _made(entry: RadialEntry, mixing: Mixing, depth: int) -> RadialFunctions:
    limit = _MAX_MIXED if entry.kind == "mixed" else MAX_COUNT
    if not (1 <= entry.count <= limit and 0 <= entry.inner < entry.cutoff <= MAX_CUTOFF):
        raise InputError(
            f"radial: expected 1 to {limit} functions and 0 <= inner < cutoff <= "
            f"{MAX_CUTOFF} Å, got {entry.count}, {entry.inner}, {entry.cutoff}"
        )
    if "functions" not in _KEYS[entry.kind]:
        return _MAKERS[entry.kind](entry)
    if entry.functions is None or depth >= _DEPTH:
        raise InputError(f"radial.functions: expected a family, at most {_DEPTH} levels deep")
    inner = _made(entry.functions, mixing, depth + 1)
    functions: RadialFunctions
    if entry.kind == "mixed":
        functions = MixedRadial(inner, mixing.take(entry.count - inner.count, inner.count))
    elif entry.kind == "inner_cut":
        end, width = _switch(entry)
        functions = InnerCutRadial(inner, 0.0 if end is None else end, width)
    else:
        if len(entry.coefficients) != inner.count:
            raise InputError(f"radial.coefficients: expected {inner.count} numbers")
        if entry.core is not None and not 0.0 <= entry.core[0] <= entry.cutoff - 0.1:
            raise InputError(f"radial.core: expected an end below the cut-off, got {entry.core[0]}")
        functions = SplicedRadial(inner, np.array(entry.coefficients), entry.core)
    if (functions.count, functions.cutoff) != (entry.count, entry.cutoff):
        raise InputError(
            f"radial: expected {functions.count} functions and the cut-off {functions.cutoff} Å, "
            f"got {entry.count} and {entry.cutoff}"
        )
    return functions


def _switch(entry: RadialEntry) -> tuple[float | None, float]:
    """End and width of an inner switch."""
    end, width = entry.end, entry.width
    good = width == 0 or MIN_WINDOW <= width <= MAX_CUTOFF
    if not good or not (end is None or 0 <= end <= MAX_CUTOFF):
        raise InputError(
            f"radial: expected an inner switch that ends between 0 and {MAX_CUTOFF} Å and is 0 or "
            f"at least {MIN_WINDOW} Å wide, got {end} and {width}"
        )
    return end, width


def _polynomial(entry: RadialEntry) -> RadialFunctions:
    recurrence = np.array([row[: entry.count] for row in entry.recurrence if row], dtype=float)
    if recurrence.shape != (3, entry.count):
        raise InputError(f"radial.recurrence: expected 3 rows of {entry.count} numbers")
    powers = (entry.envelope.inner, entry.envelope.outer)
    if entry.r0 <= 0 or not 0 <= min(powers) <= max(powers) <= MAX_POWER:
        raise InputError(
            f"radial: expected r0 above 0 and powers of the envelope from 0 to {MAX_POWER}, "
            f"got {entry.r0} and {powers}"
        )
    check_transform(entry.transform)
    return PolynomialRadial(
        recurrence, entry.transform, entry.scale, entry.shift, entry.envelope, entry.inner,
        entry.r0, entry.cutoff,
    )  # fmt: skip


def _chebyshev(entry: RadialEntry) -> RadialFunctions:
    if entry.family not in ("cheb_exp_cos", "cheb_pow", "cheb_linear"):
        raise InputError(f"radial.family: unknown {entry.family!r}")
    if entry.exponent <= 0 or not (
        entry.smoothing == 0 or MIN_WINDOW <= entry.smoothing <= entry.cutoff
    ):
        raise InputError(
            f"radial: expected an exponent above 0 and a window of 0 or {MIN_WINDOW} Å to the "
            f"cut-off, got {entry.exponent} and {entry.smoothing}"
        )
    return ChebyshevRadial(entry.family, entry.count, entry.exponent, entry.smoothing, entry.cutoff)


def _bessel(entry: RadialEntry) -> RadialFunctions:
    return BesselRadial(entry.count, entry.cutoff)


def _core(entry: RadialEntry) -> RadialFunctions:
    end, width = _switch(entry)
    return CoreRadial(entry.prefactor, entry.decay, entry.cutoff, end, width)


def _zbl(entry: RadialEntry) -> RadialFunctions:
    if not 1 <= min(entry.numbers) <= max(entry.numbers) < len(SYMBOLS):
        raise InputError(f"radial.numbers: expected two atomic numbers, got {entry.numbers}")
    if not MIN_WINDOW <= entry.width <= entry.cutoff:
        raise InputError(f"radial.width: expected {MIN_WINDOW} Å to the cut-off, got {entry.width}")
    return ZblRadial(entry.prefactor, entry.numbers, entry.cutoff, entry.width)


_MAKERS: dict[str, Callable[[RadialEntry], RadialFunctions]] = {
    "polynomial": _polynomial,
    "chebyshev": _chebyshev,
    "bessel": _bessel,
    "core": _core,
    "zbl": _zbl,
}
