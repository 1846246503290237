"""acepot: the Atomic Cluster Expansion, fitted to data and run in the engines people use."""

from acepot.errors import AceError
from acepot.evaluate.protocol import Result
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure

__version__ = "0.1.0"
__all__ = ["AceError", "Model", "Potential", "Result", "Structure"]
