"""ACE potentials in ASE: `atoms.calc = ACECalculator("model.acepot")`."""

from ase_ace.calculator import ACECalculator

__all__ = ["ACECalculator"]
