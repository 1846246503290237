"""What is found: numbers with their errors and references, curves and remarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import AceError
from acepot.schema import Settings, from_toml

__all__ = [
    "FIRST_ORDER", "RECOMPUTED", "Finding", "References", "Value", "by_members", "deviations",
    "read_references",
]  # fmt: skip

Floats = NDArray[np.float64]
#: The size of a cell behind a name: vacancy Si (64).
_SIZE = re.compile(r" \(\d+\)$")
#: How errors were found, in words.
RECOMPUTED = "each member recomputed"
FIRST_ORDER = "members at the model's geometry, first order"


@dataclass(frozen=True)
class Value:
    """A number.

    Args:
        name: of the property, as a reference file names it.
        value: of the model.
        unit: of it; empty: a number.
        error: root-mean-square deviation of the members' values; None: there are none.
        how: in which way that was found.
    """

    name: str
    value: float
    unit: str = ""
    error: float | None = None
    how: str = ""


@dataclass(frozen=True)
class Finding:
    """What one step found.

    Args:
        values: numbers.
        notes: remarks, a sentence each.
        curves: lists of numbers by name, for the page.
    """

    values: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Any] = field(default_factory=dict)


def by_members(
    pairs: Sequence[tuple[str, float, str]],
    members: Sequence[Callable[[], Sequence[float]]],
    how: str = RECOMPUTED,
) -> tuple[list[Value], int]:
    """Values with the deviations of the members'.

    Args:
        pairs: name, value of the model and unit.
        members: each gives its values in the same order, or raises what makes it impossible.
        how: in which way.

    Returns:
        The values, and how many members failed.
    """
    rows: list[Sequence[float]] = []
    failed = 0
    for member in members:
        try:
            rows.append(member())
        except AceError:
            failed += 1
    if not rows:
        return [Value(name, value, unit) for name, value, unit in pairs], failed
    errors = deviations(np.array(rows), np.array([value for _, value, _ in pairs]))
    return [
        Value(name, value, unit, error, how)
        for (name, value, unit), error in zip(pairs, errors.tolist(), strict=True)
    ], failed


def deviations(members: Floats, model: Floats) -> Floats:
    """Root-mean-square deviations of members' values, shape (M, k), from the model's."""
    return np.asarray(np.sqrt(np.mean((members - model) ** 2, axis=0)))


@dataclass(frozen=True)
class References(Settings):
    """Values to compare with, of a TOML file.

    Args:
        name: where they are from.
        structures: by structure, as the command names it, numbers by the name of the property.
            A point defect without the size of its cell is compared with all sizes.
    """

    name: str = "reference"
    structures: dict[str, dict[str, float]] = field(default_factory=dict)

    def of(self, structure: str, name: str) -> float | None:
        """The reference of a property; None: there is none."""
        table = self.structures.get(structure, {})
        return table.get(name, table.get(_SIZE.sub("", name)))

    def unused(self, structure: str, names: Sequence[str]) -> list[str]:
        """Names in the file that no property has."""
        known = {*names, *(_SIZE.sub("", name) for name in names)}
        return [name for name in self.structures.get(structure, {}) if name not in known]


def read_references(path: str | Path | None) -> References:
    """Reference values of a TOML file; None: there are none.

    Raises:
        InputError: the file is missing, no TOML, or holds something else.
    """
    return References() if path is None else from_toml(References, Path(path))
