"""Structures, from any file acepot reads, as ASE Atoms."""

from __future__ import annotations

from acepot import Structure
from acepot.errors import MissingDependency

try:
    from ase import Atoms
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error


def to_atoms(structure: Structure) -> Atoms:
    """A structure as ASE Atoms, without its labels.

    Args:
        structure: as `acepot.read_structures` gives it, files of i-PI and LAMMPS included.
    """
    return Atoms(
        numbers=structure.numbers,
        positions=structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
    )
