"""Models of friction in model files: couplings, each with its outputs of bonds and of sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from acepot.errors import ModelFileError
from acepot.io.modelfile import tensor
from acepot.io.modelfile.container import Arrays, Header, table
from acepot.model import FrictionModel, FrictionPart
from acepot.schema import Settings, from_mapping, to_mapping

#: Version of the file since which friction is understood.
_FRICTION = 6
#: What a file says about its numbers.
UNITS = {"length": "angstrom", "friction": "amu/fs"}
CONVENTIONS = {
    "friction": "Gamma = sum over couplings of Sigma Sigma^T; M u'' = F - Gamma u' + noise",
    "blocks": "columns x y z of 1o; of 0e 1e 2e matrices sum_L T^{11L} h^L",
}
#: Couplings a file may have.
_MOST = 16
_OUTPUTS = ("bonds", "sites")


@dataclass(frozen=True)
class Coupling(Settings):
    """What a header says of a coupling beside its outputs (see `FrictionPart`)."""

    coupling: Literal["on-site", "column-wise", "pair-wise"]
    momentum: Literal["conserved", "free"]
    acts_on: tuple[str, ...]


def encode(model: FrictionModel) -> tuple[Header, Arrays]:
    """The header and the arrays of a model.

    Raises:
        InputError: the model has what this format has no place for.
    """
    header: Header = {
        "version": _FRICTION, "conventions": CONVENTIONS, "provenance": dict(model.provenance),
    }  # fmt: skip
    arrays: Arrays = {}
    parts = []
    for number, part in enumerate(model.parts):
        told: dict[str, Any] = to_mapping(Coupling(part.coupling, part.momentum, part.acts_on))
        for kind in _OUTPUTS:
            outputs = part.bonds if kind == "bonds" else part.sites
            if outputs is None:
                continue
            code: Any = tensor.encode_bonds if kind == "bonds" else tensor.encode
            inner, found = code(outputs)
            told[kind] = {key: inner[key] for key in inner if key != "conventions"}
            arrays |= {f"{_prefix(number, kind)}{name}": a for name, a in found.items()}
            header["version"] = max(header["version"], inner["version"])
        parts.append(told)
    return header | {"couplings": parts}, arrays


def arrays(header: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The names of the arrays that a file with this header may have."""
    found: list[str] = []
    for number, told in enumerate(_couplings(header, name)):
        for kind in _OUTPUTS:
            if kind in told:
                inner = tensor.arrays(table(told, kind, name), name)
                found += [f"{_prefix(number, kind)}{one}" for one in inner]
    return tuple(found)


def decode(header: Header, arrays: Arrays, name: str) -> FrictionModel:
    """The model again.

    Args:
        header: as `encode` makes it.
        arrays: by name.
        name: how errors begin.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    parts = []
    for number, told in enumerate(_couplings(header, name)):
        plain = {key: value for key, value in told.items() if key not in _OUTPUTS}
        found = from_mapping(Coupling, plain, name)
        outputs: dict[str, Any] = {}
        for kind in _OUTPUTS:
            if kind not in told:
                continue
            prefix = _prefix(number, kind)
            own = {k[len(prefix) :]: a for k, a in arrays.items() if k.startswith(prefix)}
            code: Any = tensor.decode_bonds if kind == "bonds" else tensor.decode
            outputs[kind] = code(table(told, kind, name), own, name)
        part = FrictionPart(found.coupling, found.momentum, found.acts_on, **outputs)
        parts.append(part)
    return FrictionModel(tuple(parts), table(header, "provenance", name))


def _prefix(number: int, kind: str) -> str:
    return f"{number}_{kind}_"


def _couplings(header: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = header.get("couplings")
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST:
        raise ModelFileError(f"{name}: expected a list of 1 to {_MOST} couplings in the header")
    if not all(isinstance(told, dict) for told in found):
        raise ModelFileError(f"{name}: expected every coupling to be a table")
    return found
