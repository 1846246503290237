"""The A's of atoms of one species in torch, and their derivatives.

Written in the subset of Python that TorchScript compiles.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acepot.errors import InputError
from acepot.evaluate.torch.geometry import Harmonics, RadialSplines

Ints = NDArray[np.int64]


def in_order_of_l(channel: Ints, l: Ints) -> Ints:
    """Channels in order of their lowest l, so that those of one l lie close together.

    Args:
        channel: of each A, shape (V,).
        l: its l, shape (V,).

    Returns:
        Every channel once; [0] where there are none.
    """
    used = np.unique(channel)
    lowest = np.array([l[channel == c].min() for c in used], dtype=np.int64)
    return used[np.argsort(lowest, kind="stable")] if len(used) else np.zeros(1, dtype=np.int64)


def is_together(species: Ints) -> bool:
    """Whether A's are sums over neighbours of all species (-1).

    Raises:
        InputError: some are and some are not.
    """
    whole = species < 0
    if whole.any() and not whole.all():
        raise InputError(
            "torch: expected sums over neighbours of all species, or of one each, in the products "
            "of one radial table, got both"
        )
    return bool(whole.any())


def by_species(species: Ints, channel: Ints, term: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """Functions of one factor, those over neighbours of all species (-1) once for each.

    Args:
        species: of the neighbours, shape (D,).
        channel: of the factors, shape (D,).
        term: of the products, shape (D,).
        count: number of species.
    """
    times = np.where(species < 0, count, 1)
    own = np.concatenate([np.arange(count) if z < 0 else [z] for z in species.tolist()])
    return own.astype(np.int64), np.repeat(channel, times), np.repeat(term, times)


class CloseEdges(NamedTuple):
    """The edges that lie in a radial table.

    Args:
        local: numbers of their central atoms, shape (kept,).
        other: species of their neighbours, shape (kept,).
        r: distances in Å, shape (kept,).
        unit: unit vectors, shape (kept, 3).
        kept: their numbers among all edges, shape (kept,).
    """

    local: Tensor
    other: Tensor
    r: Tensor
    unit: Tensor
    kept: Tensor


class Projections(NamedTuple):
    """A of some atoms, and what its derivative needs.

    Args:
        raw: real A of all blocks, shape (atoms, raw).
        radial: for each l R in slots of atoms and species, shape (atoms × species, J, channels).
        harmonics: for each l Y in slots, shape (atoms × species, J, 2l + 1).
        q: of `Harmonics`, shape (kept, LM).
        powers: of `Harmonics`, shape (kept, lmax + 1).
        phase: of `Harmonics`, shape (kept, 2 lmax + 1).
        slot: slots of the edges, shape (kept,).
    """

    raw: Tensor
    radial: list[Tensor]
    harmonics: list[Tensor]
    q: Tensor
    powers: Tensor
    phase: Tensor
    slot: Tensor


class AtomicBase(torch.nn.Module):
    """A_v = Σ_j R Y of all blocks: for every l one range of channels, one matrix product.

    Args:
        splines: table of the channels.
        species: number of species.
        channel: place of the channel of each A in the table, shape (V,).
        l: its l, shape (V,).
        dtype: of the numbers.
        together: whether sums run over neighbours of all species; then `species` is 1.
    """

    def __init__(
        self, splines: RadialSplines, species: int, channel: Ints, l: Ints, dtype: torch.dtype,
        together: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.together = together
        self.splines = splines
        self.harmonics = Harmonics(int(l.max(initial=0)), dtype)
        self.species = species
        self.functions = (self.harmonics.lmax + 1) ** 2
        self.begin, self.end, self.offset = [], [], [0]
        for degree in range(self.harmonics.lmax + 1):
            mine = l == degree
            begin = int(channel[mine].min(initial=splines.coefficients.shape[2]))
            end = int(channel[mine].max(initial=begin - 1)) + 1
            self.begin.append(begin)
            self.end.append(end)
            self.offset.append(self.offset[-1] + species * (end - begin) * (2 * degree + 1))

    def place(self, species: Ints, channel: Ints, l: Ints) -> Ints:
        """Place of each A (of that with m = 0) among the real A of all blocks, shape (V,).

        Args:
            species: of the neighbours in each A, shape (V,).
            channel: place of its channel in the table, shape (V,).
            l: its l, shape (V,).
        """
        begin, end = np.array(self.begin)[l], np.array(self.end)[l]
        within = np.maximum(species, 0) * (end - begin) + channel - begin
        return np.asarray(np.array(self.offset)[l] + within * (2 * l + 1) + l, dtype=np.int64)

    def by_species(self) -> Ints:
        """Place of every real A in the order of species, l, channel and m, shape (raw,)."""
        widths = np.diff(self.offset) // self.species  # A's of one species for each l
        begin = np.cumsum([0, *widths])
        places = [
            np.arange(self.species)[:, None] * begin[-1] + begin[l] + np.arange(width)
            for l, width in enumerate(widths)
        ]
        return np.concatenate([place.ravel() for place in places])

    def segment(self, local: Tensor, other: Tensor) -> Tensor:
        """The number of each edge's atom and species, or of its atom alone."""
        return local if self.together else local * self.species + other

    def layout(self, local: Tensor, other: Tensor, atoms: int) -> tuple[Tensor, int]:
        """Places of edges in an array of J slots for each atom and species, and J.

        Edges are sorted by atom and species.
        """
        segment = self.segment(local, other)
        count = torch.bincount(segment, minlength=atoms * self.species)
        first = torch.cumsum(count, 0) - count
        width = max(int(count.max().item()), 1)
        rank = torch.arange(segment.shape[0], device=segment.device) - first.index_select(
            0, segment
        )
        return segment * width + rank, width

    def spread(self, values: Tensor, slot: Tensor, rows: int, width: int) -> Tensor:
        """Edges put into their slots, shape (atoms × species, J, …)."""
        out = torch.zeros(
            (rows * width, values.shape[1]), dtype=values.dtype, device=values.device
        ).index_copy(0, slot, values)
        return out.reshape(rows, width, values.shape[1])

    def bonds(self, local: Tensor, other: Tensor, r: Tensor, vector: Tensor) -> CloseEdges:
        """The edges that lie in a radial table."""
        _, _, inside = self.splines.place(other, r)
        kept = torch.nonzero(inside).squeeze(1)
        length = r.index_select(0, kept)
        unit = vector.index_select(0, kept) / length.unsqueeze(1)
        return CloseEdges(
            local.index_select(0, kept), other.index_select(0, kept), length, unit, kept
        )

    def forward(self, bonds: CloseEdges, radial: Tensor, atoms: int) -> Projections:
        """A_v = Σ_j R Y of all blocks.

        Args:
            bonds: of `bonds`.
            radial: R of these edges, shape (kept, C).
            atoms: how many central atoms there are.
        """
        slot, width = self.layout(bonds.local, bonds.other, atoms)
        harmonics, q, powers, phase = self.harmonics(bonds.unit)
        radial = self.spread(radial, slot, atoms * self.species, width)
        harmonics = self.spread(harmonics, slot, atoms * self.species, width)
        radials: list[Tensor] = []
        angular: list[Tensor] = []
        blocks: list[Tensor] = []
        for l in range(self.harmonics.lmax + 1):
            # Copies: bmm takes views only one matrix at a time.
            radials.append(radial[:, :, self.begin[l] : self.end[l]].contiguous())
            angular.append(harmonics[:, :, l * l : (l + 1) * (l + 1)].contiguous())
            block = torch.bmm(radials[l].transpose(1, 2), angular[l])
            blocks.append(block.reshape(atoms, self.offset[l + 1] - self.offset[l]))
        raw = torch.cat(blocks, dim=1)
        return Projections(raw, radials, angular, q, powers, phase, slot)

    def pullback(self, bonds: CloseEdges, a: Projections, slope: Tensor, adjoint: Tensor) -> Tensor:
        """dE_i/dr_j = Σ_v dE_i/dA_v dA_v/dr_j of the edges in the table, shape (kept, 3).

        Args:
            bonds: of `bonds`.
            a: of `forward`.
            slope: dR/dr of the edges, shape (kept, C).
            adjoint: dE_i/dA of all blocks, shape (atoms, raw).
        """
        rows, width = a.harmonics[0].shape[0], a.harmonics[0].shape[1]
        stretch = torch.zeros((rows, width, slope.shape[1]), dtype=slope.dtype, device=slope.device)
        turns: list[Tensor] = []
        for l in range(self.harmonics.lmax + 1):
            begin, end = self.begin[l], self.end[l]
            weight = adjoint[:, self.offset[l] : self.offset[l + 1]].reshape(
                rows, end - begin, 2 * l + 1
            )
            turns.append(torch.bmm(a.radial[l], weight))
            stretch[:, :, begin:end] += torch.bmm(a.harmonics[l], weight.transpose(1, 2))
        turn = torch.cat(turns, dim=2).reshape(-1, self.functions).index_select(0, a.slot)
        stretch = stretch.reshape(-1, stretch.shape[2])
        along = (stretch.index_select(0, a.slot) * slope).sum(dim=1, keepdim=True)
        turn = self.harmonics.pullback(turn, a.q, a.powers, a.phase) / bonds.r.unsqueeze(1)
        return turn + (along - (turn * bonds.unit).sum(dim=1, keepdim=True)) * bonds.unit
