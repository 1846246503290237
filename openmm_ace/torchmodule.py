"""What TorchForce calls at every evaluation, in TorchScript."""

import torch
from torch import Tensor

from acepot.units import OPENMM


class ForceModule(torch.nn.Module):
    """From OpenMM's positions to its energy and forces.

    Args:
        structure: takes (species, positions, cell, pbc) in Å; its first two results are energies
            of atoms in eV and forces in eV/Å.
        species: species index of every chosen atom, shape (k,).
        atoms: indices of the chosen particles, shape (k,); None: all.
        periodic: whether the atoms repeat with OpenMM's box.
        scaled: whether energy and forces are multiplied with a global parameter.
    """

    atoms: Tensor
    species: Tensor
    pbc: Tensor

    def __init__(
        self,
        structure: torch.nn.Module,
        species: Tensor,
        atoms: Tensor | None,
        periodic: bool,
        scaled: bool,
    ) -> None:
        super().__init__()
        self.structure = structure
        self.register_buffer("species", species)
        self.register_buffer("atoms", torch.zeros(0, dtype=torch.int64) if atoms is None else atoms)
        self.register_buffer("pbc", torch.full((3,), periodic))
        self.some = atoms is not None
        self.periodic = periodic
        self.scaled = scaled
        self.length, self.energy, self.force = OPENMM.length, OPENMM.energy, OPENMM.force

    def forward(
        self, positions: Tensor, first: Tensor | None = None, second: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Energy in kJ/mol, and forces in kJ/mol/nm that TorchForce can read.

        Args:
            positions: of all particles, in nm, anywhere, shape (n, 3).
            first: the box in nm, shape (3, 3), if periodic; else as `second`.
            second: the global parameter, if scaled.
        """
        places = positions.detach().to(torch.float64) * self.length
        cell = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        factor = first
        if self.periodic:
            if first is None:
                raise ValueError("box: this force is periodic, but it was given no box")
            cell = first.detach().to(torch.float64) * self.length
            factor = second
        if self.some:
            places = places.index_select(0, self.atoms)
        results = self.structure(self.species, places, cell, self.pbc)
        energy = results[0].to(torch.float64).sum() / self.energy
        forces = results[1].to(torch.float64) / self.force
        if self.scaled:
            if factor is None:
                raise ValueError("this force has a global parameter, but it was given none")
            energy = energy * factor
            forces = forces * factor
        if self.some:
            everywhere = torch.zeros_like(positions, dtype=torch.float64)
            forces = everywhere.index_copy(0, self.atoms, forces)
        # TorchForce reads the memory of the forces as it lies, whatever their strides.
        return energy, forces.to(positions.dtype).contiguous()
