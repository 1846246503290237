"""Nested sampling: the loop that culls the highest walker and clones another.

Use, with everything that a run needs in `state`:

    sampling = NestedSampling(ensemble, settings, energies)
    state = sampling.begin()
    while not sampling.finished(state):
        for culled in sampling.step(state):   # one for each replica
            ...                               # iteration, replica, total, volume, configuration

`step` changes the state at its very end: where a model or a signal ends it with an error, the state
is still that before the step. A state that was written (`state.arrays()`, `state.iteration`) and
read (`State.from_arrays`) goes on to bit-identical results, because all random numbers come from
the seed and the iteration. The walkers left at the end are part of the result.

Walks are made here; `execute` takes their place to make them elsewhere: it gets a `Task`, may cut
it with `task.parts(count)`, make each part with `walk(ensemble, settings.moves, energies, part)`
anywhere, and returns `Walked.joined(results)`. The result does not depend on how it was cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.draws import Purpose, draws
from acepot.sampling.energies import EnergyModel
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.exchange import exchange
from acepot.sampling.settings import Settings
from acepot.sampling.start import dress, first_walkers, value
from acepot.sampling.tuning import Tuned, tuned
from acepot.sampling.walk import Task, Walked, walk
from acepot.sampling.walkers import State, Walkers, joined

__all__ = ["Culled", "NestedSampling"]


@dataclass(frozen=True, eq=False)
class Culled:
    """A walker that was taken out.

    Args:
        iteration: n, the first is 0: the prior mass above it is that of n walkers of K.
        replica: which pressure.
        total: H (or H + K) in eV.
        volume: in Å³.
        energy: U in eV.
        kinetic: K in eV.
        birth: limit under which it was cloned in eV; infinite for first walkers.
        numbers: atomic numbers, shape (n,).
        positions: in Å, shape (n, 3).
        cell: vectors as rows in Å, shape (3, 3).
        forces: in eV/Å, shape (n, 3).
    """

    iteration: int
    replica: int
    total: float
    volume: float
    energy: float
    kinetic: float
    birth: float
    numbers: Ints
    positions: Floats
    cell: Floats
    forces: Floats


class NestedSampling:
    """A run of nested sampling.

    Args:
        ensemble: what is sampled.
        settings: how.
        energies: of configurations.
        execute: makes walks; None: here.

    Raises:
        InputError: moves that can do nothing in this ensemble.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        settings: Settings,
        energies: EnergyModel,
        execute: Callable[[Task], Walked] | None = None,
    ) -> None:
        self.ensemble, self.settings, self.energies = ensemble, settings, energies
        self.rules = [move.rule(ensemble) for move in settings.moves]
        self._execute = self._walk if execute is None else execute

    def _walk(self, task: Task) -> Walked:
        return walk(self.ensemble, self.settings.moves, self.energies, task)

    # ------------------------------------------------------------------ the run

    def begin(self, start: Walkers | None = None) -> State:
        """The state before the first iteration.

        Args:
            start: configurations of the prior to begin from, of which numbers, positions and cells
                count, shape (R, K); None: they are drawn.

        Raises:
            InputError: another number of walkers, or none below the ceiling can be drawn.
            NotFiniteError: the model gave no number.
        """
        first, calls = [], 0
        shape = (self.ensemble.replicas, self.settings.walkers)
        if start is not None and start.energy.shape != shape:
            raise InputError(f"start: expected walkers of shape {shape}, got {start.energy.shape}")
        for replica in range(self.ensemble.replicas):
            if start is None:
                own, cost = first_walkers(self.ensemble, self.settings, self.energies, replica)
            else:
                own, cost = start.take(replica), self.settings.walkers
                value(self.ensemble, self.energies, own, np.full(cost, replica))
                dress(self.ensemble, self.settings.seed, own, replica)
            first.append(own.take(None))
            calls += cost
        sizes = [np.nan if rule is None else rule.first for rule in self.rules]
        state = State.of(joined(first), np.array(sizes))
        state.calls[:] = calls
        return state

    def step(self, state: State) -> list[Culled]:
        """One iteration: cull the highest walker of each replica, clone another and walk.

        Args:
            state: changed at the end of the step.

        Returns:
            The culled walkers, one for each replica.

        Raises:
            NotFiniteError: the model gave no number; the state has not changed.
            ConvergenceError: no step is small enough for a move to be accepted.
        """
        highest = self._highest(state)
        news = self._tune(state, highest)
        steps = state.steps if news is None else news.steps
        culled = [self._culled(state, r, k) for r, k in enumerate(highest.tolist())]
        task, places = self._task(state, highest, steps)
        walked = self._execute(task)
        if news is not None:
            state.steps[:], state.rates[:] = news.steps, news.rates
            state.tried[:], state.accepted[:] = 0, 0
            state.calls += news.calls
        state.walkers.put(walked.walkers, task.replicas, places)
        made = np.bincount(task.kinds, minlength=len(self.rules))
        state.tried += made * self.settings.batch
        np.add.at(state.accepted, task.replicas, walked.accepted)
        state.calls += walked.calls
        for one in culled:
            self._note(state, one)
        self._exchange(state, task)
        state.iteration += 1
        return culled

    def finished(self, state: State) -> bool:
        """Whether the run is at its end."""
        stop = self.settings.stop
        if stop.iterations is not None and state.iteration >= stop.iterations:
            return True
        if stop.kt is None or state.iteration == 0:
            return False
        lowest = state.walkers.total.max(axis=1)
        return bool((self._weight(state.iteration, lowest) < state.peak - stop.margin).all())

    # ------------------------------------------------------------------ its parts

    def _highest(self, state: State) -> Ints:
        """The walker of each replica with the largest total, of equal ones the largest key."""
        order = np.lexsort((state.walkers.key, state.walkers.total), axis=1)
        return np.asarray(order[:, -1])

    def _culled(self, state: State, replica: int, k: int) -> Culled:
        one = state.walkers.take(replica, k)
        return Culled(
            state.iteration, replica, float(one.total), float(many.volumes(one.cells)),
            float(one.energy), float(one.kinetic), float(one.birth), one.numbers, one.positions,
            one.cells, one.forces,
        )  # fmt: skip

    def _tune(self, state: State, highest: Ints) -> Tuned | None:
        """New step sizes where they are due."""
        interval = self.settings.tuning.interval
        if interval == 0 or state.iteration % interval:
            return None
        return tuned(self.ensemble, self.settings, self.rules, state, highest, self._execute)

    def _task(self, state: State, highest: Ints, steps: Floats) -> tuple[Task, Ints]:
        """The walk of this iteration, and which walkers of their replicas make it."""
        seed, iteration = self.settings.seed, state.iteration
        batch, count = self.settings.batch, self.settings.walkers
        sources, places = [], []
        for replica, worst in enumerate(highest.tolist()):
            random = draws(seed, replica, iteration, Purpose.CLONE)
            others = np.delete(np.arange(count), worst)
            walking = random.choice(others, batch - 1, replace=False)
            sources.append(np.append(random.choice(others), walking))
            places.append(np.append(worst, walking))
        replicas = np.repeat(np.arange(len(highest)), batch)
        walkers = state.walkers.take(replicas, np.concatenate(sources))
        worst = highest[replicas]
        limits = state.walkers.total[replicas, worst]
        walkers.birth[::batch] = limits[::batch]
        task = Task(
            seed, iteration, Purpose.WALK, 0, self._kinds(iteration), batch, replicas,
            np.tile(np.arange(batch), len(highest)), limits, state.walkers.key[replicas, worst],
            steps[replicas], walkers,
        )  # fmt: skip
        return task, np.concatenate(places)

    def _kinds(self, iteration: int) -> Ints:
        """Moves of a walk: drawn one by one until they cost the length of the walk."""
        moves = self.settings.moves
        weights = np.array([move.weight for move in moves])
        calls = np.array([move.calls for move in moves])
        random = draws(self.settings.seed, 0, iteration, Purpose.KINDS)
        wanted = self.settings.length / self.settings.batch
        most = int(np.ceil(wanted / calls.min()))
        kinds = random.choice(len(moves), most, p=weights / weights.sum())
        spent = np.cumsum(calls[kinds])
        return np.asarray(kinds[: int(np.searchsorted(spent, wanted)) + 1])

    def _weight(self, iteration: int, total: Floats) -> Floats:
        """Weights at the end: ln w_n - H/kT with ln w_n = n ln(K/(K + 1)) - ln(K + 1)."""
        count = self.settings.walkers
        log = iteration * np.log(count / (count + 1)) - np.log(count + 1)
        return np.asarray(log - total / (self.settings.stop.kt or np.inf))

    def _note(self, state: State, one: Culled) -> None:
        """Keep the largest weight of a culled walker."""
        weight = float(self._weight(one.iteration, np.array(one.total)))
        state.peak[one.replica] = max(state.peak[one.replica], weight)

    def _exchange(self, state: State, task: Task) -> None:
        """Exchange walkers between neighbouring replicas where it is due."""
        interval = self.settings.exchange.interval
        if interval and self.ensemble.replicas > 1 and (state.iteration + 1) % interval == 0:
            batch = self.settings.batch
            exchange(self.ensemble, self.settings, state, task.limits[::batch], task.keys[::batch])
