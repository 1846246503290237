"""Energies of defects: differences of two cells, with a weight of their own."""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.fitting.observables.base import DesignRows, Evaluate, Floats, Observable
from acepot.structure import Structure

__all__ = ["PERFECT", "FormationEnergy", "perfect_label"]

#: The label with the perfect crystal: three rows with its cell and a zero, then Z, x, y, z.
PERFECT = "perfect"


def perfect_label(crystal: Structure) -> Floats:
    """The label `perfect` of a crystal, shape (3 + n, 4)."""
    cell = np.column_stack([crystal.cell, np.zeros(3)])
    return np.vstack([cell, np.column_stack([crystal.numbers, crystal.positions])])


class FormationEnergy(Observable, name="formation_energy"):
    """E - (n/n_0) E_0 in eV of a cell with a defect, E_0 being that of the perfect crystal.

    Total energies of large cells, which are divided by √n, leave it open; this row is not divided.
    """

    letter, unit, title, weight = "D", "eV", "Formation energy", 30.0
    universal = False
    demand = "formation energies; name their key and that of perfect (data.keys)"

    def shape(self, atoms: int) -> tuple[int, ...]:
        """One number, without an axis."""
        return ()

    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """The difference of two energies."""
        crystal, share = _perfect(structure)
        return np.array([result.energy - share * evaluate([crystal])[0].energy])

    def rows(self, structure: Structure, design: DesignRows) -> Floats:
        """The difference of two rows."""
        crystal, share = _perfect(structure)
        return design.of(structure, ("energy",)) - share * design.of(crystal, ("energy",))


def _perfect(structure: Structure) -> tuple[Structure, float]:
    """The perfect crystal, and how many of its cells have as many atoms as the structure."""
    where, given = structure.name or "structure", structure.labels.get(PERFECT)
    if given is None or np.ndim(given) != 2 or np.shape(given)[1] != 4 or len(given) < 4:
        raise InputError(
            f"{where}: formation_energy: expected a label {PERFECT} of shape (3 + n, 4): the cell "
            "of the perfect crystal and a zero in each row, then Z, x, y, z of its atoms"
        )
    cell, atoms = given[:3, :3], given[3:]
    crystal = Structure(atoms[:, 0].astype(int), atoms[:, 1:], cell, True, name=where)
    elements = set(crystal.numbers.tolist())
    if len(elements) != 1 or elements != set(structure.numbers.tolist()):
        raise InputError(
            f"{where}: formation_energy: expected a crystal and a defect of one and the same "
            f"element, got {sorted(elements)} and {sorted(set(structure.numbers.tolist()))}"
        )
    return crystal, len(structure) / len(crystal)
