"""Replica exchange: neighbouring pressures swap walkers that both of them allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.sampling import cells as many
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.draws import Purpose, draws
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.settings import Settings
from acepot.sampling.walkers import State, Walkers


def exchange(
    ensemble: Ensemble, settings: Settings, state: State, limits: Floats, keys: Floats
) -> None:
    """Let even pairs of neighbours exchange walkers, then odd ones.

    Random walkers x of replica i and y of j = i + 1 change places if
    U(x) + P_j V(x) < limit_j and U(y) + P_i V(y) < limit_i (likewise with chemical potentials and
    kinetic energies): each set is uniform below its limit, so that nothing else decides. No energy
    is computed, and totals are those of the new pressure. Births stay where they are: they are
    limits of a replica.

    Args:
        ensemble: what is sampled.
        settings: of the run.
        state: its walkers and counts are changed.
        limits: totals that each replica stays below in eV, shape (R,).
        keys: of these limits, shape (R,).
    """
    attempts, count = settings.exchange.attempts, settings.walkers
    for even in (0, 1):
        below = np.arange(even, ensemble.replicas - 1, 2)
        pairs = [
            draws(settings.seed, i, state.iteration, Purpose.EXCHANGE).integers(
                0, count, (attempts, 2)
            )
            for i in below.tolist()
        ]
        for turn in range(attempts if len(below) else 0):
            x, y = np.stack([pair[turn] for pair in pairs], axis=1)
            up = _under(ensemble, state.walkers, below, x, below + 1, limits, keys)
            down = _under(ensemble, state.walkers, below + 1, y, below, limits, keys)
            both = up[1] & down[1]
            state.exchanged[below] += np.stack((np.ones_like(both), both), axis=1)
            for k in np.flatnonzero(both).tolist():
                replicas, places = [below[k], below[k] + 1], [x[k], y[k]]
                two = state.walkers.take(replicas[::-1], places[::-1])
                two.total[:] = down[0][k], up[0][k]
                two.birth[:] = two.birth[::-1].copy()
                state.walkers.put(two, replicas, places)


def _under(
    ensemble: Ensemble,
    walkers: Walkers,
    replicas: Ints,
    places: Ints,
    others: Ints,
    limits: Floats,
    keys: Floats,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Totals that some walkers would have in other replicas, and whether those allow them."""
    kinetic = walkers.kinetic[replicas, places]
    totals = kinetic + ensemble.enthalpy(
        walkers.energy[replicas, places],
        many.volumes(walkers.cells[replicas, places]),
        walkers.numbers[replicas, places],
        others,
    )
    tied = (totals == limits[others]) & (walkers.key[replicas, places] < keys[others])
    allowed = ((totals < limits[others]) | tied) & (kinetic <= ensemble.kinetic[others])
    return totals, allowed
