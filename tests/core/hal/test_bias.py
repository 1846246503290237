"""Bias, criterion and guards: forces are derivatives, and nothing divides by what may be zero."""

from dataclasses import replace

import numpy as np
import pytest
from hal_cases import lennard_jones, walkers

import acepot
from acepot.errors import InputError
from acepot.hal.bias import Bias
from acepot.hal.criterion import Relative, Softmax, relative
from acepot.hal.guards import DROPPED, FORCE, TOUCHED, Guards, least_distances, reason, touches
from acepot.hal.surface import Measured, ModelSurface, committee
from acepot.structure import Structure
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior import Posterior


@pytest.fixture(scope="module")
def fit():
    """A small model of a Lennard-Jones crystal."""
    random = np.random.default_rng(0)
    places = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) * 3.5
    cell = np.array([[3.5, 0, 0], [0.3, 3.4, 0], [0.1, -0.2, 3.6]])
    data = [
        lennard_jones(Structure([18] * 4, places + 0.15 * random.normal(size=(4, 3)), cell, True))
        for _ in range(6)
    ]
    basis = {"order": 3, "degree": 7, "cutoff": 4.0}
    return acepot.fit(data, basis, threads=1, e0={"Ar": 0.0}, accept_labels=True)


@pytest.fixture(scope="module")
def structure(fit):
    return Structure(
        fit.train[0].numbers,
        fit.train[0].positions + 0.1 * np.random.default_rng(1).normal(size=(4, 3)),
        fit.train[0].cell,
        True,
    )


# ------------------------------------------------------------------ forces of the bias


@pytest.mark.parametrize("members", [None, 8])
def test_forces_are_derivatives_of_energy_less_tau_sigma(fit, structure, members):
    """Of the exact deviation, and of that of a committee."""
    posterior = fit.posterior
    if members:
        posterior = committee(posterior, members, np.random.default_rng(3))
    surface, tau = ModelSurface(UncertainPotential(posterior, 1)), 4.0
    (one,) = surface.compute([structure], [tau])
    step, moved = 2e-4, []
    for k in range(12):
        for sign in (1, 2, -1, -2):
            places = structure.positions.ravel().copy()
            places[k] += sign * step
            moved.append(structure.moved(places.reshape(-1, 3)))
    energies = np.array([b.biased for b in surface.compute(moved, [tau] * 48)]).reshape(12, 4)
    slopes = (8 * (energies[:, 0] - energies[:, 2]) - (energies[:, 1] - energies[:, 3])) / 12 / step
    assert np.abs(one.forces.ravel() + slopes).max() < 1e-7 * max(1.0, np.abs(slopes).max())
    plain = surface.compute([structure], [0.0])[0]
    assert np.abs(one.forces - plain.forces).max() > 1e-3


def test_what_is_measured_from_rows_is_what_is_computed(fit, structure):
    surface = ModelSurface(UncertainPotential(fit.posterior, 1))
    (measured,) = surface.measure([structure])
    plain, biased = surface.compute([structure] * 2, [0.0, 2.0])
    assert measured.forces == pytest.approx(plain.forces, abs=1e-9)
    assert plain.forces + 2.0 * measured.push == pytest.approx(biased.forces, abs=1e-9)
    exact = UncertainPotential(fit.posterior, 1).deviations([structure], ["forces"])[0]["forces"]
    assert measured.spread == pytest.approx(np.linalg.norm(exact.reshape(-1, 3), axis=1), rel=1e-9)


def test_a_committee_comes_to_the_exact_deviation(fit, structure):
    random = np.random.default_rng(5)
    exact = UncertainPotential(fit.posterior, 1).energies([structure])[0].sigma
    many = committee(fit.posterior, 20_000, random)
    drawn = UncertainPotential(many, 1).energies([structure])[0].sigma
    assert drawn == pytest.approx(exact, rel=0.02)
    few = [
        UncertainPotential(committee(fit.posterior, 8, random), 1).energies([structure])[0].sigma
        for _ in range(30)
    ]
    assert np.std(few) > 0.1 * exact  # eight members are a quarter off


def test_where_nothing_is_unknown_there_is_no_bias_and_no_division_by_zero(fit, structure):
    sure = Posterior(fit.model, np.zeros_like(fit.posterior.factor), 0.0)
    surface = ModelSurface(UncertainPotential(sure, 1))
    biased, plain = surface.compute([structure] * 2, [1e3, 0.0])
    assert biased.sigma == 0.0 and np.array_equal(biased.forces, plain.forces)
    (measured,) = surface.measure([structure])
    assert not measured.push.any() and not measured.spread.any()


# ------------------------------------------------------------------ its strength


def measured(pull, push):
    return Measured(np.array([[pull, 0.0, 0.0]]), np.array([[0.0, push, 0.0]]), np.ones(1))


def walker():
    return walkers(Structure([18], [[0.0, 0.0, 0.0]]), 1, 0.0, 0)[0]


def test_tau_is_the_part_of_the_forces_after_the_warm_up():
    bias, one = Bias(strength=0.25, history=4, warm_up=2), walker()
    for number, tau in enumerate((0.0, 0.0, 0.5), start=1):
        bias.adapt(one, measured(2.0, 1.0), 0.0)
        assert one.tau == tau and one.measured == number
    for _ in range(40):
        bias.adapt(one, measured(6.0, 1.0), 0.0)
    assert one.tau == pytest.approx(1.5, rel=1e-4)
    before = one.tau
    bias.adapt(one, measured(10.0, 1.0), 0.0)  # exponential means: a quarter of what is new
    assert one.tau == pytest.approx(before + 0.25 * 4.0 / 4, rel=1e-3)


def test_tau_has_a_largest_value_where_the_model_is_sure():
    bias, one = Bias(warm_up=0, maximum=7.0), walker()
    for push in (0.0, 1e-300):
        bias.adapt(one, measured(2.0, push), 0.0)
        assert one.tau == 7.0
    one = walker()
    Bias(strength=0.0, warm_up=0).adapt(one, measured(2.0, 0.0), 0.0)
    assert one.tau == 0.0


def test_the_strength_of_the_bias_is_ramped():
    bias = Bias(strength=0.1, strength_end=0.5)
    assert [bias.at(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([0.1, 0.3, 0.5])
    with pytest.raises(InputError, match="strength: expected 0 to"):
        Bias(strength=-0.1)


# ------------------------------------------------------------------ the criterion


def spreads(values, forces):
    pulled = np.zeros((len(values), 3))
    pulled[:, 1] = forces
    return Measured(pulled, np.zeros_like(pulled), np.array(values))


def test_relative_uncertainties_and_what_is_beside_them():
    found = spreads([0.1, 0.3], [0.0, 0.8])
    assert relative(found, 0.2) == pytest.approx([0.5, 0.3])
    assert Relative(regularisation=0.2).grades(found) == pytest.approx([0.5, 0.3])


@pytest.mark.parametrize("count", [3, 50])
def test_softmax_asks_for_one_atom_above_the_others(count):
    """The largest exceeds s where its f is above the others' by ln[(N - 1) s/(1 - s)]."""
    criterion, part = Softmax(regularisation=1.0), 0.5
    even = criterion.grades(spreads([0.7] * count, [0.0] * count))
    assert even == pytest.approx(np.full(count, 1.0 / count))
    gap = np.log((count - 1) * part / (1 - part))
    for beyond, is_more in ((1e-6, True), (-1e-6, False)):
        values = [0.7 + gap + beyond] + [0.7] * (count - 1)
        assert (criterion.grades(spreads(values, [0.0] * count))[0] > part) == is_more
    assert criterion.grades(spreads([1e4, 1.0], [0.0, 0.0])) == pytest.approx([1.0, 0.0])


def test_the_largest_of_many_atoms_grows_with_their_number_and_a_quantile_does_not():
    random = np.random.default_rng(2)
    small, large = np.abs(random.normal(size=(400, 40))), np.abs(random.normal(size=(400, 1000)))
    assert large.max(axis=1).mean() > 1.2 * small.max(axis=1).mean()
    ninth = [np.quantile(one, 0.9, axis=1).mean() for one in (small, large)]
    assert ninth[1] == pytest.approx(ninth[0], rel=0.1)


# ------------------------------------------------------------------ guards


def moving_pair(distance, force=0.0, energy=0.0, pbc=False):
    cell = np.diag([6.0, 6.0, 6.0])
    one = walkers(Structure([18, 18], [[0, 0, 0], [distance, 0, 0]], cell, pbc), 1, 0.0, 0)[0]
    one.forces, one.energy = np.array([[force, 0, 0], [0, 0, 0.0]]), energy
    return one


def test_every_guard_sees_what_it_is_for():
    guards = Guards(min_distance=1.5, max_force=20.0, energy_drop=1.0)
    least = least_distances(guards, [18])
    assert reason(guards, least, moving_pair(2.0)) == ""
    assert reason(guards, least, moving_pair(1.4)) == TOUCHED
    assert reason(guards, least, moving_pair(2.0, force=21.0)) == FORCE
    assert reason(guards, least, moving_pair(2.0, energy=-2.1)) == DROPPED
    assert reason(guards, least, moving_pair(2.0, energy=-1.9)) == ""


@pytest.mark.parametrize(
    ("pbc", "touching"),
    [
        ((True,) * 3, True),
        ((True, False, True), True),
        ((False, True, True), False),
        (False, False),
    ],
)
def test_images_touch_where_there_are_images(pbc, touching):
    least = least_distances(Guards(min_distance=1.5), [18])
    assert touches(least, moving_pair(5.0, pbc=pbc).structure) == touching


def test_distances_are_those_of_bonds_unless_they_are_given():
    least = least_distances(Guards(min_distance={"H-O": 0.7}), [1, 8])
    assert least.pairs[1, 8] == 0.7
    assert least.pairs[8, 8] == pytest.approx(0.6 * 1.7)
    with pytest.raises(InputError, match="min_distance"):
        Guards(min_distance=-1.0)
    with pytest.raises(InputError, match="expected pairs of"):
        least_distances(replace(Guards(), min_distance={"H-Si": 1.0}), [1, 8])
