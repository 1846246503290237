"""Models of every kind to model files and back.

A new kind of model is a file beside this one with two functions, and a row in `KINDS`.
docs/file_format.md describes the format for other programs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from acepot.basis.cache import RULES
from acepot.errors import InputError, ModelFileError
from acepot.io.files import replaced
from acepot.io.modelfile import charges, energy, friction, hamiltonian, tensor
from acepot.io.modelfile.container import Arrays, Header, pack, unpack, untrusted
from acepot.model import (
    AnyModel,
    BondModel,
    ChargeModel,
    FrictionModel,
    HamiltonianModel,
    Model,
    TensorModel,
)

#: Raised when a reader of an older version could not understand the file.
VERSION = 7


@dataclass(frozen=True)
class ModelKind:
    """How one kind of model is kept.

    Args:
        model: its class.
        encode: model: its part of the header, with the `version` of the oldest readers that
            understand it, and its arrays.
        decode: header, arrays and how errors begin: the model; what it raises is reported as a
            damaged file.
        arrays: header and how errors begin: the names of the arrays that there may be.
        units: what files say about their numbers.
        keys: of its headers, beside those that all have.
    """

    model: type
    encode: Callable[[Any], tuple[Header, Arrays]]
    decode: Callable[[Header, Arrays, str], Any]
    arrays: Callable[[Header, str], tuple[str, ...]]
    units: dict[str, str]
    keys: tuple[str, ...]


#: Keys of every header.
_KEYS = {"format", "version", "rules", "kind", "units", "conventions", "provenance", "arrays"}
#: The kind of files that name none: they are older than the others.
_UNNAMED = "energy"
#: Every kind by its name in files.
KINDS = {
    _UNNAMED: ModelKind(
        Model, energy.encode, energy.decode, energy.arrays, energy.UNITS, ("basis", "nonlinear")
    ),
    "tensor": ModelKind(
        TensorModel,
        tensor.encode,
        tensor.decode,
        tensor.arrays,
        tensor.UNITS,
        ("basis", "read out"),
    ),
    "bond": ModelKind(
        BondModel,
        tensor.encode_bonds,
        tensor.decode_bonds,
        tensor.arrays,
        tensor.UNITS,
        ("basis", "read out", "bonds"),
    ),
    "hamiltonian": ModelKind(
        HamiltonianModel,
        hamiltonian.encode,
        hamiltonian.decode,
        hamiltonian.arrays,
        hamiltonian.UNITS,
        ("orbitals", "onsite", "hopping", "overlap", "repulsion"),
    ),
    "friction": ModelKind(
        FrictionModel,
        friction.encode,
        friction.decode,
        friction.arrays,
        friction.UNITS,
        ("couplings",),
    ),
    "charges": ModelKind(
        ChargeModel,
        charges.encode,
        charges.decode,
        charges.arrays,
        charges.UNITS,
        ("charges", "sites"),
    ),
}


def save(model: AnyModel, path: str | Path | BinaryIO) -> None:
    """Write a model file; an older file stays until the new one is complete.

    Args:
        model: what to save.
        path: usually ending in `.acepot`; or a binary file open for writing.

    Raises:
        InputError: the file cannot be written, or the provenance holds what JSON cannot.
    """
    data = model_bytes(model)
    if not isinstance(path, (str, os.PathLike)):
        path.write(data)
        return
    with replaced(path, "wb") as file:
        file.write(data)


def model_bytes(model: AnyModel) -> bytes:
    """The bytes of a model file; equal models give equal bytes.

    Raises:
        InputError: the model has what this format has no place for.
    """
    name = next((name for name, kind in KINDS.items() if isinstance(model, kind.model)), None)
    if name is None:
        raise InputError(f"model: expected a model, got {type(model).__name__}")
    header, arrays = KINDS[name].encode(model)
    header |= {"rules": RULES, "units": KINDS[name].units}
    return pack(header if name == _UNNAMED else {**header, "kind": name}, arrays)


def load(data: bytes, name: str = "model") -> AnyModel:
    """Read a model file, trusting nothing in it.

    Args:
        data: its bytes.
        name: how errors begin.

    Raises:
        ModelFileError: not a model file, damaged, from a newer version, or with contents that
            do not fit together; the message says which.
    """
    header, arrays = unpack(data, name, lambda header: _kind(header, name).arrays(header, name))
    with untrusted(name):
        model: AnyModel = _kind(header, name).decode(header, arrays, name)
    return model


def _kind(header: Header, name: str) -> ModelKind:
    """The kind of a file that this version can read."""
    version, rules = header.get("version"), header.get("rules")
    if type(version) is not int or type(rules) is not int:
        raise ModelFileError(f"{name}: the header has no version")
    if version > VERSION or rules > RULES:
        raise ModelFileError(
            f"{name}: written by a newer acepot (file version {version}.{rules}, this one reads "
            f"up to {VERSION}.{RULES}); upgrade with: pip install --upgrade acepot"
        )
    if version < 1 or rules < 1:
        raise ModelFileError(f"{name}: unknown file version {version}.{rules}")
    kind = KINDS.get(str(header.get("kind", _UNNAMED)))
    if kind is None:
        raise ModelFileError(f"{name}: expected a model of a known kind ({', '.join(KINDS)})")
    if header.get("units") != kind.units:
        raise ModelFileError(f"{name}: expected the units {kind.units}, got {header.get('units')}")
    if unknown := set(header) - _KEYS - set(kind.keys):
        raise ModelFileError(f"{name}: the header has a key {min(unknown)!r}, which is not known")
    return kind
