"""The Coulomb matrix A of Gaussian charges, and its derivatives.

A_ij = k_e erf(r_ij/γ_ij)/r_ij with γ_ij² = 2 (s_i² + s_j²), A_ii = k_e/(s_i √π); in a cell that
repeats, the sum over all images in a neutralising background, at vanishing field (tin-foil):

    A_ij = (4π k_e/V) Σ_{k≠0} exp(-k² (s_i² + s_j²)/2)/k² cos k·(r_i - r_j)

A width of 0 is a point charge, whose energy with itself is left out.
"""

from __future__ import annotations

from abc import abstractmethod
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
        n = len(positions)
        self._vector = positions[:, None] - positions[None]  # r_i - r_j
        r = np.sqrt(np.einsum("ijx,ijx->ij", self._vector, self._vector))
        gamma = np.sqrt(2 * (widths[:, None] ** 2 + widths**2))
        np.fill_diagonal(r, 1.0)
        if (r + gamma <= 0).any():
            raise InputError("positions: expected points at different places")
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where(gamma > 0, r / gamma, np.inf)
            value = erf(x) / np.where(r > 0, r, 1.0)
            bell = np.where(np.isinf(x), 0.0, 2 / (_PI * gamma) * np.exp(-(x**2)))
            slope = (bell - value) / np.where(r > 0, r, 1.0) ** 2  # (dA/dr)/r
        near = (x < _NEAR) & ~np.eye(n, dtype=bool)
        g, y = gamma[near], x[near] ** 2
        value[near] = 2 / (_PI * g) * (1 - y / 3 + y**2 / 10)
        slope[near] = 4 / (_PI * g**3) * (-1 / 3 + y / 5 - y**2 / 14)
        np.fill_diagonal(value, np.divide(1, widths * _PI, out=np.zeros(n), where=widths > 0))
        np.fill_diagonal(slope, 0.0)
        self._matrix = COULOMB * value
        self._slope = COULOMB * slope

    @property
    def matrix(self) -> Floats:
        """As `Interaction`."""
        return np.asarray(self._matrix)

    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """As `Interaction`."""
        both = self._slope * np.outer(left, right)
        mine = np.einsum("ij,ijx->ijx", both, self._vector)
        forces = mine.sum(axis=0) - mine.sum(axis=1)
        virial = -np.einsum("ijx,ijy->xy", mine, self._vector)
        return forces, virial

    def gradient(self) -> Floats:
        """As `Interaction`."""
        return np.asarray(np.einsum("ij,ijx->ixj", self._slope, self._vector))

    def strain(self) -> Floats:
        """As `Interaction`."""
        v = self._vector
        return np.asarray(np.einsum("ij,ijx,ijy->xyij", self._slope, v, v, optimize=True))
