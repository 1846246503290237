"""Energies of many configurations from any ASE calculator, for samplers that ask for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import MissingDependency

try:
    from ase import Atoms
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error


class CalculatorEnergies:
    """A calculator as nested sampling takes energy models: one configuration after the other.

    An acepot potential is several times as fast without it, as
    `acepot.sampling.energies.PotentialEnergies`.

    Args:
        calculator: of ASE, with energies and forces.
        periodic: whether cells repeat along all three directions.
    """

    def __init__(self, calculator: Any, periodic: bool = True) -> None:
        self._calculator = calculator
        self._periodic = periodic

    def compute(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.float64],
        cells: NDArray[np.float64],
        out: Any,
    ) -> None:
        """Energies and forces.

        Args:
            numbers: atomic numbers, shape (B, n).
            positions: in Å, shape (B, n, 3).
            cells: vectors as rows in Å, shape (B, 3, 3).
            out: takes energy in eV, shape (B,), and forces in eV/Å, shape (B, n, 3).
        """
        for k in range(len(numbers)):
            atoms = Atoms(numbers[k], positions[k], cell=cells[k], pbc=self._periodic)
            atoms.calc = self._calculator
            out.energy[k] = atoms.get_potential_energy()  # type: ignore[no-untyped-call]
            out.forces[k] = atoms.get_forces()  # type: ignore[no-untyped-call]
