"""ACE potentials in ASE: `atoms.calc = ACECalculator("model.acepot")`."""

from ase_ace.biased import BiasedCalculator
from ase_ace.calculator import ACECalculator
from ase_ace.conversion import to_atoms
from ase_ace.friction import FrictionLangevin
from ase_ace.spread import with_spread
from ase_ace.tight_binding import TightBindingCalculator

__all__ = [
    "ACECalculator",
    "BiasedCalculator",
    "FrictionLangevin",
    "TightBindingCalculator",
    "to_atoms",
    "with_spread",
]
