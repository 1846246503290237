"""Fits with charges: derivatives of every row, what made the data is found, files and commands."""

from __future__ import annotations

import json

import charged
import numpy as np
import pytest

import acepot
from acepot import BasisSpec, ChargeModel, Potential, write_structures
from acepot.charges.evaluator import ChargeEvaluator
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.fitting.charges.fit import errors_of, fit_charges
from acepot.fitting.charges.frames import Frame
from acepot.fitting.charges.settings import ChargeFitSettings, ChargeWeights
from acepot.lowering import lower

KINDS = ("equilibrated", "latent")
BASIS = BasisSpec(order=2, degree=5, cutoff=5.0, r0=2.6)


def labelled(model, structures, names=("energy", "forces", "charges")):
    """What a model says of structures, as their labels."""
    evaluator, made = ChargeEvaluator(model), []
    for s, r in zip(structures, Potential(model).compute_all(structures), strict=True):
        (found,) = evaluator.charges([s])
        labels = {"charges": found.values, "dipole": found.dipole}
        if "born" in names:
            labels["born"] = evaluator.born_charges(s)
        made.append(
            s.labelled(
                energy=r.energy if "energy" in names else None,
                forces=r.forces if "forces" in names else None,
                virial=r.virial if "virial" in names else None,
                labels={k: v for k, v in labels.items() if k in names and v is not None},
            )
        )
    return made


def molecules(count, charge=(0.0, 1.0), seed=100, n=5):
    return [charged.structure(n, False, charge[k % len(charge)], seed + k) for k in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("pbc", "charge"), [(False, 1.0), (True, -1.0)])
def test_rows_are_what_the_model_says_and_its_derivatives(kind, pbc, charge):
    model = charged.model(kind)
    names = ("energy", "forces", "virial", "charges") + (() if pbc else ("dipole", "born"))
    (structure,) = labelled(model, [charged.structure(6, pbc, charge)], names)
    evaluator = NativeEvaluator(lower(model.sites.basis))
    frame = Frame(structure, evaluator, ChargeWeights(), np.zeros(2), kind == "latent", True)
    energy, output = model.sites.coefficients[0][0]
    said = frame.said(energy, output, model.hardness, model.widths, True)
    assert set(said.values) == set(names)
    for name, values in said.values.items():
        assert values == pytest.approx(frame.labels[name], abs=1e-10)
    k, h = len(energy), 1e-3
    u = 0.1 * np.random.default_rng(4).normal(size=2 * k)
    v = [
        frame.said(
            energy + t * h * u[:k], output + t * h * u[k:], model.hardness, model.widths, False
        ).values
        for t in (1, -1, 2, -2)
    ]
    for name, slopes in said.slopes.items():
        slope = (8 * (v[0][name] - v[1][name]) - (v[2][name] - v[3][name])) / (12 * h)
        assert slopes @ u == pytest.approx(slope, abs=1e-8)


def fixed(kind, **more):
    """Settings with the interaction that made the data."""
    model = charged.model(kind)
    symbols = model.elements
    given = {"widths": dict(zip(symbols, model.widths.tolist(), strict=True))}
    if kind == "equilibrated":
        given["hardness"] = dict(zip(symbols, model.hardness.tolist(), strict=True))
    return ChargeFitSettings(
        kind=kind, basis=BASIS, fit_interaction=False, e0={"Na": 0.0, "Cl": 0.0}, iterations=10,
        tolerance=1e-14, **given, **more,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_charges_alone_give_the_charges(kind):
    made = labelled(charged.model(kind), molecules(60), ("charges",))
    found = fit_charges(made[:50], fixed(kind, weights=ChargeWeights(charges=1e4)))
    evaluator = ChargeEvaluator(found.model)
    for s, c in zip(made[50:], evaluator.charges(made[50:]), strict=True):
        assert c.values == pytest.approx(s.labels["charges"], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_energies_and_forces_alone_give_the_charges(kind):
    """No charge is among the labels; of neutral structures the sign of all is not known."""
    model = charged.model(kind)
    names = ("energy", "forces")
    made = labelled(model, molecules(80), names)
    (c,) = model.sites.coefficients
    alone = (model.sites.basis.expansion().labels.l < 0).all(axis=1)
    first = c[0, 1, alone]
    start = first - first.mean() if kind == "latent" else -(first - first.mean()) / 5.0
    settings = fixed(
        kind,
        start=dict(zip(model.elements, start.tolist(), strict=True)),
        weights=ChargeWeights(energy=3e5, forces=1e4),
    )
    found = fit_charges(made, settings)
    assert len(found.losses) <= 10
    probe = molecules(5, seed=900)
    one, two = (ChargeEvaluator(m).charges(probe) for m in (model, found.model))
    off = max(np.abs(a.values - b.values).max() for a, b in zip(one, two, strict=True))
    assert off < 1e-6
    assert errors_of(found.model, labelled(model, probe, names)).energy < 0.1


def test_widths_and_hardness_are_found():
    model = charged.model()
    made = labelled(model, molecules(60))
    settings = ChargeFitSettings(
        basis=BASIS, e0={"Na": 0.0, "Cl": 0.0}, iterations=40, tolerance=1e-9,
        widths={"Na": 1.1, "Cl": 1.1}, hardness={"Na": 7.0, "Cl": 7.0},
    )  # fmt: skip
    found = fit_charges(made, settings)
    assert found.model.widths == pytest.approx(model.widths, rel=0.02)
    assert found.model.hardness == pytest.approx(model.hardness, rel=0.02)
    assert found.errors.forces < 1.0


def test_dipoles_and_born_charges_are_fitted():
    model = charged.model("latent")
    made = labelled(model, molecules(60), ("dipole", "born"))
    found = fit_charges(made[:50], fixed("latent"))
    errors = errors_of(found.model, made[50:])
    assert errors.born < 0.01 and errors.dipole < 0.01  # me, me Å


def test_cells_with_virials_are_fitted():
    model = charged.model()
    cells = [charged.structure(8, True, 0.0, 300 + k) for k in range(12)]
    made = labelled(model, cells, ("energy", "forces", "virial", "charges"))
    found = fit_charges(made, fixed("equilibrated"))
    assert found.errors.forces < 0.1 and found.errors.virial < 0.1


def test_a_committee_spreads_where_data_are_few():
    model = charged.model()
    made = labelled(model, molecules(12))
    rng = np.random.default_rng(5)
    noisy = [
        s.labelled(forces=s.forces + rng.normal(scale=0.05, size=s.forces.shape)) for s in made
    ]
    found = fit_charges(noisy, fixed("equilibrated", members=8))
    assert len(found.model.committee) == 8
    result = Potential(found.model).compute(molecules(1, seed=777)[0], committee=True)
    assert 0 < result.committee.forces.std(axis=0).mean() < 1.0


def test_what_cannot_be_fitted_is_said():
    made = labelled(charged.model(), molecules(3))
    with pytest.raises(InputError, match="expected one or more with labels"):
        fit_charges(molecules(2), fixed("latent"))
    with pytest.raises(InputError, match="widths: Cu is not among"):
        fit_charges(made, ChargeFitSettings(widths={"Cu": 1.0}))
    with pytest.raises(InputError, match="hardness: latent"):
        ChargeFitSettings(kind="latent", hardness={"Na": 1.0})
    cell = charged.structure(4).labelled(labels={"dipole": np.zeros(3)})
    with pytest.raises(InputError, match="isolated structures alone"):
        fit_charges([cell], fixed("latent"))
    short = molecules(1)[0].labelled(labels={"charges": np.zeros(2)})
    with pytest.raises(InputError, match="charges: expected 5 numbers"):
        fit_charges([short], fixed("latent"))


def test_the_command_writes_a_model_that_says_the_same(tmp_path, capsys):
    made = labelled(charged.model(), molecules(30), ("energy", "forces", "charges", "dipole"))
    write_structures(tmp_path / "train.extxyz", made[:24])
    write_structures(tmp_path / "test.extxyz", made[24:])
    (tmp_path / "charges.toml").write_text(
        'data.train = ["train.extxyz"]\ndata.test = ["test.extxyz"]\n'
        "[fit]\niterations = 3\n[fit.basis]\norder = 2\ndegree = 5\ncutoff = 5.0\nr0 = 2.6\n"
    )
    folder = tmp_path / "out"
    assert main(["charges", "fit", str(tmp_path / "charges.toml"), "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "24 structures" in out or "24 frames" in out
    assert "test: energy" in out
    told = json.loads((folder / "report.json").read_text())
    model = acepot.load(folder / "model.acepot", ChargeModel)
    assert told["errors"]["test"]["forces"] == pytest.approx(errors_of(model, made[24:]).forces)
    assert (folder / "parity.png").stat().st_size > 10_000
    # The settings beside the model repeat the fit.
    again = tmp_path / "again"
    arguments = [str(folder / "charges.toml"), "--out", str(again), "--no-plots"]
    assert main(["charges", "fit", *arguments]) == 0
    assert (again / "model.acepot").read_bytes() == (folder / "model.acepot").read_bytes()
    capsys.readouterr()
    written = tmp_path / "said.extxyz"
    arguments = [str(folder / "model.acepot"), str(tmp_path / "test.extxyz"), "--born"]
    assert main(["charges", "eval", *arguments, "--write", str(written)]) == 0
    assert "forces" in capsys.readouterr().out
    text = written.read_text()
    assert "acepot_charges:R:1" in text and "acepot_born:R:9" in text and "acepot_dipole" in text
    assert main(["info", str(folder / "model.acepot")]) == 0
    assert "equilibrated charges" in capsys.readouterr().out
