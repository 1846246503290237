"""What modules of edges share: checks, edges by species and atom, blocks, forces.

Written in the subset of Python that TorchScript compiles.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acepot.errors import InputError
from acepot.tables import Tables

#: Numbers that the arrays of one block of atoms may hold: on a processor small enough for its
#: caches, elsewhere large enough to fill the device (see benchmarks/torch_evaluator.py).
_BLOCK, _DEVICE_BLOCK = 2**23, 2**28


class EdgeModule(torch.nn.Module):
    """Atoms and the vectors to their neighbours, for modules that have a part for each species.

    Args:
        tables: of a lowered model or basis.
        dtype: torch.float64 or torch.float32.

    Attributes:
        cutoff: the longest cut-off in Å.
        numbers: atomic numbers of the species, shape (S,); `species` below index them.
        block: how many numbers the arrays of one block of atoms may hold on a processor; results
            do not depend on it but for rounding.
        device_block: the same elsewhere.

    Raises:
        InputError: another dtype.
    """

    numbers: Tensor
    cutoffs: Tensor
    nearest: Tensor

    def __init__(self, tables: Tables, dtype: torch.dtype) -> None:
        super().__init__()
        if dtype not in (torch.float64, torch.float32):
            raise InputError(f"torch: expected float64 or float32, got {dtype}")
        self.cutoff = tables.reach
        self.block, self.device_block = _BLOCK, _DEVICE_BLOCK
        self.register_buffer("numbers", torch.tensor(tables.numbers, dtype=torch.int64))
        self.register_buffer("cutoffs", torch.tensor(tables.cutoff, dtype=dtype).flatten())
        self.register_buffer("nearest", torch.tensor(_nearest(tables), dtype=dtype).flatten())

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

    def _bounds(self, start: int, stop: int, size: int, on_processor: bool) -> list[int]:
        """Where blocks of the atoms from start to stop begin and end, for so many numbers each."""
        step = max(1, (self.block if on_processor else self.device_block) // size)
        return list(range(start, stop, step)) + [stop]


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
    none = np.zeros((len(tables.numbers),) * 2)
    begin = [np.where(t.zero_inside > 0, 0.0, t.begin) for t in every]
    return np.asarray(np.max([none, *begin], axis=0))
