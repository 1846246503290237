"""Walks of many independent walkers under one limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from acepot.sampling.draws import Purpose
from acepot.sampling.energies import FunctionEnergies
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Move
from acepot.sampling.start import value
from acepot.sampling.walk import Batch, Task, Walked, walk
from acepot.sampling.walkers import Walkers

Array = np.ndarray
Function = Callable[[Array, Array, Array], tuple[Array, Array]]


def placed(ensemble: Ensemble, function: Function, positions: Array, cells: Array) -> Walkers:
    """Walkers at some places, in the first replica."""
    count = len(positions)
    walkers = Walkers.empty((count,), ensemble.atoms)
    walkers.positions[:], walkers.cells[:], walkers.numbers[:] = positions, cells, ensemble.numbers
    energies = FunctionEnergies(function, batched=True)
    value(ensemble, energies, walkers, np.zeros(count, dtype=int))
    return walkers


def task_of(
    walkers: Walkers, limit: float, kinds: Sequence[int], steps: Sequence[float], seed: int = 1
) -> Task:
    """A task for walkers of one replica."""
    count = len(walkers.total)
    return Task(
        seed, 0, Purpose.WALK, 0, np.array(kinds), count, np.zeros(count, dtype=int),
        np.arange(count), np.full(count, limit), np.full(count, 0.5),
        np.tile(np.array(steps, dtype=float), (count, 1)), walkers,
    )  # fmt: skip


def walked(
    ensemble: Ensemble,
    function: Function,
    moves: Sequence[Move],
    walkers: Walkers,
    limit: float,
    turns: int,
    steps: Sequence[float],
) -> Walked:
    """The walkers after so many rounds of all moves."""
    task = task_of(walkers, limit, list(range(len(moves))) * turns, steps)
    return walk(ensemble, moves, FunctionEnergies(function, batched=True), task)


def batch_of(ensemble: Ensemble, function: Function, walkers: Walkers, limit: float) -> Batch:
    """Walkers in the middle of a walk."""
    energies = FunctionEnergies(function, batched=True)
    return Batch(ensemble, energies, task_of(walkers, limit, [0], [1.0]))


def close(samples: Array, exact: float, errors: float = 4.0) -> bool:
    """Whether the mean of independent samples is within some standard errors of a number."""
    error = samples.std() / np.sqrt(len(samples))
    return bool(abs(samples.mean() - exact) < errors * error)
