"""How far a committee's members are apart for what is culled, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.errors import AceError, InputError
from acepot.potential import Potential
from acepot.sampling.cells import Floats
from acepot.sampling.config import NestedConfig
from acepot.structure import Structure

__all__ = ["Committee", "Spread", "SpreadError", "committee"]


class SpreadError(AceError, RuntimeError):
    """The members of the committee are further apart than a run allows."""


@dataclass(frozen=True)
class Spread:
    """Root-mean-square deviations of the members from the model.

    Args:
        energy: of the energy, in eV per atom.
        force: of the force on that atom where it is largest, in eV/Å.
    """

    energy: float
    force: float


@dataclass(frozen=True, eq=False)
class Committee:
    """The committee of a run.

    Args:
        config: of the run.
        potential: with the committee.
    """

    config: NestedConfig
    potential: Potential

    def is_due(self, iteration: int) -> bool:
        """Whether what is culled in an iteration is looked at."""
        return iteration % self.config.committee_every == 0

    def spreads(self, structures: list[Structure]) -> list[Spread]:
        """How far the members are apart for each of some structures."""
        found = []
        for one, result in zip(
            structures, self.potential.compute_all(structures, committee=True), strict=True
        ):
            members = result.committee
            if members is None:
                raise InputError("committee: the evaluator gave no members")
            energies: Floats = (members.energies - result.energy) / len(one)
            squares = ((members.forces - result.forces) ** 2).sum(axis=2).mean(axis=0)  # [atom]
            found.append(
                Spread(float(np.sqrt((energies**2).mean())), float(np.sqrt(squares.max())))
            )
        return found

    def too_far(self, spread: Spread) -> str:
        """Which threshold is passed, in words; empty: none."""
        limits = self.config.committee
        for what, unit, value, most, key in (
            ("energies", "eV/atom", spread.energy, limits.energy_threshold, "energy_threshold"),
            ("forces", "eV/Å", spread.force, limits.force_threshold, "force_threshold"),
        ):
            if most is not None and value > most:
                return (
                    f"the {what} of the committee spread by {value:.4g} {unit}, more than "
                    f"committee.{key} ({most:g})"
                )
        return ""


def committee(config: NestedConfig, potential: Potential | None) -> Committee | None:
    """The committee of a run; None: the model has none, or it is not asked for.

    Args:
        config: of the run.
        potential: of its model, if it is a fitted one.

    Raises:
        InputError: a threshold for a model without a committee.
    """
    limits = config.committee
    if config.committee_every == 0:
        return None
    if potential is None or potential.model.committee is None:
        if limits.energy_threshold is not None or limits.force_threshold is not None:
            raise InputError(
                f"committee: expected no thresholds, for {config.model} has no committee; fit it "
                "again with committee.size in its TOML"
            )
        return None
    return Committee(config, potential)
