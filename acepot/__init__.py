"""acepot: the Atomic Cluster Expansion, fitted to data and run in the engines people use."""

from typing import TYPE_CHECKING, Any

from acepot.errors import AceError
from acepot.evaluate.protocol import Result
from acepot.io.acefile import save
from acepot.io.datasets import read_structures
from acepot.io.registry import load
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure

if TYPE_CHECKING:
    from acepot.fitting.fit import Fit
    from acepot.fitting.pipeline import run_fit

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


def __getattr__(name: str) -> Any:
    """Fitting and its solvers are imported when asked for: engines start without them."""
    if name not in ("Fit", "run_fit"):
        raise AttributeError(f"module 'acepot' has no attribute {name!r}")
    from acepot.fitting import fit, pipeline

    return getattr(fit if name == "Fit" else pipeline, name)
