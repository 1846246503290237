"""Active sets of PACE (`.asi`): inverses by element, as numpy's arrays in a zip.

pacemaker writes them with `numpy.savez`: a member `Cu.npy` for each element holds A⁻¹ of the
B-functions of its atoms, and the grade is γ_i = max_k |B_i A⁻¹|_k (Lysogorskiy et al., Phys. Rev.
Materials 7, 043801 (2023)). Arrays of objects, which numpy's own reader can unpickle, are refused.
"""

from __future__ import annotations

import ast
import io
import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.budget import MORE, allowed
from acepot.errors import InputError, ModelFileError
from acepot.io.files import content, replaced
from acepot.io.modelfile.container import untrusted

__all__ = ["read_asi", "write_asi"]

Floats = NDArray[np.float64]
#: Largest file in bytes, and for each byte on disk of a compressed one; longest header of an array.
_BYTES, _RATIO, _HEADER = 2**31, 100, 10_000
_STAMP = (1980, 1, 1, 0, 0, 0)
_MAGIC = b"\x93NUMPY"


def read_asi(path: str | Path) -> dict[str, Floats]:
    """The inverses of an active set by element, trusting nothing in the file.

    Args:
        path: of the file.

    Returns:
        A⁻¹ by chemical symbol, shape (K, K).

    Raises:
        InputError: the file cannot be opened.
        ModelFileError: it is damaged or holds something else; the message says what.
    """
    name, data = str(path), content(path, _BYTES, _RATIO)
    found: dict[str, Floats] = {}
    with untrusted(name), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            symbol = member.filename.removesuffix(".npy")
            if symbol not in SYMBOLS[1:] or symbol in found:
                raise ModelFileError(
                    f"{name}: expected one array for each element, such as Cu.npy, got "
                    f"{member.filename[:40]!r}"
                )
            most = allowed(min(_BYTES, _RATIO * (len(data) + 1)))
            if member.file_size > most:
                raise ModelFileError(
                    f"{name}: {symbol}: {member.file_size} bytes are too many; {MORE}"
                )
            found[symbol] = _matrix(archive.read(member), f"{name}: {symbol}")
    if not found:
        raise ModelFileError(f"{name}: expected the active set of an element, got none")
    return found


def _matrix(data: bytes, where: str) -> Floats:
    """A square matrix in the format of numpy's arrays, versions 1 and 2."""
    version, start = data[6:8], 10
    if data[:6] != _MAGIC or version not in (b"\x01\x00", b"\x02\x00"):
        raise ModelFileError(f"{where}: not an array of numpy")
    if version == b"\x02\x00":
        start = 12
    (length,) = struct.unpack("<H" if start == 10 else "<I", data[8:start])
    if length > _HEADER:
        raise ModelFileError(f"{where}: the header of the array is too long")
    try:
        header = ast.literal_eval(data[start : start + length].decode("latin1").strip())
        shape, order = header["shape"], header["fortran_order"]
        kind = header["descr"]
    except (SyntaxError, TypeError, KeyError) as error:
        raise ModelFileError(f"{where}: the header of the array is damaged: {error}") from None
    if kind != "<f8" or type(order) is not bool or not _square(shape):
        raise ModelFileError(
            f"{where}: expected a square matrix of float64, got {kind!r:.20} of shape {shape!r:.40}"
        )
    raw = data[start + length :]
    if len(raw) != 8 * math.prod(shape):
        raise ModelFileError(f"{where}: expected {8 * math.prod(shape)} bytes, got {len(raw)}")
    matrix = np.frombuffer(raw, "<f8").reshape(shape, order="F" if order else "C")
    if not np.isfinite(matrix).all():
        raise ModelFileError(f"{where}: numbers that are not finite")
    return np.array(matrix, dtype=float, order="C")


def _square(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) == 2
        and all(type(n) is int and 0 < n < 2**20 for n in shape)
        and shape[0] == shape[1]
    )


def write_asi(inverses: Mapping[str, Floats], path: str | Path) -> None:
    """Write inverses as pacemaker does; an older file stays until the new one is complete.

    Args:
        inverses: A⁻¹ by chemical symbol, shape (K, K).
        path: usually ending in `.asi`.

    Raises:
        InputError: no elements, other shapes, numbers that are not finite, or no such folder.
    """
    if not inverses:
        raise InputError("active set: expected at least one element, got none")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for symbol, matrix in inverses.items():
            array = np.ascontiguousarray(matrix, dtype="<f8")
            if symbol not in SYMBOLS[1:] or not _square(array.shape):
                raise InputError(f"active set: {symbol}: expected a square matrix of an element")
            if not np.isfinite(array).all():
                raise InputError(f"active set: {symbol}: expected finite numbers")
            text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {array.shape}, }}"
            padded = text + " " * (-(len(text) + 11) % 64) + "\n"
            head = _MAGIC + b"\x01\x00" + struct.pack("<H", len(padded)) + padded.encode()
            archive.writestr(zipfile.ZipInfo(f"{symbol}.npy", _STAMP), head + array.tobytes())
    with replaced(path, "wb") as file:
        file.write(out.getvalue())
