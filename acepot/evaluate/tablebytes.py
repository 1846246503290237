"""Tables <-> the bounded byte form that the native library reads (docs/file_format.md)."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from acepot.tables import RadialTable, Tables

MAGIC = b"ACETABLE"
#: Of models of true scalars, and of everything else. The versions 1 and 2 have no checksum.
VERSION, TENSOR_VERSION = 3, 4


def table_bytes(tables: Tables) -> bytes:
    """The byte form of Tables: every array with its name, type and shape, and a checksum.

    The checksum finds damage, which a copy over a network or a disk makes; it is CRC-32, because
    that is in Python and a few lines in C++, and sees every change of up to four bytes in a row.

    Args:
        tables: a lowered model.
    """
    arrays: dict[str, NDArray[np.float64] | NDArray[np.int32]] = {
        "numbers": tables.numbers,
        "cutoff": tables.cutoff,
        "e0": tables.e0,
        "a_species": tables.a_species,
        "a_channel": tables.a_channel,
        "a_l": tables.a_l,
        "a_m": tables.a_m,
    }
    for k, radial in enumerate(tables.radial):
        arrays |= _radial(f"radial{k}", radial)
    if tables.core is not None:
        arrays |= _radial("core", tables.core)
    scalar = tables.is_scalar and tables.members > 0
    with_functions = tables.embeddings is None
    if not scalar:
        arrays["irreps"] = np.array(tables.irreps, dtype=np.int32).reshape(-1, 2)
        arrays["sizes"] = np.array(tables.sizes, dtype=np.int32)
        arrays["outputs"] = np.array(tables.outputs, dtype=np.int32)
    elif with_functions:
        arrays["functions"] = np.array([tables.functions], dtype=np.int32)
    for s, products in enumerate(tables.products):
        arrays[f"products{s}.factors"] = products.factors
        arrays[f"products{s}.weights"] = products.weights
        if with_functions:
            arrays[f"products{s}.function"] = products.function
            arrays[f"products{s}.term"] = products.term
            arrays[f"products{s}.real"] = products.real
        if not scalar:
            arrays[f"products{s}.imaginary"] = products.imaginary
            arrays[f"products{s}.w_imaginary"] = products.weights_imaginary
    if (how := tables.embeddings) is not None:
        arrays |= {
            "embedding.shifted": how.shifted,
            "embedding.weight": how.weight,
            "embedding.exponent": how.exponent,
            "embedding.core_limit": how.core_limit,
            "embedding.core_width": how.core_width,
            "embedding.mode": np.array([how.mode], dtype=np.int32),
            "embedding.inner": how.inner,
        }
    version = VERSION if scalar else TENSOR_VERSION
    parts: list[bytes | memoryview] = [struct.pack("<Q", len(arrays))]
    for name, array in arrays.items():
        kind, dtype = (b"d", "<f8") if array.dtype.kind == "f" else (b"i", "<i4")
        parts.append(name.encode().ljust(24, b"\0"))
        parts.append(struct.pack("<QQ", kind[0], array.ndim))
        parts.append(struct.pack(f"<{array.ndim}Q", *array.shape))
        parts.append(np.ascontiguousarray(array, dtype=dtype).reshape(-1).view("u1").data)
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([MAGIC, struct.pack("<QQ", version, checksum), *parts])


def _radial(name: str, table: RadialTable) -> dict[str, NDArray[np.float64] | NDArray[np.int32]]:
    knots = {} if table.knots is None else {f"{name}.knots": table.knots}
    return {
        f"{name}.begin": table.begin,
        f"{name}.spacing": table.spacing,
        f"{name}.bins": table.bins,
        f"{name}.coefficients": table.coefficients,
        f"{name}.zero_inside": table.zero_inside,
        **knots,
    }
