"""Single atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.cells import Floats
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, StepRule, Trial


@dataclass(frozen=True)
class Atom:
    """One atom, chosen at random, moves by a normal vector.

    Args:
        weight: how often it is chosen.
        step: first width of each component in Å; None: from the largest volume.
    """

    weight: float = 1.0
    step: float | None = None
    kind: str = "atom"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        edge = float(np.cbrt(ensemble.prior.volume_max * ensemble.atoms))
        return StepRule(0.1 * edge if self.step is None else self.step, 0.5 * edge)

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Atoms and vectors of unit width."""
        shape = (times, walkers)
        return random.integers(0, atoms, shape), random.standard_normal((*shape, 3))

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        positions = batch.now.positions.copy()
        rows = np.arange(len(step))
        positions[rows, drawn[0]] += drawn[1] * step[:, None]
        return batch.settle(Trial(np.ones(len(step), dtype=bool), positions))
