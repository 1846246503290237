"""Trajectories that follow on each other: how their directions turn, and what they gain."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta, kstest
from walking import Array, close, placed, walked

from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.turning import turned
from acepot.sampling.prior import Prior

COUNT, EDGE = 2000, 40.0


def test_directions_turn_by_the_angle_and_any_way_around() -> None:
    """Their lengths stay; what is across is uniform, so that a uniform direction stays uniform."""
    random = np.random.default_rng(2)
    v = np.zeros((COUNT, 2, 3))
    v[:, 0, 0] = 1.7
    found = turned(v, random.standard_normal(v.shape), 0.4)
    np.testing.assert_allclose((found**2).sum(axis=(1, 2)), 1.7**2, rtol=1e-12)
    np.testing.assert_allclose(found[:, 0, 0], 1.7 * np.cos(0.4), rtol=1e-12)
    across = found.reshape(COUNT, 6)[:, 1:] / (1.7 * np.sin(0.4))
    for one in across.T:  # one component of a direction in five dimensions: Beta(1/2, 2)
        assert kstest(one**2, beta(0.5, 2).cdf).pvalue > 1e-3
        assert close(one, 0.0)
    still = np.zeros_like(v)
    assert (turned(still, random.standard_normal(v.shape), 0.4) == 0).all()


def test_parts_that_keep_their_direction_get_further() -> None:
    """What 128 evaluations leave of the softest of nine coordinates of stiffness 1 to 30."""
    limit, stiff = 10.0, np.linspace(1, 30, 9).reshape(3, 3)
    prior = Prior(EDGE**3 / 3, shape="fixed", volume="fixed", periodic=False)
    ensemble = Ensemble([1, 1, 1], prior)

    def energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        away = positions - EDGE / 2
        return 0.5 * (stiff * away**2).sum(axis=(1, 2)), -stiff * away

    random = np.random.default_rng(0)
    start = random.standard_normal((COUNT, 9))
    radius = np.sqrt(2 * limit) * random.random(COUNT) ** (1 / 9)
    start *= (radius / np.linalg.norm(start, axis=1))[:, None]
    start = EDGE / 2 + start.reshape(COUNT, 3, 3) / np.sqrt(stiff)
    left = []
    for move, turns in ((Galilean(), 16), (Galilean(parts=4), 4)):
        walkers = placed(ensemble, energy, start, EDGE * np.eye(3))
        found = walked(ensemble, energy, [move], walkers, limit, turns, [0.06])
        assert 0.75 < found.accepted.mean() / turns < 0.9
        soft = found.walkers.positions[:, 0, 0]
        left.append(float(np.corrcoef(start[:, 0, 0], soft)[0, 1]))
    assert left[0] > 0.35 and abs(left[1]) < 0.15
