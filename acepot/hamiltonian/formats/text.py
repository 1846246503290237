"""Tables and small files of text in the folders of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.budget import MORE, allowed
from acepot.errors import InputError
from acepot.hamiltonian.matrices import Floats, Ints
from acepot.io.files import opened
from acepot.orbitals import LETTERS

#: Most characters of a small file, and of a table.
_SMALL, _TABLE = 1_000_000, 500_000_000


def small_text(path: Path) -> str:
    """A small file.

    Raises:
        InputError: there is none, or it is not small.
    """
    with opened(path) as file:
        text = file.read(_SMALL + 1)
    if len(text) > _SMALL:
        raise InputError(f"{path}: expected at most {_SMALL} characters")
    return text


def rows(path: Path) -> list[list[str]]:
    """The words of every line that is not empty; what follows # is left out."""
    most = allowed(_TABLE)
    with opened(path) as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise InputError(f"{path}: expected at most {most} characters; {MORE}")
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [words for words in lines if words]


def table(path: Path, columns: int | None = None) -> Floats:
    """Numbers in columns.

    Args:
        path: of the file.
        columns: how many; None: any, the same in all lines.

    Raises:
        InputError: something else, or numbers that are not finite.
    """
    words = rows(path)
    try:
        made = np.array([[float(word) for word in line] for line in words])
    except ValueError as error:
        raise InputError(f"{path}: expected numbers in equal columns: {error}") from None
    if made.ndim != 2 or (columns is not None and made.shape[1] != columns):
        raise InputError(f"{path}: expected {columns or 'equal'} columns, got {made.shape}")
    if not np.isfinite(made).all():
        raise InputError(f"{path}: expected finite numbers")
    return made


def integers(values: Floats, path: Path) -> Ints:
    """Numbers that must be whole."""
    if np.abs(values).max(initial=0.0) > 2**53 or (values != np.round(values)).any():
        raise InputError(f"{path}: expected whole numbers")
    return values.astype(np.int64)


def elements(words: list[str], path: Path) -> list[int]:
    """Atomic numbers from numbers or symbols.

    Raises:
        InputError: something else.
    """
    found = []
    for word in words:
        if word.isdigit() and 1 <= int(word) < len(SYMBOLS):
            found.append(int(word))
            continue
        try:
            found.append(atomic_number(word))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return found


def letters(ls: list[int], path: Path) -> str:
    """Shells as letters.

    Raises:
        InputError: an l that has none.
    """
    if not all(0 <= l < len(LETTERS) for l in ls):
        raise InputError(f"{path}: expected l from 0 to {len(LETTERS) - 1}, got {ls}")
    return "".join(LETTERS[l] for l in ls)


def json_table(path: Path) -> dict[str, Any]:
    """A JSON file that holds a table.

    Raises:
        InputError: it holds something else.
    """
    try:
        found = json.loads(small_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a table in JSON, got {type(found).__name__}")
    return found
