"""Energy over volume: E0, V0, bulk modulus and its pressure derivative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import ConvergenceError
from acepot.potential import Potential
from acepot.properties.relaxation import relaxed
from acepot.structure import Structure

__all__ = ["Equation", "Volumes", "birch_murnaghan", "over_volumes"]

Floats = NDArray[np.float64]
#: Linear scales at which energies are computed.
SCALES = np.linspace(0.97, 1.03, 9)


@dataclass(frozen=True)
class Equation:
    """An equation of state of Birch and Murnaghan, third order.

    Args:
        energy: E0, in the unit of the energies.
        volume: V0, in that of the volumes.
        modulus: B, of energy over volume.
        slope: B' = dB/dp, a number.
        residual: root-mean-square deviation of the energies.
    """

    energy: float
    volume: float
    modulus: float
    slope: float
    residual: float

    def __call__(self, volume: Floats) -> Floats:
        """E(V) = E0 + 9 V0 B/16 {(x - 1)³ B' + (x - 1)² (6 - 4x)}, x = (V0/V)^⅔."""
        x = (self.volume / volume) ** (2 / 3)
        bracket = (x - 1) ** 3 * self.slope + (x - 1) ** 2 * (6 - 4 * x)
        return np.asarray(self.energy + 9 / 16 * self.volume * self.modulus * bracket)


def birch_murnaghan(volumes: Floats, energies: Floats) -> Equation:
    """The equation of state of some energies, by linear least squares: it is a cubic in V^-⅔.

    Args:
        volumes: four or more, on both sides of the minimum.
        energies: at them.

    Raises:
        ConvergenceError: the energies have no minimum among these volumes.
    """
    x = np.asarray(volumes) ** (-2 / 3)
    middle = float(np.median(x))
    cubic = np.polynomial.Polynomial.fit(x, energies, 3, domain=[x.min(), x.max()]).convert()
    slope, bend, third = cubic.deriv(1), cubic.deriv(2), cubic.deriv(3)
    roots = slope.roots()
    real = [float(r.real) for r in np.atleast_1d(roots) if abs(r.imag) < 1e-12 * middle]
    minima = [r for r in real if bend(r) > 0 and 0.9 * x.min() < r < 1.1 * x.max()]
    if not minima:
        raise ConvergenceError(
            f"equation of state: the energy has no minimum between volumes of "
            f"{np.min(volumes):.3f} and {np.max(volumes):.3f}"
        )
    best = min(minima, key=lambda r: abs(r - middle))
    volume, b, c = best**-1.5, float(bend(best)), float(third(best))
    # dx/dV = -2/3 x/V; B = V E'' = 4/9 x² E_xx / V; B' = 4 + 2/3 x E_xxx/E_xx.
    modulus = 4 / 9 * best**2 * b / volume
    residual = float(np.sqrt(np.mean((cubic(x) - energies) ** 2)))
    return Equation(float(cubic(best)), volume, modulus, 4 + 2 / 3 * best * c / b, residual)


@dataclass(frozen=True, eq=False)
class Volumes:
    """Energies at several volumes, per atom.

    Args:
        structures: at rest at their volumes.
        volumes: of an atom, in Å³.
        energies: of an atom, in eV.
        equation: fitted to them.
    """

    structures: Sequence[Structure]
    volumes: Floats
    energies: Floats
    equation: Equation


def over_volumes(potential: Potential, rest: Structure, scales: Floats = SCALES) -> Volumes:
    """Energies of a crystal at rest at several volumes; shape and sites are free where they may be.

    Args:
        potential: the model.
        rest: the crystal without stress.
        scales: of lengths.

    Raises:
        ConvergenceError: they have no minimum.
    """
    count = len(rest)
    found = [
        relaxed(potential, rest.moved(rest.positions * s, rest.cell * s), cell="volume")
        for s in scales
    ]
    volumes = np.array([one.structure.volume for one in found]) / count
    energies = np.array([one.energy for one in found]) / count
    structures = [one.structure for one in found]
    return Volumes(structures, volumes, energies, birch_murnaghan(volumes, energies))
