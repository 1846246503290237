"""Documents that may hold anything: nested tables and lists, every value with its place."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from acepot.budget import MORE, allowed
from acepot.errors import InputError, ModelFileError
from acepot.io.files import opened

#: Numbers beyond this are damage.
HUGE = 1e100
#: A key of a table; one that is a list of words is their tuple.
Key = str | tuple[str, ...]


#: Most digits of a whole number, with its sign.
_DIGITS = 20


@dataclass(frozen=True, eq=False)
class Item:
    """A value of a document and the way to it; numbers as JSON has them.

    Args:
        value: a scalar, a list or a table.
        key: its key or index in its parent; of the root, the path of the file.
        parent: the item that holds it.
    """

    value: Any
    key: Key | int
    parent: Self | None = None

    def fail(self, message: str) -> NoReturn:
        """Raise a ModelFileError that begins with the place."""
        keys, item = [], self
        while item.parent is not None:
            keys.append("." * isinstance(item.key, str) + shown(item.key))
            item = item.parent
        place = "".join(reversed(keys)).lstrip(".")
        raise ModelFileError(": ".join(filter(None, (str(item.key), place, message))))

    def table(self) -> dict[Any, Any]:
        """The value, which must be a table."""
        if not isinstance(self.value, dict):
            self.fail(f"expected a table, got {reprlib.repr(self.value)}")
        return self.value

    def get(self, key: Key) -> Self | None:
        """The value under a key, or None."""
        table = self.table()
        return type(self)(table[key], key, self) if key in table else None

    def at(self, key: Key) -> Self:
        """The value under a key."""
        if (found := self.get(key)) is None:
            keys = [shown(one) for one in self.table()]
            self.fail(f"expected the key {shown(key)!r}, got {reprlib.repr(keys)}")
        return found

    def entries(self, low: int = 0, high: float = math.inf) -> list[Any]:
        """The value, which must be a list of allowed length."""
        if not isinstance(self.value, list):
            self.fail(f"expected a list, got {reprlib.repr(self.value)}")
        if not low <= len(self.value) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            wanted = f"at least {low}" if high == math.inf else wanted
            self.fail(f"expected a list of {wanted} entries, got {len(self.value)}")
        return self.value

    def items(self, low: int = 0, high: float = math.inf) -> list[Self]:
        """The entries of a list of allowed length, with their places."""
        return [type(self)(v, i, self) for i, v in enumerate(self.entries(low, high))]

    def word(self) -> str:
        """The value, which must be text."""
        if not isinstance(self.value, str):
            self.fail(f"expected a word, got {reprlib.repr(self.value)}")
        return self.value

    def number(self, low: float = -HUGE, high: float = HUGE) -> float:
        """A number in [low, high]."""
        if not low <= (value := self._real(self.value)) <= high:
            self.fail(f"expected a number from {low:g} to {high:g}, got {reprlib.repr(self.value)}")
        return float(value)

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        if not low <= (value := self._whole(self.value)) <= high:
            wanted = str(low) if low == high else f"an integer from {low} to {high}"
            self.fail(f"expected {wanted}, got {reprlib.repr(self.value)}")
        return int(value)

    def numbers(self, low: int = 0, high: float = math.inf) -> NDArray[np.float64]:
        """A list of finite numbers, shape (length,)."""
        values = [self._real(value) for value in self.entries(low, high)]
        for i, value in enumerate(values):
            if not -HUGE <= value <= HUGE:
                type(self)(self.value[i], i, self).number()
        return np.array(values, dtype=float)

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """A list of `count` whole numbers in [low, high]."""
        values = [self._whole(value) for value in self.entries(count, count)]
        for i, value in enumerate(values):
            if not low <= value <= high:
                type(self)(self.value[i], i, self).integer(low, high)
        return [int(value) for value in values]

    @staticmethod
    def _real(value: Any) -> float:
        """A number, NaN for anything else."""
        return value if type(value) in (int, float) else math.nan

    @staticmethod
    def _whole(value: Any) -> float:
        """A whole number, NaN for anything else."""
        return value if type(value) is int else math.nan


class WordItem(Item):
    """A value of a document of words: its numbers are text."""

    @staticmethod
    def _real(value: Any) -> float:
        if not isinstance(value, str) or not value.isascii() or "_" in value:
            return math.nan  # float reads 1_000 and digits of other scripts
        try:
            return float(value)
        except ValueError:
            return math.nan

    @staticmethod
    def _whole(value: Any) -> float:
        if not isinstance(value, str) or not value.isascii() or len(value) > _DIGITS:
            return math.nan
        return int(value) if value.removeprefix("-").isdecimal() else math.nan


def shown(key: Key | int) -> str:
    """A key as it stands in a place: name, [index] or [i, j]."""
    if isinstance(key, str):
        return key[:60]
    return f"[{', '.join(key)}]" if isinstance(key, tuple) else f"[{key}]"


def read_text(path: str | Path, most: int, per_byte: float = math.inf) -> str:
    """The text of a file of bounded length.

    Args:
        path: the file, plain or compressed with xz, gzip or bzip2.
        most: characters it may have.
        per_byte: characters it may have beyond five million for each of its bytes on disk.

    Raises:
        InputError: there is no such file.
        ModelFileError: it cannot be read or is too long.
    """
    try:
        with opened(path) as file:
            limit = allowed(min(most, 5_000_000 + per_byte * Path(path).stat().st_size))
            text = file.read(limit + 1)
    except InputError as error:
        if not Path(path).is_file():
            raise
        raise ModelFileError(str(error)) from error
    if len(text) > limit:
        raise ModelFileError(f"{path}: expected at most {limit} characters, got more; {MORE}")
    return text
