"""The energy of atoms of one species in torch, forward and backward by hand.

R_c(r), Y_lm(r̂) -> A = Σ_j R Y -> nodes -> ρ_p -> E_i and back. Features come first and atoms
last in arrays of nodes, so that sums over few nodes of many atoms are one call of
`embedding_bag`. Written in the subset of Python that TorchScript compiles.
"""

from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from acepot.errors import InputError
from acepot.evaluate.contraction import contract
from acepot.evaluate.torch_direct import Direct
from acepot.evaluate.torch_embedding import SiteEnergy
from acepot.evaluate.torch_geometry import Grid
from acepot.evaluate.torch_one_particle import OneParticles
from acepot.tables import Tables

Ints = NDArray[np.int64]


def _by_l(channel: Ints, l: Ints) -> Ints:
    """Channels in order of their lowest l, so that those of one l lie close together."""
    used = np.unique(channel)
    lowest = np.array([l[channel == c].min() for c in used], dtype=np.int64)
    return used[np.argsort(lowest, kind="stable")] if len(used) else np.zeros(1, dtype=np.int64)


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
        l, m = tables.a_l[plan.single].astype(np.int64), tables.a_m[plan.single].astype(np.int64)
        used = _by_l(channel[plan.single], l)
        if used.max(initial=0) >= starts[1]:
            raise InputError("products: expected functions of the first radial table alone")
        self.species = len(tables.numbers)
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
        position = np.argsort(used)[np.searchsorted(np.sort(used), channel[plan.single])]
        self.a = OneParticles(self.grid, self.species, position, l, dtype)
        raw = self.a.place(species[plan.single], position, l)
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
        into = np.concatenate((raw + np.abs(m), raw - np.abs(m)))
        self._sums("to_raw", into, self.a.offset[-1])

    def _sums(self, name: str, into: Ints, size: int) -> None:
        order = np.argsort(into, kind="stable")
        self._integers(f"{name}_order", order)
        self._integers(f"{name}_first", np.searchsorted(into[order], np.arange(size)))

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        channels = int(self.grid.coefficients.shape[2])
        slots = neighbours * self.species
        edges = neighbours * (12 * channels + 4 * self.a.functions)
        nodes = 2 * self.nodes * (4 + self.densities)
        return int(1 + edges + nodes + slots * 2 * (channels + self.a.functions))

    # ------------------------------------------------------------------ forward

    def _nodes(self, raw: Tensor) -> Tensor:
        """All nodes from the real A, shape (N, atoms), complex.

        Args:
            raw: shape (atoms, raw).
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
            density = density.index_add(0, local, direct.values(self.weights[0], other, r))  # type: ignore[operator]
        density = density.t()
        if self.singles > 0:
            near = self.a.near(local, other, r, vector)
            radial = self.grid.values(self.grid.coefficients, near.other, near.r)
            x = self._nodes(self.a(near, radial, atoms).raw)
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
        near = self.a.near(local, other, r, vector)
        radial, slope = self.grid.lookup(self.grid.coefficients, near.other, near.r)
        a = self.a(near, radial, atoms)
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
                adjoint = self._adjoint(x, g, by_density)
                pull = pull.index_add(0, near.kept, self.a.pull(near, a, slope, adjoint))
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
        """dE_i/dA of the real A of all channels, shape (atoms, raw).

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
        return (
            embedding_bag(self.to_raw_order, both, self.to_raw_first, mode="sum").t().contiguous()
        )
