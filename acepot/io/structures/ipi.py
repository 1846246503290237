"""The comment line of i-PI's XYZ files: cell, and the units of cell and positions."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.structures.values import numbers
from acepot.units import IPI

#: CELL(abcABC), CELL(H) or CELL(GENH) and its numbers, in any kind of brackets.
_CELL = re.compile(r"CELL[(\[{](?P<form>abcABC|H|GENH)[)\]}]:\s*(?P<words>[-+0-9.Ee \t]*)")
_CELL_UNIT = re.compile(r"\bcell\{(?P<unit>[A-Za-z_]*)\}")
_QUANTITY = re.compile(r"\b(?P<name>(?!cell\b|CELL\b)[A-Za-z_]+)\{(?P<unit>[A-Za-z_]*)\}")
_POSITIONS = ("positions", "x_centroid", "x_centroid_even", "x_centroid_odd")
#: Units of length in Å.
_UNITS = {"angstrom": 1.0, "nanometer": 10.0, "atomic_unit": IPI.length}


def is_ipi(text: str) -> bool:
    """Whether a comment line is i-PI's."""
    return _CELL.search(text) is not None


def parse_ipi(text: str, where: str) -> tuple[NDArray[np.float64], float]:
    """Read a comment line of i-PI.

    i-PI takes atomic units where a file names none. Too many files in Å name none, so that here
    the units have to be named.

    Args:
        text: the line; `is_ipi` holds.
        where: file, frame and line, for messages.

    Returns:
        Lattice vectors as rows in Å, shape (3, 3), and the unit of the positions in Å.

    Raises:
        InputError: a cell that is none, units that are missing or unknown, or another quantity
            than positions.
    """
    cell = _CELL.search(text)
    quantity = _QUANTITY.search(text)
    unit = _CELL_UNIT.search(text)
    if cell is None or quantity is None or unit is None:
        raise InputError(
            f"{where}: expected i-PI's units, such as cell{{angstrom}} positions{{angstrom}} "
            f"(i-PI itself would take atomic units), got {text[:200]!r}"
        )
    if quantity["name"] not in _POSITIONS:
        raise InputError(f"{where}: expected positions, got i-PI's {quantity['name'][:60]}")
    for word in (unit["unit"], quantity["unit"]):
        if word not in _UNITS:
            raise InputError(
                f"{where}: expected a unit of length ({', '.join(_UNITS)}), got {word[:60]!r}"
            )
    rows = _rows(cell["form"], numbers(cell["words"]))
    if rows is None:
        expected = "a b c and three angles" if cell["form"] == "abcABC" else "9 numbers"
        raise InputError(f"{where}: CELL: expected {expected}, got {cell['words'][:200]!r}")
    return rows * _UNITS[unit["unit"]], _UNITS[quantity["unit"]]


def _rows(form: str, values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Lattice vectors as rows; i-PI keeps them as columns."""
    if values is None or not np.isfinite(values).all():
        return None
    if form != "abcABC":
        return values.reshape(3, 3).T.copy() if values.size == 9 else None
    if values.size != 6:
        return None
    a, b, c = values[:3].tolist()
    alpha, beta, gamma = (math.radians(angle) for angle in values[3:].tolist())
    if math.sin(gamma) <= 0.0:
        return None
    x = math.cos(beta)
    y = (math.cos(alpha) - math.cos(beta) * math.cos(gamma)) / math.sin(gamma)
    if (height := 1.0 - x * x - y * y) <= 0.0:
        return None
    across = [b * math.cos(gamma), b * math.sin(gamma), 0.0]
    return np.array([[a, 0.0, 0.0], across, [c * x, c * y, c * math.sqrt(height)]])
