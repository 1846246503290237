"""Elastic constants with ions at rest, and the moduli that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.potential import Potential
from acepot.structure import Structure
from acepot.units import GIGAPASCAL
from acepot.voigt import INDEX, to_voigt

__all__ = ["Elasticity", "Moduli", "elasticity", "moduli", "strained"]

Floats = NDArray[np.float64]
#: Strain and displacement (Å) of central differences: errors of 1e-7 and rounding of 1e-9.
STRAIN, STEP = 1e-4, 1e-3
#: Of the largest: eigenvalues of the force constants below it are translations.
_TRANSLATION = 1e-7


@dataclass(frozen=True, eq=False)
class Elasticity:
    """Elastic constants in GPa, shape (6, 6), in Voigt's order with engineering shear strains.

    Args:
        constants: with ions at rest.
        clamped: with ions that follow the cell.
    """

    constants: Floats
    clamped: Floats


@dataclass(frozen=True)
class Moduli:
    """Moduli of a polycrystal in GPa, by Voigt, Reuss and Hill.

    Args:
        bulk: Hill's mean of bulk moduli.
        shear: of shear moduli.
        young: 9 B G / (3 B + G).
        poisson: (3 B - 2 G) / (6 B + 2 G).
        anisotropy: the universal index 5 G_V/G_R + B_V/B_R - 6, 0 where it is isotropic.
        softest: smallest eigenvalue of the 6x6 matrix; negative: unstable.
    """

    bulk: float
    shear: float
    young: float
    poisson: float
    anisotropy: float
    softest: float


def strained(structure: Structure, component: int, size: float) -> Structure:
    """A structure under one engineering strain: xx yy zz yz xz xy; shears are halved and mirrored.

    Args:
        structure: cell and atoms that follow it.
        component: 0 to 5.
        size: of the strain.
    """
    strain = np.zeros((3, 3))
    row, column = INDEX[0][component], INDEX[1][component]
    strain[row, column] += size / 2
    strain[column, row] += size / 2
    deform = np.eye(3) + strain
    return structure.moved(structure.positions @ deform, structure.cell @ deform)


def elasticity(potential: Potential, rest: Structure) -> Elasticity:
    """Elastic constants of a crystal at rest.

    Second derivatives of the energy by strain, and what the ions' moving takes off:
    C = (E_εε - E_εu E_uu⁺ E_uε)/V, each by central differences of forces and virials.

    Args:
        potential: the model.
        rest: without forces and stress.
    """
    count = 3 * len(rest)
    strains = [strained(rest, k, s * STRAIN) for k in range(6) for s in (1, -1)]
    found = potential.compute_all(strains)
    bend, cross = np.empty((6, 6)), np.empty((count, 6))
    for k in range(6):
        after, before = found[2 * k], found[2 * k + 1]
        bend[:, k] = -to_voigt((after.virial + after.virial.T) / 2 - before.virial) / (2 * STRAIN)
        cross[:, k] = -(after.forces - before.forces).ravel() / (2 * STRAIN)
    bend = (bend + bend.T) / 2 / rest.volume / GIGAPASCAL
    moved = _displaced(rest)
    forces = np.array([one.forces.ravel() for one in potential.compute_all(moved)])
    stiff = -(forces[0::2] - forces[1::2]) / (2 * STEP)
    values, vectors = np.linalg.eigh((stiff + stiff.T) / 2)
    kept = np.abs(values) > _TRANSLATION * np.abs(values).max(initial=1e-300)
    kept &= np.abs(values) > 1e-6
    along = vectors[:, kept].T @ cross
    follow = along.T @ (along / values[kept][:, None]) / rest.volume / GIGAPASCAL
    return Elasticity(bend - follow, bend)


def _displaced(rest: Structure) -> list[Structure]:
    moved = []
    for k in range(3 * len(rest)):
        for sign in (1, -1):
            positions = rest.positions.copy().ravel()
            positions[k] += sign * STEP
            moved.append(rest.moved(positions.reshape(-1, 3)))
    return moved


def moduli(constants: Floats) -> Moduli:
    """Moduli of a matrix of elastic constants in GPa, shape (6, 6).

    Voigt, Reuss and Hill: Hill, Proc. Phys. Soc. A 65, 349 (1952); the index of anisotropy:
    Ranganathan and Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008).
    """
    c, softest = constants, float(np.linalg.eigvalsh(constants)[0])
    s = np.linalg.pinv(c)
    bulk_v = c[:3, :3].sum() / 9
    shear_v = (np.trace(c[:3, :3]) - c[0, 1] - c[0, 2] - c[1, 2] + 3 * np.trace(c[3:, 3:])) / 15
    bulk_r = 1 / s[:3, :3].sum()
    shear_r = 15 / (
        4 * np.trace(s[:3, :3]) - 4 * (s[0, 1] + s[0, 2] + s[1, 2]) + 3 * np.trace(s[3:, 3:])
    )
    bulk, shear = (bulk_v + bulk_r) / 2, (shear_v + shear_r) / 2
    return Moduli(
        float(bulk),
        float(shear),
        float(9 * bulk * shear / (3 * bulk + shear)),
        float((3 * bulk - 2 * shear) / (6 * bulk + 2 * shear)),
        float(5 * shear_v / shear_r + bulk_v / bulk_r - 6),
        softest,
    )
