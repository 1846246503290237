"""Energies of a Hamiltonian: the free energy of its electrons and a fitted repulsion.

    E = A(levels) + Σ_i ε(R_i)

The second part is an ACE model fitted to what energies, forces and virials of the data have beyond
the first: the repulsion of density-functional tight binding, made many-body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.fitting.dataset import as_structures
from acepot.fitting.fit import fit
from acepot.fitting.fitted import Fit
from acepot.hamiltonian.band_energy import BandEnergy, BandEnergyEvaluator
from acepot.hamiltonian.fit import Progress
from acepot.model import HamiltonianModel
from acepot.orbitals import Filling
from acepot.potential import Potential
from acepot.structure import Structure


@dataclass(frozen=True, eq=False)
class TightBindingResult:
    """What a Hamiltonian says about the energy of one structure.

    Args:
        energy: in eV, the free energy A of the electrons and the repulsion.
        forces: in eV/Å, shape (n, 3).
        virial: W = -dE/dε in eV, shape (3, 3).
        electrons: the electronic part.
    """

    energy: float
    forces: Floats
    virial: Floats
    electrons: BandEnergy


class TightBinding:
    """Evaluates the energy of a Hamiltonian.

    Args:
        model: with the electrons of its elements.
        filling: k, temperature and charge; None: the model's.
        threads: as of `NativeEvaluator`.
    """

    def __init__(
        self, model: HamiltonianModel, filling: Filling | None = None, threads: int | None = None
    ) -> None:
        self.model = model
        self._bands = BandEnergyEvaluator(model, filling, threads)
        self._repulsion = None
        if model.repulsion is not None:
            self._repulsion = Potential(model.repulsion, threads=threads)

    def evaluate(self, structure: Structure) -> TightBindingResult:
        """Energy, forces and virial of a structure.

        Raises:
            InputError: an unknown element, or atoms that are too close.
            ConvergenceError: an overlap that is not positive definite.
        """
        electrons = self._bands.evaluate(structure)
        energy, forces = electrons.electrons.free_energy, electrons.forces
        virial = electrons.virials.sum(axis=0)
        if self._repulsion is not None:
            other = self._repulsion.compute(structure)
            energy, forces = energy + other.energy, forces + other.forces
            virial = virial + other.virial
        return TightBindingResult(energy, forces, virial, electrons)


def fit_repulsion(
    model: HamiltonianModel,
    structures: Iterable[Any],
    basis: Mapping[str, Any] | None = None,
    *,
    filling: Filling | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> tuple[HamiltonianModel, Fit]:
    """Fit what energies, forces and virials have beyond the free energy of the electrons.

    Args:
        model: a fitted Hamiltonian, with the electrons of its elements.
        structures: with labels; of acepot, or Atoms of ASE.
        basis: of the repulsion; None: from the data.
        filling: with which levels are filled, kept with the model; None: the model's.
        threads: as of `NativeEvaluator`.
        progress: told what is done.
        settings: further arguments of `acepot.fit`.

    Returns:
        The Hamiltonian with its repulsion, and the fit of that.

    Raises:
        InputError: structures without labels, or of elements that the model does not have.
    """
    given = as_structures(structures)
    model = replace(model, filling=filling or model.filling, repulsion=None)
    evaluator = BandEnergyEvaluator(model, threads=threads)
    left = []
    for number, structure in enumerate(given):
        if progress is not None:
            progress("electrons of structures", number / len(given))
        left.append(_beyond(structure, evaluator.evaluate(structure)))
    fitted = fit(left, basis, **({"threads": threads} | settings))
    return replace(model, repulsion=fitted.model), fitted


def _beyond(structure: Structure, electrons: BandEnergy) -> Structure:
    """The structure with labels from which the electronic part is taken."""
    if structure.energy is None and structure.forces is None:
        raise InputError(f"{structure.name or 'structure'}: expected an energy or forces to fit")
    energy = forces = virial = None
    if structure.energy is not None:
        energy = structure.energy - electrons.electrons.free_energy
    if structure.forces is not None:
        forces = np.asarray(structure.forces - electrons.forces)
    if structure.virial is not None:
        virial = np.asarray(structure.virial - electrons.virials.sum(axis=0))
    return replace(structure, energy=energy, forces=forces, virial=virial)
