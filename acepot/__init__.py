"""acepot: the Atomic Cluster Expansion, fitted to data and run in the engines people use."""

from acepot.errors import AceError
from acepot.evaluate.protocol import Result
from acepot.fit.pipeline import Fit, run_fit
from acepot.io.acefile import save
from acepot.io.datasets import read_structures
from acepot.io.registry import load
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure

__version__ = "0.1.0"
__all__ = [
    "AceError",
    "Fit",
    "Model",
    "Potential",
    "Result",
    "Structure",
    "load",
    "read_structures",
    "run_fit",
    "save",
]
