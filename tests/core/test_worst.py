"""The structures with the largest errors are named: one wrong label hardly shows in a mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.cli.main import main
from acepot.io.structures import extxyz
from acepot.report.worst import deviations, ranked, worst

COPPER = Path(__file__).parent / "fitting" / "labels" / "data" / "copper.xyz"
SIZE = {"degree": 6, "cutoff": 5.0}


@pytest.fixture(scope="module")
def copper() -> list[Structure]:
    return acepot.read_structures(COPPER)[0]


def line(structures: list[Structure]) -> str:
    fit = acepot.fit(structures, SIZE)
    return worst(fit.train, fit.train_results, fit.potential.compute_all)


def test_an_energy_per_atom_among_total_ones_is_named(copper: list[Structure]) -> None:
    """Cohesive energies per atom are so alike that nothing before the fit tells it."""
    wrong = [s.labelled(energy=s.energy / len(s)) if i == 4 else s for i, s in enumerate(copper)]
    assert " meV/atom (copper.xyz frame 4), F " in line(wrong)
    assert "E 1" not in line(copper)


def test_turned_forces_of_one_structure_are_named_with_an_atom(copper: list[Structure]) -> None:
    wrong = [s.labelled(forces=-s.forces) if i == 4 else s for i, s in enumerate(copper)]
    assert "meV/Å (copper.xyz frame 4, atom " in line(wrong)


def test_sizes_are_those_of_the_errors(copper: list[Structure]) -> None:
    fit = acepot.fit(copper, SIZE)
    results = fit.train_results
    apart = [abs(r.energy - s.energy) / len(s) for s, r in zip(copper, results, strict=True)]
    forces = [np.abs(r.forces - s.forces).max() for s, r in zip(copper, results, strict=True)]
    k, f = int(np.argmax(apart)), int(np.argmax(forces))
    text = worst(copper, results, fit.potential.compute_all)
    assert f"E {1000 * apart[k]:.4g} meV/atom (copper.xyz frame {k})" in text
    assert f"F {1000 * forces[f]:.4g} meV/Å (copper.xyz frame {f}, atom " in text
    assert worst(copper[:1], results[:1], fit.potential.compute_all) == ""


def test_the_worst_of_each_label_are_listed_in_turn_and_once(copper: list[Structure]) -> None:
    wrong = list(copper)
    wrong[2] = copper[2].labelled(energy=copper[2].energy + 4.0)
    wrong[6] = copper[6].labelled(forces=-copper[6].forces)
    wrong[9] = copper[9].labelled(virial=copper[9].virial + 40.0 * np.eye(3))
    fit = acepot.fit(copper, SIZE)
    found = deviations(wrong, fit.train_results, fit.potential.compute_all)
    assert [d.where.split()[-1] for d in ranked(found, 3)] == ["2", "6", "9"]
    every = ranked(found, 100)
    assert len({d.where for d in every}) == len(every) == 14
    report = ranked(found)[1].report()
    off = np.abs(2 * copper[6].forces).max()
    assert report["F"] == pytest.approx(1000 * off, rel=0.1)
    assert report["atom"] == np.abs(copper[6].forces).max(axis=1).argmax()


def test_a_fit_lists_them_and_writes_them_with_predictions(
    copper: list[Structure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    extxyz.write_structures("train.xyz", copper[:10])
    extxyz.write_structures("test.xyz", copper[10:])
    words = ("--degree", "6", "--cutoff", "5", "--no-plots", "--out", "Cu")
    assert main(["fit", "train.xyz", "--test", "test.xyz", *words]) == 0
    listed = json.loads(Path("Cu/report.json").read_text())["worst"]
    frames = [*listed["train"], *listed["test"]]
    assert len(listed["train"]) == 10 and len(listed["test"]) == 4
    written, _ = acepot.read_structures("Cu/worst.extxyz")
    results = acepot.Potential(acepot.load("Cu/model.acepot")).compute_all(written)
    for frame, structure, result in zip(frames, written, results, strict=True):
        off = 1000 * abs(result.energy - structure.energy) / len(structure)
        assert frame["E"] == pytest.approx(off, abs=1e-6)
        assert frame["structure"].startswith(("train.xyz", "test.xyz"))
    assert "acepot_forces" in Path("Cu/worst.extxyz").read_text()


def test_fit_and_eval_print_them(
    copper: list[Structure],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    extxyz.write_structures("train.xyz", copper)
    words = ("--degree", "6", "--cutoff", "5", "--no-plots", "--out", "Cu")
    assert main(["fit", "train.xyz", *words]) == 0
    assert "largest errors: E " in capsys.readouterr().out
    assert main(["eval", "Cu/model.acepot", "train.xyz"]) == 0
    assert "largest errors: E " in capsys.readouterr().out
