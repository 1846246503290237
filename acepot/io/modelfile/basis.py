"""Bases in model files: one row for each kind, which gives its table and its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from acepot.basis.explicit import ExplicitBasis
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile import explicit, specification
from acepot.io.modelfile.container import table
from acepot.io.modelfile.radial import Mixing


@dataclass(frozen=True)
class BasisKind:
    """How one kind of basis is kept.

    Args:
        basis: its class.
        version: oldest version of the file whose readers understand it.
        encode: of a basis, with the matrices of its radial functions to be put into Mixing: its
            table in the header and its arrays.
        decode: table, arrays of the file, number of coefficients, Mixing, and how errors begin:
            the basis.
        arrays: names of its arrays.
    """

    basis: type
    version: int
    encode: Callable[[Any, Mixing], tuple[dict[str, Any], dict[str, NDArray[Any]]]]
    decode: Callable[[dict[str, Any], Mapping[str, NDArray[Any]], int, Mixing, str], Any]
    arrays: tuple[str, ...] = ()


#: Every kind by its name in files.
KINDS = {
    "specification": BasisKind(BasisSpec, 1, specification.encode, specification.decode),
    "explicit": BasisKind(ExplicitBasis, 2, explicit.encode, explicit.decode, explicit.ARRAYS),
}


def encode(basis: Any, mixing: Mixing) -> tuple[int, dict[str, Any], dict[str, NDArray[Any]]]:
    """The version of the file that a basis needs, its table `{kind: …}` and its arrays.

    Raises:
        InputError: no kind of basis that files hold.
    """
    for name, kind in KINDS.items():
        if isinstance(basis, kind.basis):
            described, arrays = kind.encode(basis, mixing)
            return kind.version, {name: described}, arrays
    raise InputError(f"model.basis: {type(basis).__name__} cannot be saved in a model file")


def arrays_of(header: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The names of the arrays that the basis of a header may have."""
    return KINDS[_kind(header, name)].arrays


def decode(
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    functions: int,
    mixing: Mixing,
    name: str,
) -> Any:
    """The basis of a header.

    Args:
        header: its key `basis` is read.
        arrays: of the file.
        functions: number of coefficients there are.
        mixing: gives the matrices of mixed families.
        name: how errors begin.

    Raises:
        ModelFileError: no known kind of basis, or contents that do not fit together.
    """
    kind = _kind(header, name)
    described = table(header["basis"], kind, name)
    return KINDS[kind].decode(described, arrays, functions, mixing, name)


def _kind(header: Mapping[str, Any], name: str) -> str:
    found = [kind for kind in table(header, "basis", name) if kind in KINDS]
    if len(found) != 1:
        raise ModelFileError(f"{name}: expected a basis of one kind: {' or '.join(KINDS)}")
    return found[0]
