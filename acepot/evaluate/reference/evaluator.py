"""The oracle: ACE in numpy, step by step as the papers write it.

R_c(r), Y_lm(r̂) -> A_v = Σ_j R Y -> Π A -> y_i, and back: dLoss/dy -> dLoss/dA -> dLoss/dr_j. It
is vectorised over blocks of atoms but takes no short cut that another evaluator would have to
share. A change here needs a change in docs/conventions.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import (
    CommitteeResult,
    Floats,
    Pullback,
    Quantity,
    Result,
    SiteRows,
    Sites,
    StructureRows,
    adjoint_rows,
    displacement_of,
    each,
    no_pullback,
    no_result,
    no_sites,
    site_weights,
    species_of,
    strains_of,
)
from acepot.evaluate.reference.embedding import embedded
from acepot.evaluate.reference.one_particle import Block, OneParticle
from acepot.evaluate.reference.products import Jacobian, ReadOut, SiteProducts, Unitary
from acepot.neighbours import build
from acepot.structure import Structure
from acepot.tables import Tables
from acepot.voigt import INDEX


class ReferenceEvaluator:
    """Evaluates Tables in numpy.

    Args:
        tables: a lowered model or basis.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._one_particle = OneParticle(tables)
        self._unitary = Unitary(tables)
        self._sites = [SiteProducts(p, len(tables.a_l)) for p in tables.products]
        self._read_outs = [ReadOut(tables, p) for p in tables.products]
        self._jacobians: list[Jacobian] = []  # made when rows are first asked for

    # -------------------------------------------------------------- the four verbs

    def values(self, structures: Sequence[Structure]) -> list[Sites]:
        """y_io of every site (see `SiteEvaluator`)."""

        def compute(_number: int, structure: Structure) -> Sites:
            out = np.zeros((self._rows(), len(structure)))
            for s, block in self._blocks(structure):
                product, _ = self._sites[s].products(self._a(block))
                out[:, block.atoms] = self._read_outs[s].values(product)
            return self._by_irrep(out)

        return each(structures, compute, lambda s, e: no_sites(self.tables, s, e))

    def jvp(
        self,
        structures: Sequence[Structure],
        displacements: Sequence[Floats | None],
        strains: Sequence[Floats | None] | None = None,
    ) -> list[Sites]:
        """Derivatives of the values along displacements and strains (see `SiteEvaluator`)."""
        along = strains_of(structures, displacements, strains)

        def compute(number: int, structure: Structure) -> Sites:
            u, strain = displacement_of(structure, displacements[number], along[number])
            out = np.zeros((self._rows(), len(structure)))
            for s, block in self._blocks(structure):
                site = self._sites[s]
                moved = u[block.neighbour] - u[block.atoms][:, None] + block.vector @ strain
                change = self._unitary.to_complex(self._one_particle.jvp(block, moved))
                _, partial = site.products(self._a(block))
                out[:, block.atoms] = self._read_outs[s].values(site.jvp(partial, change))
            return self._by_irrep(out)

        return each(structures, compute, lambda s, e: no_sites(self.tables, s, e))

    def pullback(
        self, structures: Sequence[Structure], adjoints: Sequence[Sequence[Floats]]
    ) -> list[Pullback]:
        """Forces and virials of a loss with given adjoints (see `SiteEvaluator`)."""
        if len(structures) != len(adjoints):
            raise InputError("pullback: expected adjoints for each structure")

        def compute(number: int, structure: Structure) -> Pullback:
            adjoint = adjoint_rows(self.tables, structure, adjoints[number])  # [row, atom]
            forces = np.zeros((len(structure), 3))
            virials = np.zeros((len(structure), 3, 3))
            for s, block in self._blocks(structure):
                _, partial = self._sites[s].products(self._a(block))
                weight = self._read_outs[s].pullback(adjoint[:, block.atoms])
                self._scatter(block, self._pull(s, block, partial, weight), forces, virials)
            return Pullback(forces, virials)

        return each(structures, compute, no_pullback)

    def rows(
        self, structures: Sequence[Structure], weights: Sequence[Floats | None] | None = None
    ) -> list[StructureRows]:
        """Design rows of sums over sites of the basis functions (see `SiteEvaluator`)."""
        if self.tables.embeddings is not None:
            raise InputError("rows: a nonlinear model has no design matrix; lower its basis alone")
        given = [None] * len(structures) if weights is None else weights
        if len(structures) != len(given):
            raise InputError("rows: expected weights for each structure")

        def compute(number: int, structure: Structure) -> StructureRows:
            return self._design_rows(structure, site_weights(structure, given[number]))

        return each(structures, compute, lambda _s, e: StructureRows((), e))

    # -------------------------------------------------------------- energies

    def evaluate(self, structures: Sequence[Structure], *, committee: bool = False) -> list[Result]:
        """Energies, forces and virials of several structures (see `EnergyEvaluator`).

        Raises:
            InputError: Tables of a basis, or of something that is no energy.
        """
        tables = self.tables
        if not tables.is_energy:
            raise InputError(
                "evaluate: only models of true scalars have an energy; use values and pullback"
            )
        members = tables.members - 1 if committee else None

        def compute(_number: int, structure: Structure) -> Result:
            return self._energy(structure, committee)

        return each(structures, compute, lambda s, e: no_result(s, e, members))

    def _energy(self, structure: Structure, committee: bool) -> Result:
        members = self.tables.members if committee else 1
        count, densities = len(structure), self.tables.outputs[0]
        energies = np.zeros((members, count))
        forces = np.zeros((members, count, 3))
        virials = np.zeros((members, count, 3, 3))
        energies += self.tables.e0[species_of(self.tables, structure)]
        for s, block in self._blocks(structure):
            product, partial = self._sites[s].products(self._a(block))
            for member in range(members):
                rows = slice(member * densities, (member + 1) * densities)
                read_out = self._read_outs[s].row(rows)
                density = read_out.values(product)  # [p, a]
                energy, slope, core = embedded(self.tables, s, block, density)
                energies[member, block.atoms] += energy
                adjoint = np.ones_like(density) if slope is None else slope  # dE/dρ_p
                pull = self._pull(s, block, partial, read_out.pullback(adjoint)) + core
                self._scatter(block, pull, forces[member], virials[member])
        others = None
        if committee:
            others = CommitteeResult(energies[1:].sum(axis=1), forces[1:], virials[1:].sum(axis=1))
        return Result(energies[0], forces[0], virials[0], others)

    def fill(self, structure: Structure, quantities: Sequence[Quantity], out: Floats) -> None:
        """Write the rows of energies of one structure (see `RowBuilder`)."""
        if not self.tables.is_scalar:
            raise InputError("fill: only true scalars have an energy; use rows")
        (made,) = self.rows([structure])
        if made.error is not None:
            raise made.error
        parts = {
            "energy": made.irreps[0].values[0],
            "forces": made.irreps[0].forces[0, :, 0],
            "virial": made.irreps[0].virial[0][INDEX][:, 0],
        }
        out[:] = np.concatenate([parts[quantity] for quantity in quantities])

    # -------------------------------------------------------------- steps

    def _blocks(self, structure: Structure, rows: bool = False) -> Iterator[tuple[int, Block]]:
        species = species_of(self.tables, structure)
        edges = build(structure, self.tables.reach)
        return self._one_particle.blocks(species, edges, rows)

    def _a(self, block: Block) -> NDArray[np.complex128]:
        """Complex A, shape (A, a)."""
        return self._unitary.to_complex(self._one_particle.values(block))

    def _pull(
        self,
        s: int,
        block: Block,
        partial: NDArray[np.complex128],
        weight: NDArray[np.complex128],
    ) -> Floats:
        """dLoss/dr_j for Σ_T w_T dΠ_T, shape (a, J, 3)."""
        by_a = self._unitary.pullback(self._sites[s].pullback(partial, weight))
        return self._one_particle.pullback(block, by_a)

    @staticmethod
    def _scatter(block: Block, pull: Floats, forces: Floats, virials: Floats) -> None:
        """Add what dLoss/dr_j means for the atoms."""
        np.add.at(forces, block.neighbour, -pull)
        forces[block.atoms] += pull.sum(axis=1)
        virials[block.atoms] -= np.einsum("ajx,ajy->axy", block.vector, pull)

    def _rows(self) -> int:
        """Number of values of a site, components counted."""
        tables = self.tables
        return sum(w * irrep.dim for w, irrep in zip(tables.widths, tables.irreps, strict=True))

    def _by_irrep(self, out: Floats) -> Sites:
        """Values of shape (rows, n) as one array for each irrep."""
        parts, start = [], 0
        for width, irrep in zip(self.tables.widths, self.tables.irreps, strict=True):
            stop = start + width * irrep.dim
            part = out[start:stop].T.reshape(out.shape[1], width, irrep.dim)
            parts.append(np.ascontiguousarray(part))
            start = stop
        return Sites(tuple(parts))

    def _design_rows(self, structure: Structure, weights: Floats) -> StructureRows:
        tables, count = self.tables, len(structure)
        functions = sum(n * i.dim for n, i in zip(tables.sizes, tables.irreps, strict=True))
        values = np.zeros((len(weights), functions))
        forces = np.zeros((len(weights), functions, 3, count))
        virial = np.zeros((len(weights), functions, 9))
        basis = tables.basis
        if not self._jacobians:
            self._jacobians = [
                Jacobian(p, site, self._unitary, functions)
                for p, site in zip(tables.products, self._sites, strict=True)
            ]
        for s, block in self._blocks(structure, rows=True):
            product, partial = self._sites[s].products(self._a(block))
            values += weights[:, block.atoms] @ ReadOut(basis, basis.products[s]).values(product).T
            touched, columns = self._one_particle.jacobian(block)  # [a, A, 3 t + 9]
            moved = columns.reshape(-1, columns.shape[-1])
            for number, weight in enumerate(weights[:, block.atoms]):
                part = self._jacobians[s](partial, weight) @ moved
                forces[number][:, :, touched] -= part[:, :-9].reshape(functions, 3, len(touched))
                virial[number] -= part[:, -9:]
        return StructureRows(tuple(_split(tables, values, forces, virial)))


def _split(tables: Tables, values: Floats, forces: Floats, virial: Floats) -> Iterator[SiteRows]:
    """The rows of each irrep, functions last."""
    sums, atoms, start = len(values), forces.shape[-1], 0
    for size, irrep in zip(tables.sizes, tables.irreps, strict=True):
        mine = slice(start, start + size * irrep.dim)
        shape = (sums, size, irrep.dim)
        by_position = forces[:, mine].reshape(*shape, 3, atoms).transpose(0, 4, 3, 2, 1)
        by_strain = virial[:, mine].reshape(*shape, 9).transpose(0, 3, 2, 1)
        yield SiteRows(
            np.ascontiguousarray(values[:, mine].reshape(shape).transpose(0, 2, 1)),
            np.ascontiguousarray(by_position.reshape(sums, 3 * atoms, irrep.dim, size)),
            np.ascontiguousarray(by_strain.reshape(sums, 3, 3, irrep.dim, size)),
        )
        start += size * irrep.dim
