"""Walks in lock-step: a batch of walkers makes the same kinds of moves at the same time.

A walk is a function of its task alone. Which kinds of moves come is drawn once for all walkers,
from fixed probabilities, and every walker has its own numbers: each of them moves as if it were
alone, and each step asks for all their energies in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.sampling import cells as many
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.draws import Purpose, draws
from acepot.sampling.energies import Energies, EnergyModel, checked
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Drawn, Move, Rows, Trial
from acepot.sampling.walkers import Walkers, joined


@dataclass(frozen=True, eq=False)
class Task:
    """A walk of M walkers of some replicas.

    Args:
        seed: of the run.
        iteration: of the run.
        purpose: whether this is a walk or a pilot.
        part: of the purpose.
        kinds: the moves in their order, by number, shape (length,).
        batch: walkers of each replica that make this walk, here or elsewhere.
        replicas: whose walkers these are, shape (M,).
        places: which of the batch of its replica each one is, shape (M,).
        limits: totals that walkers stay below in eV, shape (M,).
        keys: what the key must be below where the total equals its limit, shape (M,).
        steps: step sizes, shape (M, moves).
        walkers: at the beginning, shape (M,).
    """

    seed: int
    iteration: int
    purpose: Purpose
    part: int
    kinds: Ints
    batch: int
    replicas: Ints
    places: Ints
    limits: Floats
    keys: Floats
    steps: Floats
    walkers: Walkers

    def parts(self, count: int) -> list[Task]:
        """The same walk in so many tasks or fewer: their results, joined, are those of this one."""
        count = min(count, len(self.replicas))
        return [self._of(rows) for rows in np.array_split(np.arange(len(self.replicas)), count)]

    def _of(self, rows: Ints) -> Task:
        names = ("replicas", "places", "limits", "keys", "steps")
        own = {name: getattr(self, name)[rows] for name in names}
        return replace(self, walkers=self.walkers.take(rows), **own)


@dataclass(frozen=True, eq=False)
class Walked:
    """What came of a walk.

    Args:
        walkers: at the end, shape (M,).
        accepted: moves that were accepted, by walker and kind, shape (M, moves).
        calls: structures that were evaluated.
    """

    walkers: Walkers
    accepted: Ints
    calls: int

    @classmethod
    def joined(cls, parts: Sequence[Walked]) -> Walked:
        """The results of the parts of a task as those of the whole."""
        return cls(
            joined([one.walkers for one in parts]),
            np.concatenate([one.accepted for one in parts]),
            sum(one.calls for one in parts),
        )


def walk(ensemble: Ensemble, moves: Sequence[Move], energies: EnergyModel, task: Task) -> Walked:
    """Make a walk.

    Before each move the keys are drawn anew, uniformly below what a walker's total allows.

    Args:
        ensemble: what is sampled.
        moves: the kinds there are.
        energies: of configurations.
        task: who walks, how far and where.

    Returns:
        The walkers at the end, with their atoms in their cells.

    Raises:
        NotFiniteError: the model gave no number.
    """
    batch, numbers = Batch(ensemble, energies, task), _Numbers(task)
    drawn = [
        numbers.drawn(k + 1, partial(_draw, move, int((task.kinds == k).sum()), ensemble.atoms))
        for k, move in enumerate(moves)
    ]
    (keys,) = numbers.drawn(0, lambda random, walkers: (random.random((len(task.kinds), walkers)),))
    done = [0] * len(moves)
    accepted = np.zeros((len(task.replicas), len(moves)), dtype=np.int64)
    now = batch.now
    for turn, kind in enumerate(task.kinds.tolist()):
        now.key[:] = keys[turn]
        tied = now.total == task.limits
        if np.count_nonzero(tied):
            now.key[tied] *= task.keys[tied]
        own = tuple(array[done[kind]] for array in drawn[kind])
        accepted[:, kind] += moves[kind].make(batch, own, task.steps[:, kind])
        done[kind] += 1
    if ensemble.prior.periodic:
        now.positions[:] = many.wrapped(now.positions, now.cells)
    return Walked(now, accepted, batch.calls)


def _draw(move: Move, times: int, atoms: int, random: np.random.Generator, walkers: int) -> Drawn:
    """All numbers of one kind of move, arrays of shape (times, walkers, …)."""
    return move.draw(random, times, walkers, atoms)


class _Numbers:
    """The random numbers of a task: those of its walkers out of all that their replicas draw.

    Args:
        task: whose.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._replicas = np.unique(task.replicas).tolist()
        rows = [np.flatnonzero(task.replicas == replica) for replica in self._replicas]
        self._places = [task.places[some] for some in rows]
        self._back = np.argsort(np.concatenate(rows), kind="stable")

    def drawn(self, part: int, draw: Callable[[np.random.Generator, int], Drawn]) -> Drawn:
        """Numbers of one kind.

        Args:
            part: tells the kinds apart.
            draw: makes those of a whole batch, arrays of shape (times, walkers, …).

        Returns:
            Arrays of shape (times, M, …).
        """
        task = self._task
        chosen = []
        for replica, places in zip(self._replicas, self._places, strict=True):
            random = draws(
                task.seed, replica, task.iteration, task.purpose, (task.part << 8) + part
            )
            chosen.append(tuple(a.take(places, axis=1) for a in draw(random, task.batch)))
        if len(chosen) == 1:
            return chosen[0]
        return tuple(
            np.concatenate(arrays, axis=1).take(self._back, axis=1)
            for arrays in zip(*chosen, strict=True)
        )


class Batch:
    """Walkers in the middle of a walk: what moves ask and change.

    Args:
        ensemble: what is sampled.
        energies: of configurations.
        task: whose walkers.
    """

    def __init__(self, ensemble: Ensemble, energies: EnergyModel, task: Task) -> None:
        self.ensemble = ensemble
        self.now = task.walkers.take(slice(None))
        self.replicas = task.replicas
        self.limits = task.limits
        self.volumes = many.volumes(self.now.cells)
        self.calls = 0
        self._energies = energies
        self._keys = task.keys
        self._room = Energies.empty(len(task.replicas), ensemble.atoms)

    def evaluate(self, numbers: Ints, positions: Floats, cells: Floats) -> Energies:
        """Energies and forces of m configurations, which the next call overwrites.

        Args:
            numbers: atomic numbers, shape (m, n).
            positions: in Å, shape (m, n, 3).
            cells: in Å, shape (m, 3, 3).

        Raises:
            NotFiniteError: the model gave no number.
        """
        m = len(numbers)
        out = Energies(self._room.energy[:m], self._room.forces[:m])
        self._energies.compute(numbers, positions, cells, out)
        checked(numbers, positions, cells, self.ensemble.prior.periodic, out)
        self.calls += m
        return out

    def below(self, totals: Floats, rows: Rows) -> NDArray[np.bool_]:
        """Whether totals of some walkers are below their limits; equal ones compare by key.

        Args:
            totals: in eV, shape (m,).
            rows: which walkers, shape (m,), or the slice of all.
        """
        limits = self.limits[rows]
        below = totals < limits
        tied = totals == limits
        if np.count_nonzero(tied):
            below |= tied & (self.now.key[rows] < self._keys[rows])
        return below

    def settle(self, trial: Trial) -> NDArray[np.bool_]:
        """Move the walkers to where they try to go, where that is allowed.

        Args:
            trial: of all walkers.

        Returns:
            Which of them moved, shape (M,).
        """
        now, rows = self.now, _rows(trial.allowed)
        numbers = (now.numbers if trial.numbers is None else trial.numbers)[rows]
        cells = (now.cells if trial.cells is None else trial.cells)[rows]
        volumes = (self.volumes if trial.volumes is None else trial.volumes)[rows]
        positions = trial.positions[rows]
        if len(positions) == 0:
            return trial.allowed
        found = self.evaluate(numbers, positions, cells)
        totals = now.kinetic[rows] + self.ensemble.enthalpy(
            found.energy, volumes, numbers, self.replicas[rows]
        )
        good = self.below(totals, rows)
        self.ensemble.prior.guard(good, numbers, positions, cells)
        pairs = [(now.positions, positions), (now.energy, found.energy)]
        pairs += [(now.forces, found.forces), (now.total, totals)]
        if trial.cells is not None:
            pairs.append((now.cells, cells))
        if trial.volumes is not None:
            pairs.append((self.volumes, volumes))
        for old, new in pairs:
            _take(old, new, rows, good)
        if trial.numbers is not None:
            _take(now.numbers, numbers, rows, good)
        if isinstance(rows, slice):
            return good
        moved = np.zeros(len(self.limits), dtype=bool)
        moved[rows] = good
        return moved


def _rows(chosen: NDArray[np.bool_]) -> Rows:
    """Where a mask is true; all of it as a slice, which copies nothing."""
    return slice(None) if chosen.all() else np.flatnonzero(chosen)


def _take(old: NDArray[Any], new: NDArray[Any], rows: Rows, good: NDArray[np.bool_]) -> None:
    """Write those of some rows that are good over the old ones."""
    if isinstance(rows, slice):
        np.copyto(old, new, where=good.reshape(-1, *(1,) * (old.ndim - 1)))
    else:
        old[rows[good]] = new[good]
