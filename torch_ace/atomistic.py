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
            neighbour, vector) and returns (E_i, dE_centre/dvector), and whose `committee` takes
            the same and returns the energies of all members.
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
        """Energies in eV, of systems or of atoms, and what a committee says of them.

        The uncertainty is √(mean over members of (E_m - E)²), of systems or of atoms, as in the
        other engines. It and the members' energies carry no derivatives.

        Args:
            systems: atoms, cells and neighbours.
            outputs: any of `energy`, `energy_uncertainty` and `energy_ensemble`.
            selected_atoms: (system, atom) whose energies are wanted; None: all.
        """
        results: Dict[str, TensorMap] = {}
        for name, output in outputs.items():
            atoms = output.sample_kind == "atom"
            values: List[Tensor] = []
            samples: List[Tensor] = []
            for k, system in enumerate(systems):
                found = self._values(name, system)
                chosen = torch.arange(len(system), device=found.device)
                if selected_atoms is not None:
                    of_system = selected_atoms.column("system") == k
                    chosen = selected_atoms.column("atom")[of_system].to(torch.int64)
                found = found.index_select(1, chosen)
                if atoms:
                    samples.append(torch.stack([torch.full_like(chosen, k), chosen], dim=1))
                else:
                    found = found.sum(dim=1, keepdim=True)
                    samples.append(torch.full((1, 1), k, device=found.device))
                if name == "energy_uncertainty":
                    found = (found[1:] - found[:1]).square().mean(dim=0, keepdim=True).sqrt()
                elif name == "energy_ensemble":
                    found = found[1:]
                values.append(found)
            results[name] = self._map(torch.cat(values, dim=1).t(), torch.cat(samples), atoms)
        return results

    def _map(self, values: Tensor, samples: Tensor, atoms: bool) -> TensorMap:
        """Numbers, shape (samples, properties), as metatomic wants them."""
        device = self.species.device
        properties = torch.arange(values.size(1), device=device).reshape(-1, 1)
        block = TensorBlock(
            values.contiguous(),
            Labels(["system", "atom"] if atoms else ["system"], samples),
            torch.jit.annotate(List[Labels], []),
            Labels("energy", properties),
        )
        keys = Labels("_", torch.zeros((1, 1), dtype=torch.int64, device=device))
        return TensorMap(keys, [block])

    def _values(self, name: str, system: System) -> Tensor:
        """E_i of one system, of the model or of all members after it, shape (outputs, n)."""
        found = system.get_neighbor_list(self.request)
        centre = found.samples.column("first_atom").to(torch.int64)
        neighbour = found.samples.column("second_atom").to(torch.int64)
        species = self.species.index_select(0, system.types.to(torch.int64))
        vector = found.values.reshape(-1, 3)
        if name != "energy":
            return self.edges.committee(species, centre, neighbour, vector.detach())
        energies, gradient = self.edges(species, centre, neighbour, vector)
        slope = ((vector - vector.detach()) * gradient).sum(dim=1)
        total: Tensor = energies.index_add(0, centre, slope)
        return total.reshape(1, -1)
