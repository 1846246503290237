"""Every move leaves the prior under the limit as it is, and reaches all of it.

Most tests begin with all walkers at one place and end with them where the exact distribution is.
"""

from __future__ import annotations

import numpy as np
import pytest
from exact_cases import no_energy
from scipy.stats import kstest
from walking import Array, batch_of, close, placed, walked

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.distances import MinimumDistances
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.atom import Atom
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.hamiltonian import Hamiltonian
from acepot.sampling.moves.protocol import Move
from acepot.sampling.moves.shape import Shear, Stretch
from acepot.sampling.moves.species import Transmutation
from acepot.sampling.moves.volume import Volume
from acepot.sampling.prior import Prior
from acepot.sampling.walkers import Walkers

COUNT, EDGE = 2000, 40.0


def harmonic(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
    """Springs to the centre, stiffer along x: a region that is no ball."""
    stiff = np.array([4.0, 1.0, 1.0])
    away = positions - EDGE / 2
    return 0.5 * (stiff * away**2).sum(axis=(1, 2)), -stiff * away


def box(atoms: int, kinetic: float = 0.0, masses: dict[int, float] | None = None) -> Ensemble:
    prior = Prior(EDGE**3 / atoms, shape="fixed", volume="fixed", periodic=False)
    return Ensemble([1, 2, 2][:atoms], prior, masses=masses, kinetic=kinetic)


def centred(ensemble: Ensemble, away: float = 0.5) -> Array:
    return np.full((COUNT, ensemble.atoms, 3), EDGE / 2 + away)


# ------------------------------------------------------------------ positions


@pytest.mark.parametrize(
    ("move", "step", "turns"),
    [
        (Galilean(), 0.5, 40),
        (Galilean(length=5), 0.5, 60),
        (Galilean(length=3, parts=4, turn=0.4), 1.0, 20),
        (Atom(), 2.0, 250),
    ],
)
def test_positions_become_uniform_under_the_limit(move: Move, step: float, turns: int) -> None:
    """E/Emax has the distribution function x^(d/2), and each coordinate its part of the mean."""
    ensemble, limit = box(2), 8.0
    walkers = placed(ensemble, harmonic, centred(ensemble), EDGE * np.eye(3))
    found = walked(ensemble, harmonic, [move], walkers, limit, turns, [step])
    assert found.accepted.mean() > 0.2 * turns
    assert kstest((found.walkers.total / limit) ** 3, "uniform").pvalue > 1e-3
    away = found.walkers.positions - EDGE / 2
    for axis, stiff in enumerate((4.0, 1.0, 1.0)):
        for atom in range(2):
            assert close(stiff * away[:, atom, axis] ** 2, 2 * limit / (6 + 2))
    assert close(away[:, 0, 1] * away[:, 1, 2], 0.0)


def test_galilean_trajectories_that_go_back_end_where_they_began() -> None:
    ensemble = box(3)
    random = np.random.default_rng(5)
    start = EDGE / 2 + 0.4 * random.standard_normal((COUNT, 3, 3))
    walkers = placed(ensemble, harmonic, start, EDGE * np.eye(3))
    batch = batch_of(ensemble, harmonic, walkers, 6.0)
    inside = walkers.total < 6.0
    v = 0.4 * random.standard_normal((COUNT, 3, 3))
    gone = v.copy()
    moved = Galilean().fly(batch, gone) & inside
    assert 0.2 < moved.mean() < 0.9
    turned = np.abs(gone - v).max(axis=(1, 2)) > 1e-3
    assert (moved & turned).mean() > 0.1
    back = -gone
    assert Galilean().fly(batch, back)[moved].all()
    np.testing.assert_allclose(batch.now.positions[moved], start[moved], atol=1e-10)
    np.testing.assert_allclose(back[moved], -v[moved], atol=1e-10)


def test_galilean_steps_that_are_much_too_long_are_not_accepted() -> None:
    """They go out and come back in turns: tuning must not take that for motion."""
    ensemble = box(3)

    def ball(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        away = positions - EDGE / 2
        return 0.5 * (away**2).sum(axis=(1, 2)), -away

    walkers = placed(ensemble, ball, centred(ensemble), EDGE * np.eye(3))
    found = walked(ensemble, ball, [Galilean()], walkers, 2.0, 3, [3.0])
    assert found.accepted.mean() < 0.01 * 3


def cores() -> Ensemble:
    distances = MinimumDistances({(1, 1): 2.0})
    return Ensemble([1, 1], Prior(5.0**3 / 2, shape="fixed", volume="fixed", distances=distances))


@pytest.mark.parametrize(("move", "step"), [(Galilean(), 0.3), (Atom(), 1.5)])
def test_atoms_too_close_are_outside(move: Move, step: float) -> None:
    """Two hard spheres in a periodic cube: uniform outside a sphere."""
    ensemble, edge = cores(), 5.0
    start = np.zeros((COUNT, 2, 3))
    start[:, 1] = 2.1
    walkers = placed(ensemble, no_energy, start, edge * np.eye(3))
    found = walked(ensemble, no_energy, [move], walkers, 1.0, 40, [step])
    apart = found.walkers.positions[:, 0] - found.walkers.positions[:, 1]
    apart -= edge * np.rint(apart / edge)
    grid = (np.arange(200) + 0.5) * edge / 200 - edge / 2
    square = (grid[:, None, None] ** 2 + grid[:, None] ** 2) + grid**2
    assert close((apart**2).sum(axis=1), square[square > 4.0].mean())
    assert (apart**2).sum(axis=1).min() > 4.0
    assert found.accepted.mean() > 5


# ------------------------------------------------------------------ momenta


def under(limit: float, kinetic: float) -> tuple[Array, Array]:
    """Energies of six springs, and their densities: U² min(E - U, Kmax)³."""
    u = (np.arange(20000) + 0.5) * limit / 20000
    density = u**2 * np.minimum(limit - u, kinetic) ** 3
    return u, density / density.sum()


PARTS = Hamiltonian(length=3, parts=4, turn=0.4)


@pytest.mark.parametrize(("move", "step", "turns"), [(Hamiltonian(), 0.3, 40), (PARTS, 0.9, 20)])
def test_positions_and_momenta_become_uniform_under_the_limit(
    move: Move, step: float, turns: int
) -> None:
    ensemble, limit, kinetic = box(2, 100.0, {1: 1.0, 2: 9.0}), 8.0, 100.0
    walkers = placed(ensemble, harmonic, centred(ensemble), EDGE * np.eye(3))
    found = walked(ensemble, harmonic, [move], walkers, limit, turns, [step]).walkers
    assert_uniform(found, limit, kinetic)


@pytest.mark.parametrize(("move", "step"), [(Hamiltonian(), 0.3), (PARTS, 0.8)])
def test_positions_and_momenta_stay_uniform_where_the_largest_kinetic_energy_is_small(
    move: Move, step: float
) -> None:
    ensemble, limit, kinetic = box(2, 2.0, {1: 1.0, 2: 9.0}), 8.0, 2.0
    random = np.random.default_rng(4)
    u, density = under(limit, kinetic)
    energy = random.choice(u, COUNT, p=density)
    start = random.standard_normal((COUNT, 2, 3))
    start *= np.sqrt(2 * energy / (start**2).sum(axis=(1, 2)))[:, None, None]
    start = EDGE / 2 + start / np.array([2.0, 1.0, 1.0])
    walkers = placed(ensemble, harmonic, start, EDGE * np.eye(3))
    found = walked(ensemble, harmonic, [move], walkers, limit, 40, [step])
    assert 0.1 < found.accepted.mean() / 40 < 0.9
    assert_uniform(found.walkers, limit, kinetic)


def assert_uniform(found: Walkers, limit: float, kinetic: float) -> None:
    assert (found.kinetic < kinetic).all() and (found.total < limit).all()
    np.testing.assert_allclose(found.total, found.energy + found.kinetic, rtol=1e-12)
    u, density = under(limit, kinetic)
    assert kstest(found.energy, lambda x: np.interp(x, u, density.cumsum())).pvalue > 1e-3
    part = (found.kinetic / np.minimum(limit - found.energy, kinetic)) ** 3
    assert kstest(part, "uniform").pvalue > 1e-3


def test_hamiltonian_trajectories_keep_the_total_and_go_back() -> None:
    """The total to second order in the time step, with masses that differ."""
    ensemble = box(2, 100.0, {1: 1.0, 2: 50.0})
    random = np.random.default_rng(3)
    start = EDGE / 2 + random.standard_normal((COUNT, 2, 3))
    inverse = np.broadcast_to(np.array([1.0, 0.02])[:, None], (COUNT, 2, 1))
    v = random.standard_normal((COUNT, 2, 3)) * np.sqrt(inverse)
    errors = []
    for dt in (0.1, 0.05):
        walkers = placed(ensemble, harmonic, start, EDGE * np.eye(3))
        batch = batch_of(ensemble, harmonic, walkers, 1e9)
        steps = np.full((COUNT, 1, 1), dt)
        length = Hamiltonian(length=round(1.0 / dt))
        x, w, energy, forces, alive = length.trajectory(batch, v.copy(), inverse, steps)
        total = energy + 0.5 * (w**2 / inverse).sum(axis=(1, 2))
        first = walkers.energy + 0.5 * (v**2 / inverse).sum(axis=(1, 2))
        errors.append(np.abs(total - first).mean())
        assert alive.all()
        batch.now.positions[:], batch.now.energy[:], batch.now.forces[:] = x, energy, forces
        back, u, *_ = length.trajectory(batch, -w, inverse, steps)
        np.testing.assert_allclose(back, start, atol=1e-10)
        np.testing.assert_allclose(u, -v, atol=1e-10)
    assert errors[0] < 0.02 and 3.5 < errors[0] / errors[1] < 4.5


# ------------------------------------------------------------------ volumes and shapes


@pytest.mark.parametrize(
    ("logarithmic", "step"), [(False, 3.0), (False, 30.0), (True, 0.5), (True, 3.0)]
)
@pytest.mark.parametrize(("flat", "low"), [(False, 0.0), (True, 1.0)])
def test_volumes_get_their_density_under_the_limit(
    logarithmic: bool, step: float, flat: bool, low: float
) -> None:
    """V^N up to H/P, or V^0, with small steps and with steps to more than twice and half of V."""
    atoms, limit = 3, 24.0
    prior = Prior(volume_max=10.0, volume_min=low, shape="fixed", flat_volume=flat)
    ensemble = Ensemble([1] * atoms, prior, [1.0])
    start = np.zeros((COUNT, atoms, 3))
    walkers = placed(ensemble, no_energy, start, 2.5 * np.eye(3))
    move = Volume(logarithmic=logarithmic)
    found = walked(ensemble, no_energy, [move], walkers, limit, 150, [step]).walkers
    volumes = many.volumes(found.cells)
    np.testing.assert_allclose(found.total, volumes, rtol=1e-12)
    power = 1 if flat else atoms + 1
    bottom = low * atoms
    part = (volumes**power - bottom**power) / (limit**power - bottom**power)
    assert kstest(part, "uniform").pvalue > 1e-3


def test_volumes_stay_below_the_largest_of_the_prior() -> None:
    prior = Prior(volume_max=10.0, shape="fixed")
    ensemble = Ensemble([1], prior, [1.0])
    walkers = placed(ensemble, no_energy, np.zeros((COUNT, 1, 3)), 2.0 * np.eye(3))
    found = walked(ensemble, no_energy, [Volume()], walkers, np.inf, 50, [5.0]).walkers
    volumes = many.volumes(found.cells)
    assert volumes.max() <= 10.0
    assert kstest((volumes / 10.0) ** 2, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("moves", [(Shear(),), (Stretch(), Shear())])
def test_shapes_become_those_of_the_haar_measure(moves: tuple[Move, ...]) -> None:
    """Means for smallest aspect 0.8 from rejection; energies that do not depend on the shape."""
    ensemble = Ensemble([1], Prior(volume_max=20.0), [1.0])
    walkers = placed(ensemble, no_energy, np.ones((COUNT, 1, 3)), 2.0 * np.eye(3))
    found = walked(ensemble, no_energy, moves, walkers, 9.0, 150, [0.3] * len(moves))
    cells = found.walkers.cells / 2.0
    np.testing.assert_allclose(many.volumes(cells), 1.0, rtol=1e-9)
    assert many.aspects(cells).min() > 0.8
    assert close(many.aspects(cells), 0.8380)
    lengths = np.einsum("mix,mix->mi", cells, cells)
    assert close(lengths.mean(axis=1), 1.247)
    dots = np.einsum("mx,mx->m", cells[:, 0], cells[:, 1])
    assert close(dots**2 / (lengths[:, 0] * lengths[:, 1]), 0.155)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("move", "text"),
    [
        (Volume(), "volume moves need prior.volume = free, got fixed"),
        (Shear(), "shear and stretch need prior.shape = free, got fixed"),
        (Stretch(), "shear and stretch need prior.shape = free, got fixed"),
        (Hamiltonian(), "hamiltonian needs ensemble.kinetic"),
        (Transmutation(), "transmutation needs ensemble.elements"),
    ],
)
def test_moves_that_can_do_nothing_are_refused(move: Move, text: str) -> None:
    with pytest.raises(InputError, match=text):
        move.rule(box(2))
