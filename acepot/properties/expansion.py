"""Thermal expansion by the quasi-harmonic approximation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import ConvergenceError
from acepot.potential import Potential
from acepot.properties.equation import Volumes
from acepot.properties.force_constants import Lattice
from acepot.properties.phonons import IMAGINARY
from acepot.units import BOLTZMANN, PLANCK

__all__ = ["Expansion", "expansion"]

Floats = NDArray[np.float64]
#: Volumes with phonons at least, and points between them.
_LEAST, _DENSE = 4, 4001


@dataclass(frozen=True, eq=False)
class Expansion:
    """The quasi-harmonic approximation at zero pressure, per atom.

    Args:
        temperatures: K.
        volumes: Å³.
        thermal: volume expansion α = d ln V/dT in 1/K.
        heat: C_V at these volumes in k_B.
        moduli: isothermal bulk moduli, eV/Å³.
        zero_point: energy of the zero-point motion at the static volume, eV.
    """

    temperatures: Floats
    volumes: Floats
    thermal: Floats
    heat: Floats
    moduli: Floats
    zero_point: float


def expansion(
    potential: Potential,
    computed: Volumes,
    lattice: Lattice,
    temperatures: Floats,
    least: float = 0.0,
) -> Expansion:
    """Thermal expansion: at each temperature the volume of the least E(V) + F_vib(V, T).

    E is the equation of state of all volumes, F_vib quadratic in V between those with phonons.

    Args:
        potential: the model.
        computed: energies at several volumes, ascending; phonons are computed from the first one
            above `least` to the last one before imaginary modes.
        lattice: of one of them.
        temperatures: K, equidistant.
        least: volume of an atom in Å³.

    Raises:
        ConvergenceError: too few volumes without imaginary modes, or no minimum among them.
    """
    structures = [
        s for s, v in zip(computed.structures, computed.volumes, strict=True) if v > least
    ]
    free, heat, zero = [], [], []
    for structure in structures:
        lattice.compute(potential, structure)
        _, weights, frequencies = lattice.mesh()
        if frequencies.min() < IMAGINARY:
            break
        f, c, e = _vibrations(frequencies, weights, temperatures)
        count = frequencies.shape[1] / 3
        free.append(f / count)
        heat.append(c / count)
        zero.append(e / count)
    if len(free) < _LEAST:
        raise ConvergenceError(
            f"thermal expansion: imaginary modes from {structures[len(free)].volume:.2f} Å³ a cell "
            f"on; expected {_LEAST} volumes without, got {len(free)}"
        )
    volumes = np.array([one.volume / len(one) for one in structures[: len(free)]])
    static = computed.equation
    fits = [np.polynomial.Polynomial.fit(volumes, f, 2) for f in np.array(free).T]
    dense = np.linspace(volumes.min(), volumes.max(), _DENSE)
    slope = np.gradient(static(dense), dense)
    found = np.array([_zero(dense, slope + f.deriv()(dense)) for f in fits])
    if not np.isfinite(found).all():
        raise ConvergenceError(
            f"thermal expansion: at {temperatures[np.isnan(found)][0]:.0f} K the volume is outside "
            f"of those computed ({volumes.min():.3f} to {volumes.max():.3f} Å³); fewer kelvin"
        )
    bend = np.interp(found, dense, np.gradient(slope, dense))
    moduli = found * (bend + np.array([f.deriv(2)(v) for f, v in zip(fits, found, strict=True)]))
    cv = [np.interp(v, volumes, np.array(heat)[:, k]) for k, v in enumerate(found)]
    thermal = np.gradient(np.log(found), temperatures)
    at_rest = float(np.interp(static.volume, volumes, zero))
    return Expansion(temperatures, found, thermal, np.array(cv), moduli, at_rest)


def _zero(x: Floats, slope: Floats) -> float:
    """Where a slope becomes positive; not a number where it does not."""
    up = np.flatnonzero((slope[:-1] <= 0) & (slope[1:] > 0))
    if len(up) == 0:
        return np.nan
    k = int(up[0])
    return float(x[k] - slope[k] * (x[k + 1] - x[k]) / (slope[k + 1] - slope[k]))


def _vibrations(
    frequencies: Floats, weights: Floats, temperatures: Floats
) -> tuple[Floats, Floats, float]:
    """Free energy (eV) and C_V (k_B) of a primitive cell at temperatures, zero-point energy."""
    # Acoustic modes at Γ alone are left out: they weigh nothing in a dense mesh.
    quanta = np.where(frequencies > 1e-3, frequencies, np.inf) * 1e-3 * PLANCK  # THz = 1e-3/fs
    share = weights[:, None]
    real = np.isfinite(quanta)
    zero = float((share * np.where(real, quanta / 2, 0.0)).sum())
    free, heat = [], []
    for t in temperatures:
        if t <= 0:
            free.append(zero)
            heat.append(0.0)
            continue
        x = np.where(real, quanta / (BOLTZMANN * t), np.inf)
        free.append(zero + BOLTZMANN * t * float((share * np.log1p(-np.exp(-x))).sum()))
        part = np.where(real & (x < 700), x, 1.0)
        terms = np.where(real & (x < 700), part**2 * np.exp(-part) / (1 - np.exp(-part)) ** 2, 0.0)
        heat.append(float((share * terms).sum()))
    return np.array(free), np.array(heat), zero
