"""lower(model) -> Tables: the only way from a model to an evaluator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.basis import Basis, Progress, RadialMatrix
from acepot.basis.embedding import Nonlinear
from acepot.basis.expansion import Expansion
from acepot.basis.family import RadialFunctions
from acepot.basis.irrep import SCALAR
from acepot.basis.radial import ProductRadial
from acepot.basis.splines import Knots, cubic, equidistant, tabulate
from acepot.errors import InputError
from acepot.model import Model, TensorModel
from acepot.tables import Embeddings, Floats, Products, RadialTable, Tables

#: Largest table error, relative to each radial function's largest value. Fits and runs read
#: the same tables, so it only matters against analytic radials (docs/conventions.md, "Tables").
TOLERANCE = 1e-8
#: Where the tolerance holds, in Å: no two atoms of a molecule or solid are closer.
NEAR = 0.7
#: How many times the tolerance tables may err below: functions in powers of 1/r or of high
#: Chebyshev degree bend too sharply there.
INSIDE = 100
#: What the finest tables may still err: kinks and jumps leave more than this.
REFUSED = 1e-7
#: Distances in Å of two knots: the first that meets the tolerances is taken, so tables stay as
#: small as the functions allow. Wider ones gain no speed (measured).
SPACINGS = (0.02, 0.015, 0.01, 0.0075, 0.005, 0.0025, 0.00125, 0.000625, 0.0003125)
#: Bytes of a table: so many, and so many for every basis function; and most functions × knots of
#: one pair. A small file of a hundred elements, or of a thousand functions to 50 Å, could ask for
#: a hundred times more.
_BYTES, _BYTES_EACH, _VALUES = 1e9, 1e6, 5e6
#: Where tables begin in Å unless their functions vanish inside an inner cut-off.
BEGIN = 0.1


def lower(
    model: Model | TensorModel | Basis,
    *,
    tolerance: float = TOLERANCE,
    own_knots: bool = False,
    progress: Progress | None = None,
    expanded: Expansion | None = None,
    basis: Tables | None = None,
) -> Tables:
    """Turn a model, or a basis, into the arrays that evaluators read.

    Args:
        model: basis, coefficients and, of energies, what else they are made of; or a basis
            alone, whose functions are then what evaluators give.
        tolerance: of the radial tables, relative to each function's largest value.
        own_knots: interpolate in the cubic tables of the program a file came from, to compare
            with it digit by digit.
        progress: called with (functions done, functions in all) while the basis is built.
        expanded: the basis written out, where a caller has it; None: made here.
        basis: the basis lowered, where a caller has it; None: made here.

    Returns:
        Tables; `tables.radial[...].error` holds the measured error of each radial table.

    Raises:
        InputError: the number of coefficients does not fit the basis.
    """
    if not isinstance(model, (Model, TensorModel)):
        return _lower_basis(model, expanded or model.expansion(progress), tolerance, own_knots)
    tables = basis
    if tables is None:
        parts = expanded or model.basis.expansion(progress)
        tables = _lower_basis(model.basis, parts, tolerance, own_knots)
    if isinstance(model, TensorModel):
        return tables.read_out(model.coefficients)
    if tables.irreps != (SCALAR,):
        raise InputError(
            f"model: energies are true scalars, 0e, got {', '.join(map(str, tables.irreps))}; "
            "use TensorModel for other outputs"
        )
    if (given := model.coefficients.shape[2]) != tables.functions:
        raise InputError(
            f"model: expected {tables.functions} coefficients for this basis, got {given}"
        )
    tables = replace(tables.read_out(model.coefficients), e0=np.array(model.e0, dtype=float))
    if model.nonlinear is None:
        return tables
    core, cutoff = None, tables.cutoff
    if model.nonlinear.core is not None:
        family = [list(row) for row in model.nonlinear.core]
        knots = _knots(model.basis) if own_knots else None
        core = _table(family, family, tolerance, knots, _limit(tables.functions))
        cutoff = np.maximum(cutoff, core.end)
    return replace(tables, cutoff=cutoff, embeddings=_embeddings(model.nonlinear), core=core)


def _lower_basis(basis: Basis, parts: Expansion, tolerance: float, own_knots: bool) -> Tables:
    many = tuple(c for c in parts.channels if c[0] > 0)
    pairs = tuple(c for c in parts.channels if c[0] < 0)
    bodies = basis.radial_functions(max((max(c) for c in many), default=1))
    pair = basis.pair_functions() if pairs else None
    knots = _knots(basis) if own_knots else None
    radial = _radial_tables(bodies, pair, many, pairs, tolerance, knots, _limit(parts.size))
    none = np.zeros((len(basis.numbers),) * 2)  # where there is nothing but constants
    width = 2 * parts.block_l + 1
    m = [np.arange(-l, l + 1) for l in parts.block_l]  # noqa: E741
    return Tables(
        numbers=np.array(basis.numbers, dtype=np.int32),
        cutoff=np.max([none, *(t.end for t in radial)], axis=0),
        radial=radial,
        a_species=np.repeat(parts.block_species, width).astype(np.int32),
        a_channel=np.repeat(parts.block_channel, width).astype(np.int32),
        a_l=np.repeat(parts.block_l, width).astype(np.int32),
        a_m=np.concatenate([np.zeros(0, dtype=int), *m]).astype(np.int32),
        products=tuple(
            _products(terms, real, imaginary)
            for terms, real, imaginary in zip(parts.terms, parts.real, parts.imaginary, strict=True)
        ),
        e0=np.zeros(len(basis.numbers)),
        irreps=parts.irreps,
        sizes=parts.sizes,
    )


def _limit(functions: int) -> float:
    """Bytes that the radial tables of a basis may take."""
    return _BYTES + _BYTES_EACH * functions


def _knots(basis: Basis) -> float:
    """Distance of the knots that the program of a file interpolates between, in Å."""
    if basis.knots is None:
        raise InputError("own_knots: only models read from PACE files have knots of their own")
    return basis.knots


def _embeddings(nonlinear: Nonlinear) -> Embeddings:
    species, densities = len(nonlinear.embeddings), nonlinear.densities
    weight = np.zeros((species, densities))
    exponent = np.ones((species, densities))
    for s, one in enumerate(nonlinear.embeddings):
        weight[s, : len(one.weights)] = one.weights
        exponent[s, : len(one.exponents)] = one.exponents
    inner = np.zeros((species, species, 2)) if nonlinear.inner is None else nonlinear.inner
    return Embeddings(
        shifted=np.array(
            [e.kind == "FinnisSinclairShiftedScaled" for e in nonlinear.embeddings], dtype=np.int32
        ),
        weight=weight,
        exponent=exponent,
        core_limit=np.array([e.core_limit for e in nonlinear.embeddings]),
        core_width=np.array([e.core_width for e in nonlinear.embeddings]),
        mode={"none": 0, "density": 1, "distance": 1, "zbl": 2}[nonlinear.mode],
        inner=np.asarray(inner, dtype=float),
    )


def _products(terms: NDArray[np.int64], real: csr_array, imaginary: csr_array) -> Products:
    joined = (abs(real) + abs(imaginary)).tocoo()
    function, term = joined.coords
    order = np.lexsort((term, function))
    function, term = function[order], term[order]
    none = np.zeros((0, 0, 0))
    return Products(
        factors=terms.astype(np.int32),
        function=function.astype(np.int32),
        term=term.astype(np.int32),
        real=_entries(real, function, term),
        imaginary=_entries(imaginary, function, term),
        weights=none,
        weights_imaginary=none,
    )


def _entries(matrix: csr_array, row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
    """Values of a sparse matrix at the given places, zero where it stores none."""
    coo = matrix.tocoo()
    key = coo.coords[0].astype(np.int64) * matrix.shape[1] + coo.coords[1]
    wanted = row.astype(np.int64) * matrix.shape[1] + column
    out = np.zeros(len(wanted))
    out[np.searchsorted(wanted, key)] = coo.data
    return out


def _radial_tables(
    bodies: RadialMatrix,
    pair: RadialMatrix | None,
    many: tuple[tuple[int, ...], ...],
    pairs: tuple[tuple[int, ...], ...],
    tolerance: float,
    knots: float | None,
    limit: float,
) -> tuple[RadialTable, ...]:
    members = tuple(tuple(n - 1 for n in channel) for channel in many)
    tables = []
    if members:
        products = [[ProductRadial(f, members) for f in row] for row in bodies]
        tables.append(_table(bodies, products, tolerance, knots, limit))
    if pair is not None:
        tables.append(_table(pair, pair, tolerance, knots, limit))
    return tuple(tables)


def _table(
    family: RadialMatrix,
    functions: RadialMatrix | list[list[ProductRadial]],
    tolerance: float,
    knots: float | None,
    limit: float,
) -> RadialTable:
    """The coarsest table that meets the tolerance, or the finest there is, of `limit` bytes."""
    if knots is not None:
        return _cubic_table(family, functions, knots)
    for spacing in SPACINGS:
        table, inside = _table_at(family, functions, spacing, limit)
        if not np.isfinite(table.coefficients).all():
            raise InputError(
                "radial functions: expected finite numbers down to where the tables begin, got "
                "infinite ones; choose smaller exponents, powers or coefficients"
            )
        worst = float(np.maximum(table.error, inside / INSIDE))
        if worst <= tolerance:
            return table
    if not worst <= max(tolerance, REFUSED):
        raise InputError(
            f"radial functions: tables with {SPACINGS[-1]:.2g} Å between knots still err by "
            f"{worst:.1e}; choose a smoother envelope, transform or inner cut-off"
        )
    return table


def _table_at(
    family: RadialMatrix,
    functions: RadialMatrix | list[list[ProductRadial]],
    spacing: float,
    limit: float,
) -> tuple[RadialTable, float]:
    """One grid per ordered pair, padded to the largest number of bins; its error inside NEAR."""
    species = range(len(family))
    grids = [[_grid(f, spacing) for f in row] for row in family]
    bins = np.array([[g.bins for g in row] for row in grids], dtype=np.int32)
    shape = (len(species), len(species), int(bins.max()), 6, functions[0][0].count)
    values = max(f.count for row in family for f in row) * shape[2]
    if 8.0 * np.prod(shape, dtype=float) > limit or values > _VALUES:
        raise InputError(
            f"radial functions: tables of {shape[4]} functions of {len(species) ** 2} pairs with "
            f"{spacing:.2g} Å between knots are too large; choose fewer functions or elements, "
            "shorter cut-offs or smoother functions"
        )
    out = np.zeros(shape)
    error = inside = 0.0
    for a in species:
        for b in species:
            with np.errstate(all="ignore"):  # what overflows is found by whoever asked
                table, each = tabulate(functions[a][b].evaluate, grids[a][b])
            out[a, b, : len(table)] = table
            near = grids[a][b].begin + grids[a][b].spacing * (np.arange(len(each)) + 1) <= NEAR
            # NaN stays, unlike in Python's max.
            error = float(np.maximum(error, each[~near].max(initial=0.0)))
            inside = float(np.maximum(inside, each[near].max(initial=0.0)))
    made = RadialTable(
        begin=np.array([[g.begin for g in row] for row in grids]),
        spacing=np.array([[g.spacing for g in row] for row in grids]),
        bins=bins,
        coefficients=out,
        zero_inside=np.array([[f.zero_inside for f in row] for row in family], dtype=np.int32),
        error=error,
    )
    return made, inside


def _cubic_table(
    family: RadialMatrix, functions: RadialMatrix | list[list[ProductRadial]], knots: float
) -> RadialTable:
    """PACE's knots n rc/floor(rc/knots), without the first interval, which it refuses."""
    species = range(len(family))
    bins = np.array([[int(f.cutoff / knots) - 1 for f in row] for row in family], dtype=np.int32)
    spacing = np.array([[f.cutoff for f in row] for row in family]) / (bins + 1)
    out = np.zeros((len(species), len(species), bins.max(), 6, functions[0][0].count))
    for a in species:
        for b in species:
            grid = Knots(spacing[a, b], spacing[a, b], int(bins[a, b]))
            out[a, b, : grid.bins] = cubic(functions[a][b].evaluate, grid)
    return RadialTable(spacing, spacing, bins, out, zero_inside=np.zeros_like(bins), error=np.nan)


def _grid(functions: RadialFunctions, spacing: float) -> Knots:
    begin = functions.inner if functions.zero_inside else BEGIN
    if not functions.cutoff > begin + SPACINGS[0]:
        raise InputError(
            f"radial functions: expected a cut-off above {begin + SPACINGS[0]:.4g} Å, where the "
            f"first interval of their tables ends, got {functions.cutoff:.4g} Å"
        )
    return equidistant(begin, functions.cutoff, spacing, functions.breaks)
