"""What is to be computed, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field

from acepot.errors import InputError
from acepot.schema import Settings

__all__ = ["STEPS", "MeltingSettings", "PropertySettings"]

#: Properties in the order in which they are computed.
STEPS = (
    "lattice", "elastic", "phonons", "expansion", "surfaces", "vacancies", "interstitials",
)  # fmt: skip


@dataclass(frozen=True)
class MeltingSettings(Settings):
    """Crystal and liquid in one cell.

    Args:
        temperature: K, a guess of the melting temperature.
        atoms: of the cell, so many or more, half of which melt.
        steps: at constant energy.
        timestep: fs.
        seed: of the velocities.
    """

    temperature: float
    atoms: int = 500
    steps: int = 16_000
    timestep: float = 2.0
    seed: int = 1

    def check(self) -> None:
        """Refuse what cannot be run."""
        if not 1.0 <= self.temperature <= 20_000.0:
            raise InputError(f"temperature: expected 1 to 20000 K, got {self.temperature:g}")
        if not 50 <= self.atoms <= 100_000:
            raise InputError(f"atoms: expected 50 to 100000, got {self.atoms}")
        if not 1000 <= self.steps <= 10_000_000:
            raise InputError(f"steps: expected 1000 to 10000000, got {self.steps}")
        if not 0.0 < self.timestep <= 10.0:
            raise InputError(f"timestep: expected more than 0 fs, up to 10, got {self.timestep:g}")


@dataclass(frozen=True)
class PropertySettings(Settings):
    """Which properties, and how carefully.

    Args:
        structures: files, and crystals such as Si:diamond.
        skip: properties that are left out.
        atoms: of the cells of point defects, one or several sizes, so many or more.
        phonon_atoms: of the supercell of phonons, so many or more.
        surfaces: Miller indices of the cell given, such as 100.
        temperature: K up to which thermal expansion is computed.
        members: of the committee, or draws from the posterior, at most.
        seed: of these draws.
        melting: of the coexistence; None: it is not computed.
    """

    structures: tuple[str, ...]
    skip: tuple[str, ...] = ()
    atoms: tuple[int, ...] = (64, 216)
    phonon_atoms: int = 200
    surfaces: tuple[str, ...] = ("100", "110", "111")
    temperature: float = 1000.0
    members: int = 20
    seed: int = 0
    melting: MeltingSettings | None = field(default=None)

    def check(self) -> None:
        """Refuse what cannot be computed."""
        if not self.structures:
            raise InputError("structures: expected one or more, got none")
        if len(set(self.structures)) < len(self.structures):
            raise InputError("structures: expected each once")
        if unknown := [one for one in self.skip if one not in STEPS]:
            raise InputError(f"skip: expected some of {', '.join(STEPS)}, got {unknown[0]!r}")
        for name, least, most in (("phonon_atoms", 2, 100_000), ("members", 0, 1000)):
            if not least <= (value := getattr(self, name)) <= most:
                raise InputError(f"{name}: expected {least} to {most}, got {value}")
        if not self.atoms or not all(8 <= one <= 100_000 for one in self.atoms):
            raise InputError(f"atoms: expected sizes of 8 to 100000 atoms, got {self.atoms}")
        if not 300.0 <= self.temperature <= 10_000.0:
            raise InputError(f"temperature: expected 300 to 10000 K, got {self.temperature:g}")
        for one in self.surfaces:
            miller(one)


def miller(text: str) -> tuple[int, int, int]:
    """Three whole numbers: 110, or 1,-1,0 where one is negative or has two digits.

    Raises:
        InputError: something else.
    """
    parts = text.split(",") if "," in text else list(text)
    try:
        h, k, l = (int(part) for part in parts)
    except ValueError:
        raise InputError(
            f"surfaces: expected Miller indices such as 110 or 1,-1,0, got {text!r}"
        ) from None
    if not any((h, k, l)) or max(map(abs, (h, k, l))) > 9:
        raise InputError(f"surfaces: expected Miller indices up to 9, not all 0, got {text!r}")
    return h, k, l
