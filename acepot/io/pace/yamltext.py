"""An untrusted YAML text as a document of plain words.

Only what PACE writes is accepted: mappings, lists and plain words a few levels deep. Anchors,
aliases, tags, repeated keys and several documents are refused, so the document is never larger
than the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import yaml

from acepot.errors import ModelFileError
from acepot.io.document import Key, WordItem, shown

#: Deeper nesting than in any PACE file (a list in a list … in the table of a bond: 6).
_DEPTH = 10
#: A word, a list or a mapping.
Value = Any


def parse_yaml(text: str, name: str) -> WordItem:
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
    return WordItem(builder.root, name)


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
                    f"{self.name}: expected every key once, got {shown(key)} again"
                )
            waiting.append(key)

    def _plain(self, event: Any, implicit: bool) -> None:
        if event.anchor is not None:
            self._fail(event, "expected no anchors")
        if not implicit:
            self._fail(event, f"expected no tags, got {str(event.tag)[:40]}")

    def _fail(self, event: Any, message: str) -> NoReturn:
        raise ModelFileError(f"{self.name}: line {event.start_mark.line + 1}: {message}")
