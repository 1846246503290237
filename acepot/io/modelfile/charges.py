"""Models with charges in model files: outputs of sites, and what their charges are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from acepot.errors import InputError
from acepot.io.modelfile import tensor
from acepot.io.modelfile.container import Arrays, Header, table
from acepot.model import ChargeModel
from acepot.schema import Settings, from_mapping, to_mapping

#: Version of the file since which charges are understood.
_CHARGES = 7
#: What a file says about its numbers.
UNITS = {"length": "angstrom", "energy": "eV", "charge": "e"}
CONVENTIONS = {
    "energy": "E = sum_i eps_i + chi.q + q.(A + J).q/2 at its minimum; latent: q.A.q/2 of outputs "
    "shifted alike to the total charge",
    "interaction": "A_ij = k_e erf(r/sqrt(2 s_i^2 + 2 s_j^2))/r, A_ii = k_e/(s_i sqrt(pi)); of a "
    "cell that repeats the sum over its images in a neutralising background, tin-foil",
}


@dataclass(frozen=True)
class ChargeTable(Settings):
    """What a header says of the charges: their kind, s in Å and J in eV/e² of each element."""

    kind: Literal["equilibrated", "latent"]
    widths: tuple[float, ...]
    hardness: tuple[float, ...]


def encode(model: ChargeModel) -> tuple[Header, Arrays]:
    """The header and the arrays of a model.

    Raises:
        InputError: the model has what this format has no place for.
    """
    inner, arrays = tensor.encode(model.sites)
    told = ChargeTable(model.kind, tuple(model.widths.tolist()), tuple(model.hardness.tolist()))
    header: Header = {
        "version": max(_CHARGES, inner["version"]),
        "conventions": CONVENTIONS,
        "charges": to_mapping(told),
        "sites": {key: inner[key] for key in inner if key != "conventions"},
        "provenance": dict(model.provenance),
    }
    return header, arrays


def arrays(header: Mapping[str, object], name: str) -> tuple[str, ...]:
    """The names of the arrays that a file with this header may have."""
    return tensor.arrays(table(header, "sites", name), name)


def decode(header: Header, arrays: Arrays, name: str) -> ChargeModel:
    """The model again.

    Args:
        header: as `encode` makes it.
        arrays: by name.
        name: how errors begin.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    told = from_mapping(ChargeTable, table(header, "charges", name), name)
    sites = tensor.decode(table(header, "sites", name), arrays, name)
    try:
        return ChargeModel(
            sites, told.kind, np.array(told.widths), np.array(told.hardness),
            table(header, "provenance", name),
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
