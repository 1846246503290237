"""A model as a torch module: eager or TorchScript, on any device, in double or single precision.

Written in the subset of Python that TorchScript compiles.
"""

import torch
from torch import Tensor

from acepot.errors import InputError
from acepot.evaluate.torch.edges import EdgeModule
from acepot.evaluate.torch.energies import SpeciesEnergies
from acepot.tables import Tables


class AceModule(EdgeModule):
    """Energies and forces of Tables in torch.

    All arrays are buffers, so `.to(device)`, `.to(dtype)`, `torch.save` and `torch.jit.script`
    work as for any module. Atoms of several structures may be concatenated in one call.

    Args:
        tables: a lowered model of true scalars.
        dtype: torch.float64 or torch.float32.

    Attributes:
        outputs: 1 + number of committee members.

    Raises:
        InputError: tables this evaluator cannot evaluate.
    """

    e0: Tensor

    def __init__(self, tables: Tables, dtype: torch.dtype = torch.float64) -> None:
        if not tables.is_energy:
            raise InputError("torch: only models of true scalars have an energy; use SiteModule")
        super().__init__(tables, dtype)
        self.outputs = tables.members
        self.register_buffer("e0", torch.tensor(tables.e0, dtype=dtype))
        self.sites = torch.nn.ModuleList(
            [SpeciesEnergies(tables, s, dtype) for s in range(len(tables.numbers))]
        )

    def forward(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Energies of the atoms and their derivatives, without autograd.

        Args:
            species: index of every atom's element in `numbers`, int64, shape (n,).
            centre: central atom of every pair, int64, shape (E,), in any order; every pair
                appears from both ends.
            neighbour: its neighbour, int64, shape (E,).
            vector: r_neighbour - r_centre with its periodic image, in Å, shape (E, 3).

        Returns:
            E_i in eV, E0 included, shape (n,), and dE_centre/dvector in eV/Å, shape (E, 3).
            Pairs beyond the cut-off contribute nothing.

        Raises:
            ValueError: vectors that are not finite, or shorter than the tables begin.
        """
        energies, gradients = self.evaluate(1, species, centre, neighbour, vector)
        return energies[0], gradients[0]

    @torch.jit.export
    def committee(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> Tensor:
        """Energies of the atoms by the model and by the members of its committee.

        Args:
            species: as `forward`.
            centre: as `forward`.
            neighbour: as `forward`.
            vector: as `forward`.

        Returns:
            In eV, E0 included, the model first, shape (outputs, n), detached.
        """
        return self.evaluate(self.outputs, species, centre, neighbour, vector)[0].detach()

    @torch.jit.export
    def evaluate(
        self, outputs: int, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `forward` for the model and members of its committee.

        Args:
            outputs: 1: the model alone; self.outputs: all members after it.
            species: as `forward`.
            centre: as `forward`.
            neighbour: as `forward`.
            vector: as `forward`.

        Returns:
            Shapes (outputs, n) and (outputs, E, 3).
        """
        with torch.no_grad():
            vector = vector.detach().to(self.e0.dtype)
            self._check(species, centre, neighbour, vector)
            rank, kept, key, other, first = self._sorted(species, centre, neighbour, vector)
            energies = torch.zeros(
                (outputs, species.shape[0]), dtype=vector.dtype, device=vector.device
            )
            gradients = torch.zeros(
                (outputs, vector.shape[0], 3), dtype=vector.dtype, device=vector.device
            )
            counts: list[int] = torch.bincount(species, minlength=len(self.sites)).tolist()
            neighbours = first[1:] - first[:-1]
            start = 0
            for s, site in enumerate(self.sites):
                stop = start + int(counts[s])
                if stop > start:
                    widest = int(neighbours[start:stop].max().item())
                    size = int(site.size(widest))  # type: ignore[operator]
                    bounds = self._bounds(start, stop, size, vector.is_cpu)
                    edges: list[int] = first[torch.tensor(bounds, device=first.device)].tolist()
                    for k in range(len(bounds) - 1):
                        begin, end = int(edges[k]), int(edges[k + 1])
                        mine = kept[begin:end]
                        energy, slope = site(
                            outputs,
                            key[begin:end] - bounds[k],
                            other[begin:end],
                            vector.index_select(0, mine),
                            bounds[k + 1] - bounds[k],
                        )
                        energies[:, bounds[k] : bounds[k + 1]] = energy
                        gradients.index_copy_(1, mine, slope)
                start = stop
            return energies.index_select(1, rank) + self.e0.index_select(0, species), gradients

    @torch.jit.export
    def energies(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> Tensor:
        """Energies that autograd can differentiate as often as the tables are smooth.

        Twice with respect to `vector`, and any number of times with respect to the buffers
        `sites.….weights`. Memory is not bounded by blocks.

        Args:
            species: as `forward`.
            centre: as `forward`.
            neighbour: as `forward`.
            vector: as `forward`.

        Returns:
            E_i in eV, E0 included, shape (n,).

        Raises:
            ValueError: as `forward`.
        """
        vector = vector.to(self.e0.dtype)
        self._check(species, centre, neighbour, vector)
        rank, kept, key, other, first = self._sorted(species, centre, neighbour, vector.detach())
        counts: list[int] = torch.bincount(species, minlength=len(self.sites)).tolist()
        energies = [self.e0[:0]]
        start = 0
        for s, site in enumerate(self.sites):
            stop = start + int(counts[s])
            begin, end = int(first[start].item()), int(first[stop].item())
            energies.append(
                site.energies(  # type: ignore[operator]
                    key[begin:end] - start,
                    other[begin:end],
                    vector.index_select(0, kept[begin:end]),
                    stop - start,
                )
            )
            start = stop
        return torch.cat(energies).index_select(0, rank) + self.e0.index_select(0, species)
