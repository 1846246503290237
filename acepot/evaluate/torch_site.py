"""The energy of atoms of one species in torch, forward and backward by hand.

R_c(r), Y_lm(r̂) -> A = Σ_j R Y -> nodes -> ρ_p -> E_i and back. Features come first and atoms
last in arrays of nodes, so that sums over few nodes of many atoms are one call of
`embedding_bag`. Written in the subset of Python that TorchScript compiles.
"""

from math import pi, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from acepot.errors import InputError
from acepot.evaluate.contraction import contract
from acepot.evaluate.torch_embedding import SiteEnergy
from acepot.evaluate.torch_geometry import Grid, Harmonics
from acepot.tables import Tables

Ints = NDArray[np.int64]


class Direct(torch.nn.Module):
    """Functions Σ_j R_c(r_ij) of one radial table, summed over c before they are evaluated.

    Args:
        grid: the table of the channels.
        species: species of the neighbours of each function, shape (D,).
        channel: its channel of the grid, shape (D,).
        term: its number among the weights, shape (D,).
    """

    target: Tensor
    term: Tensor

    def __init__(self, grid: Grid, species: Ints, channel: Ints, term: Ints) -> None:
        super().__init__()
        self.grid = grid
        self.y00 = 1 / sqrt(4 * pi)
        channels = grid.coefficients.shape[2]
        self.register_buffer("target", torch.tensor(species * channels + channel))
        self.register_buffer("term", torch.tensor(term))

    def fold(self, weights: Tensor) -> Tensor:
        """The table of the sums.

        Args:
            weights: of all terms, shape (P, T).

        Returns:
            Coefficients as those of a `Grid`, of one channel per density.
        """
        table = self.grid.coefficients
        species, channels = self.grid.begin.shape[0], table.shape[2]
        mine = weights.index_select(1, self.term).t() * self.y00
        each = torch.zeros(
            (species * channels, mine.shape[1]), dtype=table.dtype, device=table.device
        ).index_add(0, self.target, mine)
        folded = table.reshape(species, -1, channels) @ each.reshape(species, channels, -1)
        return folded.reshape(-1, 6, mine.shape[1])

    def forward(self, weights: Tensor, other: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Values and slopes of the sums, one for each density, shape (E, P).

        Args:
            weights: as `fold`.
            other: species of the neighbours, shape (E,).
            r: distances in Å, shape (E,).
        """
        return self.grid.lookup(self.fold(weights), other, r)


class OneParticle(NamedTuple):
    """A of some atoms, and what its derivative needs.

    Args:
        raw: real A of all channels and l m, shape (atoms, species × C × LM).
        radial: R in slots of atoms and species, shape (atoms × species, J, C).
        harmonics: Y in slots, shape (atoms × species, J, LM).
        slope: dR/dr, shape (kept, C).
        powers: of `Harmonics`, shape (kept, lmax + 1).
        phase: of `Harmonics`, shape (kept, 2 lmax + 1).
        unit: unit vectors, shape (kept, 3).
        r: distances in Å, shape (kept,).
        kept: numbers of the edges that lie in the table, shape (kept,).
        slot: their slots, shape (kept,).
    """

    raw: Tensor
    radial: Tensor
    harmonics: Tensor
    slope: Tensor
    powers: Tensor
    phase: Tensor
    unit: Tensor
    r: Tensor
    kept: Tensor
    slot: Tensor


class Site(torch.nn.Module):
    """Energies of atoms of one species.

    Args:
        tables: a lowered model of scalars.
        centre: the species.
        dtype: of the numbers.

    Raises:
        InputError: products that this evaluator cannot contract.
    """

    row: Tensor
    column: Tensor
    term: Tensor
    form_term: Tensor
    form_column: Tensor
    form_first: Tensor
    weights: Tensor
    real_imaginary: Tensor
    scale: Tensor
    pair_left: Tensor
    pair_right: Tensor
    triple_left: Tensor
    triple_right: Tensor
    to_pair_order: Tensor
    to_pair_first: Tensor
    to_single_order: Tensor
    to_single_first: Tensor
    to_raw_order: Tensor
    to_raw_first: Tensor

    def __init__(self, tables: Tables, centre: int, dtype: torch.dtype) -> None:
        super().__init__()
        products = tables.products[centre]
        plan = contract(tables, products)
        species = tables.a_species.astype(np.int64)
        channel = tables.a_channel.astype(np.int64)
        starts = np.cumsum([0, *(t.coefficients.shape[-1] for t in tables.radial)])
        used = np.unique(channel[plan.single])
        if len(used) and used[-1] >= starts[1]:
            raise InputError("products: expected functions of the first radial table alone")
        l, m = tables.a_l[plan.single].astype(np.int64), tables.a_m[plan.single].astype(np.int64)
        self.harmonics = Harmonics(int(l.max(initial=0)), dtype)
        self.species = len(tables.numbers)
        self.functions = (self.harmonics.lmax + 1) ** 2
        self.grid = Grid(tables.radial[0], centre, used, dtype)
        self.direct = torch.nn.ModuleList()
        for table, begin, end in zip(tables.radial, starts, starts[1:], strict=False):
            mine = (channel[plan.direct_function] >= begin) & (channel[plan.direct_function] < end)
            if mine.any():
                v = plan.direct_function[mine]
                kept, local = np.unique(channel[v] - begin, return_inverse=True)
                grid = Grid(table, centre, kept, dtype)
                self.direct.append(Direct(grid, species[v], local, plan.direct[mine]))
        self.energy = SiteEnergy(tables, centre, dtype)
        self.outputs, self.densities = products.weights.shape[:2]
        self.singles, self.pairs = len(plan.single), len(plan.pairs)
        self.nodes = plan.nodes
        raw = (species[plan.single] * len(used) + np.searchsorted(used, channel[plan.single])) * (
            self.functions
        ) + (l * l + l)
        self._register_unitary(raw, m, dtype)
        self._register_sums(plan.pairs, plan.triples, raw, m)
        row, column = plan.row, plan.column
        into, out_of = np.concatenate((row, column)), np.concatenate((column, row))
        order = np.argsort(into, kind="stable")
        self._integers("row", row)
        self._integers("column", column)
        self._integers("term", plan.term)
        self._integers("form_term", np.tile(plan.term, 2)[order])
        self._integers("form_column", out_of[order])
        self._integers("form_first", np.searchsorted(into[order], np.arange(self.nodes)))
        self.register_buffer("weights", torch.tensor(products.weights, dtype=dtype))

    def _integers(self, name: str, values: Ints) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def _register_unitary(self, raw: Ints, m: Ints, dtype: torch.dtype) -> None:
        """Re A_v and Im A_v are each one real A, times a factor.

        A^c_m = (-1)^m (A_m + i A_-m)/√2, A^c_-m = (A_m - i A_-m)/√2 for m > 0.
        """
        sign = (1.0 - 2.0 * (m % 2)) / sqrt(2)
        real = np.where(m > 0, sign, np.where(m < 0, 1 / sqrt(2), 1.0))
        imaginary = np.where(m > 0, sign, np.where(m < 0, -1 / sqrt(2), 0.0))
        self._integers("real_imaginary", np.concatenate((raw + np.abs(m), raw - np.abs(m))))
        scale = torch.tensor(np.concatenate((real, imaginary)), dtype=dtype)
        self.register_buffer("scale", scale.unsqueeze(1))

    def _register_sums(self, pairs: Ints, triples: Ints, raw: Ints, m: Ints) -> None:
        """Nodes as products of two, and the sums that take adjoints back through them."""
        self._integers("pair_left", pairs[:, 0])
        self._integers("pair_right", pairs[:, 1])
        self._integers("triple_left", triples[:, 0])
        self._integers("triple_right", triples[:, 1])
        self._sums("to_pair", triples[:, 0], len(pairs))
        into = np.concatenate((pairs[:, 0], pairs[:, 1], triples[:, 1]))
        self._sums("to_single", into, self.singles)
        size = self.species * self.grid.coefficients.shape[2] * self.functions
        into = np.concatenate((raw + np.abs(m), raw - np.abs(m)))
        self._sums("to_raw", into, size)

    def _sums(self, name: str, into: Ints, size: int) -> None:
        order = np.argsort(into, kind="stable")
        self._integers(f"{name}_order", order)
        self._integers(f"{name}_first", np.searchsorted(into[order], np.arange(size)))

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        channels = int(self.grid.coefficients.shape[2])
        slots = neighbours * self.species
        edges = neighbours * (12 * channels + 4 * self.functions)
        nodes = 2 * self.nodes * (4 + self.densities)
        return int(1 + edges + nodes + slots * 2 * (channels + self.functions))

    # ------------------------------------------------------------------ forward

    def _layout(self, local: Tensor, other: Tensor, atoms: int) -> tuple[Tensor, int]:
        """Places of edges in an array of J slots for each atom and species, and J.

        Edges are sorted by atom and species.
        """
        segment = local * self.species + other
        count = torch.bincount(segment, minlength=atoms * self.species)
        first = torch.cumsum(count, 0) - count
        width = max(int(count.max().item()), 1)
        rank = torch.arange(segment.shape[0], device=segment.device) - first.index_select(
            0, segment
        )
        return segment * width + rank, width

    def _spread(self, values: Tensor, slot: Tensor, rows: int, width: int) -> Tensor:
        """Edges put into their slots, shape (atoms × species, J, …)."""
        out = torch.zeros(
            (rows * width, values.shape[1]), dtype=values.dtype, device=values.device
        ).index_copy(0, slot, values)
        return out.reshape(rows, width, values.shape[1])

    def _nodes(self, raw: Tensor) -> Tensor:
        """All nodes from the real A, shape (N, atoms), complex.

        Args:
            raw: shape (atoms, species × C × LM).
        """
        both = raw.index_select(1, self.real_imaginary).t().contiguous() * self.scale
        single = torch.complex(both[: self.singles], both[self.singles :])
        pair = single.index_select(0, self.pair_left) * single.index_select(0, self.pair_right)
        one = torch.ones((1, raw.shape[0]), dtype=single.dtype, device=single.device)
        parts = [one, single, pair]
        if self.triple_left.shape[0] > 0:
            left = pair.index_select(0, self.triple_left)
            parts.append(left * single.index_select(0, self.triple_right))
        return torch.cat(parts)

    def _one_particle(
        self, local: Tensor, other: Tensor, r: Tensor, vector: Tensor, atoms: int
    ) -> OneParticle:
        """A_v = Σ_j R Y of all channels and l m."""
        _, _, inside = self.grid.place(other, r)
        kept = torch.nonzero(inside).squeeze(1)
        local, other = local.index_select(0, kept), other.index_select(0, kept)
        r = r.index_select(0, kept)
        unit = vector.index_select(0, kept) / r.unsqueeze(1)
        slot, width = self._layout(local, other, atoms)
        radial, slope = self.grid.lookup(self.grid.coefficients, other, r)
        harmonics, powers, phase = self.harmonics(unit)
        radial = self._spread(radial, slot, atoms * self.species, width)
        harmonics = self._spread(harmonics, slot, atoms * self.species, width)
        raw = torch.bmm(radial.transpose(1, 2), harmonics)
        raw = raw.reshape(atoms, -1 if self.singles > 0 else 0)
        return OneParticle(raw, radial, harmonics, slope, powers, phase, unit, r, kept, slot)

    def energies(self, local: Tensor, other: Tensor, vector: Tensor, atoms: int) -> Tensor:
        """Energies that autograd can differentiate as often as the tables are smooth.

        Args:
            local: number of the central atom of every edge, ascending, shape (E,).
            other: species of its neighbour, ascending for each atom, shape (E,).
            vector: r_neighbour - r_centre in Å, shape (E, 3).
            atoms: how many central atoms there are.

        Returns:
            E_i in eV, shape (atoms,).
        """
        r = torch.linalg.vector_norm(vector, dim=1)
        density = torch.zeros((atoms, self.densities), dtype=r.dtype, device=r.device)
        for direct in self.direct:
            density = density.index_add(0, local, direct(self.weights[0], other, r)[0])
        density = density.t()
        if self.singles > 0:
            x = self._nodes(self._one_particle(local, other, r, vector, atoms).raw)
            product = torch.real(x.index_select(0, self.row) * x.index_select(0, self.column))
            density = density + self.weights[0].index_select(1, self.term) @ product
        around = self.energy.surroundings(local, other, r, atoms)
        energy, _, _, _ = self.energy(density, around.core, around.gap, around.delta)
        return energy  # type: ignore[no-any-return]

    # ------------------------------------------------------------------ forward and backward

    def forward(
        self, outputs: int, local: Tensor, other: Tensor, vector: Tensor, atoms: int
    ) -> tuple[Tensor, Tensor]:
        """Energies and their derivatives.

        Args:
            outputs: 1: the model alone; more: members of its committee too.
            local: as `energies`.
            other: as `energies`.
            vector: as `energies`.
            atoms: as `energies`.

        Returns:
            E_i in eV, shape (outputs, atoms), and dE_i/dr_ij in eV/Å, shape (outputs, E, 3).
        """
        r = torch.linalg.vector_norm(vector, dim=1)
        a = self._one_particle(local, other, r, vector, atoms)
        x = self._nodes(a.raw)
        around = self.energy.surroundings(local, other, r, atoms)
        energies: list[Tensor] = []
        pulls: list[Tensor] = []
        for output in range(outputs):
            density, g, edges = self._densities(output, x, local, other, r, atoms)
            energy, by_density, by_core, by_gap = self.energy(
                density, around.core, around.gap, around.delta
            )
            along = (by_density.t().index_select(0, local) * edges).sum(dim=1)
            if self.energy.mode > 0:
                along = along + by_core.index_select(0, local) * around.slope
            if self.energy.mode == 2:
                along = along.index_add(0, around.nearest, by_gap)
            pull = along.unsqueeze(1) * vector / r.unsqueeze(1)
            if self.singles > 0:
                pull = pull.index_add(0, a.kept, self._pull(a, self._adjoint(x, g, by_density)))
            energies.append(energy)
            pulls.append(pull)
        return torch.stack(energies), torch.stack(pulls)

    def _densities(
        self, output: int, x: Tensor, local: Tensor, other: Tensor, r: Tensor, atoms: int
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """ρ_p, shape (P, atoms); dρ_p/dx for each p; dρ_p/dr of the direct part, (E, P)."""
        weights = self.weights[output]
        density = torch.zeros((atoms, self.densities), dtype=r.dtype, device=r.device)
        slopes = torch.zeros((r.shape[0], self.densities), dtype=r.dtype, device=r.device)
        for direct in self.direct:
            value, slope = direct(weights, other, r)
            density = density.index_add(0, local, value)
            slopes = slopes + slope
        density = density.t().contiguous()
        derivatives: list[Tensor] = []
        flat = torch.view_as_real(x).reshape(self.nodes, -1)
        for p in range(self.densities):
            if self.singles > 0:
                g = embedding_bag(
                    self.form_column,
                    flat,
                    self.form_first,
                    mode="sum",
                    per_sample_weights=weights[p].index_select(0, self.form_term),
                )
                g = torch.view_as_complex(g.reshape(self.nodes, atoms, 2))
                density[p] += 0.5 * torch.real(x * g).sum(dim=0)
                derivatives.append(g)
        return density, derivatives, slopes

    def _sum(self, values: Tensor, order: Tensor, first: Tensor) -> Tensor:
        """Rows of complex `values` in the order given, summed from one `first` to the next."""
        flat = torch.view_as_real(values).reshape(values.shape[0], -1)
        summed = embedding_bag(order, flat, first, mode="sum")
        return torch.view_as_complex(summed.reshape(first.shape[0], -1, 2))

    def _adjoint(self, x: Tensor, g: list[Tensor], by_density: Tensor) -> Tensor:
        """dE_i/dA of the real A of all channels, shape (atoms, species × C × LM).

        Args:
            x: the nodes.
            g: dρ_p/dx for each p.
            by_density: dE_i/dρ_p, shape (P, atoms).
        """
        total = g[0] * by_density[0]
        for p in range(1, self.densities):
            total = total + g[p] * by_density[p]
        single, pair = x[1 : 1 + self.singles], x[1 + self.singles :][: self.pairs]
        g_single = total[1 : 1 + self.singles]
        g_pair = total[1 + self.singles :][: self.pairs]
        g_triple = total[1 + self.singles + self.pairs :]
        triples = g_triple.shape[0] > 0
        if triples:
            back = g_triple * single.index_select(0, self.triple_right)
            g_pair = g_pair + self._sum(back, self.to_pair_order, self.to_pair_first)
        parts = [
            g_pair * single.index_select(0, self.pair_right),
            g_pair * single.index_select(0, self.pair_left),
        ]
        if triples:
            parts.append(g_triple * pair.index_select(0, self.triple_left))
        if self.pairs > 0:
            g_single = g_single + self._sum(
                torch.cat(parts), self.to_single_order, self.to_single_first
            )
        both = torch.cat((torch.real(g_single), -torch.imag(g_single))) * self.scale
        return embedding_bag(self.to_raw_order, both, self.to_raw_first, mode="sum").t()

    def _pull(self, a: OneParticle, adjoint: Tensor) -> Tensor:
        """dE_i/dr_j = Σ_v dE_i/dA_v dA_v/dr_j of the edges in the table, shape (kept, 3).

        Args:
            a: of `_one_particle`.
            adjoint: dE_i/dA of all channels and l m, shape (atoms, species × C × LM).
        """
        channels = a.radial.shape[2]
        weight = adjoint.reshape(-1, channels, self.functions)
        turn = torch.bmm(a.radial, weight).reshape(-1, self.functions).index_select(0, a.slot)
        stretch = torch.bmm(a.harmonics, weight.transpose(1, 2)).reshape(-1, channels)
        along = (stretch.index_select(0, a.slot) * a.slope).sum(dim=1, keepdim=True)
        turn = self.harmonics.pull(turn, a.powers, a.phase) / a.r.unsqueeze(1)
        return turn + (along - (turn * a.unit).sum(dim=1, keepdim=True)) * a.unit
