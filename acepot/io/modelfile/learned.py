"""Bases of learned radial functions in model files: a specification and an array of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from acepot.basis.family import stays_finite
from acepot.basis.learned import LearnedBasis
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile.container import Arrays, Check

#: The arrays of such a basis.
ARRAYS = ("radial_weights",)
#: Most functions that are combined.
MOST = 200


def encode(basis: LearnedBasis, settings: dict[str, Any]) -> tuple[dict[str, Any], Arrays]:
    """The table that stands for it, and its weights.

    Args:
        basis: to write.
        settings: the table of its specification.
    """
    return {"specification": settings, "by_l": basis.by_l}, {ARRAYS[0]: basis.weights}


def decode(spec: Any, table: dict[str, Any], arrays: Arrays, name: str, check: Check) -> Any:
    """The basis again.

    Args:
        spec: its specification, whose functions have been counted.
        table: as `encode` makes it.
        arrays: with the weights.
        name: how errors begin.
        check: of the basis.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    weights, by_l = arrays.get(ARRAYS[0]), table.get("by_l")
    if weights is None or not isinstance(by_l, bool):
        raise ModelFileError(f"{name}: its learned radial functions are incomplete")
    if weights.ndim != 4 or not 1 <= weights.shape[3] <= MOST or weights.dtype != np.float64:
        raise ModelFileError(
            f"{name}: the array {ARRAYS[0]}: expected shape (elements, elements, channels, "
            f"functions) with at most {MOST} functions, got {weights.shape}"
        )
    try:
        basis = LearnedBasis(spec, weights, by_l)
    except InputError as error:
        raise ModelFileError(f"{name}: {error}") from None
    if not all(stays_finite(f) for row in basis.radial_functions(0) for f in row):
        raise ModelFileError(f"{name}: expected finite radial functions, got infinite ones")
    check(basis)
    return basis
