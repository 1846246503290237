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

from acepot.charges.ewald import Ewald, refusing
from acepot.errors import InputError
from acepot.evaluate.extension import extension
from acepot.evaluate.protocol import Floats
from acepot.structure import Structure
from acepot.units import COULOMB

__all__ = ["Interaction", "interaction"]


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
        self._places = np.ascontiguousarray(positions, dtype=float)
        self._widths = np.ascontiguousarray(widths, dtype=float)
        made: Floats = refusing(extension().gaussian_matrix, self._places, self._widths)
        made *= COULOMB
        self._matrix = made

    @property
    def matrix(self) -> Floats:
        """As `Interaction`."""
        return self._matrix

    @cached_property
    def _slopes(self) -> Floats:
        """(dA/dr)/r of all pairs, shape (n, n), in eV/(e² Å²)."""
        made: Floats = refusing(extension().gaussian_slopes, self._places, self._widths)
        made *= COULOMB
        return made

    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """As `Interaction`."""
        forces, virial = refusing(
            extension().gaussian_pull, self._places, self._widths,
            np.ascontiguousarray(left), np.ascontiguousarray(right),
        )  # fmt: skip
        return COULOMB * forces, COULOMB * virial

    def gradient(self) -> Floats:
        """As `Interaction`."""
        between = self._places[:, :, None] - self._places.T
        return np.asarray(self._slopes[:, None] * between)

    def strain(self) -> Floats:
        """As `Interaction`."""
        between = self._places.T[:, :, None] - self._places.T[:, None]
        return np.asarray(between[:, None] * between * self._slopes)
