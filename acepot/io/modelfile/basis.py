"""Bases in model files: a row in `KINDS` for each kind. Specifications are here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from acepot.basis.choices import resolve
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.learned import LearnedBasis
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile import explicit, learned
from acepot.io.modelfile.container import Arrays, Check, table
from acepot.io.modelfile.radial import Mixing
from acepot.schema import from_mapping, to_mapping

#: Version of the file since which degrees by element and bonds_once are understood, and since
#: which sums over neighbours of all elements are.
_LATER, _TOGETHER = 4, 5


@dataclass(frozen=True)
class BasisKind:
    """How one kind of basis is kept.

    Args:
        basis: its class.
        version: of the oldest files that had it.
        encode: basis and Mixing, which takes matrices: its table in the header and its arrays.
        decode: the table, all arrays, the number of coefficients, Mixing, which gives matrices,
            how errors begin, and a check as `decode` has it: the basis.
        arrays: the names of its arrays.
    """

    basis: type
    version: int
    encode: Callable[[Any, Mixing], tuple[dict[str, Any], Arrays]]
    decode: Callable[[dict[str, Any], Arrays, int, Mixing, str, Check], Any]
    arrays: tuple[str, ...] = ()


def encode(basis: Any, mixing: Mixing) -> tuple[int, dict[str, Any], Arrays]:
    """The version that a file with a basis needs, its table `{kind: …}` and its arrays.

    Raises:
        InputError: no basis that files hold.
    """
    for name, kind in KINDS.items():
        if isinstance(basis, kind.basis):
            described, arrays = kind.encode(basis, mixing)
            return _version(basis, kind.version), {name: described}, arrays
    raise InputError(f"model.basis: {type(basis).__name__} cannot be saved in a model file")


def _version(basis: Any, least: int) -> int:
    """That of the oldest readers that know all keys of a basis, and do not misread them."""
    if isinstance(basis, BasisSpec) and basis.together:
        return _TOGETHER
    if isinstance(basis, BasisSpec) and (basis.bonds_once or isinstance(basis.degree, dict)):
        return _LATER
    return least


def decode(
    header: Mapping[str, Any], arrays: Arrays, size: int, mixing: Mixing, name: str, check: Check
) -> Any:
    """The basis of a header.

    Args:
        header: its key `basis` is read.
        arrays: of the file.
        size: number of coefficients there are.
        mixing: gives the matrices of mixed families.
        name: how errors begin.
        check: refuses bases that the model cannot have, before their functions are counted.

    Raises:
        ModelFileError: no known kind of basis, or contents that do not fit together.
    """
    kind = _kind(header, name)
    return KINDS[kind].decode(table(header["basis"], kind, name), arrays, size, mixing, name, check)


def arrays_of(header: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The names of the arrays that the basis of a header may have."""
    return KINDS[_kind(header, name)].arrays


def _kind(header: Mapping[str, Any], name: str) -> str:
    found = [kind for kind in table(header, "basis", name) if kind in KINDS]
    if len(found) != 1:
        raise ModelFileError(f"{name}: expected a basis of one kind: {' or '.join(KINDS)}")
    return found[0]


# ---------------------------------------------------------------- specifications


def _encode(spec: BasisSpec, mixing: Mixing) -> tuple[dict[str, Any], Arrays]:
    return to_mapping(_complete(spec)), {}


def _decode(
    settings: dict[str, Any], arrays: Arrays, size: int, mixing: Mixing, name: str, check: Check
) -> BasisSpec:
    """The specification, refused before it could cost more than its coefficients justify."""
    spec = specification(settings, name)
    check(spec)
    if (found := basis_size(spec, limit=size)["total"]) != size:
        raise ModelFileError(
            f"{name}: its basis has {found} functions but there are {size} coefficients"
        )
    return spec


def _encode_learned(basis: LearnedBasis, mixing: Mixing) -> tuple[dict[str, Any], Arrays]:
    return learned.encode(basis, to_mapping(_complete(basis.spec)))


def _decode_learned(
    found: dict[str, Any], arrays: Arrays, size: int, mixing: Mixing, name: str, check: Check
) -> LearnedBasis:
    spec = _decode(table(found, "specification", name), arrays, size, mixing, name, check)
    basis: LearnedBasis = learned.decode(spec, found, arrays, name, check)
    return basis


def specification(settings: dict[str, Any], name: str) -> BasisSpec:
    """A specification from its table, with nothing left to defaults.

    Args:
        settings: the table.
        name: how errors begin.

    Raises:
        ModelFileError: no specification.
        InputError: one that cannot be.
    """
    elements = settings.get("elements")
    if not isinstance(elements, list) or len(elements) >= len(SYMBOLS):
        raise ModelFileError(f"{name}: its basis specification has no list of elements")
    return _complete(from_mapping(BasisSpec, settings))


def _complete(spec: BasisSpec) -> BasisSpec:
    """A specification that can be kept: nothing is left to defaults.

    Raises:
        InputError: it is not resolved.
    """
    if resolve(spec) != spec:
        raise InputError(
            "model.basis: expected a resolved specification; use basis.choices.resolve"
        )
    return spec


#: Every kind by its name in files.
KINDS = {
    "specification": BasisKind(BasisSpec, 1, _encode, _decode),
    "explicit": BasisKind(ExplicitBasis, 2, explicit.encode, explicit.decode, explicit.ARRAYS),
    "learned": BasisKind(LearnedBasis, 5, _encode_learned, _decode_learned, learned.ARRAYS),
}
