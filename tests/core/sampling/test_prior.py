"""The prior: volumes, shapes and first configurations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest
from walking import close

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.distances import MinimumDistances
from acepot.sampling.energies import FunctionEnergies
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.atom import Atom
from acepot.sampling.prior import Prior
from acepot.sampling.settings import Settings, Stop
from acepot.sampling.start import first_walkers


@pytest.mark.parametrize(
    ("flat", "low", "power"), [(False, 0.0, 5), (False, 6.0, 5), (True, 6.0, 1)]
)
def test_first_volumes_have_density_v_to_the_n(flat: bool, low: float, power: int) -> None:
    """Density V^N between the limits, or V^0: not all of them near one volume."""
    prior = Prior(volume_max=10.0, volume_min=low, flat_volume=flat)
    v = prior.draw_volumes(np.random.default_rng(0), 4000, 4) / 4
    part = (v**power - low**power) / (10.0**power - low**power)
    assert kstest(part, "uniform").pvalue > 1e-3


#: Smallest aspect; means of the smallest height, of squared lengths and of squared cosines, by
#: rejection from triangular cells.
SHAPES = [
    (0.90, 0.9207, 1.0898, 0.0720),
    (0.80, 0.8380, 1.247, 0.155),
    (0.65, 0.7064, 1.763, 0.3035),
]


@pytest.mark.parametrize("row", SHAPES)
def test_first_shapes_are_those_of_the_haar_measure(row: tuple[float, ...]) -> None:
    least, height, square, cosine = row
    prior = Prior(volume_max=1.0, min_aspect=least)
    shapes = np.broadcast_to(np.eye(3), (3000, 3, 3))
    shapes = prior.walk_shapes(np.random.default_rng(3), shapes, 300)
    np.testing.assert_allclose(many.volumes(shapes), 1.0, rtol=1e-9)
    assert close(many.aspects(shapes), height)
    lengths = np.einsum("mix,mix->mi", shapes, shapes)
    assert close(lengths.mean(axis=1), square)
    dots = np.einsum("mx,mx->m", shapes[:, 0], shapes[:, 1])
    assert close(dots**2 / (lengths[:, 0] * lengths[:, 1]), cosine)


def _first(prior: Prior, count: int, **more: int) -> np.ndarray:
    ensemble = Ensemble([14, 14], prior, [0.1])
    settings = Settings(count, 1, (Atom(),), Stop(1), shape_rounds=50, **more)
    nothing = FunctionEnergies(lambda x, h, z: (np.zeros(len(x)), 0 * x), batched=True)
    walkers, _ = first_walkers(ensemble, settings, nothing, 0)
    volumes = many.volumes(walkers.cells)
    np.testing.assert_allclose(walkers.total, 0.1 * volumes, rtol=1e-12)
    assert not prior.broken(walkers.numbers, walkers.positions, walkers.cells).any()
    return volumes


@pytest.mark.parametrize("ceiling", [2.5, 1.6])
def test_first_configurations_keep_the_smallest_distance_and_the_ceiling(ceiling: float) -> None:
    """Volumes of two atoms with a core of volume c: density V² (1 - c/V), cut by the ceiling.

    The lower ceiling leaves 3 % of what is drawn, so that most are found after many tries.
    """
    prior = Prior(
        volume_max=30.0, shape="fixed", ceiling=ceiling,
        volume_min=15.0, distances=MinimumDistances({(14, 14): 1.5}),
    )  # fmt: skip
    v = _first(prior, 4000)
    core = 4 / 3 * np.pi * 1.5**3
    low, high = 30.0, 20.0 * ceiling  # 0.1 V < 2 ceiling

    def below(x: np.ndarray) -> np.ndarray:
        return (x**3 - low**3) / 3 - core * (x**2 - low**2) / 2

    assert v.max() < high
    assert kstest(below(v) / below(np.array(high)), "uniform").pvalue > 1e-3


def test_a_prior_that_has_no_room_says_so() -> None:
    prior = Prior(volume_max=2.0, distances=MinimumDistances({(14, 14): 3.0}))
    with pytest.raises(InputError, match=r"tries: 5 of 5 first configurations were too close"):
        _first(prior, 5, tries=3)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"volume_max": 1.0, "volume_min": 2.0}, "expected 0 <= volume_min < volume_max"),
        ({"volume_max": 1.0, "min_aspect": 1.5}, "min_aspect: expected a number between 0 and 1"),
        ({"volume_max": 1.0, "shape": "cubic"}, "shape: expected free or fixed, got 'cubic'"),
        ({"volume_max": 1.0, "periodic": False}, "a box that is not periodic is fixed"),
        ({"volume_max": 1.0, "cell": np.eye(3)}, "cell: only where the shape is fixed"),
        (
            {"volume_max": 1.0, "cell": -np.eye(3), "shape": "fixed"},
            "cell: expected three right-handed vectors",
        ),
    ],
)
def test_priors_that_cannot_be_are_refused(given: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Prior(**given)


def test_the_volume_weighs_by_default() -> None:
    assert not Prior(volume_max=1.0).flat_volume
