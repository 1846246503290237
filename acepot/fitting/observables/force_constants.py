"""Force constants: how forces change when one atom is displaced."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.fitting.observables.base import DesignRows, Evaluate, Floats, Observable
from acepot.structure import Structure

__all__ = ["DISPLACED", "ForceConstants", "displaced"]

#: The label that says which atom is displaced: its index, the direction and the displacement.
DISPLACED = "displaced"
#: Å; of central differences where a label is a derivative: exact to 1e-8 of the largest.
_STEP = 2e-5


def displaced(structure: Structure) -> tuple[int, Floats, float]:
    """Which atom a structure's force constants belong to.

    Args:
        structure: with the label `displaced`: index, x, y, z and, if it is known, the displacement
            in Å: central differences of ±h where it is positive, forces of the one displaced
            structure over |h| where it is negative, derivatives where it is 0 or left out.

    Returns:
        Index of the atom, unit vector and displacement.

    Raises:
        InputError: no such label, no such atom, or no direction.
    """
    where = structure.name or "structure"
    given = structure.labels.get(DISPLACED)
    if given is None or np.size(given) not in (4, 5):
        raise InputError(
            f"{where}: force_constants: expected a label {DISPLACED} with 4 or 5 numbers (index of "
            "the displaced atom, x, y, z of the direction, displacement in Å), "
            f"got {'none' if given is None else np.size(given)}"
        )
    numbers = np.ravel(given)
    atom, direction = int(numbers[0]), np.array(numbers[1:4])
    length = float(np.linalg.norm(direction))
    if numbers[0] != atom or not 0 <= atom < len(structure):
        raise InputError(
            f"{where}: {DISPLACED}: expected an atom 0 to {len(structure) - 1}, got {numbers[0]:g}"
        )
    if not length > 0:
        raise InputError(f"{where}: {DISPLACED}: expected a direction, got {direction.tolist()}")
    size = float(numbers[4]) if len(numbers) == 5 else 0.0
    if abs(size) > 0.5:
        raise InputError(f"{where}: {DISPLACED}: expected at most 0.5 Å, got {size:g}")
    return atom, direction / length, size


class ForceConstants(Observable, name="force_constants"):
    """Φ_jb = -∂f_jb/∂u of all atoms j, for one atom displaced by u along one direction, eV/Å².

    A structure is the cell at rest; each displaced atom and direction is a structure of its own.
    Labels by finite differences have rows by the same differences, so that the displacement is no
    source of error.
    """

    letter, unit, title = "K", "eV/Å²", "Force constants"
    components, per_atom = ("x", "y", "z"), True
    universal = False
    demand = "force constants; name their key and that of displaced (data.keys)"

    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """The same differences of the model's forces."""
        moved, factors = _moved(structure)
        found = evaluate(moved)
        return np.asarray(
            sum(f * one.forces.ravel() for f, one in zip(factors, found, strict=True))
        )

    def rows(self, structure: Structure, design: DesignRows) -> Floats:
        """The same differences of force rows."""
        moved, factors = _moved(structure)
        rows = np.zeros((3 * len(structure), design.functions))
        for factor, one in zip(factors, moved, strict=True):
            rows += factor * design.of(one, ("forces",))
        return rows


def _moved(structure: Structure) -> tuple[list[Structure], list[float]]:
    """Displaced structures, and what their forces are multiplied by."""
    atom, direction, size = displaced(structure)
    step = _STEP if size == 0 else abs(size)
    signs = (1,) if size < 0 else (1, -1)
    return (
        [structure.moved(_shifted(structure, atom, sign * step * direction)) for sign in signs],
        [-sign / (step * len(signs)) for sign in signs],
    )


def _shifted(structure: Structure, atom: int, by: Floats) -> NDArray[np.float64]:
    positions = np.array(structure.positions)
    positions[atom] += by
    return positions
