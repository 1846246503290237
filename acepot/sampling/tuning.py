"""Step sizes from pilot moves: on copies of walkers, which are then thrown away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import ConvergenceError
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.draws import Purpose, draws
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import StepRule
from acepot.sampling.settings import Settings
from acepot.sampling.walk import Task, Walked
from acepot.sampling.walkers import State

#: No move that is right needs smaller steps: less is a fault of the numbers.
_SMALLEST = 1e-20


@dataclass(frozen=True, eq=False)
class Tuned:
    """New step sizes.

    Args:
        steps: shape (R, moves).
        rates: part of the pilot moves that was accepted with them, shape (R, moves).
        calls: structures that were evaluated.
    """

    steps: Floats
    rates: Floats
    calls: int


@dataclass(eq=False)
class _Search:
    """The search for the step sizes of one kind of move, of all replicas at once.

    Args:
        rule: of the move.
        step: now, shape (R,).
        rate: accepted with it, shape (R,).
        done: whether the search is at its end, shape (R,).
    """

    rule: StepRule
    step: Floats
    rate: Floats
    done: NDArray[np.bool_]
    before: Floats
    rate_before: Floats

    @classmethod
    def of(cls, rule: StepRule, step: Floats) -> _Search:
        nan = np.full(len(step), np.nan)
        return cls(rule, step.copy(), nan, np.zeros(len(step), bool), nan.copy(), nan.copy())

    def learn(self, rate: Floats, factor: float) -> None:
        """Take rates that were found with the present sizes, and choose the next sizes."""
        low, high = self.rule.window
        centre = 0.5 * (low + high)
        for r in np.flatnonzero(~self.done).tolist():
            found, last = float(rate[r]), float(self.rate_before[r])
            self.rate[r] = found
            jumped = (last < low and found > high) or (last > high and found < low)
            if jumped:
                if abs(last - centre) < abs(found - centre):
                    self.step[r], self.rate[r] = self.before[r], last
                self.done[r] = True
            elif low <= found <= high:
                self.done[r] = True
            else:
                self._change(r, found, factor if found > high else 1 / factor)

    def _change(self, r: int, found: float, factor: float) -> None:
        self.before[r], self.rate_before[r] = self.step[r], found
        if factor > 1 and self.step[r] >= self.rule.largest:
            self.done[r] = True
            return
        self.step[r] = min(self.step[r] * factor, self.rule.largest)
        if self.step[r] < _SMALLEST:
            raise ConvergenceError(
                f"no step of a move is small enough to be accepted: {self.step[r]:.1g} is not. "
                "That is no physics: check that the model's energies are smooth, and that they "
                "and its forces belong together"
            )


def tuned(
    ensemble: Ensemble,
    settings: Settings,
    rules: Sequence[StepRule | None],
    state: State,
    highest: Ints,
    execute: Callable[[Task], Walked],
) -> Tuned:
    """Step sizes with which between a quarter and a half of the moves are accepted (see the rules).

    For each kind of move, copies of random walkers make one move each under the present limit. If
    the part that is accepted is in the window the search ends; else the size is multiplied or
    divided by a factor. Where the part jumps across the window the size nearer its centre stays.

    Args:
        ensemble: what is sampled.
        settings: of the run.
        rules: of each kind of move.
        state: whose walkers are copied.
        highest: the walker of each replica that sets the limit, shape (R,).
        execute: makes walks.

    Raises:
        NotFiniteError: the model gave no number.
        ConvergenceError: no step is small enough for a move to be accepted.
    """
    steps, rates, calls = state.steps.copy(), np.full_like(state.rates, np.nan), 0
    for kind, rule in enumerate(rules):
        if rule is None:
            continue
        search = _Search.of(rule, steps[:, kind])
        for turn in range(settings.tuning.rounds):
            steps[:, kind] = search.step
            part = kind * settings.tuning.rounds + turn
            task = _pilot(ensemble, settings, state, highest, steps, kind, part)
            walked = execute(task)
            calls += walked.calls
            hits = walked.accepted[:, kind].reshape(ensemble.replicas, -1)
            search.learn(hits.mean(axis=1), settings.tuning.factor)
            if search.done.all():
                break
        steps[:, kind], rates[:, kind] = search.step, search.rate
    return Tuned(steps, rates, calls)


def _pilot(
    ensemble: Ensemble,
    settings: Settings,
    state: State,
    highest: Ints,
    steps: Floats,
    kind: int,
    part: int,
) -> Task:
    """One move of copies of random walkers of all replicas, the highest of each left out."""
    pilots, every = settings.tuning.pilots, np.arange(ensemble.replicas)
    chosen = []
    for r, worst in enumerate(highest.tolist()):
        random = draws(settings.seed, r, state.iteration, Purpose.CHOICE, part)
        others = random.integers(0, settings.walkers - 1, pilots)
        chosen.append(others + (others >= worst))
    replicas = np.repeat(every, pilots)
    top = highest[replicas]
    return Task(
        settings.seed, state.iteration, Purpose.PILOT, part, np.array([kind]), pilots, replicas,
        np.tile(np.arange(pilots), len(every)), state.walkers.total[replicas, top],
        state.walkers.key[replicas, top], steps[replicas],
        state.walkers.take(replicas, np.concatenate(chosen)),
    )  # fmt: skip
