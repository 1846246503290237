"""Changes of volume at constant shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.cells import Floats
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, StepRule, Trial


@dataclass(frozen=True)
class Volume:
    """V' = |V + N ξ| with ξ normal, accepted with min(1, p(V')/p(V)).

    Atoms keep their fractional coordinates. With logarithmic steps V' = V e^ξ, and the ratio of
    densities has a further factor V'/V.

    Args:
        weight: how often it is chosen.
        logarithmic: whether steps are those of ln V; sizes are then parts of V, else Å³ per atom.
        step: first size; None: 5 % of the largest volume, or 0.1.
    """

    weight: float = 1.0
    logarithmic: bool = False
    step: float | None = None
    kind: str = "volume"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        prior = ensemble.prior
        if prior.volume == "fixed":
            raise InputError("moves: volume moves need prior.volume = free, got fixed")
        first, largest = (0.1, 2.0) if self.logarithmic else (
            0.05 * prior.volume_max, 0.5 * prior.volume_max
        )  # fmt: skip
        return StepRule(first if self.step is None else self.step, largest)

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """ξ and what decides on acceptance."""
        shape = (times, walkers)
        return random.standard_normal(shape), random.random(shape)

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        xi, chance = drawn[0] * step, drawn[1]
        now, prior, atoms = batch.now, batch.ensemble.prior, batch.ensemble.atoms
        volumes = batch.volumes
        others = volumes * np.exp(xi) if self.logarithmic else np.abs(volumes + atoms * xi)
        limit = prior.chance(volumes, others, atoms, more=int(self.logarithmic))
        positions, cells = many.scaled(now.positions, now.cells, np.cbrt(others / volumes))
        return batch.settle(Trial(chance < limit, positions, cells, volumes=others))
