"""`acepot hamiltonian`: from files to a model, its report, predictions and bands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.cli.main import main
from acepot.hamiltonian.band_energy import electrons_of
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.formats.own import write_own
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import Snapshot
from acepot.io.structures.extxyz import write_structures
from acepot.structure import Structure


@pytest.fixture(scope="module")
def folder(tmp_path_factory, hamiltonian_model, lean) -> Path:
    """Matrices of a known Hamiltonian: train.npz, test.npz, and a structure."""
    home = tmp_path_factory.mktemp("hamiltonian")
    truth = hamiltonian_model({"Si": "sp"}, 41, settings=lean)
    evaluator, rng = HamiltonianEvaluator(truth, threads=1), np.random.default_rng(42)
    found = []
    for _ in range(9):
        cell = 2.9 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]) + rng.normal(0, 0.1, (3, 3))
        places = np.array([[0, 0, 0], [0.25, 0.25, 0.25]]) @ cell + rng.normal(0, 0.08, (2, 3))
        one = Structure([14, 14], places, cell, True)
        made = evaluator.matrices(one)
        found.append(Snapshot(made.hamiltonian[0], made.overlap, electrons_of(truth, one)))
    write_own(home / "train.npz", found[:7])
    write_own(home / "test.npz", found[7:])
    write_structures(home / "one.xyz", [found[8].structure])
    (home / "h.toml").write_text(
        'data.train = ["train.npz"]\ndata.test = ["test.npz"]\n[levels]\nkmesh = [2, 2, 2]\n'
        "[hamiltonian]\ncommittee = 4\n[hamiltonian.onsite]\ndegree = 4\ncutoff = 3.9\nwl = 1.0\n"
        "[hamiltonian.hopping]\ndegree = 3\nmax_n = 2\nmax_l = 1\ncutoff = 3.6\n"
        "[hamiltonian.bonds]\ndegree = 2\nmax_l = 2\nalone = 3\ncutoff = 3.7\n"
        "[hamiltonian.overlap]\ncutoff = 2.96\ndegree = 3\n",
        encoding="utf-8",
    )
    return home


def test_a_fit_from_files(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    out = tmp_path / "Si"
    assert main(["hamiltonian", "fit", "h.toml", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "train.npz: 7 structures, overlap check" in said and "H, bonds < 6 Å" in said
    assert "levels of test: occupied" in said and "intervals of 90 % hold" in said
    report = json.loads((out / "report.json").read_text())
    by_name = {one["what"]: one for one in report["blocks"]["test"]}
    assert by_name["S, all blocks"]["rmse"] < 0.1
    assert by_name["H, bonds"]["rmse"] < 20
    assert (out / "errors.png").stat().st_size > 1000
    model = acepot.load(out / "model.acepot", acepot.HamiltonianModel)
    assert model.electrons == {"Si": 4.0} and model.filling.kmesh == (2, 2, 2)
    assert model.provenance["scale of deviations"] == report["scale of deviations"]
    # The settings that are left repeat the fit, to the last bit.
    again = tmp_path / "again"
    assert main(["hamiltonian", "fit", str(out / "hamiltonian.toml"), "--out", str(again)]) == 0
    assert (again / "model.acepot").read_bytes() == (out / "model.acepot").read_bytes()
    capsys.readouterr()
    assert main(["info", str(out / "model.acepot")]) == 0
    assert "Hamiltonian in atomic orbitals" in capsys.readouterr().out

    words = ["predict", str(out / "model.acepot"), "one.xyz", "--out", str(tmp_path / "p.npz")]
    assert main(["hamiltonian", *words]) == 0
    (made,) = read(tmp_path / "p.npz")
    structure = made.snapshot.structure
    expected = HamiltonianEvaluator(model, threads=1).matrices(structure).hamiltonian[0]
    assert made.snapshot.hamiltonian.count == expected.count
    assert made.residual < 1e-10
    assert main(["hamiltonian", "check", str(tmp_path / "p.npz")]) == 0
    assert "shells: Si sp" in capsys.readouterr().out
    words = ["convert", "train.npz", "test.npz", "--out", str(tmp_path / "all.npz")]
    assert main(["hamiltonian", *words]) == 0
    assert "9 snapshots written" in capsys.readouterr().out

    pytest.importorskip("ase")
    picture = tmp_path / "bands.png"
    words = ["bands", str(out / "model.acepot"), "--reference", "test.npz", "--out", str(picture)]
    assert main(["hamiltonian", *words]) == 0
    said = capsys.readouterr().out
    assert "occupied bands differ by" in said and picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "none.npz", "--out", "x"], "none.npz"),
        (["fit", "h.toml", "train.npz", "--out", "x"], "expected a configuration alone"),
        (["fit", "train.npz", "--electrons", "Si=four", "--out", "x"], "expected such as Al=3"),
        (["fit", "train.npz", "--electrons", "Si", "--out", "x"], "expected such as Al=3"),
        (["convert", "train.npz", "--orbitals", "C", "--out", "x.npz"], "expected such as C=ssp"),
        (["predict", "h.toml", "one.xyz", "--out", "x.npz"], "h.toml"),
    ],
)
def test_what_cannot_be_is_refused(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    assert main(["hamiltonian", *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_verbs_of_two_words_are_listed(words, capsys):
    assert main(["hamiltonian", *words]) == 0
    said = capsys.readouterr().out
    assert "acepot hamiltonian bands" in said and "acepot fit" not in said


def test_an_unknown_second_word_is_an_error(capsys):
    assert main(["friction", "fti"]) == 2
    assert "acepot friction fit" in capsys.readouterr().err
