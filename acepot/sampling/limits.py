"""Settings of what a model is not trusted with, and limits of numbers in settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acepot.errors import InputError

__all__ = ["MOST", "CommitteeLimits", "Guards", "above_zero", "between"]

#: The largest number of iterations and the like.
MOST = 2_000_000_000


def above_zero(name: str, value: float | None, unit: str) -> None:
    """Refuse a number that is not above zero; None is none."""
    if value is not None and not 0.0 < value <= 1e12:
        raise InputError(f"{name}: expected more than 0 {unit}, up to 1e12, got {value:g}")


def between(name: str, value: int | None, least: int, most: int) -> None:
    """Refuse a number outside a range; None is none."""
    if value is not None and not least <= value <= most:
        raise InputError(f"{name}: expected {least} to {most}, got {value}")


@dataclass(frozen=True)
class Guards:
    """What a fitted model is not trusted with.

    Args:
        min_distance: Å, the smallest between atoms, for all pairs of elements or by pair; pairs
            that are not there, and None: from the data that the model was fitted to.
        holes: whether a model whose atoms fall into each other is refused.
        energy_min: eV per atom above free atoms; a walker below it stops the run.
    """

    min_distance: float | dict[str, float] | None = None
    holes: Literal["refuse", "allow"] = "refuse"
    energy_min: float = -12.0

    def __post_init__(self) -> None:
        given = self.min_distance
        for name, value in (given if isinstance(given, dict) else {"": given}).items():
            if value is not None and not 0.0 <= value <= 1e3:
                where = f"min_distance.{name}" if name else "min_distance"
                raise InputError(f"{where}: expected 0 to 1000 Å, got {value:g}")


@dataclass(frozen=True)
class CommitteeLimits:
    """How far the members of the model's committee may be apart, if it has one.

    Args:
        every: iterations between evaluations of what is culled next; 0: never; None: as many as
            there are walkers.
        energy_threshold: a larger spread of the energy, in eV per atom, is too much.
        force_threshold: a larger spread of the force on any atom, in eV/Å, is too much.
        beyond: what then happens: the run stops, or the configuration is written out and it goes
            on.
    """

    every: int | None = None
    energy_threshold: float | None = None
    force_threshold: float | None = None
    beyond: Literal["stop", "write"] = "stop"

    def __post_init__(self) -> None:
        between("every", self.every, 0, MOST)
        for name, unit in (("energy_threshold", "eV/atom"), ("force_threshold", "eV/Å")):
            value = getattr(self, name)
            above_zero(name, value, unit)
            if value is not None and self.every == 0:
                raise InputError(f"{name}: expected none where every is 0, got {value:g}")
