"""Objects of ACE1.jl in a JSON file: tables that name their type under `__id__`."""

from __future__ import annotations

import json
import reprlib
from math import prod
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.budget import MORE, allowed
from acepot.errors import AceError, ModelFileError
from acepot.io.document import Item, read_text

Floats = NDArray[np.float64]

#: Largest file, uncompressed: some 500 000 products, and a few GB of memory while it is read.
CHARACTERS = 200_000_000
#: Characters that a compressed file may hold for each of its bytes.
_RATIO = 25
#: Depth of nested objects of one type.
DEPTH = 8
_PACKAGES = ("ACE1", "ACE", "SHIPs", "JuLIP")
#: Why some things that ACE1 writes cannot be read.
_REASONS = {
    "RPIBasis": "a basis without coefficients",
    "PIPotential": "a potential, for read_ace1",
    "SHIP_v2": "written by SHIPs.jl before 0.7",
    "RepulsiveCore": "its inner core has no counterpart in a model",
}


class JuliaObject(Item):
    """An object of the file, or a value in it."""

    def kind(self, *expected: str) -> str:
        """The name in `__id__` without its package, which must be one of those expected."""
        found = self.at("__id__").value
        package, _, name = found.partition("_") if isinstance(found, str) else ("", "", "")
        if package not in _PACKAGES or name not in expected:
            reason = f" ({_REASONS[name]})" if name in _REASONS else ""
            self.fail(f"expected {' or '.join(expected)}, found {reprlib.repr(found)}{reason}")
        return name


def load(path: str | Path) -> JuliaObject:
    """The file as JSON; NaN and infinities are refused."""
    return parsed(read_text(path, CHARACTERS, _RATIO), str(path))


def parsed(text: str, path: str) -> JuliaObject:
    """Text as JSON likewise; errors begin with the path."""
    try:
        if len(text) > (most := allowed(CHARACTERS)):
            raise ValueError(f"expected at most {most} characters, got more; {MORE}")
        return JuliaObject(json.loads(text, parse_constant=_refuse), path)
    except AceError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a JSON file: {error}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path}: too large for the memory of this computer") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"expected finite numbers, got {name}")


def zlist(node: JuliaObject) -> list[int]:
    """Atomic numbers in the file's order."""
    node.kind("SZList", "ZList")
    zs = [item.integer(1, len(SYMBOLS) - 1) for item in node.at("list").items(1, len(SYMBOLS))]
    if len(set(zs)) < len(zs):
        node.fail(f"expected every element once, got {zs}")
    return zs


def vector(node: JuliaObject) -> Floats:
    """Real numbers, as a plain list or in ACE1's wrapping, shape (length,)."""
    if isinstance(node.value, list):
        return node.numbers()
    node.kind("VectorOfNumber", "ArrayOfNumber")
    real = node.at("real").numbers()
    if (imaginary := node.get("imag")) is not None and imaginary.numbers().any():
        node.fail("expected real numbers, got complex ones")
    if (size := node.get("size")) is not None:
        shape = [item.integer(0, CHARACTERS) for item in size.items(1, 2)]
        if prod(shape) != len(real):
            size.fail(f"expected the size of {len(real)} numbers, got {shape}")
    return real
