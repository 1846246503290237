"""Virials, which labels may also give as stresses."""

from __future__ import annotations

from numpy.typing import ArrayLike

from acepot.evaluate.protocol import Result
from acepot.fitting.observables.base import Evaluate, Floats, Observable
from acepot.structure import Structure
from acepot.voigt import COMPONENTS, to_voigt


class Virial(Observable, name="virial"):
    """The six components of the virial W = -dE/dε in eV."""

    letter, unit, title = "V", "eV/atom", "Virial"
    components, extensive = COMPONENTS, True
    compiled = "virial"
    demand = "a virial or a stress; name their key (data.virial_key, data.stress_key)"

    def shape(self, atoms: int) -> tuple[int, ...]:
        """The whole tensor."""
        return (3, 3)

    def size(self, atoms: int) -> int:
        """Six of its nine components."""
        return len(COMPONENTS)

    def flat(self, value: ArrayLike) -> Floats:
        """In Voigt's order."""
        return to_voigt(value)

    def given(self, structure: Structure) -> Floats | None:
        """The virial of a structure, shape (3, 3)."""
        return structure.virial

    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """-dE/dε."""
        return to_voigt(result.virial)
