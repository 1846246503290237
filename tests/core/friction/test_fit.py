"""Fits of friction: exact data come back from every start; readers and their traps."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from friction_cases import FORMS, model, settings, structure

import acepot
from acepot.basis.spec import BasisSpec
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.friction.data import FrictionData, soundness
from acepot.friction.evaluator import FrictionEvaluator, shapes_of
from acepot.friction.fit import errors_of, filled, fit_friction, posed
from acepot.friction.prior import roughness
from acepot.friction.readers import read_friction, write_friction
from acepot.friction.report import kernel
from acepot.friction.settings import CouplingSettings, FrictionSettings, empty_part
from acepot.model import FrictionModel
from acepot.structure import Structure


def dpd_gamma(positions: np.ndarray, box: float) -> np.ndarray:
    """Off-diagonal blocks -12.5 exp(-2/(1 - (r/5)²)) r̂ r̂ᵀ below 5 Å, the diagonal minus these."""
    n = len(positions)
    d = positions[None] - positions[:, None]
    d -= box * np.round(d / box)
    r = np.linalg.norm(d, axis=2) + 9.0 * np.eye(n)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        g = np.where(r < 5.0, 12.5 * np.exp(-2 / np.maximum(1 - (r / 5) ** 2, 1e-9)), 0.0)
    blocks = -g[:, :, None, None] * d[..., :, None] * d[..., None, :] / (r**2)[:, :, None, None]
    blocks[np.arange(n), np.arange(n)] = -blocks.sum(axis=1)
    return blocks.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)


def dpd(frames: int, seed: int = 0, atoms: int = 24, box: float = 10.4) -> list[FrictionData]:
    """Friction of dissipative particle dynamics."""
    random, made = np.random.default_rng(seed), []
    for _ in range(frames):
        grid = np.array(list(np.ndindex(3, 3, 3)))[:atoms] * box / 3
        positions = grid + random.uniform(-1.2, 1.2, size=(atoms, 3))
        at = Structure(np.full(atoms, 18), positions, box * np.eye(3), True)
        made.append(FrictionData(at, dpd_gamma(positions, box), np.arange(atoms)))
    return made


def dpd_settings(channels: int = 3, degree: int = 12, **more) -> FrictionSettings:
    one = CouplingSettings(channels=channels)
    one = replace(one, bonds=replace(one.bonds, degree=degree, cutoff=5.0, r0=2.0, max_l=1))
    return FrictionSettings(couplings=(one,), **more)


def test_dpd_is_recovered_from_five_starts():
    train, test = dpd(5), dpd(2, seed=9)
    objectives = []
    for seed in range(5):
        fit = fit_friction(train, dpd_settings(starts=1, seed=seed))
        objectives.append(fit.restarts[0].objective)
        assert errors_of(fit.model, test).relative < 1e-4
    assert max(objectives) < 1.2 * min(objectives)
    r = np.linspace(1.5, 4.5, 7)
    along, across = kernel(FrictionEvaluator(fit.model), "Ar", "Ar", r)
    np.testing.assert_allclose(along, 12.5 * np.exp(-2 / (1 - (r / 5) ** 2)), rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(across, 0.0, atol=1e-12)


def test_the_prior_keeps_closer_pairs_than_any_in_the_data_from_exploding():
    r = np.array([0.3])
    truth = 12.5 * np.exp(-2 / (1 - (r / 5) ** 2))
    off = {}
    for strength in (0.0, 1e-6):
        fit = fit_friction(dpd(2), dpd_settings(degree=20, starts=1, smoothness=strength))
        off[strength] = abs(kernel(FrictionEvaluator(fit.model), "Ar", "Ar", r)[0] / truth - 1)
    assert off[1e-6] < 0.6 and off[0.0] > 3 * off[1e-6], off


@pytest.mark.slow
def test_the_public_dpd_set(shared_data: Path):
    path = shared_data / "friction" / "dpd64_6.npz"
    data = read_friction(path, element="Ar")
    objectives = []
    for seed in range(5):
        fit = fit_friction(data[:4], dpd_settings(starts=1, seed=seed))
        objectives.append(fit.restarts[0].objective)
        assert errors_of(fit.model, data[4:]).relative < 1e-4
    assert max(objectives) < 1.2 * min(objectives)


def test_the_public_set_of_hydrogen_on_copper_is_read(shared_data: Path):
    said: list[str] = []
    data = read_friction(shared_data / "friction" / "h2_cu111_train80.npz", say=said.append)
    assert len(data) == 80 and "symmetric" in said[0]
    for one in data:
        assert soundness(one.gamma).is_sound and len(one.atoms) == 2


def small(coupling: str, block: str, momentum: str) -> CouplingSettings:
    """Some tens of functions, environments included."""
    basis = BasisSpec(order=1, degree=1.0, wl=1.0, max_l=1, cutoff=3.0, r0=2.0)
    if coupling == "on-site":
        basis = replace(basis, order=2, degree=3.0)
    if coupling == "column-wise":  # whose blocks of atoms with themselves need vectors
        basis = replace(basis, degree=2.0)
    bonds = replace(CouplingSettings().bonds, degree=1, max_l=1, cutoff=3.0, r0=2.0)
    return CouplingSettings(coupling, block, momentum, 2, basis=basis, bonds=bonds)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(form, marks=pytest.mark.slow if form[0] == "column-wise" else [])
        for form in FORMS
    ],
)
def test_friction_of_a_model_comes_back(form):
    """Whatever the form; the fit has the data exactly, from as many channels."""
    chosen, random = small(*form), np.random.default_rng(1)
    part = empty_part(chosen, ["H", "Cu"])
    size = sum(shapes_of(part))
    truth = FrictionEvaluator(FrictionModel((filled(part, random.normal(size=(size, 2))),)))
    atoms = [structure(seed) for seed in range(5)]
    data = [FrictionData(one, truth.gamma(one), np.arange(len(one))) for one in atoms]
    whole = FrictionSettings(couplings=(replace(chosen, channels=4),), smoothness=1e-9, starts=1)
    fit = fit_friction(data, replace(whole, solver=replace(whole.solver, iterations=40)))
    assert errors_of(fit.model, data).relative < 1e-3
    assert fit.model.conserves_momentum == (form[2] == "conserved")


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("form", [FORMS[4], FORMS[7], FORMS[1]])
def test_compressed_data_give_the_same_loss_as_tensors(form, few, monkeypatch):
    """Blocks of some atoms, unknown blocks and those that no function reaches included."""
    monkeypatch.setattr("acepot.friction.fit._FEW", few)
    random, chosen = np.random.default_rng(3), small(*form)
    part = empty_part(chosen, ["H", "Cu"])
    truth = FrictionEvaluator(model(form, seed=8))
    at = structure(2, atoms=7, size=6.5)
    kept = np.array([5, 1, 2, 6, 0])
    known = random.uniform(size=(5, 5)) < 0.7
    known |= known.T
    whole = truth.gamma(at) + 0.01
    data = FrictionData(at, np.zeros((15, 15)), kept, known)
    data = FrictionData(at, data.of(whole), kept, known)
    found = posed([data], [part], FrictionSettings(couplings=(chosen,))).objective
    from acepot.friction.evaluator import CouplingFunctions

    x = random.normal(size=(sum(shapes_of(part)), 2))
    blocks = CouplingFunctions(part).blocks(at)
    sigma = np.zeros((3 * len(at), blocks.sources, 2 * blocks.values.shape[3]))
    values = np.einsum("bkxw,kr->bxrw", blocks.values, x)
    for row, column, value in zip(blocks.rows, blocks.columns, values, strict=True):
        sigma[3 * row : 3 * row + 3, column] += value.reshape(3, -1)
    sigma = sigma.reshape(3 * len(at), -1)
    off = (data.of(sigma @ sigma.T) - data.gamma) * data.mask
    expected = np.sum(off**2) / data.norm**2
    assert found.loss([x]) == pytest.approx(expected, rel=1e-9)
    ((residual, slopes),) = found.residuals([x])
    h, u = 1e-6, random.normal(size=x.shape)
    both = [next(found.residuals([x + s * h * u]))[0] for s in (1, -1)]
    np.testing.assert_allclose(
        slopes @ u.ravel(), (both[0] - both[1]) / (2 * h), atol=1e-5 * np.abs(residual).max()
    )


@pytest.mark.parametrize("form", FORMS)
def test_the_prior_has_a_number_for_every_function(form):
    part = empty_part(settings(*form), ["H", "Cu"])
    gamma = roughness(part, 2.0)
    assert gamma.shape == (sum(shapes_of(part)),) and gamma.min() >= 1.0
    assert gamma.max() > gamma.min()


def hdf5(path: Path, data: list[FrictionData], *, transpose: bool) -> None:
    """As Julia writes it: axes reversed, indices from 1."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.attrs["N_data"] = len(data)
        for number, one in enumerate(data, 1):
            count = len(one.atoms)
            atoms, tensor = (
                file.create_group(f"{number}/{k}") for k in ("atoms", "friction_tensor")
            )
            atoms["positions"] = one.structure.positions.T
            atoms["cell"] = one.structure.cell.T
            atoms["atypes"], atoms["pbc"] = one.structure.numbers, one.structure.pbc
            blocks = one.gamma.reshape(count, 3, count, 3).transpose(0, 2, 1, 3)
            i, j = np.indices((count, count)).reshape(2, -1)
            values = blocks[i, j]
            tensor["ft_I"], tensor["ft_J"] = one.atoms[i] + 1, one.atoms[j] + 1
            tensor["ft_val"] = (values.transpose(0, 2, 1) if transpose else values).T
            tensor["ft_mask"] = one.atoms + 1


@pytest.mark.parametrize("transpose", [False, True])
def test_transposed_files_are_recognised(transpose, tmp_path):
    evaluator = FrictionEvaluator(model(("column-wise", "vector", "free")))
    data = []
    for seed in range(3):
        at = structure(seed)
        one = FrictionData(at, np.zeros((18, 18)), np.array([4, 0, 5, 1, 3, 2]))
        data.append(FrictionData(at, one.of(evaluator.gamma(at)), one.atoms))
    hdf5(tmp_path / "data.h5", data, transpose=transpose)
    said: list[str] = []
    found = read_friction(tmp_path / "data.h5", say=said.append)
    assert any("have transposed blocks" in text for text in said) == transpose
    for one, other in zip(found, data, strict=True):
        np.testing.assert_allclose(one.gamma, other.gamma, rtol=1e-12)
        np.testing.assert_array_equal(one.structure.cell, other.structure.cell)
        np.testing.assert_array_equal(one.atoms, other.atoms)


def test_files_that_hold_no_friction_are_refused(tmp_path):
    one = dpd(1)[0]
    wrong = FrictionData(one.structure, one.gamma - 0.5 * np.eye(72), one.atoms)
    write_friction(tmp_path / "wrong.npz", [wrong])
    with pytest.raises(InputError, match="symmetric positive semidefinite"):
        read_friction(tmp_path / "wrong.npz")
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(InputError, match="expected an NPZ file"):
        read_friction(tmp_path / "text.npz")
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 100)
    with pytest.raises(InputError, match="HDF5"):
        read_friction(tmp_path / "bad.h5")
    with pytest.raises(InputError, match="cannot be read"):
        read_friction(tmp_path / "none.npz")
    at = Structure([29, 29], [[0, 0, 0], [0.5, 0, 0]], 9 * np.eye(3), True)
    write_friction(tmp_path / "close.npz", [FrictionData(at, np.eye(6), np.arange(2))])
    with pytest.raises(InputError, match="is the cell transposed"):
        read_friction(tmp_path / "close.npz")
    with pytest.raises(InputError, match="gamma: expected"):
        FrictionData(at, np.eye(5), np.arange(2))
    with pytest.raises(InputError, match="different numbers of atoms"):
        FrictionData(at, np.eye(6), np.array([1, 1]))


def command(*words: str) -> tuple[int, str]:
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        status = main(list(words))
    return status, out.getvalue() + errors.getvalue()


def test_from_a_toml_to_a_model_that_is_read_again(tmp_path):
    write_friction(tmp_path / "train.npz", dpd(3))
    write_friction(tmp_path / "test.npz", dpd(1, seed=5))
    toml = tmp_path / "friction.toml"
    toml.write_text(
        '[data]\ntrain = ["train.npz"]\ntest = ["test.npz"]\n[fit]\nstarts = 2\n'
        "[[fit.couplings]]\nbonds = {degree = 8, max_l = 1, cutoff = 5.0, r0 = 2.0}\n"
    )
    status, text = command("friction", "fit", str(toml), "--out", str(tmp_path / "out"))
    assert status == 0 and "start 1:" in text, text
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["errors"]["test"]["relative"] < 1e-2 and len(told["restarts"]) == 2
    made = tmp_path / "out" / "model.acepot"
    assert acepot.load(made, acepot.FrictionModel).conserves_momentum
    again = tmp_path / "again"
    status, _ = command(
        "friction", "fit", str(tmp_path / "out" / "friction.toml"), "--out", str(again),
        "--no-plots",
    )  # fmt: skip
    assert status == 0 and (again / "model.acepot").read_bytes() == made.read_bytes()
    status, text = command("friction", "eval", str(made), str(tmp_path / "test.npz"))
    assert status == 0 and "relative error" in text
    status, text = command("info", str(made))
    assert status == 0 and "pair-wise, vectors, momentum conserved" in text
    acepot.write_structures(tmp_path / "one.xyz", [dpd(1)[0].structure])
    out = tmp_path / "predicted.npz"
    status, _ = command(
        "friction", "eval", str(made), str(tmp_path / "one.xyz"), "--write", str(out)
    )
    assert status == 0 and len(read_friction(out)) == 1
    toml.write_text(toml.read_text().replace("starts", "start"))
    status, text = command("friction", "fit", str(toml), "--out", str(tmp_path / "no"))
    assert status == 1 and "unknown key fit.start" in text


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="momentum"):
        CouplingSettings("on-site")
    with pytest.raises(InputError, match="channels"):
        CouplingSettings(channels=0)
    with pytest.raises(InputError, match="couplings"):
        FrictionSettings(couplings=())
    bare = CouplingSettings("on-site", "vector", "free")
    with pytest.raises(InputError, match="raise its degree"):
        empty_part(bare, ["Cu"])


def test_tensors_of_atoms_that_no_bond_reaches_are_taken():
    """They have no rows, which was a traceback; what no block can reach is in the objective."""
    chosen = small("pair-wise", "vector", "conserved")
    near, far = ([[0.0, 0.0, 0.0], [0.0, 0.0, r]] for r in (1.5, 9.0))
    axis = np.diag([0.0, 0.0, 1.0])
    tensor = np.block([[axis, -axis], [-axis, axis]])
    data = [
        FrictionData(Structure([1, 1], places, name=f"{k}"), scale * tensor, np.arange(2))
        for k, (places, scale) in enumerate(((near, 0.3), (far, 0.0), (near, 0.3)))
    ]
    fit = fit_friction(
        data, FrictionSettings(couplings=(replace(chosen, acts_on=("H",)),), starts=1)
    )
    assert errors_of(fit.model, data[:1]).relative < 0.1
