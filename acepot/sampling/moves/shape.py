"""Changes of shape at constant volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.cells import Floats
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, StepRule, Trial
from acepot.sampling.prior import Prior, random_axes


@dataclass(frozen=True)
class Shear:
    """A cell vector, chosen at random, moves by ξ1 e1 + ξ2 e2 in the plane of the other two.

    e1 and e2 are orthonormal and ξ normal, so that the way back is as likely. Sizes are in units
    of the cube root of the volume. Cells below the least aspect are refused.

    Args:
        weight: how often it is chosen.
        step: first size.
    """

    weight: float = 1.0
    step: float = 0.1
    kind: str = "shear"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        return _rule(ensemble.prior, self.step)

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Vectors and ξ."""
        shape = (times, walkers)
        return random.integers(0, 3, shape), random.standard_normal((*shape, 2))

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        now = batch.now
        amounts = drawn[1] * (step * np.cbrt(batch.volumes))[:, None]
        positions, cells = many.sheared(now.positions, now.cells, drawn[0], amounts)
        allowed = many.aspects(cells) > batch.ensemble.prior.min_aspect
        return batch.settle(Trial(allowed, positions, cells))


@dataclass(frozen=True)
class Stretch:
    """Lengths along one Cartesian axis grow by e^ξ and along another shrink by it, ξ normal.

    Both axes are chosen at random. Cells below the least aspect are refused.

    Args:
        weight: how often it is chosen.
        step: first width of ξ.
    """

    weight: float = 1.0
    step: float = 0.1
    kind: str = "stretch"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        return _rule(ensemble.prior, self.step)

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Axes and ξ."""
        shape = (times, walkers)
        return random_axes(random, shape), random.standard_normal(shape)

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        now = batch.now
        positions, cells = many.stretched(now.positions, now.cells, drawn[0], drawn[1] * step)
        allowed = many.aspects(cells) > batch.ensemble.prior.min_aspect
        return batch.settle(Trial(allowed, positions, cells))


def _rule(prior: Prior, step: float) -> StepRule:
    """The rule of both."""
    if prior.shape == "fixed":
        raise InputError("moves: shear and stretch need prior.shape = free, got fixed")
    return StepRule(step, 1.0)
