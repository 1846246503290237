"""The energy of atoms of one species in torch, forward and backward by hand.

R_c(r), Y_lm(r̂) -> A = Σ_j R Y -> nodes -> ρ_p -> E_i and back. Written in the subset of Python
that TorchScript compiles.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from acepot.errors import InputError
from acepot.evaluate.torch.contraction import Contraction, contract
from acepot.evaluate.torch.embedding import SiteEnergy
from acepot.evaluate.torch.geometry import RadialSplines
from acepot.evaluate.torch.nodes import Nodes
from acepot.evaluate.torch.one_particle import (
    AtomicBase,
    by_species,
    in_order_of_l,
    is_together,
)
from acepot.evaluate.torch.two_body import TwoBody
from acepot.tables import Tables

Ints = NDArray[np.int64]


class SpeciesEnergies(torch.nn.Module):
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

    def __init__(self, tables: Tables, centre: int, dtype: torch.dtype) -> None:
        super().__init__()
        products = tables.products[centre]
        plan = contract(tables, products, two_body=True)
        species = tables.a_species.astype(np.int64)
        channel = tables.a_channel.astype(np.int64)
        starts = np.cumsum([0, *(t.coefficients.shape[-1] for t in tables.radial)])
        l, m = tables.a_l[plan.single].astype(np.int64), tables.a_m[plan.single].astype(np.int64)
        used = in_order_of_l(channel[plan.single], l)
        if len(tables.radial) == 0:
            raise InputError("torch: expected functions of distances, got constants alone")
        if used.max(initial=0) >= starts[1]:
            raise InputError("products: expected functions of the first radial table alone")
        together = is_together(species[plan.single])
        self.species = 1 if together else len(tables.numbers)
        self.splines = RadialSplines(tables.radial[0], centre, used, dtype)
        self.two_body = torch.nn.ModuleList()
        for table, begin, end in zip(tables.radial, starts, starts[1:], strict=False):
            at = channel[plan.two_body_function]
            mine = (at >= begin) & (at < end)
            if mine.any():
                v = plan.two_body_function[mine]
                kept, local = np.unique(channel[v] - begin, return_inverse=True)
                splines = RadialSplines(table, centre, kept, dtype)
                each = by_species(species[v], local, plan.two_body[mine], len(tables.numbers))
                self.two_body.append(TwoBody(splines, *each))
        self.energy = SiteEnergy(tables, centre, dtype)
        self.outputs, self.densities = products.weights.shape[:2]
        position = np.argsort(used)[np.searchsorted(np.sort(used), channel[plan.single])]
        self.a = AtomicBase(self.splines, self.species, position, l, dtype, together)
        place = self.a.place(species[plan.single], position, l)
        self.nodes = Nodes(plan, place, m, self.a.offset[-1], dtype)
        self.many_body = len(plan.row) > 0
        self._register_form(plan)
        self.register_buffer("weights", torch.tensor(products.weights, dtype=dtype))

    def _register_form(self, plan: Contraction) -> None:
        """The quadratic form: which nodes make a term, and the terms of every node."""
        into = np.concatenate((plan.row, plan.column))
        out_of = np.concatenate((plan.column, plan.row))
        order = np.argsort(into, kind="stable")
        integers = {
            "row": plan.row,
            "column": plan.column,
            "term": plan.term,
            "form_term": np.tile(plan.term, 2)[order],
            "form_column": out_of[order],
            "form_first": np.searchsorted(into[order], np.arange(plan.nodes)),
        }
        for name, values in integers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        channels = int(self.splines.coefficients.shape[2])
        slots = neighbours * self.species
        edges = neighbours * (12 * channels + 4 * self.a.functions)
        nodes = 2 * self.nodes.count * (4 + self.densities)
        return int(1 + edges + nodes + slots * 2 * (channels + self.a.functions))

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
        for part in self.two_body:
            density = density.index_add(0, local, part.values(self.weights[0], other, r))  # type: ignore[operator]
        density = density.t()
        if self.many_body:
            bonds = self.a.bonds(local, other, r, vector)
            radial = self.splines.values(self.splines.coefficients, bonds.other, bonds.r)
            x = self.nodes(self.a(bonds, radial, atoms).raw)
            product = torch.real(x.index_select(0, self.row) * x.index_select(0, self.column))
            density = density + self.weights[0].index_select(1, self.term) @ product
        around = self.energy.surroundings(local, other, r, atoms)
        energy, _, _, _ = self.energy(density, around.core, around.gap, around.delta)
        return energy  # type: ignore[no-any-return]

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
        bonds = self.a.bonds(local, other, r, vector)
        radial, slope = self.splines.lookup(self.splines.coefficients, bonds.other, bonds.r)
        a = self.a(bonds, radial, atoms)
        x = self.nodes(a.raw)
        around = self.energy.surroundings(local, other, r, atoms)
        energies: list[Tensor] = []
        slopes: list[Tensor] = []
        for output in range(outputs):
            density, by_node, by_distance = self._densities(output, x, local, other, r, atoms)
            energy, by_density, by_core, by_gap = self.energy(
                density, around.core, around.gap, around.delta
            )
            along = (by_density.t().index_select(0, local) * by_distance).sum(dim=1)
            if self.energy.mode > 0:
                along = along + by_core.index_select(0, local) * around.slope
            if self.energy.mode == 2:
                along = along.index_add(0, around.nearest, by_gap)
            by_vector = along.unsqueeze(1) * vector / r.unsqueeze(1)
            if self.many_body:
                total = by_node[0] * by_density[0]
                for p in range(1, self.densities):
                    total = total + by_node[p] * by_density[p]
                adjoint = self.nodes.pullback(x, total)
                by_vector = by_vector.index_add(
                    0, bonds.kept, self.a.pullback(bonds, a, slope, adjoint)
                )
            energies.append(energy)
            slopes.append(by_vector)
        return torch.stack(energies), torch.stack(slopes)

    def _densities(
        self, output: int, x: Tensor, local: Tensor, other: Tensor, r: Tensor, atoms: int
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """ρ_p, shape (P, atoms); dρ_p/dx for each p; dρ_p/dr of two-body functions, (E, P)."""
        weights = self.weights[output]
        density = torch.zeros((atoms, self.densities), dtype=r.dtype, device=r.device)
        slopes = torch.zeros((r.shape[0], self.densities), dtype=r.dtype, device=r.device)
        for part in self.two_body:
            value, slope = part(weights, other, r)
            density = density.index_add(0, local, value)
            slopes = slopes + slope
        density = density.t().contiguous()
        by_node: list[Tensor] = []
        flat = torch.view_as_real(x).reshape(x.shape[0], -1)
        for p in range(self.densities):
            if self.many_body:
                g = embedding_bag(
                    self.form_column,
                    flat,
                    self.form_first,
                    mode="sum",
                    per_sample_weights=weights[p].index_select(0, self.form_term),
                )
                g = torch.view_as_complex(g.reshape(x.shape[0], atoms, 2))
                density[p] += 0.5 * torch.real(x * g).sum(dim=0)
                by_node.append(g)
        return density, by_node, slopes
