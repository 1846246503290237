"""Factors between units, and what they say about labels."""

from __future__ import annotations

import math
from collections.abc import Mapping

from acepot.units import (
    BOHR,
    GIGAPASCAL,
    HARTREE,
    KILOCALORIE_PER_MOLE,
    KILOJOULE_PER_MOLE,
    RYDBERG,
)

__all__ = ["ENERGIES", "PRESSURES", "STRESSES", "reading"]

#: How near the factor must be to that of a unit, in its logarithm.
_NEAR = 0.12
#: Energies against forces: what a factor between them means, and the option that mends it.
ENERGIES: Mapping[str, float] = {
    "energies in Ha (units: energy=Ha)": 1 / HARTREE,
    "energies in Ry (units: energy=Ry)": 1 / RYDBERG,
    "energies in kcal/mol (units: energy=kcal/mol)": 1 / KILOCALORIE_PER_MOLE,
    "energies in kJ/mol (units: energy=kJ/mol)": 1 / KILOJOULE_PER_MOLE,
    "forces in Ha/Bohr (units: forces=Ha/Bohr)": HARTREE / BOHR,
    "forces in Ha/Å (units: forces=Ha/Å)": HARTREE,
    "forces in Ry/Bohr (units: forces=Ry/Bohr)": RYDBERG / BOHR,
    "forces in kcal/mol/Å (units: forces=kcal/mol/Å)": KILOCALORIE_PER_MOLE,
    "forces in kJ/mol/Å (units: forces=kJ/mol/Å)": KILOJOULE_PER_MOLE,
    "forces in eV/Bohr (units: forces=eV/Bohr), or energies in Ha beside forces in Ha/Bohr": (
        1 / BOHR
    ),
    "positions in Bohr (units: positions=Bohr)": BOHR,
}
#: Stresses against what forces say: their factor.
STRESSES: Mapping[str, float] = {
    "GPa": 1 / GIGAPASCAL,
    "kbar": 10 / GIGAPASCAL,
    "bar": 1e4 / GIGAPASCAL,
    "MPa": 1e3 / GIGAPASCAL,
    "Ha/Bohr^3": BOHR**3 / HARTREE,
    "Ha/Å^3": 1 / HARTREE,
    "kcal/mol/Å^3": 1 / KILOCALORIE_PER_MOLE,
}
#: The pressures among them, which are far from each other.
PRESSURES = {unit: STRESSES[unit] for unit in ("GPa", "kbar", "bar")}


def reading(factor: float, meanings: Mapping[str, float], near: float = _NEAR) -> str:
    """What a factor may mean, the nearest first; "" if it is that of no unit.

    Args:
        factor: of either sign.
        meanings: factors by what they mean.
        near: how near the factor must be, in its logarithm.
    """
    distances = sorted(
        (abs(math.log(abs(factor) / value)), text) for text, value in meanings.items() if factor
    )
    return " or ".join(text for distance, text in distances if distance < near)
