"""Forces."""

from __future__ import annotations

from acepot.evaluate.protocol import Result
from acepot.fitting.observables.base import Evaluate, Floats, Observable
from acepot.structure import Structure


class Forces(Observable, name="forces"):
    """Forces on the atoms in eV/Å, atom by atom."""

    letter, unit, title = "F", "eV/Å", "Forces"
    components, per_atom = ("x", "y", "z"), True
    compiled, demand = "forces", ""

    def given(self, structure: Structure) -> Floats | None:
        """The forces of a structure, shape (n, 3)."""
        return structure.forces

    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """-dE/dr."""
        return result.forces.ravel()
