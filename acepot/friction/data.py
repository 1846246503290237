"""Friction tensors as data: whole, or of some atoms, or of some pairs of atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats, Ints
from acepot.structure import Structure

__all__ = ["FrictionData", "Soundness", "soundness"]

#: Largest asymmetry, and largest negative eigenvalue, of a sound tensor, relative to the largest.
_ASYMMETRY, _NEGATIVE = 1e-6, 1e-8


@dataclass(frozen=True, eq=False)
class FrictionData:
    """Γ of one structure.

    Args:
        structure: atoms and cell.
        gamma: in amu/fs, shape (3m, 3m), of the atoms named.
        atoms: which atoms the rows belong to, shape (m,).
        known: which blocks are known, symmetric, shape (m, m); None: all.

    Raises:
        InputError: shapes that do not fit, atoms that are not there, numbers that are not finite.
    """

    structure: Structure
    gamma: Floats
    atoms: Ints
    known: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        name = self.structure.name or "structure"
        atoms = np.asarray(self.atoms, dtype=np.int64)
        gamma = np.asarray(self.gamma, dtype=float)
        count = len(atoms)
        if gamma.shape != (3 * count, 3 * count) or not np.isfinite(gamma).all():
            raise InputError(
                f"{name}: gamma: expected finite numbers of shape {(3 * count, 3 * count)}, "
                f"got {gamma.shape}"
            )
        inside = count and 0 <= atoms.min() and atoms.max() < len(self.structure)
        if not inside or len(set(atoms.tolist())) < count:
            raise InputError(f"{name}: atoms: expected different numbers of atoms, got {atoms}")
        if self.known is not None and np.shape(self.known) != (count, count):
            raise InputError(
                f"{name}: known: expected shape {(count, count)}, got {np.shape(self.known)}"
            )
        object.__setattr__(self, "atoms", atoms)
        object.__setattr__(self, "gamma", gamma)

    @property
    def mask(self) -> Floats:
        """1 where a number of Γ is known, 0 elsewhere, shape (3m, 3m)."""
        known = np.ones((len(self.atoms),) * 2) if self.known is None else self.known
        return np.kron(np.asarray(known, dtype=float), np.ones((3, 3))).astype(np.float64)

    @property
    def norm(self) -> float:
        """Frobenius norm of what is known."""
        return float(np.linalg.norm(self.gamma * self.mask))

    def of(self, whole: Floats) -> Floats:
        """The rows and columns of these atoms from a tensor of all, shape (3m, 3m)."""
        index = (3 * self.atoms[:, None] + np.arange(3)).ravel()
        return np.asarray(whole[np.ix_(index, index)])


@dataclass(frozen=True)
class Soundness:
    """How far a tensor is from what friction can be.

    Args:
        asymmetry: largest |Γ - Γᵀ| relative to the largest |Γ|.
        least: smallest eigenvalue relative to the largest.
    """

    asymmetry: float
    least: float

    @property
    def is_sound(self) -> bool:
        """Symmetric, and positive semidefinite, but for rounding."""
        return self.asymmetry <= _ASYMMETRY and self.least >= -_NEGATIVE


def soundness(gamma: Floats) -> Soundness:
    """Whether a tensor is symmetric and positive semidefinite.

    Args:
        gamma: shape (3m, 3m).
    """
    size = float(np.abs(gamma).max(initial=0.0))
    if size == 0.0:
        return Soundness(0.0, 0.0)
    values = np.linalg.eigvalsh((gamma + gamma.T) / 2)
    largest = float(np.abs(values).max())
    return Soundness(float(np.abs(gamma - gamma.T).max()) / size, float(values[0]) / largest)
