"""ACE potentials in ASE: `atoms.calc = ACECalculator("model.acepot")`."""

from ase_ace.calculator import ACECalculator
from ase_ace.conversion import to_atoms

__all__ = ["ACECalculator", "to_atoms"]
