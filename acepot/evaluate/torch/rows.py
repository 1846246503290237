"""Design rows in torch: the functions of a basis and their Jacobians, summed over sites.

∂B_k/∂r_j = Σ_v ∂B_k/∂A_v ∂A_v/∂r_j, both factors dense for the neighbours of one species, so
that the sum is one matrix product for each atom and species.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from acepot.evaluate.protocol import SiteRows, StructureRows
from acepot.evaluate.torch.differentiable import SparseMatrix, spline_values
from acepot.evaluate.torch.one_particle import AtomicBase, Bonds
from acepot.evaluate.torch.outputs import SpeciesOutputs
from acepot.evaluate.torch.sites import SiteModule
from acepot.tables import Tables

Ints = NDArray[np.int64]


class SpeciesRows(SpeciesOutputs):
    """Functions of one species with their derivatives by the vectors to the neighbours.

    Args:
        tables: of a lowered basis.
        centre: the species.
        dtype: of the numbers.
    """

    others: Tensor
    key: Tensor

    def __init__(self, tables: Tables, centre: int, dtype: torch.dtype) -> None:
        super().__init__(tables, centre, dtype)
        products = tables.products[centre]
        factors = np.searchsorted(self.single, products.factors.astype(np.int64))
        # Every coefficient C_kT meets every factor of its term: the product of the others is
        # the derivative of the term by that factor.
        entry, taken = np.nonzero(factors[products.term] < len(self.single))
        mine = factors[products.term[entry]]
        v = mine[np.arange(len(entry)), taken]
        left = mine[np.arange(factors.shape[1]) != taken[:, None]]
        left = left.reshape(len(entry), max(factors.shape[1] - 1, 0))
        others, which = np.unique(left, axis=0, return_inverse=True)
        self.register_buffer("others", torch.tensor(others))
        # With dA^c = s d(raw) + i s' d(raw'), a product P of the others adds Re(C P) s to
        # dB/d(raw) and -Im(C P) s' to dB/d(raw').
        scale = self.nodes.scale.squeeze(1).double().numpy()
        raw = self.base.by_part[self.nodes.real_imaginary.numpy()]
        count, twice = len(others), np.tile(which.ravel(), 2)
        c, at = (products.real + 1j * products.imaginary)[entry], len(self.single) + v
        column = np.concatenate((twice + np.repeat([0, count], len(entry)),) * 2)
        value = np.concatenate(
            (scale[v] * c.real, -scale[v] * c.imag, -scale[at] * c.imag, -scale[at] * c.real)
        )
        function = products.function.astype(np.int64)[entry]
        key = np.concatenate([raw[v], raw[v], raw[at], raw[at]]) * self.read_out.rows
        key += np.tile(function, 4)
        kept = value != 0.0
        unique, row = np.unique(key[kept], return_inverse=True)
        self.register_buffer("key", torch.tensor(unique))
        shape = (len(unique), 2 * count)
        self.derivatives = SparseMatrix(row, column[kept], value[kept], shape, dtype)

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        by_base = 4 * len(self.others) + len(self.key) + self.base.width * self.read_out.rows
        by_vector = 3 * neighbours * (6 * self.read_out.rows + 2 * self.base.width)
        return super().size(neighbours) + by_base + by_vector

    def jacobian(
        self, local: Tensor, other: Tensor, vector: Tensor, atoms: int
    ) -> tuple[Tensor, Tensor]:
        """Values, shape (atoms, rows), and derivatives by the vectors, shape (E, 3, rows).

        Args:
            local: as `forward`.
            other: as `forward`.
            vector: as `forward`.
            atoms: as `forward`.
        """
        x = self.nodes(self.base(local, other, vector, atoms))
        values = self.read_out(x).t()
        single = torch.cat((x[1 : 1 + len(self.single)], x[:1]))  # the padding is the constant 1
        product = torch.ones((len(self.others), atoms), dtype=x.dtype, device=x.device)
        for t in range(self.others.shape[1]):
            product = product * single.index_select(0, self.others[:, t])
        data = self.derivatives(torch.cat((torch.real(product), torch.imag(product))))
        by_base = vector.new_zeros((atoms, self.base.width * self.read_out.rows))
        by_base = by_base.index_copy_(1, self.key, data.t())
        by_base = by_base.reshape(atoms, self.base.width, self.read_out.rows)
        r = torch.linalg.vector_norm(vector, dim=1)
        slopes = vector.new_zeros((len(vector), 3, self.read_out.rows))
        start = 0
        for part in self.base.parts():
            bonds = part.bonds(local, other, r, vector)
            slope, slot = _by_vector(part, bonds, vector[bonds.kept], atoms)  # [(a, z), (j, x), w]
            stop = start + part.offset[-1]
            mine = by_base[:, start:stop].reshape(len(slope), slope.shape[2], self.read_out.rows)
            made = torch.bmm(slope, mine).unflatten(1, (-1, 3)).flatten(0, 1)
            slopes.index_add_(0, bonds.kept, made.index_select(0, slot))
            start = stop
        return values, slopes


def _by_vector(part: AtomicBase, bonds: Bonds, vector: Tensor, atoms: int) -> tuple[Tensor, Tensor]:
    """Derivatives of R Y by the vectors in slots of atoms and species, and the edges' slots."""
    derivatives = []
    for direction in torch.eye(3, dtype=vector.dtype, device=vector.device):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(vector, direction.expand_as(vector).contiguous())
            r = torch.linalg.vector_norm(dual, dim=1)
            radial = spline_values(part.splines, bonds.other, r)
            harmonics, _, _, _ = part.harmonics(dual / r.unsqueeze(1))
            made = [
                (
                    radial[:, part.begin[l] : part.end[l], None]
                    * harmonics[:, None, l * l : (l + 1) ** 2]
                ).flatten(1)
                for l in range(part.harmonics.lmax + 1)
            ]
            derivatives.append(forward_ad.unpack_dual(torch.cat(made, dim=1)).tangent)
    slope = torch.stack(derivatives, dim=1)
    slot, width = part.layout(bonds.local, bonds.other, atoms)
    spread = part.spread(slope.flatten(1), slot, atoms * part.species, width)
    return spread.reshape(len(spread), 3 * width, -1), slot


class RowModule(SiteModule):
    """Design rows of the functions of Tables (of a model: of its basis), structure by structure.

    Args:
        tables: a lowered model or basis.
        dtype: torch.float64 or torch.float32.
    """

    part = SpeciesRows

    def __init__(self, tables: Tables, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(tables.basis, dtype)

    @torch.no_grad()
    def design(
        self,
        species: Tensor,
        centre: Tensor,
        neighbour: Tensor,
        vector: Tensor,
        structure: Tensor,
        weights: list[Tensor],
    ) -> list[StructureRows]:
        """Rows of every structure.

        Args:
            species: as `SiteModule.forward`.
            centre: as `SiteModule.forward`.
            neighbour: as `SiteModule.forward`.
            vector: as `SiteModule.forward`.
            structure: number of the structure of every atom, ascending, shape (n,).
            weights: w_si of each structure, shape (sums, atoms of it).
        """
        vector = vector.detach().to(self.cutoffs.dtype)
        sums = max(len(w) for w in weights)
        weight = vector.new_zeros((sums, len(species)))
        stops = np.cumsum([w.shape[1] for w in weights]).tolist()
        for w, start, stop in zip(weights, [0, *stops], stops, strict=False):
            weight[: len(w), start:stop] = w
        values = vector.new_zeros((sums, len(weights), self.rows))
        forces = vector.new_zeros((sums, len(species), 3 * self.rows))
        virial = vector.new_zeros((sums, len(weights), 9 * self.rows))
        for block in self._blocks(species, centre, neighbour, vector):
            r, i, j = vector[block.edges], centre[block.edges], neighbour[block.edges]
            b, slope = self.sites[block.centre].jacobian(  # type: ignore[operator]
                block.local, block.other, r, len(block.atoms)
            )
            moment = (r[:, :, None, None] * slope[:, None]).flatten(1)  # r_x dB/dr_y
            slope = slope.flatten(1)
            for s in range(sums):
                at = torch.nonzero(weight[s, block.atoms]).squeeze(1)
                w = weight[s, block.atoms[at], None]
                values[s].index_add_(0, structure[block.atoms[at]], w * b[at])
                at = torch.nonzero(weight[s, i]).squeeze(1)
                w, own, other = weight[s, i[at], None], i[at], j[at]
                forces[s].index_add_(0, own, w * slope[at])
                forces[s].index_add_(0, other, -w * slope[at])
                virial[s].index_add_(0, structure[own], -w * moment[at])
        made = []
        for b, (w, start, stop) in enumerate(zip(weights, [0, *stops], stops, strict=False)):
            parts = (values[: len(w), b], forces[: len(w), start:stop], virial[: len(w), b])
            made.append(self._structure_rows(*parts))
        return made

    def _structure_rows(self, values: Tensor, forces: Tensor, virial: Tensor) -> StructureRows:
        """Rows of one structure, irrep by irrep, functions last."""
        widths = [width * dim for width, dim in self.shapes]
        shaped = []
        for part, count in ((values, 1), (forces, 3 * forces.shape[1]), (virial, 9)):
            pieces = part.reshape(len(part), count, self.rows).split(widths, dim=2)
            shaped.append(
                [
                    np.ascontiguousarray(
                        piece.reshape(len(part), count, *shape).mT.double().cpu().numpy()
                    )
                    for piece, shape in zip(pieces, self.shapes, strict=True)
                ]
            )
        irreps = [
            SiteRows(b[:, 0], f, w.reshape(len(w), 3, 3, *w.shape[2:]))
            for b, f, w in zip(*shaped, strict=True)
        ]
        return StructureRows(tuple(irreps))
