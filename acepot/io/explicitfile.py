"""Explicit bases in model files: radial functions as header tables, products as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.family import RadialFunctions
from acepot.errors import ModelFileError
from acepot.io.radialfile import Mixing, RadialEntry, radial_from, radial_table
from acepot.schema import from_mapping

#: The arrays of an explicit basis.
EXPLICIT_ARRAYS = ("product_centres", "product_factors")
#: Largest l and order of a product; finest and coarsest distance of knots in Å.
MAX_L, MAX_ORDER, KNOTS = 40, 6, (1e-4, 0.1)


@dataclass(frozen=True)
class ExplicitEntry:
    """The header of an explicit basis; rows of radial functions run over ordered pairs."""

    numbers: tuple[int, ...]
    radial: tuple[RadialEntry, ...]
    pair: tuple[RadialEntry, ...] = ()
    knots: float | None = None


def explicit_header(basis: ExplicitBasis, mixing: Mixing) -> dict[str, Any]:
    """The plain mapping that stands for everything but the products.

    Args:
        basis: to write.
        mixing: takes the matrices of mixed families.
    """
    header: dict[str, Any] = {"numbers": list(basis.numbers)}
    for name, rows in (("radial", basis.radial), ("pair", basis.pair or ())):
        header[name] = [radial_table(f, mixing) for row in rows for f in row]
    return header if basis.knots is None else header | {"knots": basis.knots}


def explicit_arrays(basis: ExplicitBasis) -> dict[str, NDArray[Any]]:
    """Products as arrays: `product_centres` (P,), `product_factors` (P, order, 4)."""
    order = max((len(p.factors) for p in basis.products), default=1)
    factors = np.full((len(basis.products), order, 4), -1, dtype="<i4")
    factors[..., 1] = 0  # n = 0 marks an unused factor
    for row, item in zip(factors, basis.products, strict=True):
        row[: len(item.factors)] = item.factors
    centres = np.array([p.centre for p in basis.products], dtype="<i4")
    return {"product_centres": centres, "product_factors": factors}


def explicit_from(
    header: Any, arrays: Mapping[str, NDArray[Any]], mixing: Mixing, name: str
) -> ExplicitBasis:
    """The basis again.

    Args:
        header: the mapping.
        arrays: of the products, and the coefficients.
        mixing: gives the matrices of mixed families.
        name: how errors begin.

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
    if entry.knots is not None and not KNOTS[0] <= entry.knots <= KNOTS[1]:
        raise ModelFileError(f"{name}: expected knots of {KNOTS} Å, got {entry.knots}")
    radial = _rows(entry.radial, species, mixing)
    counts = {f.count for f in entry.pair}
    if len(counts) > 1:
        raise ModelFileError(f"{name}: expected one number of pair functions for all pairs")
    products = _products(arrays, species, min(f.count for f in entry.radial), name)
    pair = _rows(entry.pair, species, mixing) if entry.pair else None
    return ExplicitBasis(entry.numbers, radial, products, pair, entry.knots)


def _products(
    arrays: Mapping[str, NDArray[Any]], species: int, count: int, name: str
) -> tuple[ExplicitProduct, ...]:
    centres, factors = arrays.get("product_centres"), arrays.get("product_factors")
    if centres is None or factors is None:
        raise ModelFileError(f"{name}: the arrays of its products are missing")
    if (
        centres.ndim != 1
        or factors.ndim != 3
        or factors.shape[::2] != (len(centres), 4)
        or not (1 <= factors.shape[1] <= MAX_ORDER)
    ):
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


def _rows(
    entries: tuple[RadialEntry, ...], species: int, mixing: Mixing
) -> tuple[tuple[RadialFunctions, ...], ...]:
    functions = [radial_from(e, mixing) for e in entries]
    return tuple(tuple(functions[s * species : (s + 1) * species]) for s in range(species))
