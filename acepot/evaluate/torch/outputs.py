"""Site outputs of atoms of one species in torch, which autograd differentiates.

R_c(r), Y_lm(r̂) -> A = Σ_j R Y -> nodes -> products Π_T -> y = Re Σ_T w_T Π_T. Unlike in the
energy, two-body functions are A's among others here, and every operation is one that autograd
differentiates backward and forward, as often as the tables are smooth.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acepot.evaluate.torch.contraction import Contraction, contract
from acepot.evaluate.torch.differentiable import SparseMatrix, spline_values
from acepot.evaluate.torch.geometry import RadialSplines
from acepot.evaluate.torch.nodes import Nodes
from acepot.evaluate.torch.one_particle import AtomicBase, in_order_of_l, is_together
from acepot.tables import Products, Tables

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class SpeciesOutputs(torch.nn.Module):
    """Outputs, or basis functions, of atoms of one species.

    Rows run over irreps, in each over outputs of all members or functions, in each over M.

    Args:
        tables: of a lowered model or basis.
        centre: the species.
        dtype: of the numbers.

    Raises:
        InputError: products that this evaluator cannot contract.
    """

    def __init__(self, tables: Tables, centre: int, dtype: torch.dtype) -> None:
        super().__init__()
        plan = contract(tables, tables.products[centre], two_body=False)
        self.single = plan.single
        self.base = DensityBase(tables, centre, plan.single, dtype)
        m = tables.a_m[plan.single].astype(np.int64)
        self.nodes = Nodes(plan, self.base.place, m, self.base.width, dtype)
        self.read_out = ReadOut(tables, tables.products[centre], plan, dtype)

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        products = 2 * self.nodes.count * 4 + 6 * self.read_out.products + self.read_out.rows
        return 1 + products + self.base.size(neighbours)

    def forward(self, local: Tensor, other: Tensor, vector: Tensor, atoms: int) -> Tensor:
        """Values that autograd can differentiate, shape (rows, atoms).

        Args:
            local: number of the central atom of every edge, ascending, shape (E,).
            other: species of its neighbour, ascending for each atom, shape (E,).
            vector: r_neighbour - r_centre in Å, shape (E, 3).
            atoms: how many central atoms there are.
        """
        raw = self.base(local, other, vector, atoms)
        return self.read_out(self.nodes(raw))  # type: ignore[no-any-return]

    def pullback(
        self, local: Tensor, other: Tensor, vector: Tensor, atoms: int, adjoint: Tensor
    ) -> Tensor:
        """Σ_rows a dy/dvector, shape (E, 3), by hand: without autograd's copies.

        Args:
            local: as `forward`.
            other: as `forward`.
            vector: as `forward`.
            atoms: as `forward`.
            adjoint: a, shape (rows, atoms).
        """
        r = torch.linalg.vector_norm(vector, dim=1)
        made = []
        for part in self.base.parts():
            bonds = part.bonds(local, other, r, vector)
            radial, slope = part.splines.lookup(part.splines.coefficients, bonds.other, bonds.r)
            made.append((bonds, part(bonds, radial, atoms), slope))
        raw = [a.raw for _, a, _ in made]
        x = self.nodes(torch.cat([vector.new_zeros((atoms, 0)), *raw], dim=1))
        by_raw = self.nodes.pullback(x, self.read_out.pullback(x, adjoint))
        slopes = torch.zeros_like(vector)
        mine = by_raw.split([a.shape[1] for a in raw], dim=1) if raw else ()
        for part, (bonds, a, slope), g in zip(self.base.parts(), made, mine, strict=True):
            slopes.index_add_(0, bonds.kept, part.pullback(bonds, a, slope, g))
        return slopes


class DensityBase(torch.nn.Module):
    """The real A of all radial tables that some products need.

    Args:
        tables: of a lowered model or basis.
        centre: the species of the central atoms.
        single: the A's, shape (V,).
        dtype: of the numbers.

    Attributes:
        place: of each A (of that with m = 0) among the real A, shape (V,).
        width: number of real A.
        by_part: of every real A its place in the order of tables, species of the neighbours, l,
            channels and m, shape (width,).
    """

    def __init__(self, tables: Tables, centre: int, single: Ints, dtype: torch.dtype) -> None:
        super().__init__()
        self.tables = torch.nn.ModuleList()
        self.place = np.zeros(len(single), dtype=np.int64)
        self.width, begin = 0, 0
        by_part = [np.zeros(0, dtype=np.int64)]
        species, l = (a[single].astype(np.int64) for a in (tables.a_species, tables.a_l))
        for table in tables.radial:
            channel = tables.a_channel[single].astype(np.int64) - begin
            mine = np.flatnonzero((channel >= 0) & (channel < table.coefficients.shape[-1]))
            begin += table.coefficients.shape[-1]
            if len(mine) == 0:
                continue
            used = in_order_of_l(channel[mine], l[mine])
            at = np.argsort(used)[np.searchsorted(np.sort(used), channel[mine])]
            splines = RadialSplines(table, centre, used, dtype)
            together = is_together(species[mine])
            count = 1 if together else len(tables.numbers)
            part = AtomicBase(splines, count, at, l[mine], dtype, together)
            by_part.append(self.width + part.by_species())
            self.place[mine] = self.width + part.place(species[mine], at, l[mine])
            self.width += part.offset[-1]
            self.tables.append(part)
        self.by_part = np.concatenate(by_part)

    def parts(self) -> list[AtomicBase]:
        """The A's of each radial table that is used."""
        return list(self.tables)  # type: ignore[arg-type]

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        size = 0
        for part in self.parts():
            width = part.splines.coefficients.shape[2] + part.functions
            size += neighbours * (12 + 2 * part.species) * width
        return size

    def forward(self, local: Tensor, other: Tensor, vector: Tensor, atoms: int) -> Tensor:
        """Real A, shape (atoms, width); arguments as those of `SpeciesOutputs`."""
        r = torch.linalg.vector_norm(vector, dim=1)
        raw = [r.new_zeros((atoms, 0))]
        for part in self.parts():
            bonds = part.bonds(local, other, r, vector)
            radial = spline_values(part.splines, bonds.other, bonds.r)
            raw.append(part(bonds, radial, atoms).raw)
        return torch.cat(raw, dim=1)


class ReadOut(torch.nn.Module):
    """y = Re Σ_T w_T Π_T from the nodes: weights of a model, or coefficients of a basis.

    Args:
        tables: of a lowered model or basis.
        products: of one species.
        plan: their nodes.
        dtype: of the numbers.

    Attributes:
        weights: of a model: of Re Π, then of Im Π, of the terms that have such coefficients,
            shape (rows, P); autograd may differentiate by them.
    """

    weights: Tensor

    def __init__(
        self, tables: Tables, products: Products, plan: Contraction, dtype: torch.dtype
    ) -> None:
        super().__init__()
        place = np.argsort(plan.term)  # terms are all in the plan
        real, imaginary = products.real != 0, products.imaginary != 0
        has_real = np.bincount(products.term[real], minlength=len(place)) > 0
        has_imaginary = np.bincount(products.term[imaginary], minlength=len(place)) > 0
        first, second = np.flatnonzero(has_real), np.flatnonzero(has_imaginary)
        self.reals, self.products = len(first), len(first) + len(second)
        node = place[np.concatenate((first, second))]
        factors = np.concatenate((plan.row[node], plan.column[node]))
        one, number = np.ones(len(factors)), np.arange(len(factors))
        self.factors = SparseMatrix(number, factors, one, (len(factors), plan.nodes), dtype)
        self.coefficients = None
        if tables.members:
            w_real, w_imaginary = _by_irrep(tables, products)
            self.rows = len(w_real)
            weights = np.concatenate((w_real[:, first], -w_imaginary[:, second]), axis=1)
            self.register_buffer("weights", torch.tensor(weights, dtype=dtype))
            return
        self.rows = sum(n * i.dim for n, i in zip(tables.sizes, tables.irreps, strict=True))
        function, term = products.function.astype(np.int64), products.term
        self.coefficients = SparseMatrix(
            np.concatenate((function[real], function[imaginary])),
            np.concatenate(
                (
                    np.searchsorted(first, term[real]),
                    len(first) + np.searchsorted(second, term[imaginary]),
                )
            ),
            np.concatenate((products.real[real], -products.imaginary[imaginary])),
            (self.rows, len(node)),
            dtype,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Values, shape (rows, atoms), of nodes of shape (N, atoms)."""
        row, column = self.factors(x).chunk(2)
        product = row * column
        parts = torch.cat((torch.real(product[: self.reals]), torch.imag(product[self.reals :])))
        if self.coefficients is None:
            return self.weights @ parts
        return self.coefficients(parts)  # type: ignore[no-any-return]

    def pullback(self, x: Tensor, adjoint: Tensor) -> Tensor:
        """G of the nodes with Σ a dy = Re Σ g dx, shape (N, atoms).

        Args:
            x: the nodes, shape (N, atoms).
            adjoint: a, shape (rows, atoms).
        """
        if self.coefficients is None:
            weight = self.weights.t() @ adjoint
        else:
            weight = self.coefficients.transposed(adjoint)
        row, column = self.factors(x).chunk(2)
        if self.reals < self.products:  # Im Π = Re(-i Π)
            turned = torch.complex(torch.zeros_like(weight), -weight)
            weight = torch.cat((weight[: self.reals].to(x.dtype), turned[self.reals :]))
        return self.factors.transposed(torch.cat((weight * column, weight * row)))


def _by_irrep(tables: Tables, products: Products) -> tuple[Floats, Floats]:
    """Weights from [member, output, M] of all irreps to irreps, in each [member, output, M]."""
    dims = [n * i.dim for n, i in zip(tables.outputs, tables.irreps, strict=True)]
    place = np.arange(tables.members * sum(dims)).reshape(tables.members, -1)
    rows = [part.ravel() for part in np.split(place, np.cumsum(dims)[:-1], axis=1)]
    real = products.weights.reshape(place.size, len(products.factors))
    imaginary = np.zeros_like(real)
    if products.weights_imaginary.shape[1]:
        imaginary = products.weights_imaginary.reshape(real.shape)
    order = np.concatenate(rows)
    return real[order], imaginary[order]
