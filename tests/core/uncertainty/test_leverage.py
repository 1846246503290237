"""Wrong labels are found by what the rest of the data say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.structure import Structure
from acepot.uncertainty.calibration import calibrate
from acepot.uncertainty.leverage import leverages, suspects

DATA = Path(__file__).parents[3] / "examples" / "data"


def _fit(structures: list[Structure]) -> acepot.Fit:
    basis = {"order": 2, "degree": 7, "cutoff": 4.5}
    return acepot.fit(
        structures, basis, observables=("energy", "forces"), accept_labels=True,
        restraint={"weight": 0.0},
    )  # fmt: skip


def _relabelled(s: Structure, energy: float = 0.0, force: float = 0.0) -> Structure:
    forces = s.forces.copy()
    forces[5, 1] += force
    return Structure(
        s.numbers, s.positions, s.cell, s.pbc, energy=s.energy + energy, forces=forces,
        config_type=s.config_type, name=s.name,
    )  # fmt: skip


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    return acepot.read_structures(DATA / "Si_train.extxyz.xz")[0][::4]


def test_wrong_labels_come_first(structures: list[Structure]) -> None:
    wrong = list(structures)
    wrong[3] = _relabelled(structures[3], energy=0.3 * len(structures[3]))
    wrong[11] = _relabelled(structures[11], force=5.0)
    fit = _fit(wrong)
    found = suspects(fit.left_out, calibrate(fit.left_out))
    named = [(s.structure.name, s.observable) for s in found]
    assert named == [(wrong[11].name, "forces"), (wrong[3].name, "energy")]
    forces, energy = found
    assert forces.index == 16 and forces.error == pytest.approx(-5.0, abs=0.5)
    assert energy.error / len(wrong[3]) == pytest.approx(-0.3, abs=0.02)
    assert "atom 5" in str(forces) and "leverage" in str(energy)


def test_sound_data_have_no_suspects(structures: list[Structure]) -> None:
    fit = _fit(structures)
    assert suspects(fit.left_out, calibrate(fit.left_out)) == []


def test_leverages_are_sorted_and_sum_to_the_effective_parameters(
    structures: list[Structure],
) -> None:
    fit = _fit(structures)
    found = leverages(fit.left_out)
    sums = [value for _, value in found]
    assert sums == sorted(sums, reverse=True)
    assert sum(sums) == pytest.approx(fit.solution.report["effective parameters"], rel=1e-6)
    assert all(0 <= h.min() and h.max() <= 1 for p in fit.left_out for h in p.leverage.values())
    assert np.isfinite(sums).all()
