"""The oracle: ACE in numpy, step by step as the papers write it.

R_c(r), Y_lm(r̂) -> A_v = Σ_j R Y -> Π A -> E_i, and back: dE/dA -> dE_i/dr_j. It is
vectorised over blocks of atoms but takes no short cut that another evaluator would have to
share. A change here needs a change in docs/conventions.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import Committee, Floats, Quantity, Result, Rows
from acepot.evaluate.reference_embedding import embedded
from acepot.evaluate.reference_one_particle import OneParticle
from acepot.evaluate.reference_products import SiteProducts, Unitary
from acepot.neighbours import Edges, build
from acepot.structure import Structure
from acepot.tables import Tables

Ints = NDArray[np.int64]


class ReferenceEvaluator:
    """Evaluates Tables in numpy.

    Args:
        tables: a lowered model.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._one_particle = OneParticle(tables)
        self._unitary = Unitary(tables)
        rows = tables.functions * (2 * tables.total_l + 1)
        self._sites = [SiteProducts(p, rows, self._unitary) for p in tables.products]

    def evaluate(self, species: Ints, edges: Edges, *, committee: bool = False) -> Result:
        """Energies, forces and virials.

        Args:
            species: species index of every atom, shape (n,).
            edges: full neighbour list; pairs beyond the cut-off contribute nothing.
            committee: also evaluate the members of the committee.

        Returns:
            Result in eV and eV/Å.

        Raises:
            InputError: two atoms are closer than the tables begin.
        """
        if not self.tables.is_scalar:
            raise InputError("evaluate: only true scalars have an energy; use site_basis")
        count = len(species)
        outputs = self.tables.outputs if committee else 1
        energies = np.zeros((outputs, count))
        forces = np.zeros((outputs, count, 3))
        virials = np.zeros((outputs, count, 3, 3))
        energies += self.tables.e0[species]
        for s, block in self._one_particle.blocks(species, edges):
            site = self._sites[s]
            a = self._unitary.to_complex(self._one_particle.values(block))  # [v, a]
            product, partial = site.products(a)
            for out in range(outputs):
                density = site.weights[out] @ product.real  # [p, a]
                energy, slope, core_pull = embedded(self.tables, s, block, density)
                energies[out, block.atoms] += energy
                adjoint = site.adjoint(out, partial, slope)  # dE/dA_v, [v, a]
                pull = self._one_particle.pull(block, adjoint) + core_pull  # dE_i/dr_j, [a, j, 3]
                np.add.at(forces[out], block.neighbour, -pull)
                forces[out, block.atoms] += pull.sum(axis=1)
                virials[out, block.atoms] -= np.einsum("ajx,ajy->axy", block.vector, pull)
        members = None
        if committee:
            members = Committee(energies[1:].sum(axis=1), forces[1:], virials[1:].sum(axis=1))
        return Result(energies[0], forces[0], virials[0], members)

    def evaluate_all(
        self, structures: Sequence[Structure], species: Sequence[Ints], *, committee: bool = False
    ) -> list[Result]:
        """Several structures, neighbour lists included (see `evaluate`)."""
        cutoff = float(self.tables.cutoff.max())
        return [
            self.evaluate(z, build(s, cutoff), committee=committee)
            for s, z in zip(structures, species, strict=True)
        ]

    def rows(self, species: Ints, edges: Edges) -> Rows:
        """Design-matrix rows.

        Args:
            species: species index of every atom, shape (n,).
            edges: full neighbour list.

        Returns:
            Rows with rows @ coefficients = evaluate, less E0.
        """
        if self.tables.embeddings is not None:
            raise InputError("rows: a nonlinear model has no design matrix")
        if not self.tables.is_scalar:
            raise InputError("rows: only true scalars have an energy; use site_basis")
        count, functions = len(species), self.tables.functions
        energy = np.zeros(functions)
        forces = np.zeros((functions, 3, count))
        virial = np.zeros((functions, 6))
        for s, block in self._one_particle.blocks(species, edges, rows=True):
            site = self._sites[s]
            product, partial = site.products(
                self._unitary.to_complex(self._one_particle.values(block))
            )
            energy += (site.real @ product.real).sum(axis=1)
            touched, columns = self._one_particle.moves(block)
            atoms, size = columns.shape[:2]
            part = site.jacobian(partial, size) @ columns.reshape(atoms * size, -1)
            forces[:, :, touched] -= part[:, :-6].reshape(functions, 3, -1)
            virial -= part[:, -6:]
        return Rows(energy, forces.transpose(2, 1, 0).reshape(-1, functions), virial.T)

    def fill(
        self, structure: Structure, species: Ints, quantities: Sequence[Quantity], out: Floats
    ) -> None:
        """Write the rows of one structure, neighbour list included (see `RowBuilder`)."""
        made = self.rows(species, build(structure, float(self.tables.cutoff.max())))
        parts = {"energy": made.energy[None], "forces": made.forces, "virial": made.virial}
        out[:] = np.concatenate([parts[quantity] for quantity in quantities])

    def site_basis(self, species: Ints, edges: Edges) -> Floats:
        """Every basis function on every atom.

        Args:
            species: species index of every atom, shape (n,).
            edges: full neighbour list.

        Returns:
            B_k of each site in components M = -L … L (real harmonics), shape (n, K, 2L+1).
        """
        width = 2 * self.tables.total_l + 1
        out = np.zeros((len(species), self.tables.functions, width))
        for s, block in self._one_particle.blocks(species, edges):
            site = self._sites[s]
            product, _ = site.products(self._unitary.to_complex(self._one_particle.values(block)))
            values = site.real @ product.real - site.imaginary @ product.imag
            out[block.atoms] = values.T.reshape(len(block.atoms), -1, width)
        return out
