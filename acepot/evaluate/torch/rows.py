"""Design rows in torch: the functions of a basis and their Jacobians, summed over sites.

∂B_k/∂r_j = Σ_v ∂B_k/∂A_v ∂A_v/∂r_j: a function has few A's, so that the first factor is sparse.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import embedding_bag

from acepot.evaluate.protocol import SiteRows, StructureRows
from acepot.evaluate.torch.differentiable import SparseMatrix, spline_values
from acepot.evaluate.torch.one_particle import AtomicBase, CloseEdges
from acepot.evaluate.torch.outputs import SpeciesOutputs
from acepot.evaluate.torch.sites import Block, SiteModule
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
    raw: Tensor
    first: Tensor

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
        key = np.tile(function, 4) * max(self.base.width, 1)
        key += np.concatenate([raw[v], raw[v], raw[at], raw[at]])
        kept = value != 0.0
        unique, row = np.unique(key[kept], return_inverse=True)
        by_function, by_raw = np.divmod(unique, max(self.base.width, 1))
        first = np.searchsorted(by_function, np.arange(self.read_out.rows))
        self.register_buffer("raw", torch.tensor(by_raw))
        self.register_buffer("first", torch.tensor(first))
        shape = (len(unique), 2 * count)
        self.derivatives = SparseMatrix(row, column[kept], value[kept], shape, dtype)

    def size(self, neighbours: int) -> int:
        """How many numbers the arrays of one atom with so many neighbours take, about."""
        slopes = (3 * neighbours + 12) * (2 * self.read_out.rows + 4 * self.base.width)
        return super().size(neighbours) + 4 * len(self.others) + 3 * len(self.raw) + slopes

    def jacobian(
        self, local: Tensor, other: Tensor, vector: Tensor, atoms: int, slot: Tensor, width: int
    ) -> tuple[Tensor, Tensor]:
        """Values, shape (atoms, rows), and their derivatives, shape (atoms, 3 J + 12, rows).

        Derivatives are by the coordinates of the neighbours in J slots, of the central atom, and
        by the 9 components of the strain.

        Args:
            local: as `forward`.
            other: as `forward`.
            vector: as `forward`.
            atoms: as `forward`.
            slot: of every edge among those of its central atom, shape (E,).
            width: J.
        """
        x = self.nodes(self.base(local, other, vector, atoms))
        values = self.read_out(x).t()
        if len(self.raw) == 0:
            return values, values.new_zeros((atoms, 3 * width + 12, self.read_out.rows))
        r = torch.linalg.vector_norm(vector, dim=1)
        tables = []  # dA/dr of the real A, [a, (z, w), 3 J + 12]
        for part in self.base.parts():
            bonds = part.bonds(local, other, r, vector)
            slots = part.segment(bonds.local, bonds.other) * width + slot[bonds.kept]
            slope = _by_vector(part, bonds, vector[bonds.kept], slots, atoms, width)
            tables.append(slope.unflatten(0, (atoms, -1)).transpose(2, 3).flatten(1, 2))
        table = torch.cat(tables, dim=1)
        count = torch.arange(atoms, device=vector.device).unsqueeze(1)
        slopes = embedding_bag(
            (count * self.base.width + self.raw).flatten(),
            table.flatten(0, 1),
            (count * len(self.raw) + self.first).flatten(),
            mode="sum",
            per_sample_weights=self._by_base(x).t().flatten(),
        )
        return values, slopes.unflatten(0, (atoms, -1)).transpose(1, 2).contiguous()

    def _by_base(self, x: Tensor) -> Tensor:
        """dB/dA of the real A, for pairs of a function and an A in it, shape (pairs, atoms)."""
        single = torch.cat((x[1 : 1 + len(self.single)], x[:1]))  # the padding is the constant 1
        shape = (len(self.others), x.shape[1])
        product = torch.ones(shape, dtype=x.dtype, device=x.device)
        for t in range(self.others.shape[1]):
            product = product * single.index_select(0, self.others[:, t])
        both = torch.cat((torch.real(product), torch.imag(product)))
        data: Tensor = self.derivatives(both)
        return data


def _by_vector(
    part: AtomicBase, bonds: CloseEdges, vector: Tensor, slots: Tensor, atoms: int, width: int
) -> Tensor:
    """Derivatives of R Y by the neighbours in their slots, the centre and the strain.

    Returns:
        Shape (atoms × species, 3 J + 3 + 9, functions of one species).
    """
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
    slope = torch.stack(derivatives, dim=1).flatten(1)
    slope = part.spread(slope, slots, atoms * part.species, width)  # [(a, z), j, 3 w]
    strain = torch.bmm(part.spread(vector, slots, len(slope), width).mT, slope)  # r_x d/dr_y
    moved, pressed = (part.unflatten(2, (3, -1)).flatten(1, 2) for part in (slope, strain))
    centre = -slope.sum(dim=1).unflatten(1, (3, -1))
    return torch.cat((moved, centre, pressed), dim=1)


def _slots(block: Block, neighbour: Tensor, padding: int) -> tuple[Tensor, Tensor]:
    """Neighbours in J slots and then the central atom, and the slots of the edges.

    Args:
        block: atoms and edges.
        neighbour: of every edge of all blocks.
        padding: stands in slots without a neighbour.

    Returns:
        Shapes (a, J + 1) and (e,).
    """
    count = torch.bincount(block.local, minlength=len(block.atoms))
    first = torch.cumsum(count, 0) - count
    slot = torch.arange(len(block.local), device=count.device) - first[block.local]
    shape = (len(block.atoms), max(int(count.max()), 1) + 1)
    target = torch.full(shape, padding, dtype=torch.int64, device=count.device)
    target[block.local, slot], target[:, -1] = neighbour[block.edges], block.atoms
    return target, slot


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
        forces = vector.new_zeros((sums, len(species) + 1, 3 * self.rows))  # the last is padding
        virial = vector.new_zeros((sums, len(weights), 9 * self.rows))
        for block in self._blocks(species, centre, neighbour, vector):
            target, slot = _slots(block, neighbour, len(species))
            b, slopes = self.sites[block.centre].jacobian(  # type: ignore[operator]
                block.local,
                block.other,
                vector[block.edges],
                len(target),
                slot,
                target.shape[1] - 1,
            )
            home = structure[block.atoms]
            for s in range(sums):
                at = torch.nonzero(weight[s, block.atoms]).squeeze(1)
                if len(at) == 0:
                    continue
                w, part = weight[s, block.atoms[at]], slopes
                if len(at) < len(target) or not (w == 1.0).all():
                    part = w[:, None, None] * slopes[at]
                moved, pressed = part[:, :-9].unflatten(1, (-1, 3)).flatten(2), part[:, -9:]
                values[s].index_add_(0, home[at], w[:, None] * b[at])
                forces[s].index_add_(0, target[at].flatten(), moved.flatten(0, 1), alpha=-1)
                virial[s].index_add_(0, home[at], pressed.flatten(1), alpha=-1)
        forces = forces[:, :-1]
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
