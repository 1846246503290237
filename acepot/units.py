"""Units: eV, Å, amu and fs inside; the only file that holds conversion constants.

Every engine gets two numbers, its length and its energy in ours; force, pressure and
virial are derived from them, so that forces stay the exact derivative of the energy.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineUnits:
    """The units of one engine, expressed in Å and eV.

    Args:
        length: the engine's unit of length in Å.
        energy: the engine's unit of energy in eV.
    """

    length: float
    energy: float

    @property
    def force(self) -> float:
        """The engine's unit of force in eV/Å."""
        return self.energy / self.length

    @property
    def stress(self) -> float:
        """The engine's unit of stress in eV/Å³."""
        return self.energy / self.length**3


ASE = EngineUnits(length=1.0, energy=1.0)

#: Boltzmann's constant in eV/K (CODATA 2018, exact by definition).
BOLTZMANN = 8.617333262145179e-05
#: One eV/Å³ in GPa (exact: the electronvolt in joule times 1e21).
EV_PER_A3_IN_GPA = 160.2176634
#: Prefixes used in every report: energies in meV, forces in meV/Å.
MILLI = 1e-3
