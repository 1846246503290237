"""Units of labels by name: what a number of a file is multiplied by to be in eV and Å.

A unit is one of energy (eV, meV, Ha, Ry, kcal/mol, kJ/mol), of length (Å or A, Bohr, nm, pm), an
energy over a length (Ha/Bohr), an energy over a volume (eV/Å^3, Ha/Bohr^3), a pressure (bar, kbar,
Pa, MPa, GPa, atm) or, of energies alone, one per atom (eV/atom). A minus in front turns the sign:
"-bar" is the unit of a pressure tensor in bar where a stress is expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from acepot import units
from acepot.errors import InputError

_ENERGY = {
    "ev": 1.0, "mev": 1e-3, "ha": units.HARTREE, "hartree": units.HARTREE, "ry": units.RYDBERG,
    "rydberg": units.RYDBERG, "kcal_mol": units.KILOCALORIE_PER_MOLE,
    "kj_mol": units.KILOJOULE_PER_MOLE,
}  # fmt: skip
_LENGTH = {
    "å": 1.0, "a": 1.0, "ang": 1.0, "angstrom": 1.0, "bohr": units.BOHR, "nm": 10.0, "pm": 0.01,
}  # fmt: skip
_PRESSURE = {
    "pa": 1e-9 * units.GIGAPASCAL, "bar": 1e-4 * units.GIGAPASCAL,
    "kbar": 0.1 * units.GIGAPASCAL, "mpa": 1e-3 * units.GIGAPASCAL, "gpa": units.GIGAPASCAL,
    "atm": 1.01325e-4 * units.GIGAPASCAL,
}  # fmt: skip
#: What has a unit, and an example of one.
EXAMPLES = MappingProxyType(
    {
        "energy": "Ha",
        "forces": "Ha/Bohr",
        "stress": "-bar",
        "virial": "-eV",
        "positions": "Bohr",
    }
)


@dataclass(frozen=True)
class Scale:
    """What numbers of a file are multiplied by.

    Args:
        factor: to eV, Å and what is made of them, with the sign.
        per_atom: whether it is also multiplied by the number of atoms.
    """

    factor: float
    per_atom: bool = False

    def of(self, atoms: int) -> float:
        """The factor for a structure of so many atoms."""
        return self.factor * (atoms if self.per_atom else 1)


#: Numbers that are in eV and Å already.
OURS = Scale(1.0)


def scale(quantity: str, text: str) -> Scale:
    """The scale of a unit.

    Args:
        quantity: "energy", "forces", "stress", "virial" or "positions".
        text: the unit, such as "Ha/Bohr" or "-bar", in any case.

    Raises:
        InputError: there is no such quantity, or no such unit of it.
    """
    if quantity not in EXAMPLES:
        raise InputError(f"units: expected units of {', '.join(EXAMPLES)}, got {quantity!r}")
    word = text.strip().lower() if isinstance(text, str) else ""
    sign, word = (-1.0, word[1:].strip()) if word.startswith("-") else (1.0, word)
    per_atom = quantity == "energy" and word.endswith("/atom")
    factor = _factor(quantity, word.removesuffix("/atom") if per_atom else word)
    if factor is None:
        raise InputError(
            f"units.{quantity}: expected a unit such as {EXAMPLES[quantity]!r} (energies: eV, meV, "
            "Ha, Ry, kcal/mol, kJ/mol; lengths: Å, Bohr, nm; pressures: bar, kbar, MPa, GPa; a "
            f"minus in front turns the sign), got {text!r}"
        )
    return Scale(sign * factor, per_atom)


def _factor(quantity: str, word: str) -> float | None:
    """What one of a unit is in ours; None if it is no unit of the quantity."""
    word = word.replace(" ", "").replace("kcal/mol", "kcal_mol").replace("kj/mol", "kj_mol")
    word = word.replace("**", "^").replace("³", "^3")
    if quantity == "positions":
        return _LENGTH.get(word)
    if quantity in ("energy", "virial"):
        return _ENERGY.get(word)
    if quantity == "stress" and word in _PRESSURE:
        return _PRESSURE[word]
    above, _, below = word.partition("/")
    power = 3 if quantity == "stress" else 1
    if power == 3:
        below = below.removesuffix("^3") if below.endswith("^3") else below.removesuffix("3")
    if above not in _ENERGY or below not in _LENGTH:
        return None
    return _ENERGY[above] / _LENGTH[below] ** power
