"""The comment line of extended XYZ: its grammar of key=value pairs, read and written."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.structures.ipi import is_ipi, parse_ipi
from acepot.io.structures.values import numbers

_TEXT = r'"(?:[^"\\]|\\.)*"(?=\s|$)|' r"'(?:[^'\\]|\\.)*'(?=\s|$)"
_BLOCK = r"\{[^{}]*\}(?=\s|$)|\[(?:[^\[\]]|\[[^\[\]]*\])*\](?=\s|$)"
#: key, key=value or key = value; blanks after the equals sign only if no other key follows.
_PAIR = re.compile(
    rf'(?P<key>"(?:[^"\\]|\\.)*"(?=\s|=|$)|[^\s=]+)'
    rf"(?:\s*=(?:(?=\S)|\s+(?![^\s=]+=))(?P<value>{_TEXT}|{_BLOCK}|\S+)|(?P<empty>=(?=\s|$)))?"
)
_CLOSING = {'"': '"', "'": "'", "{": "}", "[": "]"}
_LOGICAL = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_SPECIES = ("species", "symbols", "symbol", "element", "z", "numbers", "atomic_numbers")
_POSITIONS = ("pos", "positions")
#: Coordinates and lattice vectors longer than this, in Å, are damage in the file.
FAR = 1e8


@dataclass(frozen=True)
class Column:
    """One entry of Properties: its name and its place among the words of an atom line."""

    name: str
    first: int
    width: int


@dataclass(frozen=True, eq=False)
class Comment:
    """What a comment line says.

    Args:
        free: no Lattice, Properties or pbc: the line may be any text, and atom lines may
            have more columns than the first four.
        info: all other keys with their text; a bare word is True, and "" what ends in "=".
        cell: lattice vectors as rows in Å, shape (3, 3), zero without Lattice.
        pbc: periodic directions.
        columns: the columns of the atom lines.
        species: the column of the elements.
        positions: the column of the positions.
        unit: of the positions, in Å: not 1 in i-PI's files alone.
    """

    free: bool
    info: dict[str, object]
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    columns: tuple[Column, ...]
    species: Column
    positions: Column
    unit: float = 1.0


def parse(text: str, where: str) -> Comment:
    """Read a comment line.

    Args:
        text: the line.
        where: file, frame and line, for messages.

    Returns:
        Its content; a key may be "quoted", a value "quoted", 'quoted', {in} or [in] brackets.
        A line of i-PI gives cell and unit, and all directions are periodic.

    Raises:
        InputError: Lattice, Properties or pbc is there and wrong, or there and anything else
            in the line is not closed or contradicts itself.
    """
    info, special, doubt = _pairs(text)
    if doubt and special:
        raise InputError(f"{where}: cannot understand the comment at {doubt[:80]}")
    columns = _columns(special.get("properties", "species:S:1:pos:R:3"), where)
    species = next((c for c in columns if c.name.lower() in _SPECIES), columns[0])
    positions = next((c for c in columns if c.name.lower() in _POSITIONS), columns[0])
    if species.name.lower() not in _SPECIES or (species.width, positions.width) != (1, 3):
        raise InputError(
            f"{where}: expected species:S:1 (or Z:I:1) and pos:R:3 in Properties, "
            f"got {special['properties'][:200]!r}"
        )
    if not special and is_ipi(text):
        cell, unit = parse_ipi(text, where)
        return Comment(True, {}, cell, (True, True, True), columns, species, positions, unit)
    return Comment(
        free=not special,
        info=info,
        cell=_cell(special.get("lattice"), where),
        pbc=_pbc(special.get("pbc", "T" if "lattice" in special else "F"), where),
        columns=columns,
        species=species,
        positions=positions,
    )


def quoted(text: str) -> str:
    """A value as it must be written so that `parse` and other readers get it back."""
    if re.fullmatch(r"[\w.+:/-]+", text, re.ASCII):
        return text
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", " ")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def _pairs(text: str) -> tuple[dict[str, object], dict[str, str], str]:
    """Other keys, the three special keys, and the first thing that cannot be understood."""
    info: dict[str, object] = {}
    special: dict[str, str] = {}
    doubt = ""
    for match in _PAIR.finditer(text):
        key, key_closed = _unquoted(match["key"])
        value: str | bool = True if match["empty"] is None else ""
        value_closed = True
        if match["value"] is not None:
            value, value_closed = _unquoted(match["value"])
        if not (key_closed and value_closed):
            doubt = doubt or match[0]
        if key.lower() in ("lattice", "properties", "pbc") and isinstance(value, str):
            before: object = special.setdefault(key.lower(), value)
        else:
            before = info.setdefault(key, value)
        if before != value:
            doubt = doubt or f"{key}, which occurs twice with different values"
    return info, special, doubt


def _unquoted(word: str) -> tuple[str, bool]:
    """A word without its quotes or brackets, and whether they were closed."""
    closing = _CLOSING.get(word[0])
    if closing is None:
        return word, True
    if len(word) < 2 or word[-1] != closing:
        return word, False
    inside = word[1:-1]
    if closing in "\"'" and "\\" in inside:
        inside = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], inside)
    return inside, True


def _columns(properties: str, where: str) -> tuple[Column, ...]:
    """The columns of Properties=name:type:count:name:type:count..."""
    words = properties.split(":")
    columns: list[Column] = []
    first = 0
    for name, kind, count in zip(words[::3], words[1::3], words[2::3], strict=False):
        digits = count.isascii() and count.isdecimal() and len(count) < 5
        if not name or kind not in ("S", "R", "I", "L") or not digits or int(count) == 0:
            first = 0
            break
        columns.append(Column(name, first, int(count)))
        first += int(count)
    if first == 0 or len(words) % 3 or len({column.name for column in columns}) < len(columns):
        raise InputError(
            f"{where}: Properties: expected different name:type:count with type S, R, I or L, "
            f"such as species:S:1:pos:R:3, got {properties[:200]!r}"
        )
    return tuple(columns)


def _cell(lattice: str | None, where: str) -> NDArray[np.float64]:
    if lattice is None:
        return np.zeros((3, 3))
    cell = numbers(lattice)
    if cell is None or cell.size != 9 or not (np.abs(cell) < FAR).all():
        raise InputError(
            f"{where}: Lattice: expected 9 numbers in Å (a1 a2 a3), got {lattice[:200]!r}"
        )
    return cell.reshape(3, 3)


def _pbc(text: str, where: str) -> tuple[bool, bool, bool]:
    words = re.sub(r"[,\[\]{}]", " ", text).lower().split()
    if len(words) == 1:
        words = words * 3
    if len(words) != 3 or any(word not in _LOGICAL for word in words):
        raise InputError(f'{where}: pbc: expected three of T and F, such as "T T F", got {text!r}')
    return _LOGICAL[words[0]], _LOGICAL[words[1]], _LOGICAL[words[2]]
