"""What every evaluator promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from acepot.structure import Structure

Floats = NDArray[np.float64]
Quantity = Literal["energy", "forces", "virial"]


@dataclass(frozen=True, eq=False)
class Committee:
    """Predictions of the M members of a committee.

    Args:
        energies: total energies in eV, shape (M,).
        forces: in eV/Å, shape (M, n, 3).
        virials: in eV, shape (M, 3, 3).
    """

    energies: Floats
    forces: Floats
    virials: Floats


@dataclass(frozen=True, eq=False)
class Result:
    """What a model says about one structure.

    Args:
        energies: E_i in eV, shape (n,); their sum is the energy.
        forces: -dE/dr in eV/Å, shape (n, 3).
        virials: per-atom W_i = -Σ_j r_ij ⊗ dE_i/dr_ij in eV, shape (n, 3, 3).
        committee: the members' predictions, if asked for.
    """

    energies: Floats
    forces: Floats
    virials: Floats
    committee: Committee | None = None

    @property
    def energy(self) -> float:
        """Total energy in eV."""
        return float(self.energies.sum())

    @property
    def virial(self) -> Floats:
        """W = -dE/dε in eV, shape (3, 3)."""
        return np.asarray(np.einsum("nab->ab", self.virials))  # 4 times as fast as sum(axis=0)


class Totals(NamedTuple):
    """What dynamics need of one structure.

    Args:
        energies: E_i in eV, shape (n,).
        forces: -dE/dr in eV/Å, shape (n, 3).
        virial: W = -dE/dε in eV, shape (3, 3).
    """

    energies: Floats
    forces: Floats
    virial: Floats

    @property
    def energy(self) -> float:
        """Total energy in eV."""
        return float(self.energies.sum())


@dataclass(frozen=True, eq=False)
class Rows:
    """Design-matrix rows of one structure: rows @ coefficients = evaluate, less E0.

    Args:
        energy: shape (K,).
        forces: shape (3n, K), atom by atom, x y z.
        virial: shape (6, K), in the order xx yy zz yz xz xy.
    """

    energy: Floats
    forces: Floats
    virial: Floats


class Evaluate(Protocol):
    """What an evaluator offers: pure, the same Tables and structures give the same numbers."""

    def __call__(
        self,
        structures: Sequence[Structure],
        species: Sequence[NDArray[np.int64]],
        *,
        committee: bool = False,
    ) -> list[Result]:
        """Energies, forces and virials of several structures."""
        ...


class Bound(Protocol):
    """An evaluator bound to atoms whose elements and periodic directions stay."""

    def compute(self, positions: Floats, cell: Floats) -> Totals:
        """Energies, forces and the virial.

        Args:
            positions: in Å, shape (n, 3), anywhere in or outside the cell.
            cell: lattice vectors as rows in Å, shape (3, 3); those of directions that are not
                periodic are ignored.

        Raises:
            InputError: another number of atoms, positions or results that are not finite,
                coinciding or too close atoms, a cell without volume.
        """
        ...


def row_count(quantity: Quantity, atoms: int) -> int:
    """Number of rows of a quantity of a structure."""
    return {"energy": 1, "forces": 3 * atoms, "virial": 6}[quantity]


class RowBuilder(Protocol):
    """Gives the design matrix that ties fitting to running."""

    def fill(
        self,
        structure: Structure,
        species: NDArray[np.int64],
        quantities: Sequence[Quantity],
        out: Floats,
    ) -> None:
        """Write the rows of one structure.

        Args:
            structure: atoms and cell.
            species: species index of every atom, shape (n,).
            quantities: which rows, one quantity below the other.
            out: takes them, shape (m, K), in Fortran order.
        """
        ...
