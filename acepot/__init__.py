"""acepot: the Atomic Cluster Expansion, fitted to data and run in the engines people use.

Public names are imported when they are first asked for: `import acepot` costs next to nothing,
engines start without the solvers, and the command line without numpy.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acepot.basis.bond import BondSpec
    from acepot.basis.choices import resolve
    from acepot.basis.selection import basis_size
    from acepot.basis.spec import BasisSpec
    from acepot.conversion import convert
    from acepot.errors import AceError
    from acepot.evaluate.bond_coupling import BondEvaluator
    from acepot.evaluate.protocol import Result
    from acepot.evaluate.torch.module import AceModule as AceModule
    from acepot.evaluate.torch.sites import SiteModule as SiteModule
    from acepot.fitting.fit import fit
    from acepot.fitting.fitted import Fit
    from acepot.fitting.pipeline import run_fit
    from acepot.fitting.tensors import fit_tensors
    from acepot.hamiltonian.tight_binding import TightBinding
    from acepot.io.modelfile import save
    from acepot.io.registry import load
    from acepot.io.structures.atoms import from_atoms
    from acepot.io.structures.datasets import read_structures
    from acepot.io.structures.extxyz import write_structures
    from acepot.laws import check
    from acepot.lowering import lower
    from acepot.model import (
        BondModel,
        ChargeModel,
        FrictionModel,
        HamiltonianModel,
        Model,
        TensorModel,
    )
    from acepot.potential import Potential, descriptors, site_evaluator
    from acepot.structure import Structure

__version__ = "0.1.0"
__all__ = [
    "AceError",
    "BasisSpec",
    "BondEvaluator",
    "BondModel",
    "BondSpec",
    "Fit",
    "ChargeModel",
    "FrictionModel",
    "HamiltonianModel",
    "Model",
    "Potential",
    "Result",
    "Structure",
    "TensorModel",
    "TightBinding",
    "basis_size",
    "check",
    "convert",
    "descriptors",
    "fit",
    "fit_tensors",
    "from_atoms",
    "load",
    "lower",
    "read_structures",
    "resolve",
    "run_fit",
    "save",
    "site_evaluator",
    "write_structures",
]

#: Where every public name comes from, as above for type checkers. Those that need torch are not
#: in __all__: a star import works without it.
_HOMES = {
    "AceError": "acepot.errors",
    "AceModule": "acepot.evaluate.torch.module",
    "BasisSpec": "acepot.basis.spec",
    "BondEvaluator": "acepot.evaluate.bond_coupling",
    "BondModel": "acepot.model",
    "BondSpec": "acepot.basis.bond",
    "Fit": "acepot.fitting.fitted",
    "ChargeModel": "acepot.model",
    "FrictionModel": "acepot.model",
    "HamiltonianModel": "acepot.model",
    "Model": "acepot.model",
    "Potential": "acepot.potential",
    "Result": "acepot.evaluate.protocol",
    "SiteModule": "acepot.evaluate.torch.sites",
    "Structure": "acepot.structure",
    "TensorModel": "acepot.model",
    "TightBinding": "acepot.hamiltonian.tight_binding",
    "basis_size": "acepot.basis.selection",
    "check": "acepot.laws",
    "convert": "acepot.conversion",
    "descriptors": "acepot.potential",
    "fit": "acepot.fitting.fit",
    "fit_tensors": "acepot.fitting.tensors",
    "from_atoms": "acepot.io.structures.atoms",
    "load": "acepot.io.registry",
    "lower": "acepot.lowering",
    "read_structures": "acepot.io.structures.datasets",
    "resolve": "acepot.basis.choices",
    "run_fit": "acepot.fitting.pipeline",
    "save": "acepot.io.modelfile",
    "site_evaluator": "acepot.potential",
    "write_structures": "acepot.io.structures.extxyz",
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
    return sorted({*globals(), *_HOMES})
