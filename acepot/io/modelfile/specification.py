"""Basis specifications in model files: every setting with its value, no defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from acepot.basis.selection import basis_size
from acepot.basis.spec import MAX_DEGREE, MAX_L, BasisSpec, resolve
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile.radial import MAX_POWER, Mixing
from acepot.schema import from_mapping, to_mapping


def encode(spec: BasisSpec, mixing: Mixing) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The table that stands for a resolved specification, which needs no arrays.

    Raises:
        InputError: it is not resolved or of no sane size.
    """
    return to_mapping(_complete(spec)), {}


def decode(
    table: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    functions: int,
    mixing: Mixing,
    name: str,
) -> BasisSpec:
    """The specification, refused before it could cost more than its coefficients justify.

    Args:
        table: as `encode` makes it.
        arrays: of the file; none is used.
        functions: number of coefficients there are.
        mixing: not used.
        name: how errors begin.

    Raises:
        ModelFileError: it is no specification of so many functions.
    """
    elements = table.get("elements")
    if not isinstance(elements, list) or len(elements) >= len(SYMBOLS):
        raise ModelFileError(f"{name}: its basis specification has no list of elements")
    spec = _complete(from_mapping(BasisSpec, table))
    size = basis_size(spec, limit=functions)["total"]
    if size != functions:
        raise ModelFileError(
            f"{name}: its basis has {size} functions but there are {functions} coefficients"
        )
    return spec


def _complete(spec: BasisSpec) -> BasisSpec:
    """A specification that can be kept: every number is there, of its type and of a sane size.

    Raises:
        InputError: it is not resolved, is no energy's, or could cost more to count its functions
            than they are worth.
    """
    if resolve(spec) != spec:
        raise InputError("model.basis: expected a resolved specification; use basis.spec.resolve")
    if spec.total_l != 0 or spec.parity != 1:
        raise InputError("model.basis: model files hold energies: total_l = 0 and parity = 1")
    if isinstance(spec.max_l, tuple) and max(spec.max_l) > MAX_L:
        raise InputError(f"model.basis: expected max_l up to {MAX_L}, got {spec.max_l}")
    for function in spec.functions:
        if max((*function.l, 0)) > MAX_L or max((*function.n, 0)) > MAX_DEGREE:
            raise InputError(
                f"model.basis: expected functions with l up to {MAX_L} and n up to {MAX_DEGREE}, "
                f"got {function}"
            )
    for radial in (spec.radial, spec.pair.radial):
        if max(radial.envelope.inner, radial.envelope.outer) > MAX_POWER:
            raise InputError(
                f"model.basis: expected powers of the envelope up to {MAX_POWER}, "
                f"got {radial.envelope}"
            )
    return from_mapping(BasisSpec, to_mapping(spec))  # 1 and 1.0 are one number and one file
