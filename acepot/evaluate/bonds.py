"""The directed bonds of a structure, and what each has of its own: R_n(r_ij) and Y_lm(d̂_ij)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isqrt

import numpy as np

from acepot.basis.bond import BondSpec
from acepot.basis.harmonics import harmonics, real_harmonics
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.extension import edges
from acepot.evaluate.protocol import Floats, Ints, species_of
from acepot.structure import Structure
from acepot.tables import Tables


@dataclass(frozen=True, eq=False)
class Bonds:
    """The directed bonds of a structure, sorted by centre: each appears from both ends.

    Args:
        species: species index of every atom, shape (N,).
        centre: atom i it begins at, shape (E,).
        neighbour: atom j it ends at, shape (E,).
        shift: periodic image of j, shape (E, 3).
        vector: d = r_j - r_i + shift @ cell in Å, shape (E, 3).
        reverse: number of the bond j→i, shape (E,).
        radial: R_n(r), shape (E, n).
        radial_slope: dR_n/dr in 1/Å, likewise.
        harmonics: Y_lm(d̂), shape (E, lm).
    """

    species: Ints
    centre: Ints
    neighbour: Ints
    shift: Ints
    vector: Floats
    reverse: Ints
    radial: Floats
    radial_slope: Floats
    harmonics: Floats

    @cached_property
    def gradient(self) -> Floats:
        """Derivatives dY_lm/dd in 1/Å, shape (E, lm, 3)."""
        r = np.linalg.norm(self.vector, axis=1)
        unit = self.vector / r[:, None]
        _, gradient = real_harmonics(unit, isqrt(self.harmonics.shape[1]) - 1)
        along = np.einsum("eyx,ex->ey", gradient, unit)
        return np.asarray((gradient - along[..., None] * unit[:, None]) / r[:, None, None])

    @property
    def first(self) -> Ints:
        """Bonds of atom i are first[i]:first[i + 1], shape (N + 1,)."""
        return np.searchsorted(self.centre, np.arange(len(self.species) + 1))

    def slopes(self, displacement: Floats, strain: Floats) -> tuple[Floats, Floats]:
        """Derivatives of R_n and of Y_lm along a motion, shapes (E, n) and (E, lm).

        Args:
            displacement: u of the atoms in Å, shape (N, 3).
            strain: ε of r -> r (1 + ε), vectors as rows, shape (3, 3).
        """
        u = displacement[self.neighbour] - displacement[self.centre] + self.vector @ strain
        stretch = np.einsum("ec,ec->e", u, self.vector) / np.linalg.norm(self.vector, axis=1)
        return self.radial_slope * stretch[:, None], np.einsum("ec,eyc->ey", u, self.gradient)


def bonds_of(structure: Structure, tables: Tables, spec: BondSpec) -> Bonds:
    """The bonds of a structure and the functions of each alone.

    Args:
        structure: atoms and cell.
        tables: of the basis of the sites, for its elements.
        spec: resolved.

    Raises:
        InputError: an unknown element, or coinciding atoms.
    """
    species = species_of(tables, structure)
    functions = spec.functions(tuple(SYMBOLS[z] for z in tables.numbers))
    cutoff = np.array([[f.cutoff for f in row] for row in functions])
    if (cutoff != cutoff.T).any():
        raise InputError("bonds.cutoff: expected one for both orders of a pair; use resolve_bonds")
    (centre, neighbour, reverse), shift, vector = edges(structure, species, cutoff)
    r = np.linalg.norm(vector, axis=1)
    radial, slope = np.zeros((2, len(r), spec.most))
    for a, row in enumerate(functions):
        for b, family in enumerate(row):
            between = (species[centre] == a) & (species[neighbour] == b)
            if a == b:  # the same seen from both ends
                between &= np.arange(len(r)) < reverse
            mine = np.flatnonzero(between)
            if len(mine):
                jet = family.evaluate(r[mine])
                radial[mine], slope[mine] = jet.value.T, jet.first.T
            if a == b:
                radial[reverse[mine]], slope[reverse[mine]] = radial[mine], slope[mine]
    values = harmonics(vector / r[:, None], spec.max_l)
    return Bonds(species, centre, neighbour, shift, vector, reverse, radial, slope, values)
