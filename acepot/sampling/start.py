"""First configurations, drawn from the prior under its ceiling."""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.cells import Floats, Ints
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
    open_, calls, tried = np.arange(count), 0, 0
    while len(open_) and tried < settings.tries:
        # what fills the batch are further tries of those that are still open
        copies = min(count // len(open_), settings.tries - tried)
        owners = np.repeat(open_, copies)
        drawn = _drawn(ensemble, settings, replica, shapes[owners], tried)
        shapes = shapes.copy()
        shapes[owners] = drawn.cells / np.cbrt(many.volumes(drawn.cells))[:, None, None]
        tried += copies
        good = np.flatnonzero(~prior.broken(drawn.numbers, drawn.positions, drawn.cells))
        if len(good) == 0:
            continue
        drawn = drawn.take(good)
        value(ensemble, energies, drawn, np.full(len(good), replica))
        calls += len(good)
        low = np.flatnonzero(drawn.total < prior.ceiling * n)
        some, first = np.unique(owners[good[low]], return_index=True)
        found.put(drawn.take(low[first]), some)
        open_ = np.setdiff1d(open_, some)
    if len(open_):
        raise InputError(
            f"tries: {len(open_)} of {count} first configurations were too close or above the "
            f"ceiling of {prior.ceiling:g} eV/atom in each of {settings.tries} tries; raise "
            "volume_max, the ceiling or tries, or lower the smallest distances"
        )
    dress(ensemble, settings.seed, found, replica)
    return found, calls


def _drawn(
    ensemble: Ensemble, settings: Settings, replica: int, shapes: Floats, tried: int
) -> Walkers:
    """Configurations from the prior, but for the smallest distances, which may be broken.

    Args:
        ensemble: what is sampled.
        settings: of the run.
        replica: which pressure.
        shapes: of unit volume, where the walks of the cells begin, shape (m, 3, 3).
        tried: draws of each walker so far.
    """
    prior, (m, n) = ensemble.prior, (len(shapes), ensemble.atoms)
    rounds = _AGAIN if tried else settings.shape_rounds
    random = draws(settings.seed, replica, 0, Purpose.SHAPE, tried)
    shapes = prior.walk_shapes(random, shapes, rounds)
    random = draws(settings.seed, replica, 0, Purpose.START, tried)
    drawn = Walkers.empty((m,), n)
    edges = np.cbrt(prior.draw_volumes(random, m, n) / many.volumes(shapes))
    drawn.cells[:] = shapes * edges[:, None, None]
    drawn.positions[:] = random.random((m, n, 3)) @ drawn.cells
    drawn.numbers[:] = ensemble.numbers
    if ensemble.elements:
        drawn.numbers[:] = random.choice(np.array(ensemble.elements), (m, n))
    return drawn


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
