"""Plain arrays out of untrusted .npz files: nothing is executed, memory is bounded by the file."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from acepot.budget import MORE, allowed
from acepot.errors import InputError
from acepot.io.files import opened_bytes

Arrays = dict[str, NDArray[Any]]
#: Bytes that may come out of a compressed file, and more for each byte of it: floating-point
#: numbers shrink to a half, what is mostly zero to a hundredth.
_INSIDE, _RATIO = 100_000_000, 200
#: Most members.
_MEMBERS = 200_000
#: What reading a damaged zip or array may raise.
_DAMAGE = (zipfile.BadZipFile, EOFError, struct.error, RuntimeError, OSError, OverflowError,
           ValueError, KeyError, NotImplementedError, SyntaxError, TypeError)  # fmt: skip


def read_arrays(path: str | Path) -> Arrays:
    """Every array of a .npz file: numbers, truth values and text, no objects.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, is damaged, or would not fit into memory.
    """
    path = Path(path)
    with opened_bytes(path) as file:
        data = file.read()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            inside = sum(member.file_size for member in members)
            most = allowed(_INSIDE + _RATIO * len(data))
            if inside > most or len(members) > _MEMBERS:
                raise InputError(
                    f"{path}: expected at most {most} bytes in {_MEMBERS} arrays, got {inside} in "
                    f"{len(members)}; {MORE}"
                )
            return {
                member.filename.removesuffix(".npy"): _array(archive.read(member))
                for member in members
            }
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged, or no .npz file of plain arrays: {error}") from error


def _array(raw: bytes) -> NDArray[Any]:
    """An array whose described size is that of its bytes."""
    stream = io.BytesIO(raw)
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"an array of version {version}")
    if dtype.hasobject or dtype.kind not in "biufU" or any(n < 0 for n in shape):
        raise ValueError(f"an array of {dtype}, where numbers or text are expected")
    body = raw[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"an array of shape {shape} in {len(body)} bytes")
    flat = np.frombuffer(body, dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def take(arrays: Arrays, key: str, shape: tuple[int | None, ...], kinds: str, name: str) -> Any:
    """An array that is what it should be.

    Args:
        arrays: by name.
        key: its name.
        shape: expected; None: any number.
        kinds: kinds of its dtype, such as "iu" or "f".
        name: how errors begin.

    Raises:
        InputError: it is missing, of another shape or type, or has numbers that are not finite.
    """
    array = arrays.get(key)
    if array is None:
        raise InputError(f"{name}: expected an array {key}, got {', '.join(sorted(arrays)[:8])}")
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(
            f"{name}: {key}: expected shape ({wanted}) of kind {kinds}, got {array.shape} of "
            f"{array.dtype}"
        )
    return array
