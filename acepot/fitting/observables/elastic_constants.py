"""Elastic constants of crystals whose ions stay where they are under strain."""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.fitting.observables.base import DesignRows, Evaluate, Floats, Observable
from acepot.structure import Structure
from acepot.units import GIGAPASCAL
from acepot.voigt import INDEX

__all__ = ["ElasticConstants"]

#: Strain of central differences: exact to 1e-7.
_STRAIN = 1e-4
#: Places of the 21 in the 6x6 matrix, row by row, and their names.
_ROW, _COLUMN = np.triu_indices(6)
#: Forces under strain, of the largest function, above which ions would move.
_FREE = 1e-6


class ElasticConstants(Observable, name="elastic_constants"):
    """C_ij in GPa, Voigt's order, of a crystal at rest: second derivatives of the energy by strain.

    Ions must not move under strain, as in sc, bcc and fcc: what their moving takes off depends on
    the coefficients in no linear way.
    """

    letter, unit, title = "C", "GPa", "Elastic constants"
    components = tuple(f"C{i + 1}{j + 1}" for i, j in zip(_ROW, _COLUMN, strict=True))
    weight = 0.1
    universal = False
    demand = "elastic constants; name their key (data.keys)"

    def shape(self, atoms: int) -> tuple[int, ...]:
        """The whole matrix."""
        return (6, 6)

    def size(self, atoms: int) -> int:
        """Its upper triangle."""
        return len(self.components)

    def flat(self, value: object) -> Floats:
        """The upper triangle of a matrix, row by row, or its 21 numbers."""
        array = np.asarray(value, dtype=float)
        if array.size == 36:
            whole = array.reshape(6, 6)
            return np.asarray((whole + whole.T)[_ROW, _COLUMN] / 2)
        return array.ravel()

    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """Differences of the model's virials."""
        found = evaluate(_strained(structure))
        forces = np.array([one.forces for one in found])
        _require_fixed(structure, forces[::2] - forces[1::2])
        virials = np.array([one.virial[INDEX] for one in found])
        return _constants(virials, structure.volume)

    def rows(self, structure: Structure, design: DesignRows) -> Floats:
        """Differences of virial rows."""
        every = [design.of(one, ("forces", "virial")) for one in _strained(structure)]
        forces = np.array([rows[:-6] for rows in every])
        _require_fixed(structure, forces[::2] - forces[1::2])
        return _constants(np.array([rows[-6:] for rows in every]), structure.volume)


def _strained(structure: Structure) -> list[Structure]:
    """The structure under plus and minus each of six engineering strains."""
    found = []
    for row, column in zip(*INDEX, strict=True):
        for sign in (1, -1):
            deform = np.eye(3)
            deform[row, column] += sign * _STRAIN / 2
            deform[column, row] += sign * _STRAIN / 2
            found.append(structure.moved(structure.positions @ deform, structure.cell @ deform))
    return found


def _constants(virials: Floats, volume: float) -> Floats:
    """The 21 constants from virials at ± strains, shape (12, 6, ...)."""
    slopes = -(virials[::2] - virials[1::2]) / (2 * _STRAIN * volume * GIGAPASCAL)
    return np.asarray((slopes + slopes.swapaxes(0, 1))[_ROW, _COLUMN] / 2)


def _require_fixed(structure: Structure, forces: Floats) -> None:
    """Refuse crystals whose ions move under strain.

    Args:
        structure: for the message.
        forces: their changes by strains, shape (6, 3n, ...) or (6, n, 3).
    """
    slope = float(np.abs(forces).max(initial=0.0)) / (2 * _STRAIN)
    if slope > _FREE:
        raise InputError(
            f"{structure.name or 'structure'}: elastic_constants: its ions move under strain "
            f"(forces of up to {slope:.2g} by unit strain), and what that takes off is not linear "
            "in the coefficients; give stresses of strained cells at rest instead"
        )
