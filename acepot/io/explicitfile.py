"""Explicit bases in model files: radial functions as header tables, products as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.family import RadialFunctions
from acepot.basis.pace_radial import BesselRadial, ChebyshevRadial
from acepot.basis.radial import MIN_WINDOW, PolynomialRadial, check_transform
from acepot.basis.spec import Envelope, Transform
from acepot.errors import InputError, ModelFileError
from acepot.schema import from_mapping, to_mapping

#: The arrays of an explicit basis.
EXPLICIT_ARRAYS = ("product_centres", "product_factors")
#: Sanity bounds on what a file may ask for.
MAX_COUNT, MAX_L, MAX_CUTOFF, MAX_POWER = 1000, 40, 50.0, 12


@dataclass(frozen=True)
class RadialEntry:
    """One family of radial functions as plain values (fields as in basis/radial.py)."""

    kind: Literal["polynomial", "chebyshev", "bessel"]
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


@dataclass(frozen=True)
class ExplicitEntry:
    """The header of an explicit basis; rows of radial functions run over ordered pairs."""

    numbers: tuple[int, ...]
    radial: tuple[RadialEntry, ...]
    pair: tuple[RadialEntry, ...] = ()


def explicit_header(basis: ExplicitBasis) -> dict[str, Any]:
    """The plain mapping that stands for everything but the products."""
    rows = basis.pair or ()
    return to_mapping(
        ExplicitEntry(
            basis.numbers,
            tuple(_entry(f) for row in basis.radial for f in row),
            tuple(_entry(f) for row in rows for f in row),
        )
    )


def explicit_arrays(basis: ExplicitBasis) -> dict[str, NDArray[Any]]:
    """Products as arrays: `product_centres` (P,), `product_factors` (P, order, 4)."""
    order = max((len(p.factors) for p in basis.products), default=1)
    factors = np.full((len(basis.products), order, 4), -1, dtype="<i4")
    factors[..., 1] = 0  # n = 0 marks an unused factor
    for row, item in zip(factors, basis.products, strict=True):
        row[: len(item.factors)] = item.factors
    centres = np.array([p.centre for p in basis.products], dtype="<i4")
    return {"product_centres": centres, "product_factors": factors}


def explicit_from(header: Any, arrays: Mapping[str, NDArray[Any]], name: str) -> ExplicitBasis:
    """The basis again.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    if not isinstance(header, dict):
        raise ModelFileError(f"{name}: the header's basis is not a table")
    entry = from_mapping(ExplicitEntry, header)
    species = len(entry.numbers)
    if (
        not entry.numbers
        or list(entry.numbers) != sorted(set(entry.numbers))
        or not 1 <= entry.numbers[0] <= entry.numbers[-1] <= 118
        or len(entry.radial) != species**2
        or len(entry.pair) not in (0, species**2)
    ):
        raise ModelFileError(f"{name}: its elements and radial functions do not fit together")
    given = len(arrays.get("product_centres", ()))
    given += (entry.pair[0].count if entry.pair else 0) * species * (species + 1) // 2
    if given != len(arrays["coefficients"]):
        raise ModelFileError(
            f"{name}: its basis has {given} functions but there are "
            f"{len(arrays['coefficients'])} coefficients"
        )
    radial = _rows(entry.radial, species)
    counts = {f.count for f in entry.pair}
    if len(counts) > 1:
        raise ModelFileError(f"{name}: expected one number of pair functions for all pairs")
    products = _products(arrays, species, min(f.count for f in entry.radial), name)
    pair = _rows(entry.pair, species) if entry.pair else None
    return ExplicitBasis(entry.numbers, radial, products, pair)


def _products(
    arrays: Mapping[str, NDArray[Any]], species: int, count: int, name: str
) -> tuple[ExplicitProduct, ...]:
    centres, factors = arrays.get("product_centres"), arrays.get("product_factors")
    if centres is None or factors is None:
        raise ModelFileError(f"{name}: the arrays of its products are missing")
    if centres.ndim != 1 or factors.ndim != 3 or factors.shape[::2] != (len(centres), 4):
        raise ModelFileError(f"{name}: the arrays of its products have wrong shapes")
    z, n, l, m = factors.transpose(2, 0, 1)  # noqa: E741
    used = n > 0
    good = ~used | (
        (z >= 0) & (z < species) & (n <= count) & (l >= 0) & (l <= MAX_L) & (np.abs(m) <= l)
    )
    leading = used[:, :1].all() and (np.diff(used.astype(int), axis=1) <= 0).all()
    if not (good.all() and leading and ((centres >= 0) & (centres < species)).all()):
        raise ModelFileError(f"{name}: its products hold impossible indices")
    return tuple(
        ExplicitProduct(int(c), tuple(tuple(int(x) for x in f) for f in row[mask]))  # type: ignore[misc]
        for c, row, mask in zip(centres, factors, used, strict=True)
    )


def _entry(functions: RadialFunctions) -> RadialEntry:
    if isinstance(functions, PolynomialRadial):
        return RadialEntry(
            "polynomial",
            functions.cutoff,
            functions.count,
            tuple(tuple(float(x) for x in row) for row in functions.recurrence),
            functions.transform,
            functions.scale,
            functions.shift,
            functions.envelope,
            functions.inner,
            functions.r0,
        )
    if isinstance(functions, ChebyshevRadial):
        return RadialEntry(
            "chebyshev",
            functions.cutoff,
            functions.count,
            family=functions.family,
            exponent=functions.exponent,
            smoothing=functions.smoothing,
        )
    if isinstance(functions, BesselRadial):
        return RadialEntry("bessel", functions.cutoff, functions.count)
    raise InputError(f"model.basis: {type(functions).__name__} cannot be saved in a model file")


def _rows(
    entries: tuple[RadialEntry, ...], species: int
) -> tuple[tuple[RadialFunctions, ...], ...]:
    functions = [_functions(e) for e in entries]
    return tuple(tuple(functions[s * species : (s + 1) * species]) for s in range(species))


def _functions(entry: RadialEntry) -> RadialFunctions:
    if not (1 <= entry.count <= MAX_COUNT and 0 <= entry.inner < entry.cutoff <= MAX_CUTOFF):
        raise InputError(
            f"radial: expected 1 to {MAX_COUNT} functions and 0 <= inner < cutoff <= "
            f"{MAX_CUTOFF} Å, got {entry.count}, {entry.inner}, {entry.cutoff}"
        )
    if entry.kind == "bessel":
        return BesselRadial(entry.count, entry.cutoff)
    if entry.kind == "chebyshev":
        if entry.family not in ("cheb_exp_cos", "cheb_pow", "cheb_linear"):
            raise InputError(f"radial.family: unknown {entry.family!r}")
        if entry.exponent <= 0 or not (
            entry.smoothing == 0 or MIN_WINDOW <= entry.smoothing <= entry.cutoff
        ):
            raise InputError(
                f"radial: expected an exponent above 0 and a window of 0 or {MIN_WINDOW} Å to the "
                f"cut-off, got {entry.exponent} and {entry.smoothing}"
            )
        return ChebyshevRadial(
            entry.family, entry.count, entry.exponent, entry.smoothing, entry.cutoff
        )
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
        recurrence,
        entry.transform,
        entry.scale,
        entry.shift,
        entry.envelope,
        entry.inner,
        entry.r0,
        entry.cutoff,
    )
