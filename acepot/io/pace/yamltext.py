"""An untrusted YAML text as a tree of plain words, and checked access to it.

Only what PACE writes is accepted: mappings, lists and plain words a few levels deep. Anchors,
aliases, tags, repeated keys and several documents are refused, so the tree is never larger
than the text.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import yaml
from numpy.typing import NDArray

from acepot.errors import ModelFileError

#: Deeper nesting than in any PACE file (a list in a list … in the table of a bond: 6).
_DEPTH = 10
#: Numbers beyond this are damage.
HUGE = 1e100

#: A word, a list or a mapping; a key that is a list of words is their tuple.
Key = str | tuple[str, ...]
Value = Any


@dataclass(frozen=True, eq=False)
class Entry:
    """A value of a file and the way to it.

    Args:
        value: a word, a list or a mapping.
        key: its key or index in its parent; of the root, the path of the file.
        parent: the value that holds it.
    """

    value: Value
    key: object
    parent: Entry | None = None

    def fail(self, message: str) -> NoReturn:
        """Raise a ModelFileError that begins with the place."""
        keys, node = [], self
        while node.parent is not None:
            keys.append(_name(node.key))
            node = node.parent
        raise ModelFileError(
            ": ".join(filter(None, (str(node.key), ".".join(keys[::-1]), message)))
        )

    def table(self) -> dict[Key, Value]:
        """The value, which must be a mapping."""
        if not isinstance(self.value, dict):
            self.fail(f"expected a mapping, got {reprlib.repr(self.value)}")
        return self.value

    def get(self, key: Key) -> Entry | None:
        """The value under a key, or None."""
        table = self.table()
        return Entry(table[key], key, self) if key in table else None

    def at(self, key: Key) -> Entry:
        """The value under a key."""
        if (found := self.get(key)) is None:
            keys = [_name(k) for k in self.table()]
            self.fail(f"expected the key {_name(key)}, got {reprlib.repr(keys)}")
        return found

    def entries(self, low: int = 0, high: int | None = None) -> list[Value]:
        """The value, which must be a list of allowed length."""
        if not isinstance(self.value, list):
            self.fail(f"expected a list, got {reprlib.repr(self.value)}")
        count = len(self.value)
        if count < low or (high is not None and count > high):
            wanted = (
                str(low) if low == high else f"{low} to {'any number' if high is None else high}"
            )
            self.fail(f"expected a list of {wanted} entries, got {count}")
        return self.value

    def items(self, low: int = 0, high: int | None = None) -> list[Entry]:
        """The entries of a list of allowed length, with their places."""
        return [Entry(v, i, self) for i, v in enumerate(self.entries(low, high))]

    def word(self) -> str:
        """The value, which must be a word."""
        if not isinstance(self.value, str):
            self.fail(f"expected a word, got {reprlib.repr(self.value)}")
        return self.value

    def number(self, low: float = -HUGE, high: float = HUGE) -> float:
        """A number in [low, high]."""
        try:
            value = float(self.word())
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            self.fail(f"expected a number from {low:g} to {high:g}, got {reprlib.repr(self.value)}")
        return value

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        try:
            value = int(self.word())
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            wanted = str(low) if low == high else f"an integer from {low} to {high}"
            self.fail(f"expected {wanted}, got {reprlib.repr(self.value)}")
        return value

    def numbers(self, low: int = 0, high: int | None = None) -> NDArray[np.float64]:
        """A list of finite numbers, shape (length,)."""
        array = np.array(self._all(float, low, high), dtype=float)
        if not (np.abs(array) <= HUGE).all():
            bad = int(np.argmin(np.abs(array) <= HUGE))
            self.fail(f"expected finite numbers, got {reprlib.repr(self.value[bad])}")
        return array

    def integers(self, low: int, high: int, count: int) -> list[int]:
        """A list of `count` whole numbers in [low, high]."""
        values: list[int] = self._all(int, count, count)
        if values and not low <= min(values) <= max(values) <= high:
            self.fail(f"expected integers from {low} to {high}, got {reprlib.repr(self.value)}")
        return values

    def _all(self, kind: Callable[[str], Any], low: int, high: int | None) -> list[Any]:
        try:
            return [kind(word) for word in self.entries(low, high)]
        except (ValueError, TypeError):
            self.fail(f"expected numbers, got {reprlib.repr(self.value)}")


def _name(key: object) -> str:
    return f"[{', '.join(key)}]" if isinstance(key, tuple) else str(key)[:60]


# ---------------------------------------------------------------- from YAML


def parse_yaml(text: str, name: str) -> Entry:
    """The one document in a text.

    Args:
        text: YAML.
        name: how errors begin, such as the path of the file.

    Raises:
        ModelFileError: not YAML, or YAML that no PACE file holds.
    """
    # The parser written in C, which the wheels of PyYAML hold, and the same one in Python.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name)
    try:
        for event in yaml.parse(text.encode("utf-8", "replace"), Loader=loader):
            builder.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged"
        raise ModelFileError(f"{name}: {place}not YAML: {problem}") from error
    if builder.documents != 1:
        raise ModelFileError(f"{name}: expected one YAML document, got {builder.documents}")
    return Entry(builder.root, name)


class _Builder:
    """Puts events together without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Value = None
        self.documents = 0
        #: Open lists and mappings, outermost first; beside a mapping its waiting key, if any.
        self._open: list[tuple[list[Value] | dict[Key, Value], list[Key]]] = []

    def take(self, event: Any) -> None:
        """The next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._plain(event, event.implicit[0] or event.implicit[1])
            self._put(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._plain(event, event.implicit)
            if len(self._open) >= _DEPTH:
                self._fail(event, f"expected at most {_DEPTH} levels of nesting")
            new: list[Value] | dict[Key, Value] = (
                [] if isinstance(event, yaml.SequenceStartEvent) else {}
            )
            self._open.append((new, []))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._put(self._open.pop()[0])
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._fail(event, "expected one YAML document")
        elif isinstance(event, yaml.AliasEvent):
            self._fail(event, "expected no aliases")

    def _put(self, value: Value) -> None:
        if not self._open:
            self.root = value
            return
        container, waiting = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        elif waiting:
            container[waiting.pop()] = value
        else:
            key = tuple(value) if isinstance(value, list) else value
            words: Sequence[object] = key if isinstance(key, tuple) else (key,)
            if not all(isinstance(word, str) for word in words):
                raise ModelFileError(f"{self.name}: expected words as keys, got nested ones")
            if key in container:
                raise ModelFileError(
                    f"{self.name}: expected every key once, got {_name(key)} again"
                )
            waiting.append(key)

    def _plain(self, event: Any, implicit: bool) -> None:
        if event.anchor is not None:
            self._fail(event, "expected no anchors")
        if not implicit:
            self._fail(event, f"expected no tags, got {str(event.tag)[:40]}")

    def _fail(self, event: Any, message: str) -> NoReturn:
        raise ModelFileError(f"{self.name}: line {event.start_mark.line + 1}: {message}")
