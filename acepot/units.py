"""Units: eV, Å, amu and fs inside; the only file that holds conversion constants.

Every engine gets two numbers, its length and its energy in ours; force, pressure and
virial are derived from them, so that forces stay the exact derivative of the energy.
"""

from __future__ import annotations

from dataclasses import dataclass

_CHARGE = 1.602176634e-19  # C, exact


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
#: Nanometre and kJ/mol, exact: 1000 J over Avogadro's number and the elementary charge.
OPENMM = EngineUnits(length=10.0, energy=1000.0 / (6.02214076e23 * _CHARGE))

#: i-PI's numbers for an ångström in Bohr and an electronvolt in Hartree: it converted the user's
#: input with them, so that only they give the same Å and eV back.
IPI = EngineUnits(length=1 / 1.8897261, energy=1 / 0.036749326)

#: Hartree and Bohr (CODATA 2022), half a Hartree, and two units per mole.
HARTREE = 27.211386245981
BOHR = 0.529177210544
RYDBERG = HARTREE / 2
#: e²/(4πε0) in eV Å, the energy of two elementary charges 1 Å apart.
COULOMB = HARTREE * BOHR
KILOJOULE_PER_MOLE = OPENMM.energy
KILOCALORIE_PER_MOLE = 4.184 * KILOJOULE_PER_MOLE
#: Boltzmann's constant in eV/K, exact.
BOLTZMANN = 1.380649e-23 / _CHARGE
#: Planck's constant in eV fs, exact.
PLANCK = 6.62607015e-34 / _CHARGE * 1e15
#: A gigapascal in eV/Å³, exact.
GIGAPASCAL = 1e9 * 1e-30 / _CHARGE
#: An atomic mass unit in eV fs²/Å² (CODATA 2022).
AMU = 1.66053906892e-27 * 1e10 / _CHARGE

#: LAMMPS' units metal: eV and Å are ours; its bar in eV/Å³, with its own constant.
LAMMPS_BAR = 1 / 1.6021765e6
