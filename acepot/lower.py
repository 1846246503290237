"""lower(model) -> Tables: the only way from a model to an evaluator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.cache import cached_expansion
from acepot.basis.expansion import Expansion
from acepot.basis.explicit import ExplicitBasis, expand_explicit
from acepot.basis.family import RadialFunctions
from acepot.basis.radial import ProductRadial, radial_functions
from acepot.basis.spec import BasisSpec, PairNumber, Radial, pair_number
from acepot.basis.species import SYMBOLS
from acepot.basis.splines import Grid, grid, tabulate
from acepot.errors import InputError
from acepot.model import Model
from acepot.tables import Floats, Products, RadialTable, Tables

#: Largest table error, relative to each radial function's largest value. Fits and runs read
#: the same tables, so it only matters against analytic radials (docs/conventions.md, "Tables").
TOLERANCE = 1e-8
#: Largest and smallest distance in Å of two knots: spacings are halved from the first to the
#: last until the tolerance is met, so tables stay as small as the functions allow.
SPACINGS = tuple(0.02 / 2**k for k in range(7))
#: Where tables begin in Å unless their functions vanish inside an inner cut-off.
BEGIN = 0.1

Progress = Callable[[int, int], None]


def expansion(basis: BasisSpec | ExplicitBasis, progress: Progress | None = None) -> Expansion:
    """The basis written out as products (cached on disk for specifications)."""
    if isinstance(basis, ExplicitBasis):
        return expand_explicit(basis)
    return cached_expansion(basis, progress)


def lower(
    model: Model, *, tolerance: float = TOLERANCE, progress: Progress | None = None
) -> Tables:
    """Turn a model into the arrays that evaluators read.

    Args:
        model: basis, coefficients and reference energies.
        tolerance: of the radial tables, relative to each function's largest value.
        progress: called with (functions done, functions in all) while the basis is built.

    Returns:
        Tables; `tables.radial[...].error` holds the measured error of each radial table.

    Raises:
        InputError: the number of coefficients does not fit the basis.
    """
    parts = expansion(model.basis, progress)
    if len(model.coefficients) != parts.size:
        raise InputError(
            f"model: expected {parts.size} coefficients for this basis, "
            f"got {len(model.coefficients)}"
        )
    many = tuple(c for c in parts.channels if c[0] > 0)
    pairs = tuple(c for c in parts.channels if c[0] < 0)
    bodies, pair = _families(model.basis, many, pairs)
    radial, cutoff = _radial_tables(bodies, pair, many, pairs, tolerance)
    width = 2 * parts.block_l + 1
    m = np.concatenate([np.arange(-l, l + 1) for l in parts.block_l])  # noqa: E741
    coefficients = model.coefficients[None]
    if model.committee is not None:
        coefficients = np.concatenate([coefficients, model.committee])
    return Tables(
        numbers=np.array(model.numbers, dtype=np.int32),
        cutoff=cutoff,
        radial=radial,
        a_species=np.repeat(parts.block_species, width).astype(np.int32),
        a_channel=np.repeat(parts.block_channel, width).astype(np.int32),
        a_l=np.repeat(parts.block_l, width).astype(np.int32),
        a_m=m.astype(np.int32),
        products=tuple(
            _products(terms, real, imaginary, coefficients, parts.total_l)
            for terms, real, imaginary in zip(
                parts.terms, parts.real, parts.imaginary, strict=True
            )
        ),
        e0=np.array(model.e0, dtype=float),
        functions=parts.size,
        total_l=parts.total_l,
    )


def _products(
    terms: NDArray[np.int64],
    real: csr_array,
    imaginary: csr_array,
    coefficients: Floats,
    total_l: int,
) -> Products:
    joined = (abs(real) + abs(imaginary)).tocoo()
    function, term = joined.coords
    order = np.lexsort((term, function))
    function, term = function[order], term[order]
    weights = np.zeros((len(coefficients), len(terms)))
    if total_l == 0:
        weights[:] = coefficients @ real
    return Products(
        factors=terms.astype(np.int32),
        function=function.astype(np.int32),
        term=term.astype(np.int32),
        real=_entries(real, function, term),
        imaginary=_entries(imaginary, function, term),
        weights=weights,
    )


def _entries(matrix: csr_array, row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
    """Values of a sparse matrix at the given places, zero where it stores none."""
    coo = matrix.tocoo()
    key = coo.coords[0].astype(np.int64) * matrix.shape[1] + coo.coords[1]
    wanted = row.astype(np.int64) * matrix.shape[1] + column
    out = np.zeros(len(wanted))
    out[np.searchsorted(wanted, key)] = coo.data
    return out


Family = list[list[RadialFunctions]]


def _families(
    basis: BasisSpec | ExplicitBasis,
    many: tuple[tuple[int, ...], ...],
    pairs: tuple[tuple[int, ...], ...],
) -> tuple[Family, Family | None]:
    """Many-body and pair radial functions of every ordered pair of species."""
    if isinstance(basis, ExplicitBasis):
        pair = [list(row) for row in basis.pair] if basis.pair and pairs else None
        return [list(row) for row in basis.radial], pair
    count = max((max(c) for c in many), default=1)
    bodies = _from_spec(basis, basis.radial, count, basis.inner, basis.cutoff)
    if not pairs:
        return bodies, None
    return bodies, pair_functions(basis)


def pair_functions(spec: BasisSpec) -> Family:
    """Pair functions V_1 … V_degree of every ordered pair of species, [centre][neighbour]."""
    pair = spec.pair
    return _from_spec(spec, pair.radial, pair.degree or 0, pair.inner, pair.cutoff)


def _from_spec(
    basis: BasisSpec, radial: Radial, count: int, inner: PairNumber, cutoff: PairNumber
) -> Family:
    symbols = [SYMBOLS[z] for z in basis.numbers]
    return [
        [
            radial_functions(
                radial,
                count,
                pair_number(inner, a, b, "inner"),
                pair_number(basis.r0, a, b, "r0"),
                pair_number(cutoff, a, b, "cutoff"),
            )
            for b in symbols
        ]
        for a in symbols
    ]


def _radial_tables(
    bodies: Family,
    pair: Family | None,
    many: tuple[tuple[int, ...], ...],
    pairs: tuple[tuple[int, ...], ...],
    tolerance: float,
) -> tuple[tuple[RadialTable, ...], Floats]:
    members = tuple(tuple(n - 1 for n in channel) for channel in many)
    tables = []
    if members:
        products = [[ProductRadial(f, members) for f in row] for row in bodies]
        tables.append(_table(bodies, products, tolerance))
    if pair is not None:
        tables.append(_table(pair, pair, tolerance))
    return tuple(tables), np.max([t.end for t in tables], axis=0)


def _table(
    family: Family, functions: Family | list[list[ProductRadial]], tolerance: float
) -> RadialTable:
    """The coarsest table that meets the tolerance, or the finest there is."""
    for spacing in SPACINGS:
        table = _table_at(family, functions, spacing)
        if table.error <= tolerance:
            break
    return table


def _table_at(
    family: Family, functions: Family | list[list[ProductRadial]], spacing: float
) -> RadialTable:
    """One grid per ordered pair, padded to the largest number of bins."""
    species = range(len(family))
    zero_inside = all(f.zero_inside for row in family for f in row)
    grids = [[_grid(f, zero_inside, spacing) for f in row] for row in family]
    bins = np.array([[g.bins for g in row] for row in grids], dtype=np.int32)
    out = np.zeros((len(species), len(species), bins.max(), 6, functions[0][0].count))
    error = 0.0
    for a in species:
        for b in species:
            values, worst = tabulate(functions[a][b].evaluate, grids[a][b])
            out[a, b, : len(values)] = values
            error = max(error, worst)
    return RadialTable(
        begin=np.array([[g.begin for g in row] for row in grids]),
        spacing=np.array([[g.spacing for g in row] for row in grids]),
        bins=bins,
        coefficients=out,
        zero_inside=zero_inside,
        error=error,
    )


def _grid(functions: RadialFunctions, zero_inside: bool, spacing: float) -> Grid:
    begin = functions.inner if zero_inside else BEGIN
    return grid(begin, functions.cutoff, spacing, functions.breaks)
