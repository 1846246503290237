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
from acepot.orbitals import Filling
from acepot.structure import Structure


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


def divisions(structure: Structure, filling: Filling) -> tuple[int, int, int]:
    """Points of k along each reciprocal lattice vector.

    Args:
        structure: atoms and cell.
        filling: the mesh, or how far its points may be apart.

    Raises:
        InputError: several points along a direction that is not periodic.
    """
    if filling.kmesh is None:
        cell, periodic = structure.cell.copy(), structure.pbc
        cell[~periodic] = np.eye(3)[~periodic] * 1e3
        lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
        found = np.where(periodic, np.ceil(lengths / filling.kspacing - 1e-9), 1).astype(int)
        one, two, three = (max(int(n), 1) for n in found)
        return one, two, three
    if (np.array(filling.kmesh) > 1)[~structure.pbc].any():
        raise InputError(
            f"kmesh: expected 1 along directions that are not periodic, got "
            f"{filling.kmesh} for pbc = {structure.pbc.tolist()}"
        )
    return filling.kmesh


class BandEnergyEvaluator:
    """Free energies of electrons in the levels of a model, with forces.

    Args:
        model: orbitals with the models of their blocks.
        filling: k, temperature and charge; None: the model's.
        threads: as of `NativeEvaluator`.
    """

    def __init__(
        self, model: HamiltonianModel, filling: Filling | None = None, threads: int | None = None
    ) -> None:
        self.model, self.filling = model, filling or model.filling
        self.evaluator = HamiltonianEvaluator(model, threads)

    def evaluate(self, structure: Structure) -> BandEnergy:
        """A of a structure, with forces, virials and populations.

        Raises:
            InputError: an unknown element, atoms that are too close, or k along a direction that
                is not periodic.
            ConvergenceError: an overlap that is not positive definite.
        """
        points = mesh(divisions(structure, self.filling))
        given = self.evaluator.matrices(structure)
        hamiltonian, overlap = given.hamiltonian[0], given.overlap
        found = levels(hamiltonian, overlap, points, orbitals=True)
        count = electrons_of(self.model, structure, self.filling.charge)
        electrons = filled(found, count, self.filling.temperature)
        made = densities(hamiltonian, overlap, found, electrons)
        minus = {pair: -w for pair, w in made.energy_density.items()}
        pulled = self.evaluator.pullback(structure, made.density, minus if overlap else None)
        return BandEnergy(electrons, pulled.forces, pulled.virials, made.populations)
