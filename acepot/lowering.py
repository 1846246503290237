"""lower(model) -> Tables: the only way from a model to an evaluator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.basis import Basis, Progress
from acepot.basis.embedding import Nonlinear
from acepot.basis.expansion import Expansion
from acepot.basis.irrep import SCALAR
from acepot.basis.radial import ProductRadial
from acepot.budget import allowed
from acepot.errors import InputError
from acepot.model import Model, TensorModel
from acepot.tables import Embeddings, Floats, Products, Tables
from acepot.tabulation import TOLERANCE, radial_table

#: Bytes that tables may take: so many, and so many for every basis function. A small file of a
#: hundred elements could ask for a hundred times more.
_BYTES, _BYTES_EACH = 1e8, 5e3


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
        knots = _knots(model.basis, own_knots)
        core = radial_table(family, family, tolerance, knots, own_knots, _limit(tables.functions))
        cutoff = np.maximum(cutoff, core.end)
    return replace(tables, cutoff=cutoff, embeddings=_embeddings(model.nonlinear), core=core)


def _lower_basis(basis: Basis, parts: Expansion, tolerance: float, own_knots: bool) -> Tables:
    many = tuple(c for c in parts.channels if c[0] > 0)
    pairs = tuple(c for c in parts.channels if c[0] < 0)
    bodies = basis.radial_functions(max((max(c) for c in many), default=1))
    pair = basis.pair_functions() if pairs else None
    knots = _knots(basis, own_knots)
    members = tuple(tuple(n - 1 for n in channel) for channel in many)
    radial = []
    for family, functions in (
        (bodies, [[ProductRadial(f, members) for f in row] for row in bodies] if many else None),
        (pair, pair),
    ):
        if family is not None and functions is not None:
            limit = _limit(parts.size)
            radial.append(radial_table(family, functions, tolerance, knots, own_knots, limit))
    none = np.zeros((len(basis.numbers),) * 2)  # where there is nothing but constants
    width = 2 * parts.block_l + 1
    m = [np.arange(-l, l + 1) for l in parts.block_l]  # noqa: E741
    return Tables(
        numbers=np.array(basis.numbers, dtype=np.int32),
        cutoff=np.max([none, *(t.end for t in radial)], axis=0),
        radial=tuple(radial),
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
    return allowed(_BYTES + _BYTES_EACH * functions)


def _knots(basis: Basis, wanted: bool) -> float | None:
    """Distance of the knots that the program of a file interpolates between, in Å."""
    if wanted and basis.knots is None:
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
