"""Replica exchange: neighbouring pressures swap walkers that both of them allow."""

from __future__ import annotations

import numpy as np

from acepot.sampling import cells as many
from acepot.sampling.cells import Floats
from acepot.sampling.draws import Purpose, draws
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.settings import Settings
from acepot.sampling.walkers import State


def exchange(
    ensemble: Ensemble, settings: Settings, state: State, limits: Floats, keys: Floats
) -> None:
    """Let even pairs of neighbours exchange walkers, then odd ones.

    Random walkers x of replica i and y of j = i + 1 change places if
    U(x) + P_j V(x) < limit_j and U(y) + P_i V(y) < limit_i (likewise with chemical potentials and
    kinetic energies): each set is uniform below its limit, so that nothing else decides. No energy
    is computed, and totals are those of the new pressure.

    Args:
        ensemble: what is sampled.
        settings: of the run.
        state: its walkers and counts are changed.
        limits: totals that each replica stays below in eV, shape (R,).
        keys: of these limits, shape (R,).
    """
    every = ensemble.replicas
    for i in [*range(0, every - 1, 2), *range(1, every - 1, 2)]:
        random = draws(settings.seed, i, state.iteration, Purpose.EXCHANGE)
        for _ in range(settings.exchange.attempts):
            x, y = random.integers(0, settings.walkers, 2).tolist()
            pair, other = np.array([i, i + 1]), np.array([i + 1, i])
            two = state.walkers.take(pair, [x, y])
            totals = two.kinetic + ensemble.enthalpy(
                two.energy, many.volumes(two.cells), two.numbers, other
            )
            lower = totals < limits[other]
            lower |= (totals == limits[other]) & (two.key < keys[other])
            lower &= two.kinetic <= ensemble.kinetic[other]
            state.exchanged[i] += (1, int(lower.all()))
            if lower.all():
                two.total[:] = totals
                state.walkers.put(two.take([1, 0]), pair, [x, y])
