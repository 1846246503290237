"""Models with charges: conservation, closed forms, derivatives, symmetry, files."""

from __future__ import annotations

from dataclasses import replace
from math import erf

import charged
import numpy as np
import pytest

import acepot
from acepot import BasisSpec, ChargeModel, Model, Potential, Structure, TensorModel, resolve
from acepot.charges import evaluator as module
from acepot.charges.equilibration import Factorised, iterated
from acepot.charges.evaluator import ChargeEvaluator
from acepot.errors import ConvergenceError, InputError, ModelFileError
from acepot.units import COULOMB

KINDS = ("equilibrated", "latent")


def constants(chi: tuple[float, float], kind: str = "equilibrated") -> ChargeModel:
    """A model whose second output is a constant of each element, and whose energies are 0."""
    model = charged.model(kind)
    (c,) = model.sites.coefficients
    c = np.zeros_like(c)
    alone = (model.sites.basis.expansion().labels.l < 0).all(axis=1)
    c[0, 1, alone] = chi
    sites = TensorModel(model.sites.basis, (c,), model.sites.names, "eV")
    return replace(model, sites=sites)


def pair(r: float, charge: float = 0.0) -> Structure:
    return Structure([11, 17], [[0, 0, 0], [0, 0, r]], charge=charge)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("pbc", "charge"), [(False, 1.0), (True, 0.0), (True, -1.0)])
def test_forces_and_virials_are_the_derivatives(kind, pbc, charge):
    model = charged.model(kind, members=3)
    structure = charged.structure(11, pbc, charge)
    potential, h = Potential(model), 1e-3
    result = potential.compute(structure, committee=True)
    rng = np.random.default_rng(1)
    u, strain = rng.normal(size=(11, 3)), 0.1 * rng.normal(size=(3, 3))

    def at(t):
        deform = np.eye(3) + t * h * strain
        positions = (structure.positions + t * h * u) @ deform
        cell = structure.cell @ deform if pbc else None
        moved = Structure(structure.numbers, positions, cell, pbc, charge=charge)
        found = potential.compute(moved, committee=True)
        return np.append(found.energy, found.committee.energies)

    slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
    forces = [result.forces, *result.committee.forces]
    virials = [result.virial, *result.committee.virials]
    expected = [-np.sum(f * u) - np.sum(w * strain) for f, w in zip(forces, virials, strict=True)]
    assert slope == pytest.approx(np.array(expected), rel=1e-7, abs=1e-7)
    assert np.abs(result.forces.sum(axis=0)).max() < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_charges_add_up_and_turn_with_nothing(kind):
    evaluator = ChargeEvaluator(charged.model(kind))
    structure = charged.structure(10, False, 1.0)
    (found,) = evaluator.charges([structure])
    assert found.values.sum() == pytest.approx(1.0, abs=1e-12)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    moved = Structure(
        structure.numbers[::-1], (structure.positions @ turn + [1.0, -2.0, 3.0])[::-1], charge=1.0
    )
    (again,) = evaluator.charges([moved])
    assert again.values[::-1] == pytest.approx(found.values, abs=1e-10)
    # The dipole turns and, of an ion, moves with the origin.
    assert again.dipole == pytest.approx(found.dipole @ turn + [1.0, -2.0, 3.0], abs=1e-9)
    energies = [one.energy for one in evaluator.evaluate([structure, moved])]
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


def test_two_atoms_have_the_charges_of_the_formula():
    model = constants((-3.0, 4.0))
    j, s = model.hardness, model.widths
    own = j + COULOMB / (s * np.sqrt(np.pi))
    for r in (1.5, 3.0, 50.0):
        (found,) = ChargeEvaluator(model).charges([pair(r)])
        a = COULOMB * erf(r / np.sqrt(2 * (s**2).sum())) / r
        expected = (4.0 - -3.0) / (own.sum() - 2 * a)
        assert found.values == pytest.approx([expected, -expected], abs=1e-12)
        energy = Potential(model).compute(pair(r)).energy
        assert energy == pytest.approx(-0.5 * 7.0 * expected, abs=1e-12)


def test_three_atoms_in_a_chain_have_the_charges_of_a_linear_system():
    model = constants((-3.0, 4.0))
    structure = Structure([11, 17, 11], [[0, 0, 0], [0, 0, 2.6], [0, 0, 5.2]], charge=1.0)
    (found,) = ChargeEvaluator(model).charges([structure])
    s, j = model.widths[[0, 1, 0]], model.hardness[[0, 1, 0]]
    m = np.diag(j + COULOMB / (s * np.sqrt(np.pi)))
    for a in range(3):
        for b in range(3):
            if a != b:
                r = 2.6 * abs(a - b)
                m[a, b] = COULOMB * erf(r / np.sqrt(2 * (s[a] ** 2 + s[b] ** 2))) / r
    # By symmetry q = (x, Q - 2x, x).
    chi = np.array([-3.0, 4.0, -3.0])
    e, f = np.array([1.0, -2.0, 1.0]), np.array([0.0, 1.0, 0.0])
    x = -(chi @ e + f @ m @ e) / (e @ m @ e)
    assert found.values == pytest.approx(f + x * e, abs=1e-12)
    assert found.level == pytest.approx(-(chi + m @ (f + x * e))[0], abs=1e-11)


def test_far_apart_two_ions_have_coulombs_energy():
    model = constants((0.7, -0.7), "latent")
    far = Potential(model).compute(pair(80.0)).energy - Potential(model).compute(pair(1e6)).energy
    assert far == pytest.approx(-COULOMB * 0.7**2 * (1 / 80.0 - 1e-6), rel=1e-9)


def test_a_chain_of_equilibrated_atoms_is_metallic():
    """The polarisability grows like N^2.5 to N^2.75: docs/charges.md says so."""
    from acepot.charges.interaction import Isolated

    found = []
    for n in (40, 160):
        z = 2.5 * np.arange(n)
        chain = Isolated(np.stack([0 * z, 0 * z, z], axis=1), np.ones(n))
        m = Factorised.of(chain.matrix + 5.0 * np.eye(n))
        found.append(float(z @ m.projected(z)))
    exponent = np.log(found[1] / found[0]) / np.log(4)
    assert 2.5 < exponent < 2.75


def test_the_level_is_what_an_electron_costs():
    structure, potential = charged.structure(8, False), Potential(charged.model())
    (found,) = ChargeEvaluator(potential.model).charges([structure])
    up, down = (potential.compute(structure.labelled(charge=q)).energy for q in (1e-4, -1e-4))
    assert found.level == pytest.approx(-(up - down) / 2e-4, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_born_charges_are_the_derivatives_of_dipoles(kind):
    evaluator = ChargeEvaluator(charged.model(kind))
    structure, h = charged.structure(7, False, 1.0), 1e-3
    born = evaluator.born_charges(structure)

    def dipole(u):
        moved = Structure(structure.numbers, structure.positions + u, charge=1.0)
        return evaluator.charges([moved])[0].dipole

    for i, b in ((0, 0), (3, 1), (6, 2)):
        u = np.zeros((7, 3))
        u[i, b] = h
        slope = (8 * (dipole(u) - dipole(-u)) - (dipole(2 * u) - dipole(-2 * u))) / (12 * h)
        assert born[i, :, b] == pytest.approx(slope, abs=1e-9)
    assert born.sum(axis=0) == pytest.approx(np.eye(3), abs=1e-9)  # the total charge


def test_born_charges_in_a_long_cell_are_those_of_isolated_atoms():
    evaluator = ChargeEvaluator(charged.model("latent"))
    structure = charged.structure(6, False)
    off = []
    for side in (60.0, 120.0):
        boxed = Structure(structure.numbers, structure.positions, side * np.eye(3), True)
        born = evaluator.born_charges(boxed)
        off.append(np.abs(born - evaluator.born_charges(structure)).max())
    assert off[1] < 0.05
    assert off[1] < off[0] / 3


@pytest.mark.parametrize("kind", KINDS)
def test_many_atoms_by_a_mesh_have_the_numbers_of_few(kind, monkeypatch):
    potential = Potential(charged.model(kind))
    structure = charged.structure(64, charge=1.0)
    exact = potential.compute(structure)
    monkeypatch.setattr(module, "FEW", 10)
    found = potential.compute(structure)
    assert found.energy == pytest.approx(exact.energy, rel=1e-7)
    size = np.abs(exact.forces).max()
    assert np.abs(found.forces - exact.forces).max() < 1e-6 * size
    assert np.abs(found.virial - exact.virial).max() < 1e-6 * np.abs(exact.virial).max()


def test_conjugate_gradients_and_cholesky_agree_and_say_where_they_fail():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(40, 40))
    m, chi = root @ root.T + 5 * np.eye(40), rng.normal(size=40) + 50.0
    exact = Factorised.of(m.copy()).charges(chi, 2.0)
    found, steps = iterated(lambda q: m @ q, m.diagonal(), chi, 2.0, None, 1e-10, 5.0)
    assert found == pytest.approx(exact, abs=1e-9)
    assert steps > 5
    again, fewer = iterated(lambda q: m @ q, m.diagonal(), chi, 2.0, exact, 1e-10, 5.0)
    assert fewer <= 1
    assert again == pytest.approx(exact, abs=1e-9)
    with pytest.raises(ConvergenceError, match="conjugate gradients"):
        iterated(lambda q: m @ q, m.diagonal(), chi, 0.0, None, 1e-300, 5.0)
    with pytest.raises(InputError, match="positive definite"):
        Factorised.of(-np.eye(3))


def test_one_structure_that_is_wrong_does_not_stop_the_others():
    potential = Potential(charged.model())
    good = charged.structure(5, False)
    wrong = Structure([11, 29], [[0, 0, 0], [0, 0, 2.0]])
    slab = Structure([11, 17], [[0, 0, 0], [0, 0, 2.5]], 9 * np.eye(3), [True, True, False])
    found = potential.compute_all([good, wrong, slab, good], failures="keep")
    assert [r.error is None for r in found] == [True, False, False, True]
    assert np.isnan(found[1].energies).all() and np.isnan(found[2].forces).all()
    assert found[3].energy == found[0].energy == potential.compute(good).energy
    assert "none or in all three" in str(found[2].error)


def test_bound_potentials_know_the_charge():
    potential = Potential(charged.model())
    structure = charged.structure(6, True, -1.0)
    bound = potential.bind(structure.numbers, structure.pbc, -1.0)
    found, exact = bound.compute(structure.positions, structure.cell), potential.compute(structure)
    assert found.energy == exact.energy
    assert np.array_equal(found.forces, exact.forces)
    many = potential.bind_many([structure, charged.structure(4)])
    both = many.compute(
        np.concatenate((structure.positions, charged.structure(4).positions)),
        np.array([structure.cell, charged.structure(4).cell]),
    )
    assert both.energy[0] == pytest.approx(exact.energy, abs=1e-10)


def test_a_potential_without_charges_takes_none():
    spec = resolve(BasisSpec(elements=("Si",), order=1, degree=4))
    model = Model(spec, np.ones(spec.expansion().size), np.zeros(1))
    with pytest.raises(InputError, match="without charges"):
        Potential(model).bind([14, 14], False, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_files_hold_models_with_charges(kind, tmp_path):
    model = charged.model(kind, members=2)
    path = tmp_path / "model.acepot"
    acepot.save(model, path)
    again = acepot.load(path, ChargeModel)
    structure = charged.structure(5)
    one, two = (Potential(m).compute(structure) for m in (model, again))
    assert np.array_equal(one.forces, two.forces)
    assert again.kind == kind
    assert np.array_equal(again.widths, model.widths)
    again_path = tmp_path / "again.acepot"
    acepot.save(again, again_path)
    assert path.read_bytes() == again_path.read_bytes()
    with pytest.raises(ModelFileError, match="LAMMPS, PACE's files and torch modules cannot"):
        acepot.load(path)


def test_impossible_models_are_refused():
    model = charged.model()
    for change, words in (
        ({"kind": "fixed"}, "kind: expected equilibrated or latent"),
        ({"widths": np.array([1.0, 0.0])}, "widths: expected 0.01"),
        ({"hardness": np.array([1.0, -1.0])}, "hardness: expected 0.01"),
        ({"widths": np.ones(3)}, "widths: expected 2"),
        ({"kind": "latent"}, "sites: expected the outputs"),
    ):
        with pytest.raises(InputError, match=words):
            replace(model, **change)
    with pytest.raises(InputError, match="native one in double"):
        Potential(model, "torch")
    with pytest.raises(InputError, match="tolerance"):
        ChargeEvaluator(model, tolerance=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_models_with_charges_obey_every_law(kind, tmp_path, capsys):
    from acepot.cli.main import main

    model = charged.model(kind)
    ion = charged.structure(5, False, 1.0)
    found = [*acepot.check(model), *acepot.check(model, [ion, charged.structure(6, True, -1.0)])]
    assert all(one.passed for one in found), [one for one in found if not one.passed]
    laws = {one.law for one in found}
    assert {"charges add up to the total", "the oracle agrees", "the virial is -dE/dε"} <= laws
    path = tmp_path / "model.acepot"
    acepot.save(model, path)
    assert main(["check", str(path)]) == 0
    assert "charges add up to the total" in capsys.readouterr().out


def test_numbers_that_overflow_are_an_error_of_their_structure():
    model = charged.model("latent")
    (c,) = model.sites.coefficients
    wild = replace(model, sites=replace(model.sites, coefficients=(1e200 * c,)))
    structure = charged.structure(5, False)
    (found,) = Potential(wild).compute_all([structure], failures="keep")
    assert "not finite" in str(found.error)
