"""Atoms in a cell for modules that take edges, neighbour list included, in TorchScript."""

import torch
from torch import Tensor
from vesin_torch import NeighborList

from acepot.evaluate.torch.module import AceModule

#: Cut-offs; the library that finds neighbours ends the process far beyond, and is slow before.
_FARTHEST = 10_000


class StructureModule(torch.nn.Module):
    """Energies and forces of atoms in a cell.

    The neighbour list is vesin's, which runs in TorchScript, on a GPU too, and takes triclinic
    cells smaller than the cut-off, open directions and atoms anywhere.

    Args:
        edges: the module that takes (species, centre, neighbour, vector) and returns
            (E_i, dE_centre/dvector).
    """

    def __init__(self, edges: AceModule) -> None:
        super().__init__()
        self.edges = edges
        self.cutoff = edges.cutoff
        self.farthest = _FARTHEST

    def forward(
        self, species: Tensor, positions: Tensor, cell: Tensor, pbc: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies and forces, without autograd.

        Args:
            species: species index of every atom, shape (n,), int64.
            positions: in Å, anywhere, shape (n, 3), float64.
            cell: rows are lattice vectors in Å, shape (3, 3), float64.
            pbc: periodic directions, shape (3,), bool.

        Returns:
            E_i in eV, shape (n,), and forces in eV/Å, shape (n, 3), in the type of the module.
        """
        extent = positions.detach().amax(dim=0) - positions.detach().amin(dim=0)
        lengths = torch.where(pbc, cell.detach().square().sum(dim=1).sqrt(), extent)
        if float(lengths.max()) > self.farthest * self.cutoff:
            raise ValueError(
                f"positions and cell: {float(lengths.max())} A long, expected at most "
                f"{self.farthest * self.cutoff} A, within which neighbours can be found"
            )
        found = NeighborList(cutoff=self.cutoff, full_list=True).compute(
            points=positions.detach(), box=cell.detach(), periodic=pbc, quantities="ijD"
        )
        energies, gradient = self.edges(species, found[0], found[1], found[2])
        forces = torch.zeros_like(positions, dtype=gradient.dtype)
        return energies, forces.index_add(0, found[0], gradient).index_add(0, found[1], -gradient)
