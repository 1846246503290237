"""Calculations that somebody else makes: a file with the atoms, and one with the labels.

`jobs/000012.extxyz` is to be labelled; `jobs/000012.out.*`, any file of structures that acepot
reads (extended XYZ, or what ASE reads, such as vasprun.xml), holds the labels. An output is used
only if its atoms are where those of the input are.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import numpy as np

from acepot.errors import AceError, InputError
from acepot.hal.reference.job import Labelled
from acepot.hal.reference.settings import FileReference
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.extxyz import write_structures
from acepot.structure import Structure

__all__ = ["Files", "WaitingError"]

#: Å by which an atom of an output may be elsewhere than that of the input: digits of other codes.
_MOVED = 1e-3


class WaitingError(AceError, RuntimeError):
    """Outputs are not there yet; the run goes on when they are.

    Args:
        folder: with the inputs.
        missing: names of those without outputs.
    """

    def __init__(self, folder: Path, missing: list[str]) -> None:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        super().__init__(
            f"{folder}: waits for the labels of {len(missing)} "
            f"structure{'s' if len(missing) != 1 else ''} ({shown}): put the output of each beside "
            "it as NUMBER.out.extxyz (or .out with the suffix of any file that ASE reads), and "
            "give the same command again"
        )


class Files:
    """Inputs and outputs in a folder.

    Args:
        settings: limits.
        folder: of both.
    """

    def __init__(self, settings: FileReference, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._missing: list[str] = []

    def submit(self, number: int, structure: Structure, e0: float) -> Future[Labelled]:
        """As `Reference`; the future of what has no output is never done."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name, future = f"{number:06d}", Future[Labelled]()
        outputs = sorted(self._folder.glob(f"{name}.out.*"))
        if not outputs:
            write_structures(self._folder / f"{name}.extxyz", [structure])
            self._missing.append(f"{name}.extxyz")
            return future
        future.set_result(self._read(outputs[0], structure, e0))
        return future

    def require(self) -> None:
        """Stop where outputs are missing.

        Raises:
            WaitingError: some are.
        """
        if self._missing:
            raise WaitingError(self._folder, self._missing)

    def close(self) -> None:
        """As `Reference`: there is nothing to end."""

    def _read(self, path: Path, structure: Structure, e0: float) -> Labelled:
        try:
            found = read_structures(path)[0][-1]
        except InputError as error:
            return Labelled(structure, str(error))
        same = np.array_equal(found.numbers, structure.numbers)
        if same:
            apart = found.positions - structure.positions
            if structure.pbc.any():
                cell = np.where(structure.pbc[:, None], structure.cell, np.eye(3))
                whole = np.round(np.linalg.solve(cell.T, apart.T).T)
                apart = apart - np.where(structure.pbc, whole, 0.0) @ cell
            same = bool(np.abs(apart).max() < _MOVED)
        if not same:
            return Labelled(
                structure, f"{path}: expected the atoms of its input where they are, got others"
            )
        if found.energy is None or found.forces is None:
            return Labelled(structure, f"{path}: expected an energy and forces, got none")
        apart_energy = (found.energy - e0) / len(structure)
        if abs(apart_energy) > self._settings.energy_limit:
            return Labelled(
                structure,
                f"{path}: {apart_energy:.4g} eV per atom from free atoms; expected at most "
                f"{self._settings.energy_limit:g} (reference.energy_limit)",
            )
        return Labelled(
            structure.labelled(energy=found.energy, forces=found.forces, virial=found.virial)
        )
