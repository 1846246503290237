"""BiasedCalculator: E - τσ as an ASE calculator, for dynamics that seek what a model ignores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from acepot import Structure
from acepot.errors import InputError, MissingDependency
from acepot.uncertainty.biased import BiasedPotential
from acepot.voigt import to_voigt
from ase_ace.calculator import CalculatorInputError
from ase_ace.serial import SerialCalculator

try:
    from ase import Atoms
    from ase.calculators import calculator as host
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error


class BiasedCalculator(SerialCalculator):
    """Energies, forces and stresses of E - τσ.

    `results` also holds unbiased_energy and sigma, both in eV.

    Args:
        model: the model, or its file.
        posterior: of it, or its file.
        tau: τ.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.

    Raises:
        InputError: as `acepot.uncertainty.biased.BiasedPotential`; at each calculation: unknown
            elements, atoms too close.
        ModelFileError: likewise.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(
        self,
        model: Any,
        posterior: Any,
        tau: float,
        *,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self._potential = BiasedPotential(model, posterior, tau, threads)
        named = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
        self.parameters.update(model=named, tau=self._potential.tau)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(host.all_changes),
    ) -> None:
        """Fill `results` for these atoms (ASE calls this when something has changed)."""
        self.results = {}
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        if (own := self.atoms) is None:
            raise CalculatorInputError("atoms: expected an Atoms object, got none")
        try:
            structure = Structure(own.numbers, own.positions, own.cell.array, own.pbc)
            found = self._potential.compute(structure)
        except InputError as error:
            raise CalculatorInputError(str(error)) from error
        self.results = {
            "energy": found.biased, "free_energy": found.biased, "forces": found.forces,
            "unbiased_energy": found.energy, "sigma": found.sigma,
        }  # fmt: skip
        if structure.pbc.any() and structure.volume > 0:
            virial = 0.5 * (found.virial + np.swapaxes(found.virial, -1, -2))
            self.results["stress"] = np.asarray(-to_voigt(virial) / structure.volume)

    def _get_name(self) -> str:
        return "acepot E - tau sigma"
