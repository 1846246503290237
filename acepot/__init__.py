"""acepot: the Atomic Cluster Expansion, fitted to data and run in the engines people use.

Public names are imported when they are first asked for: `import acepot` costs next to nothing,
engines start without the solvers, and the command line without numpy.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acepot.errors import AceError
    from acepot.evaluate.protocol import Result
    from acepot.fitting.fit import fit
    from acepot.fitting.fitted import Fit
    from acepot.fitting.pipeline import run_fit
    from acepot.io.modelfile import save
    from acepot.io.registry import load
    from acepot.io.structures.datasets import read_structures
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
    "fit",
    "load",
    "read_structures",
    "run_fit",
    "save",
]

#: Where every public name comes from, as above for type checkers.
_HOMES = {
    "AceError": "acepot.errors",
    "Fit": "acepot.fitting.fitted",
    "Model": "acepot.model",
    "Potential": "acepot.potential",
    "Result": "acepot.evaluate.protocol",
    "Structure": "acepot.structure",
    "fit": "acepot.fitting.fit",
    "load": "acepot.io.registry",
    "read_structures": "acepot.io.structures.datasets",
    "run_fit": "acepot.fitting.pipeline",
    "save": "acepot.io.modelfile",
}

if not TYPE_CHECKING:  # type checkers would believe in every name

    def __getattr__(name):
        """A public name, or a module of the package."""
        if name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        elif not name.startswith("_") and find_spec(f"acepot.{name}"):
            value = import_module(f"acepot.{name}")
        else:
            raise AttributeError(f"module 'acepot' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
