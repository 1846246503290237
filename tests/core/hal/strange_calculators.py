"""Calculators that do what calculators do: hang, die, print, give nonsense. Found by name."""

import os
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Strange(Calculator):
    """A well for every atom; `fault` says what goes wrong, `times` how often."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, fault="", times=0, note="", **words):
        super().__init__(**words)
        self.fault, self.times, self.note = fault, times, note

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Energy and forces, or what the fault says."""
        super().calculate(atoms, properties, system_changes)
        print("calculators print")  # noqa: T201
        count = 0
        if self.note:  # what survives a process that dies
            note = Path(self.note)
            count = len(note.read_text()) if note.exists() else 0
            note.write_text("x" * (count + 1))
        energy, forces = 0.5 * float((atoms.positions**2).sum()), -atoms.positions
        if count < self.times:
            if self.fault == "hang":
                time.sleep(1000)
            if self.fault == "slow":
                time.sleep(3)
            if self.fault == "die":
                os._exit(9)
            if self.fault == "raise":
                raise RuntimeError("not converged")
            if self.fault == "nan":
                energy = float("nan")
            if self.fault == "nonsense":
                energy = 1e6
        self.results = {"energy": energy, "forces": np.array(forces)}
