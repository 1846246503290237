"""What is chosen of a model with charges, and what follows from the elements where nothing is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from acepot.basis.choices import BOND_LENGTHS, resolve
from acepot.basis.irrep import SCALAR
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.fitting.bounds import at_least
from acepot.fitting.priors import Algebraic, Prior
from acepot.schema import Settings

__all__ = ["ChargeFitSettings", "ChargeWeights", "basis_of", "start_of"]

#: Pauling's electronegativities by atomic number: where a fit without charges among its labels
#: begins. Only their order matters: the energy does not tell the sign of all charges.
_PAULING: dict[int, float] = {
    1: 2.2, 3: 0.98, 4: 1.57, 5: 2.04, 6: 2.55, 7: 3.04, 8: 3.44, 9: 3.98, 11: 0.93, 12: 1.31,
    13: 1.61, 14: 1.9, 15: 2.19, 16: 2.58, 17: 3.16, 19: 0.82, 20: 1.0, 21: 1.36, 22: 1.54,
    23: 1.63, 24: 1.66, 25: 1.55, 26: 1.83, 27: 1.88, 28: 1.91, 29: 1.9, 30: 1.65, 31: 1.81,
    32: 2.01, 33: 2.18, 34: 2.55, 35: 2.96, 37: 0.82, 38: 0.95, 39: 1.22, 40: 1.33, 41: 1.6,
    42: 2.16, 43: 1.9, 44: 2.2, 45: 2.28, 46: 2.2, 47: 1.93, 48: 1.69, 49: 1.78, 50: 1.96,
    51: 2.05, 52: 2.1, 53: 2.66, 55: 0.79, 56: 0.89, 57: 1.1, 72: 1.3, 73: 1.5, 74: 2.36,
    75: 1.9, 76: 2.2, 77: 2.2, 78: 2.28, 79: 2.54, 80: 2.0, 81: 1.62, 82: 2.33, 83: 2.02,
}  # fmt: skip
#: Of elements that are not in it.
_OTHER = 1.8
#: eV/e of one of Pauling's units, and charges of latent outputs, roughly.
_CHI, _LATENT = 2.0, 0.3
#: J of every element in eV/e² to begin with.
_HARDNESS = 5.0


@dataclass(frozen=True)
class ChargeWeights(Settings):
    """What residuals are multiplied by.

    Args:
        energy: of energies, over √n, in 1/eV.
        forces: of forces, in Å/eV.
        virial: of virials, over √n, in 1/eV.
        charges: of charges, in 1/e.
        dipole: of dipoles, over √n, in 1/(e Å).
        born: of Born effective charges, in 1/e.
    """

    energy: float = 30.0
    forces: float = 1.0
    virial: float = 1.0
    charges: float = 3.0
    dipole: float = 3.0
    born: float = 1.0

    def check(self) -> None:
        """None below 0; 0 leaves a label out."""
        for name in ("energy", "forces", "virial", "charges", "dipole", "born"):
            at_least(name, getattr(self, name))


@dataclass(frozen=True)
class ChargeFitSettings(Settings):
    """A model with charges and how it is fitted.

    Args:
        kind: equilibrated: the charges minimise the energy; latent: they are outputs.
        basis: of energies and electronegativities alike; a constant is always in it.
        widths: s in Å to begin with, by element; empty: half of a bond.
        hardness: J in eV/e² to begin with, by element; empty: 5.
        fit_interaction: whether widths, and hardness, are fitted, too.
        start: charges of elements in e, whose order latent charges and, without charges among the
            labels, equilibrated ones begin with; empty: by Pauling's electronegativities.
        e0: energies of isolated atoms in eV, by element; those that are not named follow from
            isolated atoms in the data, or least squares.
        weights: of residuals.
        prior: how the penalty of coefficients grows with n and l.
        iterations: most steps of each round.
        tolerance: a round ends when the loss falls by less, relative to it.
        members: of a committee drawn from the posterior.
        seed: of it.
    """

    kind: Literal["equilibrated", "latent"] = "equilibrated"
    basis: BasisSpec = field(default_factory=lambda: BasisSpec(order=2, degree=10.0))
    widths: dict[str, float] = field(default_factory=dict)
    hardness: dict[str, float] = field(default_factory=dict)
    fit_interaction: bool = True
    start: dict[str, float] = field(default_factory=dict)
    e0: dict[str, float] = field(default_factory=dict)
    weights: ChargeWeights = field(default_factory=ChargeWeights)
    prior: Prior = field(default_factory=Algebraic)
    iterations: int = 20
    tolerance: float = 1e-3
    members: int = 0
    seed: int = 0

    def check(self) -> None:
        """Bounds of numbers."""
        at_least("iterations", self.iterations, 1)
        at_least("tolerance", self.tolerance, above=True)
        at_least("members", self.members)
        at_least("seed", self.seed)
        for name, values in (("widths", self.widths), ("hardness", self.hardness)):
            for symbol, value in values.items():
                at_least(f"{name}.{symbol}", value, 0.05)
        if self.kind == "latent" and self.hardness:
            raise InputError("hardness: latent charges have none; leave it out")


def basis_of(settings: ChargeFitSettings, elements: tuple[str, ...]) -> BasisSpec:
    """The basis with every default written out.

    Args:
        settings: of the fit.
        elements: symbols of the data.

    Raises:
        InputError: other elements, irreps, or a value that is impossible.
    """
    spec = settings.basis
    if spec.elements and set(spec.elements) != set(elements):
        raise InputError(
            f"basis.elements: expected those of the data, {', '.join(elements)}, got "
            f"{', '.join(spec.elements)}"
        )
    if spec.symmetries != (SCALAR,):
        raise InputError(f"basis.irreps: energies and charges are 0e, got {spec.symmetries}")
    return resolve(replace(spec, elements=elements, constant=True))


def start_of(
    settings: ChargeFitSettings, numbers: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    """Where a fit begins.

    Args:
        settings: of the fit.
        numbers: atomic numbers of the elements.

    Returns:
        s in Å, J in eV/e² and constants of the second output, each shape (S,).

    Raises:
        InputError: an element that is not among them.
    """
    symbols = [SYMBOLS[z] for z in numbers]
    for name in ("widths", "hardness", "start", "e0"):
        if unknown := set(getattr(settings, name)) - set(symbols):
            raise InputError(
                f"{name}: {min(unknown)} is not among the elements {', '.join(symbols)}"
            )
    widths = [
        settings.widths.get(s, 0.5 * BOND_LENGTHS.get(z, 3.0))
        for s, z in zip(symbols, numbers, strict=True)
    ]
    latent = settings.kind == "latent"
    hardness = [0.0 if latent else settings.hardness.get(s, _HARDNESS) for s in symbols]
    level = np.array([_PAULING.get(z, _OTHER) for z in numbers])
    if settings.start:
        # Charges of their own; χ that gives them to atoms that do not interact.
        q = np.array([settings.start.get(s, 0.0) for s in symbols])
        constants = q if latent else -_HARDNESS * q
    else:
        constants = -_LATENT * (level - level.mean()) if latent else _CHI * (level - level.mean())
    return np.array(widths), np.array(hardness), constants
