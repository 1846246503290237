"""How a run goes, for those who wait: enthalpy, temperature, acceptance, speed, time left."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from acepot.run.progress import clock
from acepot.sampling.cells import Floats
from acepot.sampling.columns import temperatures
from acepot.sampling.preparation import Prepared
from acepot.sampling.walkers import State
from acepot.units import BOLTZMANN

__all__ = ["Status", "Watched"]

#: Seconds over which speeds are taken.
_WHILE = 30.0


@dataclass(frozen=True, eq=False)
class Status:
    """A moment of a run.

    Args:
        iteration: of the run.
        enthalpies: of what was culled last, in eV per atom, shape (R,).
        temperatures: estimates in K, shape (R,).
        accepted: part of the moves since the last tuning, by name, over all replicas.
        evaluations: structures a second.
        left: seconds to the end, an estimate; None: not known.
    """

    iteration: int
    enthalpies: Floats
    temperatures: Floats
    accepted: dict[str, float]
    evaluations: float
    left: float | None

    def __str__(self) -> str:
        moves = ", ".join(
            f"{name} {100 * rate:.0f} %" for name, rate in self.accepted.items() if rate >= 0.0
        )
        parts = [
            f"iteration {self.iteration}",
            f"H {_span(self.enthalpies, '.3f')} eV/atom",
            f"about {_span(self.temperatures, '.0f')} K",
            f"accepted: {moves or 'not yet'}",
            f"{self.evaluations:.0f} evaluations/s",
        ]
        if self.left is not None:
            parts.append(f"about {clock(self.left)} left")
        return ", ".join(parts)


def _span(values: Floats, form: str) -> str:
    """One number, or from the smallest to the largest."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return "?"
    low, high = format(known.min(), form), format(known.max(), form)
    return low if low == high else f"{low} to {high}"


class Watched:
    """A run as it is watched, from where this process began.

    Args:
        prepared: the run.
        names: of the kinds of moves.
    """

    def __init__(self, prepared: Prepared, names: list[str]) -> None:
        self._prepared, self._names = prepared, names
        #: Time, iteration and evaluations at some moments, the oldest first.
        self._moments: list[tuple[float, int, int]] = []
        #: Iteration and the lowest and highest temperature, once every K/4 iterations.
        self._cooling: list[tuple[int, Floats]] = []

    def note(self, state: State, recent: Floats) -> None:
        """Remember a moment; to be called often."""
        now = time.monotonic()
        moments = self._moments
        if not moments or now - moments[-1][0] > _WHILE / 30.0:
            moments.append((now, state.iteration, int(state.calls[0])))
            while len(moments) > 2 and now - moments[1][0] > _WHILE:
                moments.pop(0)
        walkers = self._prepared.settings.walkers
        cooling = self._cooling
        if not cooling or state.iteration - cooling[-1][0] >= max(walkers // 4, 1):
            cooling.append((state.iteration, temperatures(recent, walkers)))
            del cooling[:-9]

    def status(self, state: State, recent: Floats) -> Status:
        """The present moment.

        Args:
            state: of the run.
            recent: totals of what was culled last, as `temperatures` takes them.
        """
        atoms = self._prepared.ensemble.atoms
        kelvin = temperatures(recent, self._prepared.settings.walkers)
        tried, accepted = state.tried.sum(axis=0), state.accepted.sum(axis=0)
        rates = np.where(tried > 0, accepted / np.maximum(tried, 1), np.nan)
        began, iteration, calls = self._moments[0]
        seconds = max(time.monotonic() - began, 1e-9)
        pace = (state.iteration - iteration) / seconds
        left = self._iterations_left(state, kelvin)
        return Status(
            state.iteration,
            recent[-1] / atoms if len(recent) else np.full(recent.shape[1], np.nan),
            kelvin,
            dict(zip(self._names, rates.tolist(), strict=True)),
            (int(state.calls[0]) - calls) / seconds,
            None if left is None or pace <= 0.0 else left / pace,
        )

    def _iterations_left(self, state: State, kelvin: Floats) -> float | None:
        """An estimate of the iterations to come; None: there is none yet."""
        stop = self._prepared.settings.stop
        found = []
        if stop.iterations is not None:
            found.append(float(stop.iterations - state.iteration))
        if stop.kt is not None and np.isfinite(kelvin).all() and (kelvin > 0.0).all():
            found.append(self._iterations_to(stop.kt, state, kelvin))
        return max(0.0, min(found)) if found else None

    def _iterations_to(self, kt: float, state: State, kelvin: Floats) -> float:
        """Iterations until all replicas are below a temperature.

        While they cool, -d ln X / d ln T is the heat capacity in k, taken from the last two e-folds
        of X; then the weight at that temperature falls by (1 - T/T_stop)/K an iteration.
        """
        walkers, atoms = self._prepared.settings.walkers, self._prepared.ensemble.atoms
        ratio = np.log(kelvin * BOLTZMANN / kt)  # [r]
        capacity = np.full(len(kelvin), 1.5 * atoms + 1.0)
        then, before = self._cooling[0]
        if state.iteration - then >= walkers:
            with np.errstate(divide="ignore", invalid="ignore"):
                seen = (state.iteration - then) / walkers / np.log(before / kelvin)
            capacity = np.where(seen > 0.0, np.clip(seen, atoms / 2, 20.0 * atoms), capacity)
        warm = capacity * np.maximum(ratio, 0.0)
        weight = self._prepared.settings.stop.margin
        count = np.log(walkers / (walkers + 1)) * state.iteration - np.log(walkers + 1)
        fallen = state.peak - (count - state.walkers.total.max(axis=1) / kt)
        rest = np.where(ratio > 0.0, weight, np.maximum(weight - fallen, 0.0))
        speed = np.where(ratio > 0.0, 1.0, np.maximum(1.0 - np.exp(np.minimum(ratio, 0.0)), 0.1))
        return float(walkers * (warm + rest / speed).max())
