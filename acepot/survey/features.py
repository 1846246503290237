"""Rows that say what a structure adds to a fit: basis functions of all its atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import Pair, resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import require
from acepot.lowering import lower
from acepot.run.progress import Progress
from acepot.structure import Structure

__all__ = ["Features", "features"]

Singles = NDArray[np.float32]
#: Orders and degrees that are tried, the largest first.
_BASES = ((3, 10.0), (3, 9.0), (3, 8.0), (3, 7.0), (3, 6.0), (2, 6.0), (2, 5.0), (2, 4.0), (1, 4.0))
#: Functions at most, and bytes that all rows together take at most.
_FUNCTIONS, _BYTES = 400, 1_000_000_000
#: Structures evaluated at once.
_AT_ONCE = 64
#: Functions whose mean size is below this part of the largest are none.
_NOTHING = 1e-8


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of structures, one for every atom: its basis functions, in units of their mean size.

    A function is that of a central atom of one element, and 0 for atoms of others.

    Args:
        basis: the resolved basis.
        rows: of each structure, shape (n, K) each, in single precision.
        scale: mean sizes of the functions, by which they were divided, shape (K,).
    """

    basis: BasisSpec
    rows: list[Singles]
    scale: NDArray[np.float64]


def features(
    structures: Sequence[Structure],
    symbols: Sequence[str],
    *,
    functions: int = _FUNCTIONS,
    threads: int = 1,
    watched: bool = False,
) -> Features:
    """Evaluate the largest default basis whose rows fit into the memory.

    Args:
        structures: atoms and cells.
        symbols: elements of all of them.
        functions: as many at most.
        threads: structures handled at once.
        watched: show how far it is, where that takes more than a second.

    Raises:
        InputError: atoms that coincide, or so many atoms that the rows of no basis fit.
    """
    atoms = sum(map(len, structures))
    basis = _largest(symbols, min(functions, _BYTES // (4 * atoms)))
    if basis is None:
        raise InputError(
            f"structures: expected fewer than {_BYTES // 4 // len(symbols) ** 2 // 20} atoms of "
            f"{len(symbols)} elements, whose rows take {_BYTES // 10**9} GB, got {atoms}"
        )
    evaluator = NativeEvaluator(lower(basis), threads=threads)
    progress = Progress("basis functions", len(structures)) if watched else None
    rows: list[Singles] = []
    sizes = np.zeros(basis_size(basis)["total"])
    for begin in range(0, len(structures), _AT_ONCE):
        for sites in require(evaluator.values(structures[begin : begin + _AT_ONCE])):
            values = sites.values[0][..., 0]
            sizes += np.abs(values).sum(axis=0)
            rows.append(values.astype(np.float32))
        if progress is not None:
            progress.update(len(rows))
    kept = sizes > _NOTHING * sizes.max(initial=1e-300)
    scale = sizes[kept] / atoms
    return Features(basis, [row[:, kept] / scale.astype(np.float32) for row in rows], scale)


def _largest(symbols: Sequence[str], most: int) -> BasisSpec | None:
    """The largest of the bases that are tried with so many functions at most."""
    for order, degree in _BASES:
        pair = Pair(degree=int(degree))
        spec = resolve(BasisSpec(tuple(symbols), order=order, degree=degree, pair=pair))
        if basis_size(spec)["total"] <= most:
            return spec
    return None
