"""The free energy of electrons in a model's levels, with forces: the electronic part of an energy.

    A = Σ_k w_k 2 Σ_n f ε - T S,   dA = Σ ρ_ij(T) · dH_ij(T) - W_ij(T) · dS_ij(T)

exactly, for metals and insulators: forces are one pullback of ρ and -W.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.spectrum import Electrons, densities, filled, levels, mesh
from acepot.model import HamiltonianModel
from acepot.schema import Settings
from acepot.structure import Structure


@dataclass(frozen=True)
class Filling(Settings):
    """How levels are filled.

    Args:
        kmesh: points along each reciprocal lattice vector; 1 where a direction is not periodic.
        temperature: of the electrons in K.
        charge: of the cell in e.
    """

    kmesh: tuple[int, int, int] = (1, 1, 1)
    temperature: float = 300.0
    charge: float = 0.0

    def check(self) -> None:
        """Numbers that can be."""
        if min(self.kmesh) < 1 or max(self.kmesh) > 1000:
            raise InputError(f"kmesh: expected three numbers from 1 to 1000, got {self.kmesh}")
        if not 0 < self.temperature <= 1e6:
            raise InputError(f"temperature: expected above 0 to 1e6 K, got {self.temperature}")


@dataclass(frozen=True, eq=False)
class BandEnergy:
    """Electrons of one structure.

    Args:
        electrons: Fermi level, band energy and free energy A in eV.
        forces: -dA/dr in eV/Å, shape (n, 3).
        virials: of each atom in eV, shape (n, 3, 3); their sum is -dA/dε.
        populations: Mulliken populations, shape (n,).
    """

    electrons: Electrons
    forces: Floats
    virials: Floats
    populations: Floats


def electrons_of(model: HamiltonianModel, structure: Structure, charge: float = 0.0) -> float:
    """How many valence electrons a structure has.

    Args:
        model: with the electrons of its elements.
        structure: atoms.
        charge: of the cell in e.

    Raises:
        InputError: the model does not know them.
    """
    if not model.electrons:
        raise InputError(
            "model: the valence electrons of its elements are not known; give them when fitting, "
            "electrons = {Si = 4} in TOML"
        )
    held = [model.electrons[SYMBOLS[z]] for z in structure.numbers.tolist()]
    return float(sum(held)) - charge


class BandEnergyEvaluator:
    """Free energies of electrons in the levels of a model, with forces.

    Args:
        model: orbitals with the models of their blocks.
        filling: k, temperature and charge.
        threads: as of `NativeEvaluator`.
    """

    def __init__(
        self, model: HamiltonianModel, filling: Filling | None = None, threads: int | None = None
    ) -> None:
        self.model, self.filling = model, filling or Filling()
        self.evaluator = HamiltonianEvaluator(model, threads)
        self._mesh = mesh(self.filling.kmesh)

    def evaluate(self, structure: Structure) -> BandEnergy:
        """A of a structure, with forces, virials and populations.

        Raises:
            InputError: an unknown element, atoms that are too close, or k along a direction that
                is not periodic.
            ConvergenceError: an overlap that is not positive definite.
        """
        if (np.array(self.filling.kmesh) > 1)[~structure.pbc].any():
            raise InputError(
                f"kmesh: expected 1 along directions that are not periodic, got "
                f"{self.filling.kmesh} for pbc = {structure.pbc.tolist()}"
            )
        given = self.evaluator.matrices(structure)
        hamiltonian, overlap = given.hamiltonian[0], given.overlap
        found = levels(hamiltonian, overlap, self._mesh, orbitals=True)
        count = electrons_of(self.model, structure, self.filling.charge)
        electrons = filled(found, count, self.filling.temperature)
        made = densities(hamiltonian, overlap, found, electrons)
        minus = {pair: -w for pair, w in made.energy_density.items()}
        pulled = self.evaluator.pullback(structure, made.density, minus if overlap else None)
        return BandEnergy(electrons, pulled.forces, pulled.virials, made.populations)
