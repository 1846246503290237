"""The structures with the largest errors are named: one wrong label hardly shows in a mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.cli.main import main
from acepot.io.structures import extxyz
from acepot.report.worst import worst

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
