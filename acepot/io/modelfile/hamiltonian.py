"""Hamiltonians in model files: models of sites and of bonds, each with its arrays, in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from acepot.basis.species import atomic_number
from acepot.errors import ModelFileError
from acepot.io.modelfile import energy, tensor
from acepot.io.modelfile.container import Arrays, Header, table
from acepot.model import BondModel, HamiltonianModel, Model, TensorModel
from acepot.orbitals import Filling, Orbitals
from acepot.schema import Settings, from_mapping, to_mapping

#: Version of the file since which Hamiltonians are understood.
_HAMILTONIANS = 6
UNITS = tensor.UNITS
#: Where the onsite part of S stands, by element.
_OWN = "onsite_overlap_"


@dataclass(frozen=True)
class _Part:
    """How a model inside a Hamiltonian is kept."""

    encode: Callable[[Any], tuple[Header, Arrays]]
    decode: Callable[[Header, Arrays, str], Model | TensorModel | BondModel]
    arrays: Callable[[Mapping[str, Any], str], tuple[str, ...]]


_PARTS = {
    "onsite": _Part(tensor.encode, tensor.decode, tensor.arrays),
    "hopping": _Part(tensor.encode_bonds, tensor.decode_bonds, tensor.arrays),
    "overlap": _Part(tensor.encode_bonds, tensor.decode_bonds, tensor.arrays),
    "repulsion": _Part(energy.encode, energy.decode, energy.arrays),
}


@dataclass(frozen=True)
class _Told(Settings):
    """What a header says of orbitals and their electrons."""

    shells: dict[str, str]
    electrons: dict[str, float]
    filling: Filling


def arrays(header: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The names of the arrays that a file with this header may have."""
    found = [f"{_OWN}{symbol}" for symbol in _told(header, name).shells]
    for part in _there(header):
        own = _PARTS[part].arrays(table(header, part, name), name)
        found += [f"{part}_{one}" for one in own]
    return tuple(found)


def encode(model: HamiltonianModel) -> tuple[Header, Arrays]:
    """The header and the arrays of a Hamiltonian.

    Raises:
        InputError: the model has what this format has no place for.
    """
    told = _Told(dict(model.orbitals.shells), dict(model.electrons), model.filling)
    header: Header = {
        "version": _HAMILTONIANS,
        "orbitals": to_mapping(told),
        "provenance": dict(model.provenance),
    }
    found: Arrays = {f"{_OWN}{symbol}": s for symbol, s in model.onsite_overlap.items()}
    for part in _PARTS:
        if (one := getattr(model, part)) is not None:
            described, own = _PARTS[part].encode(one)
            header[part] = described
            found |= {f"{part}_{key}": array for key, array in own.items()}
    return header, found


def decode(header: Header, arrays: Arrays, name: str) -> HamiltonianModel:
    """The Hamiltonian again.

    Args:
        header: as `encode` makes it.
        arrays: by name.
        name: how errors begin.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    told = _told(header, name)
    orbitals = Orbitals(told.shells)
    for part in ("onsite", "hopping"):
        if part not in header:
            raise ModelFileError(f"{name}: it has no {part} part")
    models: dict[str, Any] = {}
    for part in _there(header):
        own = {
            key.removeprefix(f"{part}_"): array
            for key, array in arrays.items()
            if key.startswith(f"{part}_")
        }
        models[part] = _PARTS[part].decode(table(header, part, name), own, f"{name}: {part}")
    overlap = {}
    for symbol in orbitals.shells:
        array = arrays.get(f"{_OWN}{symbol}")
        size = orbitals.count(atomic_number(symbol))
        if array is None or array.shape != (size, size):
            raise ModelFileError(f"{name}: the overlap of {symbol} with itself is misshapen")
        overlap[symbol] = np.array(array, dtype=float)
    return HamiltonianModel(
        orbitals, models["onsite"], models["hopping"], models.get("overlap"), overlap,
        told.electrons, told.filling, models.get("repulsion"),
        table(header, "provenance", name),
    )  # fmt: skip


def _there(header: Mapping[str, Any]) -> list[str]:
    return [part for part in _PARTS if part in header]


def _told(header: Mapping[str, Any], name: str) -> _Told:
    return from_mapping(_Told, table(header, "orbitals", name), name)
