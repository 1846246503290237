"""A model as metatomic's AtomisticModel, for every program that runs those."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor

from acepot.evaluate.torch.module import AceModule
from torch_ace.native import NativeModule


class EnergyModule(torch.nn.Module):
    """Energies of metatomic's systems, exact in value and first derivatives.

    Autograd sees Σ_i E_i + Σ_e g_e · (r_e − [r_e]) with g_e = ∂E/∂r_e computed forward and [r] a
    constant: that has the value and the gradient of the energy of every atom, by positions,
    strain and cell. Second derivatives come out as zero.

    Args:
        edges: a module with attributes `cutoff` (Å) and `numbers` that takes (species, centre,
            neighbour, vector) and returns (E_i, dE_centre/dvector).
    """

    species: Tensor

    def __init__(self, edges: NativeModule | AceModule) -> None:
        super().__init__()
        self.edges = edges
        self.request = NeighborListOptions(edges.cutoff, full_list=True, strict=True)
        species = torch.full((int(edges.numbers.max()) + 1,), -1)
        species[edges.numbers] = torch.arange(len(edges.numbers))
        self.register_buffer("species", species)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The full list of all neighbours within the longest cut-off."""
        return [self.request]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Energies in eV, of systems or of atoms.

        Args:
            systems: atoms, cells and neighbours.
            outputs: `energy`, or nothing.
            selected_atoms: (system, atom) whose energies are wanted; None: all.
        """
        results: Dict[str, TensorMap] = {}
        if "energy" not in outputs:
            return results
        atoms = outputs["energy"].sample_kind == "atom"
        values: List[Tensor] = []
        samples: List[Tensor] = []
        for k, system in enumerate(systems):
            energies = self._energies(system)
            chosen = torch.arange(len(system), device=energies.device)
            if selected_atoms is not None:
                of_system = selected_atoms.column("system") == k
                chosen = selected_atoms.column("atom")[of_system].to(torch.int64)
            energies = energies.index_select(0, chosen)
            if atoms:
                values.append(energies)
                samples.append(torch.stack([torch.full_like(chosen, k), chosen], dim=1))
            else:
                values.append(energies.sum().reshape(1))
                samples.append(torch.full((1, 1), k, device=energies.device))
        block = TensorBlock(
            torch.cat(values).reshape(-1, 1),
            Labels(["system", "atom"] if atoms else ["system"], torch.cat(samples)),
            torch.jit.annotate(List[Labels], []),
            Labels("energy", torch.zeros((1, 1), dtype=torch.int64, device=self.species.device)),
        )
        keys = Labels("_", torch.zeros((1, 1), dtype=torch.int64, device=self.species.device))
        results["energy"] = TensorMap(keys, [block])
        return results

    def _energies(self, system: System) -> Tensor:
        """E_i of one system, shape (n,)."""
        found = system.get_neighbor_list(self.request)
        centre = found.samples.column("first_atom").to(torch.int64)
        neighbour = found.samples.column("second_atom").to(torch.int64)
        species = self.species.index_select(0, system.types.to(torch.int64))
        vector = found.values.reshape(-1, 3)
        energies, gradient = self.edges(species, centre, neighbour, vector)
        slope = ((vector - vector.detach()) * gradient).sum(dim=1)
        total: Tensor = energies.index_add(0, centre, slope)
        return total
