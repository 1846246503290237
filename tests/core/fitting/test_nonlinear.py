"""Nonlinear fits: derivatives, known minima, models that are found again, and fits that go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acepot import Model, Potential, Structure, convert, load
from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear, curvature, embed
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.fitting.fit import fit
from acepot.fitting.folder import fit_to_folder
from acepot.fitting.newton_cg import Descent, Ended, NewtonCG, descend
from acepot.fitting.nonlinear.densities import Densities, Labelled, labelled
from acepot.fitting.pipeline import load_config
from acepot.fitting.recipe import Recipe, Weights
from acepot.fitting.resume import Memory
from acepot.io import modelfile
from acepot.io.structures import extxyz
from acepot.lowering import lower
from acepot.neighbours import build

CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])
SPEC = resolve(BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3)))
BASIS = {"order": 2, "degree": 4, "cutoff": 4.0, "pair": {"degree": 3}}
SHIFTED = Embedding("FinnisSinclairShiftedScaled", (1.0, 0.7), (1.0, 0.5))
PLAIN = Embedding("FinnisSinclair", (1.0, 0.4, -0.3), (1.0, 0.6, 2.0))


def cells(count: int, seed: int) -> list[Structure]:
    """Triclinic cells of O and Si."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        cell = CELL @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.15, size=(4, 3))
        group = ("hot", "cold")[k % 2]
        numbers = rng.permutation([8, 8, 14, 14])
        found.append(Structure(numbers, positions, cell, True, config_type=group))
    return found


def truth(seed: int = 1) -> Model:
    """Bonds that grow weaker the more there are: Σ φ_1 - √φ_2-like."""
    count, rng = basis_size(SPEC)["total"], np.random.default_rng(seed)
    c = rng.normal(size=(1, 2, count)) / 20
    c[0, 1] *= 4
    return Model(SPEC, c, np.array([-5.0, -3.0]), nonlinear=Nonlinear((SHIFTED, SHIFTED)))


def sample(count: int, seed: int, noise: float = 0.0) -> list[Structure]:
    """Cells with the labels of the truth."""
    rng, potential, found = np.random.default_rng(seed), Potential(truth(), threads=1), []
    for s in cells(count, seed):
        r = potential.compute(s)
        forces = r.forces + noise * rng.normal(size=r.forces.shape)
        found.append(s.labelled(energy=r.energy, forces=forces, virial=(r.virial + r.virial.T) / 2))
    return found


# ------------------------------------------------------------------ derivatives


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("m", [0.3, 0.5, 1.0, 1.7, 2.0])
def test_the_curvature_is_the_derivative_of_the_slope(shifted, m):
    rho = np.array([-7.0, -1.3, -0.2, -3e-5, 2e-6, 4e-4, 0.1, 0.9, 12.0])
    h = 1e-4 * np.abs(rho)
    right, left = (embed(shifted, m, rho + sign * h)[1] for sign in (1, -1))
    second = curvature(shifted, m, rho)
    np.testing.assert_allclose(second, (right - left) / (2 * h), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def problem() -> tuple[Densities, Densities, np.ndarray]:
    """The same problem by the native evaluator and by the oracle, and coefficients."""
    rng = np.random.default_rng(5)
    recipe = Recipe(
        SPEC, observables=("energy", "forces", "virial"), weights={"hot": Weights(20.0, 2.0, 0.7)}
    )
    structures = sample(5, 3)
    structures[1] = replace(structures[1], virial=None)
    structures[3] = replace(structures[3], energy=None)
    training = [labelled(s, recipe, np.array([-5.0, -3.0]), (8, 14)) for s in structures]
    tables, embeddings = lower(SPEC), (SHIFTED, PLAIN)
    rows = rng.normal(size=(2, tables.functions)), rng.normal(size=2)
    made = [
        Densities(one, training, embeddings, rows, kept=kept)
        for one, kept in ((NativeEvaluator(tables, 1), 1e9), (ReferenceEvaluator(tables), 0))
    ]
    return *made, rng.normal(size=3 * tables.functions) / 5


def test_residuals_are_those_of_the_model(problem):
    densities, oracle, c = problem
    state = densities.at(c)
    model = Model(SPEC, c.reshape(1, 3, -1), np.zeros(2), nonlinear=Nonlinear((SHIFTED, PLAIN)))
    potential, start = Potential(model, threads=1), 0
    for one in (one for batch in densities.batches for one in batch):
        r, w = potential.compute(one.structure), one.weights
        virial = (r.virial + r.virial.T) / 2
        six = virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        wanted = np.concatenate(
            [
                [w[0] * (r.energy - one.energy)],
                w[1] * (r.forces - one.forces).ravel(),
                w[2] * (six - one.virial),
            ]
        )
        found = state.residuals[start : start + one.numbers]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
        start += one.numbers
    assert len(state.residuals) == start + 2  # the restraint
    np.testing.assert_allclose(state.residuals, oracle.at(c).residuals, rtol=1e-9, atol=1e-9)
    missing = [one.weights for batch in densities.batches for one in batch]
    assert missing[1][2] == 0 == missing[3][0] and missing[0] == (10.0, 2.0, 0.35)


def test_products_are_derivatives_of_the_residuals(problem):
    densities, oracle, c = problem
    rng = np.random.default_rng(6)
    direction, state, h = rng.normal(size=c.size), densities.at(c), 1e-6
    right, left = (densities.at(c + s * h * direction).residuals for s in (1, -1))
    found = densities.times(state, direction)
    np.testing.assert_allclose(found, (right - left) / (2 * h), atol=1e-7 * np.abs(found).max())
    u = rng.normal(size=found.size)
    back = densities.transposed(state, u)
    assert back @ direction == pytest.approx(u @ found, rel=1e-11)
    same = oracle.transposed(oracle.at(c), u)
    np.testing.assert_allclose(back, same, atol=1e-10 * np.abs(same).max())


def test_values_that_are_not_kept_are_found_again(problem):
    densities, oracle, c = problem
    assert oracle.values(0) is not oracle.values(0) and densities.values(0) is densities.values(0)
    np.testing.assert_allclose(oracle.values(0), densities.values(0), rtol=1e-10, atol=1e-12)


# ------------------------------------------------------------------ the loop


class Exponentials:
    """Residuals of c0 exp(-c1 t) + c2 exp(-c3 t)."""

    def __init__(self) -> None:
        self.t = np.linspace(0, 4, 40)
        self.values = 2 * np.exp(-0.5 * self.t) - np.exp(-2.5 * self.t)

    def at(self, c):
        a, b = np.exp(-c[1] * self.t), np.exp(-c[3] * self.t)
        rows = np.stack([a, -c[0] * self.t * a, b, -c[2] * self.t * b], axis=1)
        r = c[0] * a + c[2] * b - self.values
        return (r, rows) if np.isfinite(r).all() else None

    def residuals(self, state):
        return state[0]

    def times(self, state, direction):
        return state[1] @ direction

    def transposed(self, state, weights):
        return weights @ state[1]


PLAINLY = {
    "penalty": np.zeros(4), "precondition": lambda v: v, "metric": lambda v: v,
}  # fmt: skip


def test_exponentials_are_recovered():
    settings = NewtonCG(iterations=500, loss=0.0)
    begin = Descent(np.array([1.0, 0.2, -0.5, 1.5]))
    found, ended = descend(Exponentials(), begin, settings=settings, **PLAINLY)
    np.testing.assert_allclose(found.coefficients, [2.0, 0.5, -1.0, 2.5], rtol=1e-6)
    assert ended in (Ended.GRADIENT, Ended.STUCK, Ended.LOSS) and found.loss < 1e-16


def test_a_loop_that_goes_on_is_the_one_that_was_not_stopped():
    settings, begin = NewtonCG(iterations=30, loss=0.0), Descent(np.array([1.0, 0.2, -0.5, 1.5]))
    whole, _ = descend(Exponentials(), begin, settings=settings, **PLAINLY)
    half, ended = descend(
        Exponentials(), begin, settings=settings, watch=lambda at: at.iterations == 9, **PLAINLY
    )
    assert ended is Ended.ASKED and half.iterations == 9
    rest, _ = descend(Exponentials(), half, settings=settings, **PLAINLY)
    np.testing.assert_array_equal(rest.coefficients, whole.coefficients)
    assert (rest.loss, rest.iterations) == (whole.loss, whole.iterations)


def test_a_linear_problem_takes_a_step():
    rng = np.random.default_rng(2)
    rows, targets, gamma = rng.normal(size=(60, 4)), rng.normal(size=60), rng.uniform(1, 9, 4)

    class Linear(Exponentials):
        def at(self, c):
            return rows @ c - targets, rows

    hessian = rows.T @ rows + np.diag(gamma**2)
    found, _ = descend(
        Linear(), Descent(np.zeros(4), damping=1e-9), penalty=gamma**2,
        precondition=lambda v: np.linalg.solve(hessian, v), metric=lambda v: hessian @ v,
        settings=NewtonCG(iterations=1),
    )  # fmt: skip
    np.testing.assert_allclose(found.coefficients, np.linalg.solve(hessian, targets @ rows))


# ------------------------------------------------------------------ fits

EMBEDDING = {"default": {"weights": [1.0, 1.0], "exponents": [1.0, 0.5]}}
NAMES = ["energy", "forces", "virial"]
METAL = {"order": 1, "degree": 8, "cutoff": 5.0, "pair": {"degree": 5}, "r0": 2.7}


def labels(s: Structure) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and virial of a metal: E_i = Σ_j a e^(-p d) - √(Σ_j b (5 - d)² e^(-q d))."""
    edges = build(s, 5.0)
    d = np.linalg.norm(edges.vector, axis=1)
    core = 0.1 * np.exp(-4.3 * (d - 2.55))
    bond = 0.3 * np.exp(-0.8 * (d - 2.55))
    band = np.bincount(edges.centre, bond * (5.0 - d) ** 2, len(s))
    slope = -bond * (2 * (5.0 - d) + 0.8 * (5.0 - d) ** 2)
    each = -4.3 * core - 0.5 * slope / np.sqrt(band)[edges.centre]
    along = each[:, None] * edges.vector / d[:, None]  # derivatives of the centre's energy
    forces = np.zeros((len(s), 3))
    np.add.at(forces, edges.centre, along)
    np.add.at(forces, edges.neighbour, -along)
    virial = -edges.vector.T @ along
    return core.sum() - np.sqrt(band).sum(), forces, (virial + virial.T) / 2


def metal(count: int, seed: int) -> list[Structure]:
    """Triclinic cells of a metal with their labels."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        cell = 1.15 * CELL @ (np.eye(3) + rng.normal(scale=0.05, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.1, size=(4, 3))
        s = Structure([29] * 4, positions, cell, True)
        energy, forces, virial = labels(s)
        made.append(s.labelled(energy=energy, forces=forces, virial=virial))
    return made


def error(potential: Potential, structures: list[Structure]) -> float:
    results = potential.compute_all(structures)
    away = [r.forces - s.forces for r, s in zip(results, structures, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(away) ** 2)))


@pytest.fixture(scope="module")
def made():
    how = {"observables": NAMES, "threads": 1, "embedding": EMBEDDING}
    return fit(metal(40, 2), METAL, e0={"Cu": 0.0}, **how)


def test_the_labels_are_derivatives():
    (s,), h, step = metal(1, 3), 1e-6, np.zeros((4, 3))
    step[2, 1] = h
    right, left = (labels(replace(s, positions=s.positions + t * step))[0] for t in (1, -1))
    assert s.forces[2, 1] == pytest.approx(-(right - left) / (2 * h), abs=1e-7)


def test_functions_of_pairs_describe_a_metal_that_no_pair_potential_does(made):
    unseen = metal(10, 9)
    linear = fit(made.train, METAL, e0={"Cu": 0.0}, observables=NAMES, threads=1)
    assert error(made.potential, unseen) < 0.2 * error(linear.potential, unseen)
    report = made.report
    assert report["nonlinear"]["steps"] == made.refinement.descent.iterations > 3
    assert made.model.nonlinear.embeddings[0].exponents == (1.0, 0.5)


def test_forces_are_derivatives_and_files_keep_the_model(made, tmp_path):
    (s,) = metal(1, 30)
    potential, h = made.potential, 1e-5
    forces = potential.compute(s).forces
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        step = np.zeros((4, 3))
        step[atom, axis] = h
        right, left = (
            potential.compute(replace(s, positions=s.positions + sign * step)).energy
            for sign in (1, -1)
        )
        assert forces[atom, axis] == pytest.approx(-(right - left) / (2 * h), abs=1e-7)
    reloaded = Potential(load(modelfile.model_bytes(made.model)), threads=1)
    np.testing.assert_allclose(reloaded.compute(s).forces, forces, atol=1e-10)
    modelfile.save(made.model, tmp_path / "model.acepot")
    convert(tmp_path / "model.acepot", tmp_path / "model.yace")
    pace = Potential(load(tmp_path / "model.yace"), threads=1)
    np.testing.assert_allclose(pace.compute(s).forces, forces, atol=1e-7)
    assert pace.compute(s).energy == pytest.approx(potential.compute(s).energy, abs=1e-8)


def test_more_structures_begin_where_the_fit_was(made):
    more = made.add(metal(5, 12), threads=1)
    assert len(more.train) == 45 and more.recipe == made.recipe
    assert more.refinement.descent.iterations < made.refinement.descent.iterations
    assert error(more.potential, metal(10, 9)) < 1.5 * error(made.potential, metal(10, 9))


def test_it_ends_when_what_is_held_out_is_described_no_better():
    """Few structures with noisy forces: after some steps the noise is followed, not the truth."""
    how = {"observables": ("energy", "forces"), "threads": 1, "e0": {"O": -5.0, "Si": -3.0}}
    noisy = sample(10, 4, noise=1.0)
    held = {"held_out": 0.3, "loss": 0.0, "iterations": 40}
    found = fit(noisy, BASIS, embedding=EMBEDDING, nonlinear=held, **how).refinement
    judged = found.report["held out"]
    assert found.ended is Ended.HELD_OUT and len(judged) == found.descent.iterations + 1
    assert int(np.argmin(judged)) == len(judged) - 6
    assert not np.array_equal(found.coefficients.ravel(), found.descent.coefficients)
    assert np.array_equal(found.coefficients.ravel(), found.descent.best)


@pytest.mark.parametrize("held_out", [0.0, 0.2])
def test_a_fit_that_is_killed_goes_on_to_the_same_bytes(held_out, tmp_path, monkeypatch):
    extxyz.write_structures(tmp_path / "train.xyz", sample(20, 4, noise=0.01))
    (tmp_path / "fit.toml").write_text(
        'data.train = "train.xyz"\ndata.fit = ["energy", "forces", "virial"]\n'
        "basis = {order = 2, degree = 4, cutoff = 4.0, pair = {degree = 3}}\n"
        "e0 = {O = -5.0, Si = -3.0}\n"
        "[embedding.default]\nexponents = [1.0, 0.5]\n"
        f"[nonlinear]\niterations = 6\nloss = 0.0\nheld_out = {held_out}\n"
    )
    config = load_config(tmp_path / "fit.toml")
    how = {"say": lambda line: None, "threads": 1, "plots": False}
    fit_to_folder(config, tmp_path / "whole", **how)
    wanted = (tmp_path / "whole" / "model.acepot").read_bytes()
    save, died = Memory.refined, []

    def dies(self, at, say):
        save(self, at, say)
        if at.iterations in (2, 4) and at.iterations not in died:
            died.append(at.iterations)
            raise SystemExit

    monkeypatch.setattr(Memory, "refined", dies)
    for _ in range(2):
        with pytest.raises(SystemExit):
            fit_to_folder(config, tmp_path / "killed", every=0.0, **how)
    said: list[str] = []
    fit_to_folder(config, tmp_path / "killed", every=0.0, **how | {"say": said.append})
    assert died == [2, 4] and not any("step 4," in line for line in said)
    assert any("step 5," in line for line in said)
    assert (tmp_path / "killed" / "model.acepot").read_bytes() == wanted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": {"default": {"exponents": [0.5, 1.0]}}}, "the first density is linear"),
        ({"embedding": {"default": {"exponents": [1.0]}}}, "one weight and one exponent for each"),
        ({"embedding": {"H": {}}}, "embedding.H: expected O, Si or default"),
        ({"embedding": {"O": {}}}, "embedding: Si has none"),
        ({"embedding": EMBEDDING, "committee": {"size": 3}}, "nonlinear models have none"),
        ({"embedding": EMBEDDING, "nonlinear": {"inner": 0}}, "inner: expected more than 0"),
    ],
)
def test_what_cannot_be_fitted_is_said(changes, message):
    with pytest.raises(InputError, match=message):
        fit(sample(3, 1), BASIS, threads=1, **changes)


def test_a_structure_without_labels_has_no_weight():
    recipe = Recipe(SPEC, observables=("energy",))
    one = labelled(sample(1, 1)[0], recipe, np.zeros(2), (8, 14))
    assert isinstance(one, Labelled) and one.weights == (15.0, 0.0, 0.0)
    assert not one.forces.any() and one.numbers == 19
