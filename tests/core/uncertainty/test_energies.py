"""Exact standard deviations of energies against finite differences, committees and the oracle."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

import acepot
from acepot.errors import InputError
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior import Posterior
from acepot.voigt import to_voigt


def _posterior(rank: int = 25) -> Posterior:
    spec = acepot.resolve(
        acepot.BasisSpec(
            elements=("O", "Si"), order=3, degree=(7, 6, 5), cutoff=4.5, bonds_once=False
        )
    )
    rng = np.random.default_rng(5)
    size = acepot.basis_size(spec)["total"]
    model = Model(spec, rng.normal(size=size), np.array([-3.0, -7.0]))
    return Posterior(model, rng.normal(scale=0.05, size=(size, rank)), 0.01)


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    return _posterior()


@pytest.fixture(scope="module")
def structure() -> Structure:
    rng = np.random.default_rng(11)
    cell = np.array([[4.9, 0.2, -0.1], [0.9, 4.6, 0.3], [-0.4, 0.7, 5.2]])
    places = np.array(list(product((0.1, 0.55), repeat=3)))[:6] @ cell
    return Structure(
        [8, 14, 8, 14, 14, 8], places + rng.normal(scale=0.15, size=(6, 3)), cell, True
    )


def _biased(potential: UncertainPotential, structure: Structure, tau: float) -> float:
    return potential.compute([structure], tau)[0].biased


def test_sigma_is_that_of_the_oracles_functions(posterior: Posterior, structure: Structure) -> None:
    values = ReferenceEvaluator(lower(posterior.model.basis)).values([structure])[0].values[0]
    b = values[..., 0].sum(axis=0)
    covariance = posterior.factor @ posterior.factor.T
    found = UncertainPotential(posterior, 1).energies([structure])[0]
    assert found.sigma == pytest.approx(np.sqrt(b @ covariance @ b), rel=1e-10)
    expected = acepot.Potential(posterior.model).compute(structure)
    assert found.energies == pytest.approx(expected.energies, rel=1e-10)


def test_sigma_is_the_spread_of_a_committee_of_the_factors_columns(
    posterior: Posterior, structure: Structure
) -> None:
    """Members c̄ ± √r F_k have Σ as their exact covariance, so that their spread is σ."""
    steps = np.sqrt(posterior.factor.shape[1]) * posterior.factor.T
    members = posterior.mean + np.concatenate(([0 * steps[0]], steps, -steps))
    model = replace(posterior.model, coefficients=members[:, None])
    expected = acepot.Potential(model).spread([structure])[0]
    found = UncertainPotential(posterior, 1).spread([structure])[0]
    assert found.value == pytest.approx(expected.value, rel=1e-10)
    assert found.forces == pytest.approx(expected.forces, abs=1e-9 * abs(expected.forces).max())
    assert found.virial == pytest.approx(expected.virial, abs=1e-9 * abs(expected.virial).max())


@pytest.mark.parametrize("tau", [0.0, 0.7, -2.0])
def test_forces_are_finite_differences_of_the_biased_energy(
    posterior: Posterior, structure: Structure, tau: float
) -> None:
    potential, h = UncertainPotential(posterior, 1), 1e-4
    found = potential.compute([structure], tau)[0]
    numeric = np.zeros_like(found.forces)
    for i, x in np.ndindex(numeric.shape):
        for factor, step in ((8, h), (-8, -h), (-1, 2 * h), (1, -2 * h)):
            places = structure.positions.copy()
            places[i, x] += step
            moved = Structure(structure.numbers, places, structure.cell, structure.pbc)
            numeric[i, x] -= factor * _biased(potential, moved, tau) / (12 * h)
    assert found.forces == pytest.approx(numeric, abs=1e-7 * abs(found.forces).max())


@pytest.mark.parametrize("tau", [0.0, 0.7])
def test_the_virial_is_finite_differences_of_the_biased_energy(
    posterior: Posterior, structure: Structure, tau: float
) -> None:
    potential, h = UncertainPotential(posterior, 1), 1e-4
    found = potential.compute([structure], tau)[0]
    numeric = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        for factor, step in ((8, h), (-8, -h), (-1, 2 * h), (1, -2 * h)):
            strain = np.eye(3)
            strain[a, b] += step
            moved = Structure(
                structure.numbers, structure.positions @ strain, structure.cell @ strain, True
            )
            numeric[a, b] -= factor * _biased(potential, moved, tau) / (12 * h)
    assert found.virial == pytest.approx(numeric, abs=1e-7 * abs(found.virial).max())


def test_sigma_is_unchanged_by_rotation_permutation_and_repetition_of_the_list(
    posterior: Posterior, structure: Structure
) -> None:
    rng = np.random.default_rng(2)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(structure))
    moved = Structure(
        structure.numbers[order], structure.positions[order] @ turn, structure.cell @ turn, True
    )
    potential = UncertainPotential(posterior, 1)
    one, other, again = potential.compute([structure, moved, structure], 0.4)
    assert other.sigma == pytest.approx(one.sigma, rel=1e-10)
    assert other.forces == pytest.approx(one.forces[order] @ turn, abs=1e-9)
    assert np.array_equal(again.forces, one.forces)


def test_sigma_of_two_copies_is_twice_that_of_one(
    posterior: Posterior, structure: Structure
) -> None:
    """The error of a model is the same in both: variances do not simply add."""
    double = Structure(
        np.tile(structure.numbers, 2),
        np.concatenate((structure.positions, structure.positions + structure.cell[0])),
        structure.cell * np.array([[2.0], [1.0], [1.0]]),
        True,
    )
    one, two = UncertainPotential(posterior, 1).energies([structure, double])
    assert two.sigma == pytest.approx(2 * one.sigma, rel=1e-10)


def test_deviations_of_forces_and_virials_are_those_of_drawn_coefficients(
    posterior: Posterior, structure: Structure
) -> None:
    """σ² of any prediction is the sum over the columns of F of its squared change."""
    found = UncertainPotential(posterior, 1).deviations([structure])[0]
    sums = {name: 0.0 for name in found}
    for column in posterior.factor.T:
        shifted = replace(posterior.model, coefficients=column, e0=np.zeros(2))
        result = acepot.Potential(shifted).compute(structure)
        sums["energy"] = sums["energy"] + np.array([result.energy]) ** 2
        sums["forces"] = sums["forces"] + result.forces.ravel() ** 2
        sums["virial"] = sums["virial"] + to_voigt(result.virial) ** 2
    assert found.keys() == sums.keys()
    for name, value in sums.items():
        assert found[name] == pytest.approx(np.sqrt(value), rel=1e-8)


def test_an_atom_alone_is_sure_and_pulls_nothing(posterior: Posterior) -> None:
    alone = Structure([14], [[0.0, 0.0, 0.0]])
    found = UncertainPotential(posterior, 1).compute([alone], 1.0)[0]
    assert (found.energy, found.sigma) == (-7.0, 0.0)
    assert not found.forces.any() and not found.virial.any()


def test_what_cannot_be_evaluated_stops_no_other(
    posterior: Posterior, structure: Structure
) -> None:
    close = Structure([14, 14], [[0.0, 0, 0], [0.0, 0, 1e-3]])
    potential = UncertainPotential(posterior, 1)
    bad, good = potential.compute([close, structure], 0.5)
    assert bad.error is not None and np.isnan(bad.sigma) and np.isnan(bad.forces).all()
    sigma = potential.energies([structure])[0].sigma
    assert good.error is None and good.sigma == pytest.approx(sigma, rel=1e-12)
    assert potential.spread([close])[0].error is not None


def test_a_larger_tau_lowers_the_biased_energy_by_sigma(
    posterior: Posterior, structure: Structure
) -> None:
    potential = UncertainPotential(posterior, 1)
    several = [potential.compute([structure], tau)[0] for tau in (0.0, 1.0, 2.0)]
    drops = [a.biased - b.biased for a, b in pairwise(several)]
    assert drops == pytest.approx([several[0].sigma] * 2, rel=1e-9)


def test_wrong_posteriors_and_taus_are_refused(posterior: Posterior, structure: Structure) -> None:
    model = posterior.model
    count = model.coefficients.shape[2]
    with pytest.raises(InputError, match=f"expected a factor of shape \\({count}, r\\)"):
        Posterior(model, np.ones((count - 1, 2)), 0.1)
    with pytest.raises(InputError, match="finite numbers"):
        Posterior(model, np.full((count, 2), np.nan), 0.1)
    with pytest.raises(InputError, match="noise of 0 or more"):
        Posterior(model, np.ones((count, 2)), -0.1)
    with pytest.raises(InputError, match="tau: expected a finite number"):
        UncertainPotential(posterior, 1).compute([structure], np.inf)


def test_each_structure_may_have_its_own_tau(posterior: Posterior, structure: Structure) -> None:
    potential, taus = UncertainPotential(posterior, 1), [0.0, 0.7]
    together = potential.compute([structure, structure], taus)
    for tau, found in zip(taus, together, strict=True):
        alone = potential.compute([structure], tau)[0]
        assert np.array_equal(found.forces, alone.forces) and found.tau == tau
    with pytest.raises(InputError, match="one for each of 1 structures"):
        potential.compute([structure], taus)


def test_another_posterior_needs_no_other_tables(
    posterior: Posterior, structure: Structure
) -> None:
    twice = Posterior(posterior.model, 2.0 * posterior.factor, posterior.noise)
    first = UncertainPotential(posterior, 1)
    one, two = (p.compute([structure], 0.3)[0] for p in (first, first.with_posterior(twice)))
    assert two.sigma == pytest.approx(2 * one.sigma, rel=1e-12)
    assert first.compute([structure], 0.3)[0].sigma == one.sigma
