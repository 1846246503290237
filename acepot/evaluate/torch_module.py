"""A model as a torch module: eager or TorchScript, on any device, in double or single precision.

Written in the subset of Python that TorchScript compiles.
"""

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError, MissingDependency
from acepot.tables import Tables

try:
    import torch
    from torch import Tensor

    from acepot.evaluate.torch_site import Site
except ImportError as error:
    raise MissingDependency(
        f"the torch evaluator needs torch: pip install acepot[torch] ({error})"
    ) from error

#: Numbers that the arrays of one block of atoms may hold: on a processor small enough for its
#: caches, elsewhere large enough to fill the device (see benchmarks/torch_evaluator.py).
_BLOCK, _DEVICE_BLOCK = 2**23, 2**28


class AceModule(torch.nn.Module):
    """Energies and forces of Tables in torch.

    All arrays are buffers, so `.to(device)`, `.to(dtype)`, `torch.save` and `torch.jit.script`
    work as for any module. Atoms of several structures may be concatenated in one call.

    Args:
        tables: a lowered model of scalars (total_l = 0).
        dtype: torch.float64 or torch.float32.

    Attributes:
        cutoff: the longest cut-off in Å.
        numbers: atomic numbers of the species, shape (S,); `species` below index them.
        outputs: 1 + number of committee members.
        block: how many numbers the arrays of one block of atoms may hold on a processor; results
            do not depend on it but for rounding.
        device_block: the same elsewhere.

    Raises:
        InputError: tables this evaluator cannot evaluate.
    """

    numbers: Tensor
    e0: Tensor
    cutoffs: Tensor
    nearest: Tensor

    def __init__(self, tables: Tables, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        if not tables.is_scalar or tables.members == 0:
            raise InputError("torch: only models of true scalars have an energy; use reference")
        if dtype not in (torch.float64, torch.float32):
            raise InputError(f"torch: expected float64 or float32, got {dtype}")
        self.cutoff = float(tables.cutoff.max())
        self.outputs = tables.members
        self.block, self.device_block = _BLOCK, _DEVICE_BLOCK
        self.register_buffer("numbers", torch.tensor(tables.numbers, dtype=torch.int64))
        self.register_buffer("e0", torch.tensor(tables.e0, dtype=dtype))
        self.register_buffer("cutoffs", torch.tensor(tables.cutoff, dtype=dtype).flatten())
        self.register_buffer("nearest", torch.tensor(_nearest(tables), dtype=dtype).flatten())
        self.sites = torch.nn.ModuleList(
            [Site(tables, s, dtype) for s in range(len(tables.numbers))]
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
                    limit = self.block if vector.is_cpu else self.device_block
                    step = max(1, limit // site.size(widest))  # type: ignore[operator]
                    bounds = list(range(start, stop, step)) + [stop]
                    edges: list[int] = first[torch.tensor(bounds, device=first.device)].tolist()
                    for k in range(len(bounds) - 1):
                        begin, end = int(edges[k]), int(edges[k + 1])
                        mine = kept[begin:end]
                        energy, pull = site(
                            outputs,
                            key[begin:end] - bounds[k],
                            other[begin:end],
                            vector.index_select(0, mine),
                            bounds[k + 1] - bounds[k],
                        )
                        energies[:, bounds[k] : bounds[k + 1]] = energy
                        gradients.index_copy_(1, mine, pull)
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

    def _check(self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor) -> None:
        """Raise ValueError for vectors that are not finite or too short."""
        squared = (vector.detach() ** 2).sum(dim=1)
        if not bool(torch.isfinite(squared).all()):
            raise ValueError("vector: expected finite numbers")
        pair = species.index_select(0, centre) * self.numbers.shape[0] + species.index_select(
            0, neighbour
        )
        near = torch.sqrt(squared) < self.nearest.index_select(0, pair)
        close = near | (squared == 0.0)
        if bool(close.any()):
            e = int(torch.nonzero(close)[0].item())
            length = float(torch.sqrt(squared[e]).item())
            begin = float(self.nearest[int(pair[e].item())].item())
            raise ValueError(
                f"atoms {int(centre[e].item())} and {int(neighbour[e].item())} are {length} "
                f"Angstrom apart; this model's tables begin at {begin} Angstrom"
            )

    def _sorted(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Atoms by species, and pairs inside the cut-off by atom and neighbour's species.

        Returns:
            The place of every atom in the new order, shape (n,); numbers of the pairs kept, the
            place of their centre and their neighbour's species, shape (kept,); the first pair
            of every place, shape (n + 1,).
        """
        kinds = self.numbers.shape[0]
        other = species.index_select(0, neighbour)
        pair = species.index_select(0, centre) * kinds + other
        squared = (vector**2).sum(dim=1)
        inside = squared < self.cutoffs.index_select(0, pair) ** 2
        kept = torch.nonzero(inside).squeeze(1)
        rank = torch.argsort(torch.argsort(species, stable=True))
        place = rank.index_select(0, centre.index_select(0, kept))
        other = other.index_select(0, kept)
        key = place * kinds + other
        if bool((key[1:] < key[:-1]).any()):
            order = torch.argsort(key, stable=True)
            kept = kept.index_select(0, order)
            place, other = place.index_select(0, order), other.index_select(0, order)
        count = torch.bincount(place, minlength=species.shape[0])
        first = torch.zeros(species.shape[0] + 1, dtype=torch.int64, device=species.device)
        first[1:] = torch.cumsum(count, 0)
        return rank, kept, place, other, first


def forces_and_virials(
    gradient: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor, atoms: int
) -> tuple[Tensor, Tensor]:
    """Forces and per-atom virials of what `AceModule.forward` gives.

    F_i = Σ_j dE_i/dr_ij - Σ_j dE_j/dr_ji, W_i = -Σ_j r_ij ⊗ dE_i/dr_ij; the sum of W_i is
    W = -dE/dε. A function that TorchScript can compile.

    Args:
        gradient: dE_centre/dvector in eV/Å, shape (E, 3).
        centre: central atom of every pair, shape (E,).
        neighbour: its neighbour, shape (E,).
        vector: r_neighbour - r_centre in Å, shape (E, 3).
        atoms: how many there are.

    Returns:
        Forces in eV/Å, shape (atoms, 3), and virials in eV, shape (atoms, 3, 3).
    """
    forces = torch.zeros((atoms, 3), dtype=gradient.dtype, device=gradient.device)
    forces = forces.index_add(0, centre, gradient).index_add(0, neighbour, -gradient)
    moment = vector.to(gradient.dtype).unsqueeze(2) * gradient.unsqueeze(1)
    virials = torch.zeros((atoms, 3, 3), dtype=gradient.dtype, device=gradient.device)
    return forces, virials.index_add(0, centre, -moment)


def _nearest(tables: Tables) -> NDArray[np.float64]:
    """Distances in Å below which pairs are refused, shape (S, S)."""
    every = (*tables.radial, *((tables.core,) if tables.core else ()))
    return np.asarray(np.max([np.where(t.zero_inside > 0, 0.0, t.begin) for t in every], axis=0))
