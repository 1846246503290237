"""Small models that come with acepot, with settings, reports and cards that say what they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from acepot.errors import InputError

__all__ = ["Shelved", "card", "models", "path"]

_HERE = Path(__file__).parent
_INDEX, _MODEL, _CARD = "index.json", "model.acepot", "card.md"


@dataclass(frozen=True)
class Shelved:
    """A model of the shelf.

    Args:
        name: by which it is asked for.
        about: what it is of.
        elements: their symbols.
        errors: on structures that were not fitted, in words.
        microseconds: for an atom, on one thread of the machine that made the shelf.
        size: of the file in bytes.
        digest: SHA-256 of the file.
        source: of the data, with their licence.
        warning: what it is not for.
    """

    name: str
    about: str
    elements: tuple[str, ...]
    errors: str
    microseconds: float
    size: int
    digest: str
    source: str
    warning: str


def models() -> list[Shelved]:
    """All models of the shelf."""
    table = json.loads((_HERE / _INDEX).read_text(encoding="utf-8"))
    return [
        Shelved(
            one["name"], one["about"], tuple(one["elements"]), one["errors"], one["microseconds"],
            one["bytes"], one["sha256"], f"{one['source']}; {one['data licence']}", one["not for"],
        )
        for one in table
    ]  # fmt: skip


def path(name: str) -> Path:
    """The file of a model, for `acepot.load`.

    Args:
        name: of a model of the shelf.

    Raises:
        InputError: there is none of this name.
    """
    return _HERE / _known(name) / _MODEL


def card(name: str) -> str:
    """What a model is made of and not for, as Markdown.

    Args:
        name: of a model of the shelf.

    Raises:
        InputError: there is none of this name.
    """
    return (_HERE / _known(name) / _CARD).read_text(encoding="utf-8")


def _known(name: str) -> str:
    names = [one.name for one in models()]
    if name not in names:
        raise InputError(f"{name}: no model of the shelf; expected one of {', '.join(names)}")
    return name
