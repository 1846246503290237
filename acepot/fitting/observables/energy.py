"""Total energies."""

from __future__ import annotations

import numpy as np

from acepot.evaluate.protocol import Result
from acepot.fitting.observables.base import Evaluate, Floats, Observable
from acepot.structure import Structure


class Energy(Observable, name="energy"):
    """The total energy of a structure in eV, less that of its isolated atoms."""

    letter, unit, title = "E", "eV/atom", "Energy"
    extensive, weight = True, 30.0
    compiled, demand = "energy", ""

    def shape(self, atoms: int) -> tuple[int, ...]:
        """One number, without an axis."""
        return ()

    def given(self, structure: Structure) -> float | None:
        """The energy of a structure."""
        return structure.energy

    def less_e0(self, values: Floats, e0: float) -> Floats:
        """The energy that the basis functions are to describe."""
        return values - e0

    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """The sum of the atoms' energies."""
        return np.array([result.energy])
