"""Γ of every coupling: equivariant, symmetric, positive, with noise of that covariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from friction_cases import FORMS, model, settings, structure

from acepot.errors import InputError
from acepot.friction.evaluator import CouplingFunctions, FrictionEvaluator, shapes_of
from acepot.friction.fit import filled
from acepot.friction.settings import empty_part
from acepot.friction.sigma import Factor, Sigma
from acepot.model import FrictionModel, FrictionPart
from acepot.structure import Structure


def rotation(seed: int, sign: float) -> np.ndarray:
    """A proper rotation, or one with a reflection."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q)) * sign


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("form", FORMS)
def test_friction_turns_with_the_atoms(form, sign):
    evaluator, atoms, q = FrictionEvaluator(model(form)), structure(), rotation(3, sign)
    turned = Structure(atoms.numbers, atoms.positions @ q.T, atoms.cell @ q.T, atoms.pbc)
    before, after = evaluator.gamma(atoms), evaluator.gamma(turned)
    whole = np.kron(np.eye(len(atoms)), q)
    size = np.abs(before).max()
    assert size > 1e-3
    np.testing.assert_allclose(after, whole @ before @ whole.T, atol=1e-10 * size)


@pytest.mark.parametrize("form", FORMS)
def test_friction_is_permuted_with_the_atoms_and_not_changed_by_lattice_vectors(form):
    evaluator, atoms = FrictionEvaluator(model(form)), structure()
    order = np.random.default_rng(2).permutation(len(atoms))
    shift = np.random.default_rng(3).integers(-2, 3, size=(len(atoms), 3)) @ atoms.cell + 0.3
    moved = Structure(atoms.numbers[order], (atoms.positions + shift)[order], atoms.cell, atoms.pbc)
    before = evaluator.gamma(atoms).reshape(len(atoms), 3, -1, 3)
    after = evaluator.gamma(moved).reshape(len(atoms), 3, -1, 3)
    np.testing.assert_allclose(after, before[order][:, :, order], atol=1e-11 * np.abs(before).max())


@pytest.mark.parametrize("form", FORMS)
def test_friction_is_positive_and_sparse_as_dense(form):
    sigma = FrictionEvaluator(model(form)).sigma(structure(1))
    gamma = sigma.dense()
    values = np.linalg.eigvalsh(gamma)
    assert values[0] > -1e-12 * values[-1] and (gamma == gamma.T).all()
    np.testing.assert_allclose(sigma.sparse().toarray(), gamma, atol=1e-13 * values[-1])
    v = np.random.default_rng(1).normal(size=(sigma.atoms, 3))
    np.testing.assert_allclose(
        sigma.friction(v).ravel(), gamma @ v.ravel(), atol=1e-12 * values[-1]
    )


@pytest.mark.parametrize("form", FORMS)
def test_friction_conserves_momentum_where_it_says_so(form):
    evaluator, atoms = FrictionEvaluator(model(form)), structure(2)
    rows = evaluator.gamma(atoms).reshape(3 * len(atoms), -1, 3).sum(axis=1)
    force = evaluator.sigma(atoms).noise(np.random.default_rng(0)).sum(axis=0)
    size = np.abs(evaluator.gamma(atoms)).max()
    if form[2] == "conserved":
        assert evaluator.model.conserves_momentum
        np.testing.assert_allclose(rows, 0.0, atol=1e-13 * size)
        np.testing.assert_allclose(force, 0.0, atol=1e-13 * np.sqrt(size))
    else:
        assert np.abs(rows).max() > 1e-3 * size and np.abs(force).max() > 1e-3 * np.sqrt(size)


def deviation(sigma: Sigma, gamma: np.ndarray, draws: int = 100_000) -> float:
    """Largest deviation of the covariance of noise from Γ, in standard errors."""
    noise = np.random.default_rng(4).standard_normal((sigma.width, draws))
    start, forces = 0, np.zeros((3 * sigma.atoms, draws))
    for factor in sigma.factors:
        forces += factor.matrix @ noise[start : start + factor.width]
        start += factor.width
    found = forces @ forces.T / draws
    error = np.sqrt((gamma**2 + np.outer(gamma.diagonal(), gamma.diagonal())) / draws)
    return float(np.max(np.abs(found - gamma) / np.maximum(error, 1e-12 * gamma.max())))


@pytest.mark.parametrize("form", FORMS)
def test_noise_has_the_covariance_of_friction(form):
    evaluator, atoms = FrictionEvaluator(model(form)), structure(3, atoms=4)
    assert deviation(evaluator.sigma(atoms), evaluator.gamma(atoms)) < 5.0


def test_noise_with_the_block_of_the_wrong_end_does_not():
    """What older programs drew: Σ_ij at both ends of a bond."""
    evaluator, atoms = FrictionEvaluator(model(("pair-wise", "matrix", "free"))), structure(3)
    (factor,) = evaluator.sigma(atoms).factors
    values = factor.values.copy()
    for source in range(factor.sources):
        mine = np.flatnonzero(factor.columns == source)
        values[mine] = values[mine[0]]
    wrong = Factor(factor.rows, factor.columns, values, factor.atoms, factor.sources, True)
    assert deviation(Sigma((wrong,)), evaluator.gamma(atoms)) > 50.0


@pytest.mark.parametrize("form", FORMS)
def test_blocks_are_linear_in_the_functions_of_a_fit(form):
    random = np.random.default_rng(5)
    part = empty_part(settings(*form), ["H", "Cu"])
    c = random.normal(size=(sum(shapes_of(part)), 3))
    atoms = structure(4)
    blocks = CouplingFunctions(part).blocks(atoms)
    (factor,) = FrictionEvaluator(FrictionModel((filled(part, c),))).sigma(atoms).factors
    expected = np.einsum("bkxw,kr->bxrw", blocks.values, c).reshape(factor.values.shape)
    np.testing.assert_allclose(factor.values, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
def test_slopes_are_finite_differences(form):
    evaluator, atoms, h = FrictionEvaluator(model(form)), structure(5, atoms=4), 1e-5
    u = np.random.default_rng(6).normal(size=(len(atoms), 3))

    def at(step: float) -> np.ndarray:
        moved = Structure(atoms.numbers, atoms.positions + step * u, atoms.cell, atoms.pbc)
        return evaluator.sigma(moved).factors[0].values

    slope = evaluator.slope(atoms, u).factors[0].values
    np.testing.assert_allclose(slope, (at(h) - at(-h)) / (2 * h), atol=1e-7 * np.abs(slope).max())


def test_an_axial_part_is_there():
    """The antisymmetric part of a block of sites needs two neighbours, and is not empty."""
    part = empty_part(settings("on-site", "matrix", "free"), ["H", "Cu"])
    assert part.sites is not None
    assert "1e" not in [str(i) for i in part.sites.irreps]  # of order 2 and degree 3: none yet
    wide = settings("on-site", "matrix", "free")
    wide = replace(wide, basis=replace(wide.basis, degree=5.0))
    part = empty_part(wide, ["H", "Cu"])
    assert part.sites is not None and "1e" in [str(i) for i in part.sites.irreps]
    random = np.random.default_rng(7)
    found = FrictionModel((filled(part, random.normal(size=(sum(shapes_of(part)), 1))),))
    values = FrictionEvaluator(found).sigma(structure(1)).factors[0].values
    odd = values - values.transpose(0, 2, 1)
    assert np.abs(odd).max() > 1e-6 * np.abs(values).max()


def test_friction_acts_on_chosen_elements_alone():
    for form in FORMS:
        one = model(form).parts[0]
        part = FrictionPart(one.coupling, one.momentum, ("H",), one.bonds, one.sites)
        atoms = structure(1)
        gamma = FrictionEvaluator(FrictionModel((part,))).gamma(atoms)
        felt = gamma.reshape(len(atoms), 3, -1).any(axis=(1, 2))
        assert not felt[atoms.numbers == 29].any() and felt.any() == (atoms.numbers == 1).any()


def test_parts_that_do_not_fit_are_refused():
    part = model(("pair-wise", "vector", "conserved")).parts[0]
    with pytest.raises(InputError, match="names"):
        FrictionPart("pair-wise", "free", part.acts_on, part.bonds)
    with pytest.raises(InputError, match="expected bonds and sites"):
        FrictionPart("column-wise", "free", part.acts_on, part.bonds)
    with pytest.raises(InputError, match="acts_on"):
        FrictionPart("pair-wise", "conserved", ("Au",), part.bonds)
    with pytest.raises(InputError, match="parts"):
        FrictionModel(())


def test_bonds_alone_are_the_same_many_at_once_as_atom_by_atom(monkeypatch):
    atoms = structure(2, atoms=8, size=5.0)
    whole = model(("pair-wise", "matrix", "free"), order=1)
    together = FrictionEvaluator(whole).sigma(atoms).factors[0].values
    evaluator = FrictionEvaluator(whole)
    couplings = evaluator._parts[0]._readout._couplings
    assert all(one.is_alone for one in couplings)
    for one in couplings:
        monkeypatch.setattr(one, "is_alone", False)
    one_by_one = evaluator.sigma(atoms).factors[0].values
    np.testing.assert_allclose(together, one_by_one, atol=1e-13 * np.abs(together).max())
    assert np.abs(together).max() > 1e-3
