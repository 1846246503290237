"""The walks of a cycle: steps, looks at what the model knows, and why a walk ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.hal.chance import Use, chance
from acepot.hal.config import HalConfig
from acepot.hal.dynamics import FAILED, Dynamics, begin
from acepot.hal.guards import TOUCHED, reason
from acepot.hal.surface import Surface
from acepot.hal.walker import RUNNING, Walker
from acepot.sampling.distances import MinimumDistances
from acepot.structure import Structure

__all__ = ["CRITERION", "END", "Walks", "begun", "go_on"]

#: Why a walk ended.
CRITERION, END = "criterion", "end"
#: Part of the atoms whose grades are at or below that in the log.
_QUANTILE = 0.9


def begun(
    config: HalConfig, starts: Sequence[Structure], first: int, cycle: int, numbers: Sequence[int]
) -> list[Walker]:
    """New walkers, each from the next structure in turn, not evaluated yet.

    Args:
        config: of the run.
        starts: structures from which walks begin.
        first: whose turn it is.
        cycle: of the run.
        numbers: of the walkers in that cycle.
    """
    walkers = []
    for k, number in enumerate(numbers):
        place = (first + k) % len(starts)
        random = chance(config.run.seed, Use.VELOCITIES, cycle, number)
        walker = Walker.at(starts[place], config.motion.temperature, random, len(config.moves))
        walker.start = place
        walkers.append(walker)
    return walkers


def go_on(config: HalConfig, walkers: Sequence[Walker], surface: Surface) -> None:
    """Let walkers that the criterion ended go on under a model that was told what is there.

    What they knew of the old model is forgotten; the bias is that of the new one at once.

    Args:
        config: of the run.
        walkers: are changed.
        surface: of the new model.
    """
    if not walkers:
        return
    found = surface.measure([w.structure for w in walkers])
    for walker, measured in zip(walkers, found, strict=True):
        walker.ended = RUNNING
        walker.pull = walker.push = 0.0
        walker.measured = config.bias.warm_up
        config.bias.adapt(walker, measured, walker.step / config.motion.steps)
    begin(walkers, surface)


@dataclass(eq=False)
class Walks:
    """Walkers of a cycle on their way.

    Args:
        config: of the run.
        cycle: of it.
        walkers: on their way.
        surface: on which they move.
        distances: that atoms may have.
    """

    config: HalConfig
    cycle: int
    walkers: list[Walker]
    surface: Surface
    distances: MinimumDistances

    def __post_init__(self) -> None:
        motion = self.config.motion
        self._dynamics = Dynamics(motion.timestep, motion.friction, self.config.moves)
        fresh = [w for w in self.walkers if w.step == 0 and not w.ended]
        if fresh:
            begin(fresh, self.surface)
            for walker in fresh:
                walker.began = walker.energy

    @property
    def running(self) -> list[Walker]:
        """Those that go on."""
        return [w for w in self.walkers if not w.ended]

    def step(self) -> list[Walker]:
        """One step of all that go on; those that ended with it."""
        going, motion, guards = self.running, self.config.motion, self.config.guards
        before = [(w.positions, w.cell) for w in going]
        self._dynamics.step(going, self.surface, lambda w: motion.targets(w.step), self._randoms)
        for walker, (positions, cell) in zip(going, before, strict=True):
            if walker.ended != FAILED:
                walker.ended = reason(guards, self.distances, walker)
            if walker.ended == TOUCHED:  # what is labelled is where atoms did not touch yet
                walker.positions, walker.cell = positions, cell
        self._look([w for w in going if not w.ended])
        for walker in going:
            if not walker.ended and walker.step >= motion.steps:
                walker.ended = END
        return [w for w in going if w.ended]

    def _look(self, walkers: Sequence[Walker]) -> None:
        """Measure, adapt the bias, and end walks by the criterion, where that is due."""
        criterion, bias = self.config.criterion, self.config.bias
        due = [w for w in walkers if w.step % criterion.every == 0]
        if not due:
            return
        found = self.surface.measure([w.structure for w in due])
        for walker, measured in zip(due, found, strict=True):
            grades = criterion.grades(measured)
            walker.grade = float(grades.max())
            walker.quantile = float(np.quantile(grades, _QUANTILE))
            bias.adapt(walker, measured, min(walker.step / self.config.motion.steps, 1.0))
            walker.forces = measured.forces + walker.tau * measured.push
            if walker.grade > criterion.tolerance:
                walker.ended = CRITERION

    def _randoms(self, walker: Walker, of_moves: bool) -> np.random.Generator:
        number = next(k for k, one in enumerate(self.walkers) if one is walker)
        use = Use.MOVES if of_moves else Use.THERMOSTAT
        return chance(self.config.run.seed, use, self.cycle, number, walker.step)
