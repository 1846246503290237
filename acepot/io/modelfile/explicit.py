"""Explicit bases in model files: radial functions as header tables, products as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.errors import ModelFileError
from acepot.io.modelfile.container import Arrays, Check
from acepot.io.modelfile.radial import Mixing, RadialEntry, radial_matrix, radial_table
from acepot.schema import from_mapping

#: The arrays of an explicit basis.
ARRAYS = ("product_centres", "product_factors")
#: Largest l and order of a product; finest and coarsest distance of knots in Å.
MAX_L, MAX_ORDER, KNOTS = 40, 6, (1e-4, 0.1)


@dataclass(frozen=True)
class ExplicitEntry:
    """The header of an explicit basis; rows of radial functions run over ordered pairs."""

    numbers: tuple[int, ...]
    radial: tuple[RadialEntry, ...]
    pair: tuple[RadialEntry, ...] = ()
    knots: float | None = None


def encode(basis: ExplicitBasis, mixing: Mixing) -> tuple[dict[str, Any], Arrays]:
    """The table that stands for everything but the products, and these as arrays.

    Args:
        basis: to write.
        mixing: takes the matrices of mixed families.

    Returns:
        The table, and `product_centres` (P,) and `product_factors` (P, order, 4).
    """
    header: dict[str, Any] = {"numbers": list(basis.numbers)}
    for name, rows in (("radial", basis.radial), ("pair", basis.pair or ())):
        header[name] = [radial_table(f, mixing) for row in rows for f in row]
    if basis.knots is not None:
        header["knots"] = basis.knots
    order = max((len(p.factors) for p in basis.products), default=1)
    factors = np.full((len(basis.products), order, 4), -1, dtype="<i4")
    factors[..., 1] = 0  # n = 0 marks an unused factor
    for row, item in zip(factors, basis.products, strict=True):
        row[: len(item.factors)] = item.factors
    centres = np.array([p.centre for p in basis.products], dtype="<i4")
    return header, dict(zip(ARRAYS, (centres, factors), strict=True))


def decode(
    table: Mapping[str, Any], arrays: Arrays, size: int, mixing: Mixing, name: str, check: Check
) -> ExplicitBasis:
    """The basis again.

    Args:
        table: as `encode` makes it.
        arrays: of the products.
        size: number of coefficients there are.
        mixing: gives the matrices of mixed families.
        name: how errors begin.
        check: of the basis.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    entry = from_mapping(ExplicitEntry, table)
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
    if given != size:
        raise ModelFileError(
            f"{name}: its basis has {given} functions but there are {size} coefficients"
        )
    if entry.knots is not None and not KNOTS[0] <= entry.knots <= KNOTS[1]:
        raise ModelFileError(f"{name}: expected knots of {KNOTS} Å, got {entry.knots}")
    radial = radial_matrix(entry.radial, mixing)
    counts = {f.count for f in entry.pair}
    if len(counts) > 1:
        raise ModelFileError(f"{name}: expected one number of pair functions for all pairs")
    products = _products(arrays, species, min(f.count for f in entry.radial), name)
    pair = radial_matrix(entry.pair, mixing) if entry.pair else None
    basis = ExplicitBasis(entry.numbers, radial, products, pair, entry.knots)
    check(basis)
    return basis


def _products(arrays: Arrays, species: int, count: int, name: str) -> tuple[ExplicitProduct, ...]:
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
