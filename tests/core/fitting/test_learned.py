"""Learned radial functions: what they are, derivatives by weights, and fits that find them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acepot import Model, Potential, Structure, convert, load
from acepot.basis.choices import Pair, resolve
from acepot.basis.learned import LearnedBasis, channel_names
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.fitting.fit import fit
from acepot.fitting.folder import fit_to_folder
from acepot.fitting.learning import Ending
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.nonlinear.radial_slopes import RadialSlopes
from acepot.fitting.pipeline import load_config
from acepot.fitting.resume import Memory
from acepot.io import modelfile
from acepot.io.structures import extxyz
from acepot.lowering import lower
from acepot.voigt import to_voigt

CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])
BASIS = {"order": 2, "degree": 5, "max_n": 2, "cutoff": 4.0, "pair": {"degree": 3}}
SPEC = resolve(
    BasisSpec(("O", "Si"), order=2, degree=5.0, max_n=2, cutoff=4.0, pair=Pair(degree=3))
)
E0 = {"O": -5.0, "Si": -3.0}
NAMES = ("energy", "forces", "virial")


def cells(count: int, seed: int) -> list[Structure]:
    """Triclinic cells of O and Si."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        cell = CELL @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.15, size=(4, 3))
        numbers = rng.permutation([8, 8, 14, 14])
        group = ("hot", "cold")[k % 2]
        found.append(Structure(numbers, positions, cell, True, config_type=group))
    return found


def truth(by_l: bool = False, spec: BasisSpec = SPEC) -> Model:
    """Coefficients and weights drawn at random."""
    rng, count = np.random.default_rng(1), basis_size(spec)["total"]
    names = channel_names(spec.expansion(), by_l)
    weights = rng.normal(scale=0.25, size=(2, 2, len(names), 4))
    for channel, (n, _) in enumerate(names):
        weights[:, :, channel, n - 1] += 1.0
    basis = LearnedBasis(spec, weights, by_l)
    return Model(basis, rng.normal(size=count) / 10, np.array([-5.0, -3.0]))


def sample(count: int, seed: int, noise: float = 0.0) -> list[Structure]:
    """Cells with the labels of the truth."""
    rng, potential, found = np.random.default_rng(seed), Potential(truth(), threads=1), []
    for s in cells(count, seed):
        r = potential.compute(s)
        forces = r.forces + noise * rng.normal(size=r.forces.shape)
        found.append(s.labelled(energy=r.energy, forces=forces, virial=(r.virial + r.virial.T) / 2))
    return found


def error(potential: Potential, structures: list[Structure]) -> float:
    results = potential.compute_all(structures)
    away = [r.forces - s.forces for r, s in zip(results, structures, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(away) ** 2)))


# ------------------------------------------------------------------ the basis


@pytest.mark.parametrize("by_l", [False, True])
def test_weights_of_one_leave_a_model_as_it_is(by_l):
    names = channel_names(SPEC.expansion(), by_l)
    weights = np.zeros((2, 2, len(names), 4))
    for channel, (n, _) in enumerate(names):
        weights[:, :, channel, n - 1] = 1.0
    c = np.random.default_rng(2).normal(size=basis_size(SPEC)["total"])
    for s in cells(3, 4):
        plain, learned = (
            Potential(Model(basis, c, np.zeros(2)), threads=1).compute(s)
            for basis in (SPEC, LearnedBasis(SPEC, weights, by_l))
        )
        np.testing.assert_allclose(learned.forces, plain.forces, atol=1e-9)
        assert learned.energy == pytest.approx(plain.energy, abs=1e-9)


def test_an_energy_of_bonds_is_the_sum_over_its_radial_functions():
    """Order 1: Σ_n c_n Σ_j R_n = Σ_k (Σ_n c_n w_nk) Σ_j g_k, with the w of each ordered pair."""
    spec = resolve(replace(SPEC, order=1, degree=(2.0,), max_n=None, pair=Pair(degree=0)))
    wide = resolve(replace(spec, degree=(4.0,)))
    rng, names = np.random.default_rng(3), channel_names(spec.expansion(), False)
    weights = rng.normal(size=(2, 2, len(names), 4))
    model = Model(LearnedBasis(spec, weights), rng.normal(size=8), np.zeros(2))
    labels, c = spec.expansion().labels, np.zeros(16)
    wanted = wide.expansion().labels
    for k in range(16):
        a, b, n = wanted.centre[k], wanted.z[k, 0], wanted.n[k, 0]
        for own in range(8):
            if (labels.centre[own], labels.z[own, 0]) == (a, b):
                c[k] += model.coefficients[0, 0, own] * weights[a, b, labels.n[own, 0] - 1, n - 1]
    for s in cells(3, 5):
        found, same = (
            Potential(one, threads=1).compute(s) for one in (model, Model(wide, c, np.zeros(2)))
        )
        np.testing.assert_allclose(found.forces, same.forces, atol=1e-8)


@pytest.mark.parametrize("by_l", [False, True])
def test_forces_are_derivatives_and_the_oracle_agrees(by_l):
    model, (s,) = truth(by_l), cells(1, 6)
    potential, h = Potential(model, threads=1), 1e-5
    found = potential.compute(s)
    same = ReferenceEvaluator(lower(model)).evaluate([s])[0]
    np.testing.assert_allclose(found.forces, same.forces, atol=1e-10)
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        step = np.zeros((4, 3))
        step[atom, axis] = h
        right, left = (
            potential.compute(replace(s, positions=s.positions + t * step)).energy for t in (1, -1)
        )
        assert found.forces[atom, axis] == pytest.approx(-(right - left) / (2 * h), abs=1e-7)
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))
    turned = potential.compute(replace(s, positions=s.positions @ turn, cell=s.cell @ turn))
    np.testing.assert_allclose(turned.forces, found.forces @ turn, atol=1e-9)


@pytest.mark.parametrize("by_l", [False, True])
def test_files_keep_it(by_l, tmp_path):
    # A pair part drawn at random attracts at short distance, which a .yace file cannot go on from.
    model, (s,) = truth(by_l, resolve(replace(SPEC, pair=Pair(degree=0)))), cells(1, 8)
    data = modelfile.model_bytes(model)
    again = load(data)
    assert isinstance(again.basis, LearnedBasis) and again.basis.by_l is by_l
    assert modelfile.model_bytes(again) == data
    assert np.array_equal(again.basis.weights, model.basis.weights)
    found = Potential(model, threads=1).compute(s)
    modelfile.save(model, tmp_path / "model.acepot")
    convert(tmp_path / "model.acepot", tmp_path / "model.yace")
    pace = Potential(load(tmp_path / "model.yace"), threads=1).compute(s)
    np.testing.assert_allclose(pace.forces, found.forces, atol=1e-7)
    assert pace.energy == pytest.approx(found.energy, abs=1e-8)


def _misshapen(weights: np.ndarray) -> np.ndarray:
    return weights[:, :, :, 0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_misshapen, "radial_weights: expected shape"),
        (lambda w: w[:1], "expected shape \\(2, 2, channels, functions\\)"),
        (lambda w: w * 1e200, "expected finite radial functions"),
        (None, "learned radial functions are incomplete"),
    ],
)
def test_a_spoilt_file_is_refused(spoil, message):
    header, arrays = modelfile.energy.encode(truth())
    weights = arrays.pop("radial_weights")
    if spoil is not None:
        arrays["radial_weights"] = spoil(weights)
    with pytest.raises(ModelFileError, match=message):
        modelfile.energy.decode(header, arrays, "it")


def test_another_number_of_channels_is_refused():
    model = truth()
    with pytest.raises(InputError, match="expected 2 channels of this specification, got 1"):
        lower(LearnedBasis(SPEC, model.basis.weights[:, :, :1]))


# ------------------------------------------------------------------ derivatives by weights


@pytest.mark.parametrize("by_l", [False, True])
def test_columns_are_derivatives_by_the_weights(by_l):
    """Of a model of order 2, a quadratic of each weight, which long differences get exactly."""
    lowered = LoweredBasis.of(SPEC, E0, lambda _line: None)
    slopes = RadialSlopes.of(lowered, 4, by_l)
    structures = sample(2, 9)
    structures[1] = replace(structures[1], virial=None)
    rng = np.random.default_rng(10)
    weights = slopes.first + rng.normal(scale=0.2, size=slopes.first.shape)
    c = rng.normal(size=lowered.expanded.size) / 10
    found = slopes.columns(structures, NAMES, weights, c, 1, lambda: None)
    assert found.shape == (2 * 13 + 6, slopes.count)

    def residuals(w: np.ndarray) -> np.ndarray:
        model = Model(LearnedBasis(SPEC, w, by_l), c, np.zeros(2))
        first, second = ReferenceEvaluator(lower(model)).evaluate(structures)
        both = [first.energy], first.forces.ravel(), to_voigt(first.virial)
        return np.concatenate([*both, [second.energy], second.forces.ravel()])

    for column in rng.permutation(slopes.count)[:6]:
        place, h = np.unravel_index(column, weights.shape), 0.5
        either = []
        for sign in (1, -1):
            moved = weights.copy()
            moved[place] += sign * h
            either.append(residuals(moved))
        wanted = (either[0] - either[1]) / (2 * h)
        np.testing.assert_allclose(found[:, column], wanted, atol=1e-8 * max(abs(wanted).max(), 1))


def test_tables_of_any_weights_are_those_of_the_basis():
    lowered = LoweredBasis.of(SPEC, E0, lambda _line: None)
    slopes, model, (s,) = RadialSlopes.of(lowered, 4, False), truth(), cells(1, 11)
    tables = slopes.at(model.basis.weights).read_out(model.coefficients)
    found = NativeEvaluator(tables, 1).evaluate([s])[0]
    wanted = NativeEvaluator(lower(model), 1).evaluate([s])[0]
    np.testing.assert_allclose(found.forces, wanted.forces, atol=1e-7)


# ------------------------------------------------------------------ fits

TOGETHER = BASIS | {"together": True, "max_n": 3}


LEARNED = {"functions": 4, "steps": 25, "smoothness": 0.0}
HOW = {"e0": E0, "observables": NAMES, "threads": 1}


@pytest.fixture(scope="module")
def made():
    return fit(sample(24, 2), BASIS, learned=LEARNED, **HOW)


def test_radial_functions_are_found_that_the_basis_has_not(made):
    unseen = sample(10, 12)
    linear = fit(made.train, BASIS, **HOW)
    assert error(made.potential, unseen) < 0.05 * error(linear.potential, unseen)
    report = made.report["learned"]
    assert report["steps"] == len(report["loss"]) - 1 >= 3
    assert report["loss"][-1] < 0.01 * report["loss"][0]
    assert report["held out"][-1] < 0.1 * report["held out"][0]


def test_sums_over_all_elements_are_told_apart_by_what_is_learned(made):
    """Four functions a centre in place of a model's ten begin far from the labels."""
    learning = LEARNED | {"held_out": 0.0}
    fits = [fit(made.train, TOGETHER, learned=learning | {"steps": n}, **HOW) for n in (0, 15)]
    start, end = (error(one.potential, sample(10, 12)) for one in fits)
    assert end < 0.5 * start
    assert fits[1].model.basis.spec.together
    functions = fits[1].report["basis"]
    assert functions["order 2"] < made.report["basis"]["order 2"]


def test_sums_over_all_elements_must_be_learned():
    with pytest.raises(InputError, match="together: radial functions alone tell elements apart"):
        fit(sample(3, 1), TOGETHER, **HOW)


def test_few_radial_functions_are_learned_where_nothing_is_said():
    found = fit(sample(8, 2), {"order": 2, "cutoff": 4.0}, learned=LEARNED | {"steps": 0}, **HOW)
    assert found.recipe.basis.max_n == (5, 5) and not found.recipe.basis.bonds_once
    given = fit(sample(8, 2), BASIS, learned=LEARNED | {"steps": 0}, **HOW)
    assert given.recipe.basis.max_n == (2, 2)


def test_the_posterior_is_that_of_a_linear_model(made):
    """For the radial functions as they are."""
    (s,) = cells(1, 13)
    rows = made.assembled.kept[0].rows
    assert rows.shape[1] == made.solution.coefficients.size
    spread = made.posterior
    assert spread.deviation(rows).min() >= 0
    committee = fit(made.train[:10], BASIS, learned=LEARNED | {"steps": 2},
                    committee={"size": 3}, **HOW)  # fmt: skip
    members = committee.potential.compute(s, committee=True).committee
    assert members.energies.std() > 0


def test_more_structures_keep_the_radial_functions(made):
    more = made.add(sample(5, 14), threads=1)
    assert len(more.train) == 29
    assert np.array_equal(more.model.basis.weights, made.model.basis.weights)
    unseen, plain = sample(10, 12), fit(made.train, BASIS, **HOW)
    assert error(more.potential, unseen) < 0.3 * error(plain.potential, unseen)


def test_densities_begin_where_learned_functions_end(made):
    both = fit(
        made.train[:12], BASIS, learned=LEARNED | {"steps": 2}, nonlinear={"iterations": 2},
        embedding={"default": {}}, **HOW,
    )  # fmt: skip
    assert isinstance(both.model.basis, LearnedBasis) and both.model.nonlinear is not None
    (s,) = cells(1, 15)
    again = Potential(load(modelfile.model_bytes(both.model)), threads=1)
    assert again.compute(s).energy == both.potential.compute(s).energy


def test_it_ends_when_what_is_held_out_is_described_no_better():
    """Forces with noise, of few structures: every step follows the noise more closely."""
    done = fit(
        sample(8, 16, noise=0.5), BASIS,
        learned=LEARNED | {"held_out": 0.5, "strength": 10.0}, **HOW,
    ).assembled.learning  # fmt: skip
    best = int(np.argmin(done.held_out))
    assert done.ended is Ending.HELD_OUT and done.steps == best + 3 < 25
    assert not np.array_equal(done.best, done.weights)


def test_a_fit_that_is_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    extxyz.write_structures(tmp_path / "train.xyz", sample(6, 4, noise=0.01))
    (tmp_path / "fit.toml").write_text(
        'data.train = "train.xyz"\ndata.fit = ["energy", "forces", "virial"]\n'
        "basis = {order = 2, degree = 5, max_n = 2, cutoff = 4.0, pair = {degree = 3}}\n"
        "e0 = {O = -5.0, Si = -3.0}\nlearned = {functions = 3, steps = 3, smoothness = 0.0}\n"
    )
    config = load_config(tmp_path / "fit.toml")
    how = {"say": lambda line: None, "threads": 1, "plots": False}
    fit_to_folder(config, tmp_path / "whole", **how)
    wanted = (tmp_path / "whole" / "model.acepot").read_bytes()
    save, after, died = Memory.learned, Memory.after, []

    def dies(self, at, say):
        save(self, at, say)
        if at.steps in (1, 2) and at.ended is None and at.steps not in died:
            died.append(at.steps)
            raise SystemExit

    def dies_at_the_end(self, done, total, rows, say):
        after(self, done, total, rows, say)
        if self.learning is not None and done == 4 and "rows" not in died:
            died.append("rows")
            raise SystemExit

    monkeypatch.setattr(Memory, "learned", dies)
    monkeypatch.setattr(Memory, "after", dies_at_the_end)
    for _ in range(3):
        with pytest.raises(SystemExit):
            fit_to_folder(config, tmp_path / "killed", every=0.0, **how)
    said: list[str] = []
    fit_to_folder(config, tmp_path / "killed", every=0.0, **how | {"say": said.append})
    assert died == [1, 2, "rows"]
    assert any("goes on after 4 of 6 structures" in line for line in said)
    assert (tmp_path / "killed" / "model.acepot").read_bytes() == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learned": {"functions": 1}}, "learned.functions: expected 2 or more"),
        ({"learned": {"held_out": 1.0}}, "learned.held_out: expected a part"),
        ({"learned": {}, "basis": BASIS | {"formulation": "canonical"}}, "self-interaction"),
        ({"learned": {}, "basis": BASIS | {"bonds_once": True}}, "bonds_once: expected false"),
    ],
)
def test_what_cannot_be_learned_is_said(changes, message):
    with pytest.raises(InputError, match=message):
        fit(sample(4, 1), **{"basis": BASIS, "threads": 1, "e0": E0, **changes})
