"""Moves of elements reach all arrangements and compositions under the limit alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from exact_cases import no_energy
from scipy.stats import chi2, chisquare
from walking import Array, placed, walked

from acepot.errors import InputError
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.species import Swap, Transmutation
from acepot.sampling.prior import Prior

COUNT = 2000


def test_swaps_reach_all_arrangements_alike() -> None:
    """Two atoms each of three elements on six places: 90 arrangements; the highest are cut off."""
    weights = np.array([0.0, 1.0, 2.3, 3.1, 4.7, 6.0])

    def energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        place = np.rint(positions[:, :, 0]).astype(int)
        return (weights[place] * numbers).sum(axis=1), np.zeros_like(positions)

    numbers = [1, 1, 2, 2, 5, 5]
    ensemble = Ensemble(numbers, Prior(36.0, shape="fixed", volume="fixed"))
    start = np.zeros((COUNT, 6, 3))
    start[:, :, 0] = np.arange(6)[::-1]
    walkers = placed(ensemble, energy, start, 6.0 * np.eye(3))
    found = walked(ensemble, energy, [Swap()], walkers, 45.05, 60, [np.nan]).walkers
    at = np.rint(found.positions[:, :, 0]).astype(int) % 6
    assert (np.sort(at, axis=1) == np.arange(6)).all()
    order = np.take_along_axis(found.numbers, np.argsort(at, axis=1), axis=1)  # by place
    _, count = np.unique(order, axis=0, return_counts=True)
    every = {one for one in itertools.permutations(numbers) if weights @ one < 45.05}
    assert len(count) == len(every) < 90
    assert chisquare(count).pvalue > 1e-3


def test_swaps_of_clusters_go_back_as_often() -> None:
    """One move from each of the 20 arrangements on places anywhere in a slanted cell.

    A choice of clusters that knew of elements, atoms of that of the centre first, has 484 here.
    """
    random, numbers, times = np.random.default_rng(8), [1, 1, 1, 2, 2, 2], 300
    cell = 4.0 * np.eye(3) + 0.8 * random.standard_normal((3, 3))
    places = random.random((6, 3)) @ cell
    every = sorted(set(itertools.permutations(numbers)))
    start = np.concatenate([np.tile(places[np.argsort(one)], (times, 1, 1)) for one in every])
    prior = Prior(np.linalg.det(cell) / 6, shape="fixed", volume="fixed", cell=cell)
    ensemble = Ensemble(numbers, prior)
    walkers = placed(ensemble, no_energy, start, cell)
    found = walked(ensemble, no_energy, [Swap(cluster=3)], walkers, 1.0, 1, [np.nan]).walkers
    away = np.abs(found.positions[:, :, None] - places).sum(axis=3)
    assert away.min(axis=2).max() < 1e-12
    order = np.take_along_axis(found.numbers, np.argsort(away.argmin(axis=2), axis=1), axis=1)
    ends = [every.index(tuple(one)) for one in order.tolist()]
    count = np.zeros((len(every), len(every)))
    np.add.at(count, (np.repeat(np.arange(len(every)), times), ends), 1)
    there, back = (one[np.triu_indices(len(every), 1)] for one in (count, count.T))
    went = there + back > 0
    square = float(((there - back)[went] ** 2 / (there + back)[went]).sum())
    assert 100 < went.sum() < 190
    assert chi2.sf(square, went.sum()) > 1e-3


def test_clusters_are_an_atom_and_those_nearest_to_it() -> None:
    """Two far pairs of one element and another pair: a pair moves as one, or nothing does."""
    places = np.array([[0, 0, 0], [1.0, 0, 0], [0, 5, 0.1], [1.3, 5, 0], [0, 0.2, 5], [1.6, 0, 5]])
    numbers = [1, 1, 1, 1, 2, 2]

    def energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        """Two atoms of element 2 must be beside each other, nearer than 2."""
        two = positions[:, 4:]
        far = np.linalg.norm(two[:, 0] - two[:, 1], axis=1) > 2
        return np.where(far, 1.0, 0.0), np.zeros_like(positions)

    ensemble = Ensemble(numbers, Prior(10.0**3 / 6, shape="fixed", volume="fixed"))
    start = np.tile(places, (COUNT, 1, 1))
    for cluster, reached in ((1, 1), (2, 3)):
        walkers = placed(ensemble, energy, start, 10.0 * np.eye(3))
        found = walked(ensemble, energy, [Swap(cluster=cluster)], walkers, 0.5, 40, [np.nan])
        third = np.rint(found.walkers.positions[:, 4, 1:].sum(axis=1) + 0.01).astype(int)
        height = np.rint(found.walkers.positions[:, 4, 2]).astype(int)
        assert len({*zip(third.tolist(), height.tolist(), strict=True)}) == reached


def test_changes_of_elements_reach_all_compositions_alike() -> None:
    """Three elements for four atoms: 81 labelled states, those below the limit."""
    prior = Prior(16.0, shape="fixed", volume="fixed")
    ensemble = Ensemble(
        [3] * 4, prior, elements=[3, 11, 19], potentials={3: 0.0, 11: -1.0, 19: -2.5}
    )
    walkers = placed(ensemble, no_energy, np.zeros((COUNT, 4, 3)), 4.0 * np.eye(3))
    found = walked(ensemble, no_energy, [Transmutation()], walkers, 6.1, 60, [np.nan]).walkers
    enthalpy = np.zeros(20)
    enthalpy[[11, 19]] = 1.0, 2.5
    np.testing.assert_allclose(found.total, enthalpy[found.numbers].sum(axis=1), atol=1e-12)
    states, count = np.unique(found.numbers, axis=0, return_counts=True)
    span = np.stack(np.meshgrid(*[[3, 11, 19]] * 4), -1).reshape(-1, 4)
    assert len(states) == (enthalpy[span].sum(axis=1) < 6.1).sum() < 81
    assert chisquare(count).pvalue > 1e-3


def test_swaps_need_two_elements_and_clusters_room() -> None:
    with pytest.raises(InputError, match="swap needs atoms of two elements or more, got one"):
        Swap().rule(Ensemble([1, 1], Prior(1.0)))
    Swap(cluster=2).rule(Ensemble([1, 1, 2, 2], Prior(1.0)))
    with pytest.raises(InputError, match="swap.cluster: expected at most half of 3 atoms, got 2"):
        Swap(cluster=2).rule(Ensemble([1, 1, 2], Prior(1.0)))
