"""First configurations, drawn from the prior under its ceiling."""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.cells import Ints
from acepot.sampling.draws import Purpose, draws
from acepot.sampling.energies import Energies, EnergyModel, checked
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.settings import Settings
from acepot.sampling.walkers import Walkers

#: Rounds of the shape walk from one try to the next.
_AGAIN = 100


def first_walkers(
    ensemble: Ensemble, settings: Settings, energies: EnergyModel, replica: int
) -> tuple[Walkers, int]:
    """Independent walkers of one replica.

    Args:
        ensemble: what is sampled.
        settings: how many, and how often each is tried.
        energies: of configurations.
        replica: which pressure.

    Returns:
        Walkers, shape (K,), and how many structures were evaluated.

    Raises:
        InputError: one was too high in each of its tries.
    """
    count, n, prior = settings.walkers, ensemble.atoms, ensemble.prior
    found = Walkers.empty((count,), n)
    shapes = np.broadcast_to(np.asarray(prior.cell, float), (count, 3, 3))
    open_, calls = np.arange(count), 0
    for turn in range(settings.tries):
        random = draws(settings.seed, replica, 0, Purpose.SHAPE, turn)
        rounds = _AGAIN if turn else settings.shape_rounds
        shapes = prior.walk_shapes(random, shapes, rounds)
        random = draws(settings.seed, replica, 0, Purpose.START, turn)
        edges = np.cbrt(prior.draw_volumes(random, count, n) / many.volumes(shapes))
        cells = shapes * edges[:, None, None]
        positions = random.random((count, n, 3)) @ cells
        numbers = np.tile(ensemble.numbers, (count, 1))
        if ensemble.elements:
            numbers = random.choice(np.array(ensemble.elements), (count, n))
        some = open_[~prior.broken(numbers[open_], positions[open_], cells[open_])]
        if len(some) == 0:
            continue
        drawn = Walkers.empty((len(some),), n)
        drawn.numbers[:], drawn.positions[:] = numbers[some], positions[some]
        drawn.cells[:] = cells[some]
        value(ensemble, energies, drawn, np.full(len(some), replica))
        calls += len(some)
        low = drawn.total < prior.ceiling * n
        found.put(drawn.take(low), some[low])
        open_ = np.setdiff1d(open_, some[low])
        if len(open_) == 0:
            break
    else:
        raise InputError(
            f"tries: {len(open_)} of {count} first configurations were too close or above the "
            f"ceiling of {prior.ceiling:g} eV/atom in each of {settings.tries} tries; raise "
            "volume_max, the ceiling or tries, or lower the smallest distances"
        )
    dress(ensemble, settings.seed, found, replica)
    return found, calls


def value(ensemble: Ensemble, energies: EnergyModel, walkers: Walkers, replicas: Ints) -> None:
    """Fill in energies, forces and totals.

    Args:
        ensemble: what is sampled.
        energies: of configurations.
        walkers: with numbers, positions and cells, shape (m,).
        replicas: of each, shape (m,).

    Raises:
        NotFiniteError: the model gave no number.
    """
    out = Energies(walkers.energy, walkers.forces)
    energies.compute(walkers.numbers, walkers.positions, walkers.cells, out)
    checked(walkers.numbers, walkers.positions, walkers.cells, ensemble.prior.periodic, out)
    walkers.total[:] = ensemble.enthalpy(
        walkers.energy, many.volumes(walkers.cells), walkers.numbers, replicas
    )


def dress(ensemble: Ensemble, seed: int, walkers: Walkers, replica: int) -> None:
    """Give first walkers kinetic energies, keys and the birth of first ones.

    Momenta are uniform in the ball K < Kmax of 3n dimensions: K = Kmax u^(2/3n).

    Args:
        ensemble: what is sampled.
        seed: of the run.
        walkers: of one replica with their enthalpies as totals, shape (K,).
        replica: which.
    """
    random = draws(seed, replica, 0, Purpose.KEYS)
    count = len(walkers.total)
    walkers.key[:] = random.random(count)
    power = 2 / (3 * ensemble.atoms)
    walkers.kinetic[:] = ensemble.kinetic[replica] * random.random(count) ** power
    walkers.total[:] += walkers.kinetic
    walkers.birth[:] = np.inf
