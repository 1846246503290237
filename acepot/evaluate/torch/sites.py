"""Site outputs of models and bases as a torch module, and their derivatives in blocks of atoms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from acepot.evaluate.torch.edges import EdgeModule
from acepot.evaluate.torch.outputs import SpeciesOutputs
from acepot.tables import Tables


class Block(NamedTuple):
    """Some atoms of one species with the edges to their neighbours.

    Args:
        centre: the species.
        atoms: numbers of the atoms, shape (a,).
        edges: numbers of the edges, by atom and then by species of the neighbour, shape (e,).
        local: place of the central atom of every edge among the atoms, shape (e,).
        other: species of its neighbour, shape (e,).
    """

    centre: int
    atoms: Tensor
    edges: Tensor
    local: Tensor
    other: Tensor


class SiteModule(EdgeModule):
    """Values y_io of Tables (of a basis B_ik) on every site.

    `forward` is differentiable: twice and more by the vectors as far as the tables are smooth,
    and for a model by the weights `parameters` name (`sites.….read_out.weights`). Nonlinear
    models give their densities here. The other methods are the verbs of `SiteEvaluator` on edges,
    in blocks of atoms that bound their memory; nothing can be differentiated through them.

    Arrays of values have the shape (n, rows): rows run over irreps, in each over outputs of all
    members or functions, in each over M = -L … L; `by_irrep` parts them.

    Args:
        tables: a lowered model or basis.
        dtype: torch.float64 or torch.float32.

    Attributes:
        shapes: of each irrep the number of values and their components, (width, 2L + 1).
    """

    #: The module of the atoms of one species.
    part: type[SpeciesOutputs] = SpeciesOutputs

    def __init__(self, tables: Tables, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(tables, dtype)
        self.shapes = [(w, i.dim) for w, i in zip(tables.widths, tables.irreps, strict=True)]
        self.sites = torch.nn.ModuleList(
            [self.part(tables, s, dtype) for s in range(len(tables.numbers))]
        )

    @property
    def rows(self) -> int:
        """Number of values of a site, components counted."""
        return sum(width * dim for width, dim in self.shapes)

    def by_irrep(self, values: Tensor) -> list[Tensor]:
        """Values of shape (n, rows) as one array of shape (n, width, 2L + 1) for each irrep."""
        parts = values.split([width * dim for width, dim in self.shapes], dim=1)
        return [p.reshape(len(values), *shape) for p, shape in zip(parts, self.shapes, strict=True)]

    # ------------------------------------------------------------------ differentiable

    def forward(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> list[Tensor]:
        """Values of all sites that autograd can differentiate. Memory is not bounded by blocks.

        Args:
            species: index of every atom's element in `numbers`, int64, shape (n,).
            centre: central atom of every pair, int64, shape (E,), in any order; every pair
                appears from both ends.
            neighbour: its neighbour, int64, shape (E,).
            vector: r_neighbour - r_centre with its periodic image, in Å, shape (E, 3).

        Returns:
            For each irrep shape (n, width, 2L + 1).

        Raises:
            ValueError: vectors that are not finite, or shorter than the tables begin.
        """
        vector = vector.to(self.cutoffs.dtype)
        values = vector.new_zeros((len(species), self.rows))
        for block in self._blocks(species, centre, neighbour, vector, bounded=False):
            values = values.index_copy(0, block.atoms, self._values(block, vector[block.edges]))
        return self.by_irrep(values)

    def _values(self, block: Block, vector: Tensor) -> Tensor:
        """Values of the atoms of one block, shape (a, rows)."""
        site = self.sites[block.centre]
        values: Tensor = site(block.local, block.other, vector, len(block.atoms))
        return values.t()

    # ------------------------------------------------------------------ in blocks

    @torch.no_grad()
    def values(self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor) -> Tensor:
        """Values of all sites, shape (n, rows); arguments as those of `forward`."""
        vector = vector.detach().to(self.cutoffs.dtype)
        values = vector.new_zeros((len(species), self.rows))
        for block in self._blocks(species, centre, neighbour, vector):
            values[block.atoms] = self._values(block, vector[block.edges])
        return values

    @torch.no_grad()
    def jvp(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor, change: Tensor
    ) -> Tensor:
        """Derivative of the values along `change` of the vectors, shape (n, rows).

        Args:
            species: as `forward`.
            centre: as `forward`.
            neighbour: as `forward`.
            vector: as `forward`.
            change: shape (E, 3).
        """
        vector = vector.detach().to(self.cutoffs.dtype)
        slopes = vector.new_zeros((len(species), self.rows))
        for block in self._blocks(species, centre, neighbour, vector):
            with forward_ad.dual_level():
                along = change[block.edges].to(vector.dtype)
                dual = forward_ad.make_dual(vector[block.edges], along)
                slope = forward_ad.unpack_dual(self._values(block, dual)).tangent
            if slope is not None:
                slopes[block.atoms] = slope
        return slopes

    @torch.no_grad()
    def pullback(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor, adjoint: Tensor
    ) -> Tensor:
        """Σ_o a_io ∂y_io/∂vector, shape (E, 3).

        Args:
            species: as `forward`.
            centre: as `forward`.
            neighbour: as `forward`.
            vector: as `forward`.
            adjoint: a of every site, shape (n, rows).
        """
        vector = vector.detach().to(self.cutoffs.dtype)
        slopes = torch.zeros_like(vector)
        for block in self._blocks(species, centre, neighbour, vector):
            slopes[block.edges] = self.sites[block.centre].pullback(  # type: ignore[operator]
                block.local,
                block.other,
                vector[block.edges],
                len(block.atoms),
                adjoint[block.atoms].to(vector.dtype).t(),
            )
        return slopes

    def _blocks(
        self,
        species: Tensor,
        centre: Tensor,
        neighbour: Tensor,
        vector: Tensor,
        bounded: bool = True,
    ) -> Iterator[Block]:
        """Atoms of one species after the other, so many at once as memory allows."""
        self._check(species, centre, neighbour, vector)
        _, kept, place, other, first = self._sorted(species, centre, neighbour, vector.detach())
        order = torch.argsort(species, stable=True)
        stops = torch.bincount(species, minlength=len(self.sites)).cumsum(0).tolist()
        for s, (start, stop) in enumerate(zip([0, *stops], stops, strict=False)):
            if stop == start:
                continue
            widest = int((first[1:] - first[:-1])[start:stop].max())
            size = int(self.sites[s].size(widest)) if bounded else 0  # type: ignore[operator]
            bounds = self._bounds(start, stop, size, vector.is_cpu) if bounded else [start, stop]
            edges = first[torch.tensor(bounds, device=first.device)].tolist()
            for k in range(len(bounds) - 1):
                mine = slice(edges[k], edges[k + 1])
                atoms = order[bounds[k] : bounds[k + 1]]
                yield Block(s, atoms, kept[mine], place[mine] - bounds[k], other[mine])
