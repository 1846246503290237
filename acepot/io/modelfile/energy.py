"""Energy models in model files: coefficients, isolated atoms, committee, embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.basis import Basis
from acepot.basis.irrep import SCALAR
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile import basis
from acepot.io.modelfile.container import Arrays, Header, table
from acepot.io.modelfile.nonlinear import nonlinear_from, nonlinear_header
from acepot.io.modelfile.radial import Mixing
from acepot.model import Model

#: Version of the file since which embeddings are understood.
_EMBEDDINGS = 2
#: What a file says about its numbers.
UNITS = {"length": "angstrom", "energy": "eV"}
CONVENTIONS = {
    "energy": "E = sum_i (e0 + sum_k c_k B_k)",
    "harmonics": "complex, Condon-Shortley, orthonormal on the sphere; lm = l*l + l + m",
    "normalisation": "orthonormal couplings times sqrt(|Stab|)",
    "virial": "W = -dE/d(strain) = -sum_ij r_ij (x) dE_i/dr_ij",
}


def arrays(header: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The names of the arrays that a file with this header may have."""
    return "coefficients", "e0", "committee", "mixing", *basis.arrays_of(header, name)


def encode(model: Model) -> tuple[Header, Arrays]:
    """The header and the arrays of a model.

    Raises:
        InputError: the model has what this format has no place for.
    """
    c = model.coefficients[0]  # [output, k]; files have functions first
    found: Arrays = {"coefficients": c[0] if model.nonlinear is None else c.T, "e0": model.e0}
    if model.committee is not None:
        found["committee"] = model.committee
    _check(model.basis)
    mixing = Mixing()
    version, described, more = basis.encode(model.basis, mixing)
    header: Header = {
        "version": version,
        "conventions": CONVENTIONS,
        "basis": described,
        "provenance": dict(model.provenance),
    }
    if model.nonlinear is not None:
        header["nonlinear"] = nonlinear_header(model.nonlinear, mixing)
        header["version"] = max(version, _EMBEDDINGS)
    found |= more
    if mixing.array is not None:
        found["mixing"] = mixing.array
    return header, found


def decode(header: Header, arrays: Arrays, name: str) -> Model:
    """The model again.

    Args:
        header: as `encode` makes it.
        arrays: by name.
        name: how errors begin.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    dimensions = {"coefficients": 2 if "nonlinear" in header else 1, "e0": 1}
    for key, expected in dimensions.items():
        if key not in arrays or arrays[key].ndim != expected or arrays[key].size == 0:
            raise ModelFileError(f"{name}: the array {key} is missing or has a wrong shape")
    mixing = Mixing(arrays.get("mixing"))
    found = basis.decode(header, arrays, len(arrays["coefficients"]), mixing, name, _check)
    nonlinear = None
    if "nonlinear" in header:
        nonlinear = nonlinear_from(header["nonlinear"], len(found.numbers), mixing)
    if mixing.left:
        raise ModelFileError(f"{name}: the array mixing has {mixing.left} numbers too many")
    return Model(
        found,
        _members(arrays, name),
        arrays["e0"],
        provenance=table(header, "provenance", name),
        nonlinear=nonlinear,
    )


def _members(arrays: Arrays, name: str) -> NDArray[np.float64]:
    """Coefficients and committee as [member, output, k]."""
    c = np.atleast_2d(arrays["coefficients"].T)[None]
    committee = arrays.get("committee")
    if committee is None:
        return c
    expected = c.shape[1:]
    if committee.ndim != 2 or (1, committee.shape[1]) != expected:
        raise ModelFileError(
            f"{name}: the array committee: expected shape (members, functions) of a linear model "
            f"with {c.shape[2]} functions, got {committee.shape}"
        )
    return np.concatenate((c, committee[:, None]))


def _check(found: Basis) -> None:
    """Refuse a basis that is no energy's."""
    if found.symmetries != (SCALAR,) or found.constant:
        raise InputError("model.basis: energies are true scalars: total_l = 0 and parity = 1")
