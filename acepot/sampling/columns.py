"""The log of a run: its columns, and its rows from the state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.run.log import Column
from acepot.sampling.cells import Floats
from acepot.sampling.nested import Culled
from acepot.sampling.walkers import State
from acepot.units import BOLTZMANN

__all__ = ["columns", "row", "spread_columns", "temperatures"]


def columns(replicas: int, moves: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a run.

    Args:
        replicas: how many pressures.
        moves: names of the kinds of moves.
    """
    found = [
        Column("iteration", meaning="so many walkers of each replica have been culled"),
        Column("evaluations", meaning="structures so far, of all replicas"),
    ]
    for k in range(replicas):
        found += [
            Column(f"P{k}_enthalpy", "eV", "of what was culled last"),
            Column(f"P{k}_volume", "A3", "likewise"),
            Column(f"P{k}_temperature", "K", "estimate: dH/d ln X / k over the last iterations"),
        ]
        for name in moves:
            found += [
                Column(f"P{k}_{name}_accepted", meaning="part of the moves since the last tuning"),
                Column(f"P{k}_{name}_step", meaning="size; nan: it has none"),
            ]
    for k in range(replicas - 1):
        found.append(Column(f"P{k}_P{k + 1}_exchanged", meaning="part of the exchanges so far"))
    return tuple(found)


def spread_columns(replicas: int) -> tuple[Column, ...]:
    """The columns of the log of a committee.

    Args:
        replicas: how many pressures.
    """
    found = [Column("iteration", meaning="in which the configuration is culled")]
    for k in range(replicas):
        found += [
            Column(f"P{k}_energy_spread", "eV", "of the committee, an atom"),
            Column(f"P{k}_force_spread", "eV_A", "on the atom where it is largest"),
        ]
    return tuple(found)


def row(state: State, culled: Sequence[Culled], recent: Floats) -> list[float]:
    """A row of the log.

    Args:
        state: after the iteration.
        culled: in the iteration.
        recent: totals of what was culled last, as `temperatures` takes them.
    """
    kelvin = temperatures(recent, state.walkers.total.shape[1])
    with np.errstate(invalid="ignore"):
        rates = state.accepted / state.tried
        exchanged = state.exchanged[:, 1] / state.exchanged[:, 0]
    found: list[float] = [state.iteration, int(state.calls[0])]
    for k, one in enumerate(culled):
        found += [one.total, one.volume, float(kelvin[k])]
        for rate, step in zip(rates[k].tolist(), state.steps[k].tolist(), strict=True):
            found += [rate, step]
    return [*found, *exchanged.tolist()]


def temperatures(recent: Floats, walkers: int) -> Floats:
    """Estimates of the temperature at which what is culled weighs most, in K.

    1/kT = d ln X / dH, where the prior mass X below the limit shrinks by 1/K in ln X an iteration:
    kT = K (H_first - H_last) / (m - 1).

    Args:
        recent: totals of m iterations in eV, the oldest first, shape (m, R).
        walkers: K.

    Returns:
        Shape (R,); nan before the second iteration.
    """
    count = len(recent) - 1
    if count < 1:
        return np.full(recent.shape[1], np.nan)
    return np.asarray(walkers * (recent[0] - recent[-1]) / (count * BOLTZMANN))
