"""TightBindingCalculator: a Hamiltonian with its repulsion as an ASE calculator."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import acepot
from acepot import HamiltonianModel, Structure, TightBinding
from acepot.errors import AceError, InputError, MissingDependency
from acepot.orbitals import Filling
from acepot.voigt import to_voigt
from ase_ace.calculator import CalculatorInputError, volume_of
from ase_ace.serial import SerialCalculator

try:
    from ase import Atoms
    from ase.calculators import calculator as host
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error


class TightBindingCalculator(SerialCalculator):
    """Energies, forces and stresses of a Hamiltonian in atomic orbitals for ASE.

    The energy is the free energy of the electrons in the model's levels and its fitted repulsion;
    forces and stress are its exact derivatives. `results` also holds fermi_level, band_energy and
    gap in eV and populations (n,) by Mulliken. `energy` and `free_energy` are the same number, as
    dynamics need; at a finite temperature of the electrons it is A = E - TS.

    Args:
        model: a model, or the path of its file.
        filling: k, temperature and charge; None: the model's.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.

    Raises:
        InputError: another kind of model; at each calculation: unknown elements, atoms that are
            too close, a cell without volume.
        ConvergenceError: atoms so unlike those of the fit that the overlap is not positive.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]
    discard_results_on_any_change = True
    ignored_changes = {"initial_charges", "initial_magmoms"}

    def __init__(
        self,
        model: HamiltonianModel | str | os.PathLike[str],
        *,
        filling: Filling | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(model, (str, os.PathLike)):
            model = acepot.load(model, HamiltonianModel)
        if not isinstance(model, HamiltonianModel):
            raise CalculatorInputError(
                f"model: expected a HamiltonianModel or path, got {type(model).__name__}"
            )
        self.tight_binding = TightBinding(model, filling, threads)

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
            found = self.tight_binding.evaluate(structure)
        except InputError as error:
            raise CalculatorInputError(str(error)) from error
        except AceError as error:
            raise host.CalculationFailed(str(error)) from error
        electrons = found.electrons.electrons
        results: dict[str, Any] = {
            "energy": found.energy, "free_energy": found.energy, "forces": found.forces,
            "fermi_level": electrons.fermi, "band_energy": electrons.band_energy,
            "gap": electrons.gap, "populations": found.electrons.populations,
        }  # fmt: skip
        if (volume := volume_of(own)) is not None:
            symmetric = (found.virial + found.virial.T) / 2
            results["stress"] = np.asarray(-to_voigt(symmetric) / volume)
        elif "stress" in properties:
            raise host.PropertyNotImplementedError(
                "stress: expected a cell with a volume and a periodic direction"
            )
        self.results = results

    def _get_name(self) -> str:
        return "acepot tight binding"
