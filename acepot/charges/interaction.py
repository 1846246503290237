"""The Coulomb matrix A of Gaussian charges, and its derivatives.

A_ij = k_e erf(r_ij/γ_ij)/r_ij with γ_ij² = 2 (s_i² + s_j²), A_ii = k_e/(s_i √π); in a cell that
repeats, the sum over all images in a neutralising background, at vanishing field (tin-foil):

    A_ij = (4π k_e/V) Σ_{k≠0} exp(-k² (s_i² + s_j²)/2)/k² cos k·(r_i - r_j)

A width of 0 is a point charge, whose energy with itself is left out.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import erf

from acepot.charges.ewald import Ewald
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.structure import Structure
from acepot.units import COULOMB

__all__ = ["Interaction", "interaction"]

_PI = float(np.sqrt(np.pi))
#: Distance in units of γ below which erf(x)/x is given by its series.
_NEAR = 1e-2


class Interaction(Protocol):
    """A of the atoms of one structure, in eV/e²."""

    @property
    @abstractmethod
    def matrix(self) -> Floats:
        """A, shape (n, n), positive definite where no two atoms coincide."""

    @abstractmethod
    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """Minus the derivatives of leftᵀ A right by the positions, and by the strain.

        Args:
            left: charges in e, shape (n,).
            right: likewise.

        Returns:
            Forces in eV/Å, shape (n, 3), and virial in eV, shape (3, 3).
        """

    @abstractmethod
    def gradient(self) -> Floats:
        """∂A_ij/∂r_i, shape (n, 3, n), in eV/(e² Å)."""

    @abstractmethod
    def strain(self) -> Floats:
        """∂A_ij/∂ε for r -> r (1 + ε), vectors as rows, shape (3, 3, n, n), in eV/e²."""


def interaction(structure: Structure, widths: Floats) -> Interaction:
    """A of a structure.

    Args:
        structure: atoms; isolated, or periodic in all three directions.
        widths: s of every atom in Å, shape (n,).

    Raises:
        InputError: one or two periodic directions, coinciding points.
    """
    if not structure.pbc.any():
        return Isolated(structure.positions, widths)
    require_bulk(structure)
    return Ewald(structure, widths)


def require_bulk(structure: Structure) -> None:
    """Refuse what is periodic in one or two directions.

    Raises:
        InputError: it is.
    """
    if structure.pbc.any() and not structure.pbc.all():
        where = f"{structure.name}: " if structure.name else ""
        raise InputError(
            f"{where}pbc: charges interact in none or in all three directions, got "
            f"{structure.pbc.tolist()}; for a slab or a wire put vacuum into the cell and use pbc "
            "in all directions"
        )


class Isolated:
    """Gaussian charges without images.

    Args:
        positions: in Å, shape (n, 3).
        widths: s in Å, shape (n,).

    Raises:
        InputError: two points at one place.
    """

    def __init__(self, positions: Floats, widths: Floats) -> None:
        self._n, self._widths = len(positions), widths
        self._pairs = i, j = np.triu_indices(self._n, 1)
        self._vector = positions[i] - positions[j]
        r = np.sqrt(np.einsum("px,px->p", self._vector, self._vector))
        gamma = np.sqrt(2 * (widths[i] ** 2 + widths[j] ** 2))
        if (r + gamma <= 0).any():
            raise InputError("positions: expected points at different places")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = r / gamma  # infinite for points
            value = erf(x) / r
            bell = np.where(gamma > 0, 2 / (_PI * gamma) * np.exp(-(x**2)), 0.0)
            slope = (bell - value) / r**2  # (dA/dr)/r
        near = x < _NEAR
        g, y = gamma[near], x[near] ** 2
        value[near] = 2 / (_PI * g) * (1 - y / 3 + y**2 / 10)
        slope[near] = 4 / (_PI * g**3) * (-1 / 3 + y / 5 - y**2 / 14)
        self._value, self._slope = COULOMB * value, COULOMB * slope

    def _square(self, values: Floats) -> Floats:
        """Numbers of pairs in the upper triangle, shape (n, n)."""
        made = np.zeros((self._n, self._n))
        made[self._pairs] = values
        return made

    @cached_property
    def matrix(self) -> Floats:
        """As `Interaction`."""
        made = self._square(self._value)
        made += made.T
        own = np.zeros(self._n)
        np.divide(COULOMB, self._widths * _PI, out=own, where=self._widths > 0)
        made[np.diag_indices(self._n)] = own
        return made

    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """As `Interaction`."""
        i, j = self._pairs
        both = self._slope * (left[i] * right[j] + right[i] * left[j])
        mine = both[:, None] * self._vector
        forces = np.empty((self._n, 3))
        for x in range(3):
            forces[:, x] = np.bincount(j, mine[:, x], minlength=self._n)
            forces[:, x] -= np.bincount(i, mine[:, x], minlength=self._n)
        return forces, -mine.T @ self._vector

    def gradient(self) -> Floats:
        """As `Interaction`."""
        made = np.empty((self._n, 3, self._n))
        for x in range(3):
            upper = self._square(self._slope * self._vector[:, x])
            made[:, x] = upper - upper.T
        return made

    def strain(self) -> Floats:
        """As `Interaction`."""
        made = np.empty((3, 3, self._n, self._n))
        for x in range(3):
            for y in range(x, 3):
                upper = self._square(self._slope * self._vector[:, x] * self._vector[:, y])
                made[x, y] = made[y, x] = upper + upper.T
        return made
