"""Values of an untrusted JSON file, each with its place in the file."""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.io.files import opened

Floats = NDArray[np.float64]

#: Largest file, uncompressed: some 500 000 products, and a few GB of memory while it is read.
CHARACTERS = 200_000_000
#: Depth of nested parts.
DEPTH = 8
#: Numbers beyond this are damage.
_HUGE = 1e100
_PACKAGES = ("ACE1", "ACE", "SHIPs", "JuLIP")
#: Why some things that ACE1 writes cannot be read.
_REASONS = {
    "RPIBasis": "a basis without coefficients, for read_ace1_basis",
    "PIPotential": "a potential, for read_ace1",
    "SHIP_v2": "written by SHIPs.jl before 0.7",
    "RepulsiveCore": "its inner core has no counterpart in a model",
}


@dataclass(frozen=True, eq=False)
class Node:
    """A value of the file and the way to it.

    Args:
        value: what JSON gave.
        key: ".name" or "[index]" in its parent; of the root, the path of the file.
        parent: the value that holds it.
    """

    value: Any
    key: str
    parent: Node | None = None

    def fail(self, message: str) -> NoReturn:
        """Raise a ModelFileError that begins with the place."""
        keys, node = [], self
        while node.parent is not None:
            keys.append(node.key)
            node = node.parent
        place = "".join(reversed(keys)).lstrip(".")
        raise ModelFileError(": ".join(filter(None, (node.key, place, message))))

    def table(self) -> dict[str, Any]:
        """The value, which must be a table."""
        if not isinstance(self.value, dict):
            self.fail(f"expected a table, got {reprlib.repr(self.value)}")
        return self.value

    def get(self, key: str) -> Node | None:
        """The value under a key, or None."""
        table = self.table()
        return Node(table[key], f".{key}", self) if key in table else None

    def at(self, key: str) -> Node:
        """The value under a key."""
        if (found := self.get(key)) is None:
            self.fail(f"expected the key {key!r}, got {reprlib.repr(sorted(self.table()))}")
        return found

    def entries(self, low: int = 0, high: int = CHARACTERS) -> list[Any]:
        """The value, which must be a list of allowed length."""
        if not isinstance(self.value, list):
            self.fail(f"expected a list, got {reprlib.repr(self.value)}")
        if not low <= len(self.value) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            if high == CHARACTERS:
                wanted = f"at least {low}"
            self.fail(f"expected a list of {wanted} entries, got {len(self.value)}")
        return self.value

    def items(self, low: int = 0, high: int = CHARACTERS) -> list[Node]:
        """The entries of a list of allowed length, with their places."""
        return [Node(v, f"[{i}]", self) for i, v in enumerate(self.entries(low, high))]

    def number(self, low: float = -_HUGE, high: float = _HUGE) -> float:
        """A number in [low, high]."""
        if type(self.value) not in (int, float) or not low <= self.value <= high:
            self.fail(f"expected a number from {low:g} to {high:g}, got {reprlib.repr(self.value)}")
        return float(self.value)

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        if type(self.value) is not int or not low <= self.value <= high:
            wanted = str(low) if low == high else f"an integer from {low} to {high}"
            self.fail(f"expected {wanted}, got {reprlib.repr(self.value)}")
        return int(self.value)

    def numbers(self, low: int = 0, high: int = CHARACTERS) -> Floats:
        """A list of finite numbers, shape (length,)."""
        entries = self.entries(low, high)
        for i, value in enumerate(entries):
            if type(value) not in (int, float) or not -_HUGE <= value <= _HUGE:
                Node(value, f"[{i}]", self).number()
        return np.array(entries, dtype=float)

    def kind(self, *expected: str) -> str:
        """The name in `__id__` without its package, which must be one of those expected."""
        found = self.at("__id__").value
        package, _, name = found.partition("_") if isinstance(found, str) else ("", "", "")
        if package not in _PACKAGES or name not in expected:
            reason = f" ({_REASONS[name]})" if name in _REASONS else ""
            self.fail(f"expected {' or '.join(expected)}, found {reprlib.repr(found)}{reason}")
        return name


def load(path: str | Path) -> Node:
    """The file as JSON; NaN and infinities are refused."""
    try:
        with opened(path) as text:
            content = text.read(CHARACTERS + 1)
        if len(content) > CHARACTERS:
            raise ModelFileError(f"{path}: expected at most {CHARACTERS} characters, got more")
        return Node(json.loads(content, parse_constant=_refuse), str(path))
    except InputError as error:
        if not Path(path).is_file():
            raise
        raise ModelFileError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a JSON file: {error}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path}: too large for the memory of this computer") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"expected finite numbers, got {name}")


def zlist(node: Node) -> list[int]:
    """Atomic numbers in the file's order."""
    node.kind("SZList", "ZList")
    zs = [item.integer(1, len(SYMBOLS) - 1) for item in node.at("list").items(1, len(SYMBOLS))]
    if len(set(zs)) < len(zs):
        node.fail(f"expected every element once, got {zs}")
    return zs


def vector(node: Node) -> Floats:
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
