"""The `.acepot` model file: an uncompressed zip of a JSON header and plain arrays.

Nothing in it is executed, and memory is bounded by a multiple of the file's length. The same model
always gives the same bytes. docs/file_format.md describes it for other programs.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from acepot.basis.cache import RULES
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.irrep import SCALAR
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec, resolve
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.io.explicitfile import (
    EXPLICIT_ARRAYS,
    explicit_arrays,
    explicit_from,
    explicit_header,
)
from acepot.io.files import replaced
from acepot.io.nonlinearfile import nonlinear_from, nonlinear_header
from acepot.io.radialfile import Mixing
from acepot.model import Model
from acepot.schema import from_mapping, to_mapping

#: Raised when a reader of an older version could not understand the file.
VERSION = 2
#: Bytes a header may have: a basis given as a long list of functions stays far below.
MAX_HEADER = 32 * 2**20
#: The arrays a file may have, besides those of an explicit basis.
_ARRAYS = ("coefficients", "e0", "committee", "mixing")
#: What a file says about its numbers.
UNITS = {"length": "angstrom", "energy": "eV"}
CONVENTIONS = {
    "energy": "E = sum_i (e0 + sum_k c_k B_k)",
    "harmonics": "complex, Condon-Shortley, orthonormal on the sphere; lm = l*l + l + m",
    "normalisation": "orthonormal couplings times sqrt(|Stab|)",
    "virial": "W = -dE/d(strain) = -sum_ij r_ij (x) dE_i/dr_ij",
}
_STAMP = (1980, 1, 1, 0, 0, 0)
_DTYPES: dict[str, np.dtype[Any]] = {"<f8": np.dtype("<f8"), "<i4": np.dtype("<i4")}


def save(model: Model, path: str | Path | BinaryIO) -> None:
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


def model_bytes(model: Model) -> bytes:
    """The bytes of a model file; equal models give equal bytes.

    Raises:
        InputError: the model has what this format has no place for.
    """
    arrays: dict[str, NDArray[Any]] = {
        "coefficients": np.asarray(model.coefficients, dtype="<f8"),
        "e0": np.asarray(model.e0, dtype="<f8"),
    }
    if model.committee is not None:
        arrays["committee"] = np.asarray(model.committee, dtype="<f8")
    mixing = Mixing()
    if isinstance(model.basis, ExplicitBasis):
        basis: dict[str, Any] = {"explicit": explicit_header(model.basis, mixing)}
        arrays |= explicit_arrays(model.basis)
    else:
        basis = {"specification": to_mapping(_complete(model.basis))}
    more: dict[str, Any] = {}
    if model.nonlinear is not None:
        more["nonlinear"] = nonlinear_header(model.nonlinear, mixing)
    if mixing.array is not None:
        arrays["mixing"] = np.asarray(mixing.array, dtype="<f8")
    header = more | {
        "format": "acepot",
        # The oldest version whose readers understand the file.
        "version": VERSION if more or "explicit" in basis else 1,
        "rules": RULES,
        "units": UNITS,
        "conventions": CONVENTIONS,
        "basis": basis,
        "provenance": dict(model.provenance),
        "arrays": {
            name: {
                "dtype": array.dtype.str,
                "shape": list(array.shape),
                "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
            }
            for name, array in arrays.items()
        },
    }
    try:
        text = json.dumps(header, indent=1, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"model.provenance: expected what JSON can hold: {error}") from None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("header.json", _STAMP), text.encode())
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.bin", _STAMP), array.tobytes())
    return out.getvalue()


def load(source: str | Path | bytes) -> Model:
    """Read a model file, trusting nothing in it.

    Args:
        source: path of the file, or its bytes.

    Raises:
        ModelFileError: not a model file, damaged, from a newer version, or with contents that
            do not fit together; the message says which.
        InputError: the file cannot be opened.
    """
    name = "model" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, name)
    except ModelFileError:
        raise
    except InputError as error:
        raise ModelFileError(f"{name}: {error}") from error
    except (
        zipfile.BadZipFile,
        EOFError,
        struct.error,
        NotImplementedError,
        RuntimeError,
        OSError,
        OverflowError,
        UnicodeDecodeError,
        ValueError,
        KeyError,
    ) as error:
        raise ModelFileError(
            f"{name}: damaged or not an acepot model file ({error}); copy it again from its source"
        ) from error


def _read(archive: zipfile.ZipFile, name: str) -> Model:
    header = _header(_member(archive, "header.json", MAX_HEADER), name)
    entries, basis = _table(header, "arrays", name), _table(header, "basis", name)
    allowed = _ARRAYS + (EXPLICIT_ARRAYS if "explicit" in basis else ())
    members = archive.namelist()
    if not set(entries) <= set(allowed) or sorted(members) != sorted(
        ["header.json", *(f"{key}.bin" for key in entries)]
    ):
        raise ModelFileError(f"{name}: its members are not those of a model file")
    arrays = {key: _array(archive, key, entry, name) for key, entry in entries.items()}
    dimensions = {"coefficients": 2 if "nonlinear" in header else 1, "e0": 1}
    for key, expected in dimensions.items():
        if key not in arrays or arrays[key].ndim != expected or arrays[key].size == 0:
            raise ModelFileError(f"{name}: the array {key} is missing or has a wrong shape")
    mixing = Mixing(arrays.get("mixing"))
    if "explicit" in basis:
        decoded: BasisSpec | ExplicitBasis = explicit_from(basis["explicit"], arrays, mixing, name)
    else:
        decoded = _specification(basis, len(arrays["coefficients"]), name)
    nonlinear = None
    if "nonlinear" in header:
        nonlinear = nonlinear_from(header["nonlinear"], len(decoded.numbers), mixing)
    if mixing.left:
        raise ModelFileError(f"{name}: the array mixing has {mixing.left} numbers too many")
    return Model(
        decoded,
        arrays["coefficients"],
        arrays["e0"],
        arrays.get("committee"),
        _table(header, "provenance", name),
        nonlinear,
    )


def _header(raw: bytes, name: str) -> dict[str, Any]:
    header = json.loads(raw, parse_constant=_finite, parse_float=_finite)
    if not isinstance(header, dict) or header.get("format") != "acepot":
        raise ModelFileError(f"{name}: not an acepot model file (its header does not say so)")
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
    if header.get("units") != UNITS:
        raise ModelFileError(f"{name}: expected the units {UNITS}, got {header.get('units')}")
    return header


def _finite(text: str) -> float:
    """A number of the header; NaN and infinities are no JSON, though Python reads them."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the header holds the number {text[:20]}")
    return number


def _table(header: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    value = header.get(key)
    if not isinstance(value, dict):
        raise ModelFileError(f"{name}: the header has no table {key!r}")
    return value


def _member(archive: zipfile.ZipFile, member: str, limit: int) -> bytes:
    """The bytes of a member that is stored as it is, so no longer than the file."""
    info = archive.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ModelFileError(f"{member}: expected an uncompressed member")
    if info.file_size > limit:
        raise ModelFileError(f"{member}: {info.file_size} bytes, more than the limit of {limit}")
    return archive.read(info)


def _array(archive: zipfile.ZipFile, key: str, entry: Any, name: str) -> NDArray[Any]:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    dtype = _DTYPES.get(str(entry.get("dtype"))) if isinstance(entry, dict) else None
    if (
        dtype is None
        or not isinstance(shape, list)
        or not 1 <= len(shape) <= 4
        or not all(type(n) is int and 0 <= n < 2**40 for n in shape)
    ):
        raise ModelFileError(f"{name}: the array {key} is described wrongly in the header")
    size = math.prod(shape) * dtype.itemsize
    raw = _member(archive, f"{key}.bin", size)
    if len(raw) != size or hashlib.sha256(raw).hexdigest() != entry.get("sha256"):
        raise ModelFileError(f"{name}: the array {key} is damaged (its digest does not match)")
    array = np.frombuffer(raw, dtype=dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(f"{name}: the array {key} holds numbers that are not finite")
    return np.asarray(array, dtype=float if dtype.kind == "f" else np.int64)


def _specification(basis: Mapping[str, Any], functions: int, name: str) -> BasisSpec:
    """The specification, refused before it could cost more than its coefficients justify."""
    table = _table(basis, "specification", name)
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
    if spec.symmetries != (SCALAR,) or spec.constant:
        raise InputError("model.basis: energies are true scalars: total_l = 0 and parity = 1")
    return spec
