"""The container of model files: an uncompressed zip of a JSON header and plain arrays.

Nothing in it is executed, and memory is bounded by a multiple of the file's length. The same
content always gives the same bytes. What the header and the arrays mean is not known here.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError, ModelFileError

Header = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
#: Raises if something is not what it may be.
Check = Callable[[Any], None]

#: Bytes a header may have: a basis given as a long list of functions stays far below.
MAX_HEADER = 32 * 2**20
#: Bytes of a record beside names and contents: local, central, and of the end.
_LOCAL, _CENTRAL, _END = 30, 46, 22
_STAMP = (1980, 1, 1, 0, 0, 0)
_DTYPES: dict[str, np.dtype[Any]] = {"<f8": np.dtype("<f8"), "<i4": np.dtype("<i4")}
#: What reading a damaged zip, or decoding what is in it, may raise.
_DAMAGE = (zipfile.BadZipFile, EOFError, struct.error, RuntimeError, OSError, OverflowError,
           ValueError, KeyError)  # fmt: skip


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a container; equal content gives equal bytes.

    Args:
        header: what JSON can hold; `format` and the description of the arrays are added.
        arrays: by name, in this order in the file; float64, or whole numbers within int32.

    Raises:
        InputError: the header holds what JSON cannot.
    """
    plain = {
        name: np.asarray(array, dtype="<f8" if array.dtype.kind == "f" else "<i4")
        for name, array in arrays.items()
    }
    described = {
        name: {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
        for name, array in plain.items()
    }
    full = {**header, "format": "acepot", "arrays": described}
    try:
        text = json.dumps(full, indent=1, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"model.provenance: expected what JSON can hold: {error}") from None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("header.json", _STAMP), text.encode())
        for name, array in plain.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.bin", _STAMP), array.tobytes())
    return out.getvalue()


def unpack(
    data: bytes, name: str, accept: Callable[[Header], Collection[str]]
) -> tuple[Header, Arrays]:
    """The header and the arrays of a container, trusting nothing in it.

    Args:
        data: the bytes.
        name: how errors begin.
        accept: is given the header before any array is read; raises if it does not know such
            files, and returns the names of all arrays that they may have.

    Returns:
        The header, and the arrays as float64 or int64.

    Raises:
        ModelFileError: no container, damaged, or with other members than it should have.
    """
    with untrusted(name), zipfile.ZipFile(io.BytesIO(data)) as archive:
        _exact(archive, len(data), name)
        header = _header(_member(archive, "header.json", MAX_HEADER, name), name)
        accepted = accept(header)
        described = table(header, "arrays", name)
        members = ["header.json", *(f"{key}.bin" for key in described)]
        if not set(described) <= set(accepted) or sorted(archive.namelist()) != sorted(members):
            raise ModelFileError(f"{name}: its members are not those of a model file")
        return header, {key: _array(archive, key, entry, name) for key, entry in described.items()}


@contextmanager
def untrusted(name: str) -> Iterator[None]:
    """Turn what reading untrusted content may raise into a ModelFileError.

    Args:
        name: of the file, which begins the message.

    Raises:
        ModelFileError: instead of an error of the zip, of JSON or of the classes made from it.
    """
    try:
        yield
    except ModelFileError:
        raise
    except InputError as error:
        raise ModelFileError(f"{name}: {error}") from error
    except _DAMAGE as error:
        raise ModelFileError(
            f"{name}: damaged or not an acepot model file ({error}); copy it again from its source"
        ) from error


def table(header: Mapping[str, Any], key: str, name: str) -> dict[str, Any]:
    """The table under a key of a header.

    Raises:
        ModelFileError: there is none; the message begins with `name`.
    """
    value = header.get(key)
    if not isinstance(value, dict):
        raise ModelFileError(f"{name}: the header has no table {key!r}")
    return value


def _exact(archive: zipfile.ZipFile, size: int, name: str) -> None:
    """Refuse compressed members and bytes that belong to none: before, between or after them.

    A file that is also something else, or holds a second archive, would be another one to programs
    that read it from its other end.
    """
    at = 0
    for info in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ModelFileError(f"{name}: {info.filename}: expected an uncompressed member")
        if info.header_offset != at or info.extra or info.comment or info.flag_bits & ~0x800:
            raise ModelFileError(f"{name}: {info.filename}: expected a plain member at byte {at}")
        at += _LOCAL + len(info.filename.encode()) + info.compress_size
    central = sum(_CENTRAL + len(info.filename.encode()) for info in archive.infolist())
    if archive.comment or archive.start_dir != at or at + central + _END != size:
        raise ModelFileError(
            f"{name}: expected one archive and nothing else, got bytes that belong to no member"
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of the header, none of whose keys is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the header has a key twice")
    return found


def _header(raw: bytes, name: str) -> Header:
    text = raw.decode("utf-8")  # json would guess, and read UTF-16 as well
    header = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_once)
    if not isinstance(header, dict) or header.get("format") != "acepot":
        raise ModelFileError(f"{name}: not an acepot model file (its header does not say so)")
    return header


def _finite(text: str) -> float:
    """A number of the header; NaN and infinities are no JSON, though Python reads them."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the header holds the number {text[:20]}")
    return number


def _member(archive: zipfile.ZipFile, member: str, limit: int, name: str) -> bytes:
    """The bytes of a member, which `_exact` has seen: it is stored as it is."""
    info = archive.getinfo(member)
    if info.file_size > limit:
        raise ModelFileError(
            f"{name}: {member}: {info.file_size} bytes, more than the limit of {limit}"
        )
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
    raw = _member(archive, f"{key}.bin", size, name)
    if len(raw) != size or hashlib.sha256(raw).hexdigest() != entry.get("sha256"):
        raise ModelFileError(f"{name}: the array {key} is damaged (its digest does not match)")
    array = np.frombuffer(raw, dtype=dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(f"{name}: the array {key} holds numbers that are not finite")
    return np.asarray(array, dtype=float if dtype.kind == "f" else np.int64)
