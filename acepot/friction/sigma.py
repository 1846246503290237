"""Σ of Γ = Σ Σᵀ as sparse blocks of three rows: the form that noise and solvers need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import bsr_array, csr_array

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats, Ints

__all__ = ["Factor", "Sigma"]


@dataclass(frozen=True, eq=False)
class Factor:
    """Σ of one coupling, block by block; sources of noise are atoms or bonds.

    Args:
        rows: atom each block acts on, ascending, shape (B,).
        columns: its source of noise, shape (B,).
        values: in √(amu/fs), shape (B, 3, w) with w independent numbers of each source.
        atoms: how many there are.
        sources: how many there are.
        is_bond: whether a source is a bond, which acts on the two atoms at its ends.
    """

    rows: Ints
    columns: Ints
    values: Floats
    atoms: int
    sources: int
    is_bond: bool

    @property
    def width(self) -> int:
        """Numbers that noise has for all sources."""
        return int(self.sources * self.values.shape[2])

    @cached_property
    def matrix(self) -> bsr_array:
        """Σ, shape (3 atoms, width)."""
        first = np.searchsorted(self.rows, np.arange(self.atoms + 1))
        shape = (3 * self.atoms, self.width)
        return bsr_array((self.values, self.columns, first), shape=shape)

    @cached_property
    def transposed(self) -> bsr_array:
        """Σᵀ."""
        return self.matrix.T

    def scaled(self, by: Floats) -> Factor:
        """The same with the rows of each atom multiplied by a number, shape (atoms,)."""
        values = self.values * by[self.rows][:, None, None]
        return Factor(self.rows, self.columns, values, self.atoms, self.sources, self.is_bond)


@dataclass(frozen=True, eq=False)
class Sigma:
    """Σ of all couplings, one beside the other: Γ = Σ_parts Σ Σᵀ.

    Args:
        factors: one for each coupling.
    """

    factors: tuple[Factor, ...]

    @property
    def atoms(self) -> int:
        """How many there are."""
        return self.factors[0].atoms

    @property
    def width(self) -> int:
        """Independent random numbers that noise is made of."""
        return sum(factor.width for factor in self.factors)

    def times(self, noise: Floats) -> Floats:
        """Σ w, shape (atoms, 3), in the unit of Σ.

        Args:
            noise: w, shape (width,).
        """
        made, start = np.zeros(3 * self.atoms), 0
        for factor in self.factors:
            made += factor.matrix @ noise[start : start + factor.width]
            start += factor.width
        return made.reshape(-1, 3)

    def back(self, vectors: Floats) -> Floats:
        """Σᵀ v, shape (width,).

        Args:
            vectors: v, shape (atoms, 3).
        """
        flat = np.ravel(vectors)
        return np.concatenate([factor.transposed @ flat for factor in self.factors])

    def friction(self, velocities: Floats) -> Floats:
        """Γ v, shape (atoms, 3).

        Args:
            velocities: v, shape (atoms, 3).
        """
        return self.times(self.back(velocities))

    def noise(self, random: np.random.Generator) -> Floats:
        """A draw of Σ w with w ~ N(0, 1), whose covariance is Γ, shape (atoms, 3)."""
        return self.times(random.standard_normal(self.width))

    def scaled(self, by: Floats) -> Sigma:
        """Σ with the rows of each atom multiplied by a number, 1/√m say, shape (atoms,)."""
        return Sigma(tuple(factor.scaled(by) for factor in self.factors))

    def sparse(self) -> csr_array:
        """Γ, shape (3 atoms, 3 atoms), in amu/fs."""
        found = [(factor.matrix @ factor.transposed).tocsr() for factor in self.factors]
        return csr_array(sum(found[1:], start=found[0]))

    def dense(self) -> Floats:
        """Γ as an ordinary array, symmetric to the last bit, shape (3 atoms, 3 atoms)."""
        made = np.zeros((3 * self.atoms, 3 * self.atoms))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said below
            for matrix in self.columns():
                made += matrix @ matrix.T
            made = (made + made.T) / 2
        if not np.isfinite(made).all():
            raise InputError("friction: its numbers are not finite; check coefficients")
        return made

    def columns(self) -> list[Floats]:
        """Σ of each coupling as an ordinary array without empty columns, (3 atoms, used)."""
        found = []
        for factor in self.factors:
            matrix = factor.matrix.toarray()
            found.append(matrix[:, matrix.any(axis=0)])
        return found
