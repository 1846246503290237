"""What stops a run of a fitted model: holes, atoms too close, members that do not agree."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nested_runs import step_of

import acepot
from acepot import BasisSpec, Model, Potential, Structure, basis_size, resolve
from acepot.basis.choices import Pair
from acepot.errors import InputError
from acepot.neighbours import nearest
from acepot.sampling.committee import SpreadError
from acepot.sampling.config import (
    Atoms,
    EnsembleSettings,
    NestedConfig,
    Output,
    Run,
    StopSettings,
)
from acepot.sampling.guards import HoleError, distances
from acepot.sampling.hdf5 import read_state
from acepot.sampling.limits import CommitteeLimits, Guards
from acepot.sampling.run import sample
from acepot.sampling.settings import Tuning

SILICON = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"


def silicon(**changes):
    return replace(
        NestedConfig(
            str(SILICON),
            Atoms({"Si": 4}),
            run=Run(walkers=10, length=16, batch=4, shape_rounds=20, threads=1),
            stop=StopSettings(iterations=24),
            tuning=Tuning(interval=1000, pilots=4, rounds=2),
            output=Output(every=4, culled=4),
            guards=Guards(holes="allow"),
        ),
        **changes,
    )


def run(config, folder):
    said = []
    sample(config, folder, say=said.append, plots=False)
    return said


@pytest.fixture(scope="module")
def attractive(tmp_path_factory):
    """A file of a model whose atoms attract each other to the last."""
    spec = resolve(BasisSpec(("Si",), order=2, degree=4.0, cutoff=5.0, pair=Pair(degree=3)))
    coefficients = np.zeros(basis_size(spec)["total"])
    labels = spec.expansion().labels
    first = (labels.order == 0) & (labels.n[:, 0] == labels.n[labels.order == 0, 0].min())
    at = Potential(Model(spec, first.astype(float), np.zeros(1)), threads=1)
    dimer = Structure([14, 14], [[0, 0, 0], [0.9, 0.0, 0.0]])
    coefficients[first] = -10.0 / at.compute(dimer).energy
    path = tmp_path_factory.mktemp("attractive") / "model.acepot"
    acepot.save(Model(spec, coefficients, np.zeros(1)), path)
    return path


# ------------------------------------------------------------------ holes


def test_a_model_with_holes_is_refused(attractive, tmp_path):
    config = silicon(model=str(attractive), guards=Guards())
    with pytest.raises(HoleError, match=r"fall into each other: holes: found.*guards.holes = "):
        run(config, tmp_path)
    assert not (tmp_path / "ns.toml").exists()


def test_a_walker_that_falls_into_a_hole_stops_the_run(attractive, tmp_path):
    config = silicon(
        model=str(attractive),
        guards=Guards(min_distance=0.3, holes="allow"),
        stop=StopSettings(iterations=5000),
        ensemble=EnsembleSettings(volume_max=40.0),
    )
    for _ in range(2):  # the same command stops at once at the same place
        with pytest.raises(HoleError, match=r"below guards.energy_min \(-12\), deeper") as caught:
            run(config, tmp_path)
        at = step_of(tmp_path)
        assert f"after iteration {at}: a walker has -" in str(caught.value)
        (structure,), _ = acepot.read_structures(tmp_path / f"hole.{at}.extxyz")
        energy = Potential(acepot.load(attractive), threads=1).compute(structure).energy
        assert energy / len(structure) < -12.0


# ------------------------------------------------------------------ distances


def test_distances_come_from_the_data_of_the_fit_unless_they_are_given():
    potential = Potential(acepot.load(SILICON), threads=1)
    shortest = potential.model.provenance["shortest distances"]["Si-Si"]
    found, words = distances(Guards(), [14, 14], potential)
    assert found == {"Si-Si": round(0.9 * shortest, 3)} and "shortest in the data" in words
    assert distances(Guards(min_distance=1.2), [14], potential)[0] == {"Si-Si": 1.2}
    assert distances(Guards(min_distance={"Si-Si": 0.7}), [14], potential)[0] == {"Si-Si": 0.7}
    unknown = Potential(replace(potential.model, provenance={}), threads=1)
    found, words = distances(Guards(), [14], unknown)
    assert found == {"Si-Si": 0.6 * 2.4} and "the model does not say" in words
    assert distances(Guards(), [14], None) == ({}, "")


def test_pairs_are_those_of_the_elements_in_either_order():
    guards = Guards(min_distance={"O-Si": 1.1})
    assert distances(guards, [14, 8], None)[0] == {"O-Si": 1.1}
    assert distances(Guards(min_distance={"Si-O": 1.1}), [14, 8], None)[0] == {"O-Si": 1.1}
    with pytest.raises(InputError, match=r"guards.min_distance: expected pairs of Si-Si, got 'Si-"):
        distances(Guards(min_distance={"Si-Ge": 1.0}), [14], None)


def test_no_atoms_come_closer_than_they_may(tmp_path):
    config = silicon(guards=Guards(min_distance=2.2, holes="allow"))
    said = run(config, tmp_path)
    assert "atoms no closer than Si-Si 2.2 Å (as the settings say)" in said
    walkers = read_state(next(tmp_path.glob("state.*"))).state.walkers
    shown, _ = acepot.read_structures(tmp_path / "P0.culled.extxyz")
    shown += [
        Structure(walkers.numbers[0, k], walkers.positions[0, k], walkers.cells[0, k], True)
        for k in range(10)
    ]
    assert min(nearest(one, 6.0).get((14, 14), 6.0) for one in shown) >= 2.2


# ------------------------------------------------------------------ committee


def test_the_spread_of_what_is_culled_is_logged(tmp_path):
    run(silicon(committee=CommitteeLimits(every=8)), tmp_path)
    rows = np.loadtxt(tmp_path / "committee.csv", delimiter=",", skiprows=1)
    assert rows[:, 0].tolist() == [0, 8, 16]
    shown, _ = acepot.read_structures(tmp_path / "P0.culled.extxyz")
    potential = Potential(acepot.load(SILICON), threads=1)
    result = potential.compute(shown[2], committee=True)  # iteration 8
    spread = np.sqrt(((result.committee.energies - result.energy) ** 2).mean()) / 4
    assert rows[1, 1] == pytest.approx(spread, rel=1e-9)


def test_a_spread_beyond_its_threshold_stops_the_run_until_it_is_raised(tmp_path):
    run(silicon(committee=CommitteeLimits(every=4)), tmp_path / "whole")
    rows = np.loadtxt(tmp_path / "whole" / "committee.csv", delimiter=",", skiprows=1)
    row = 1 + int(rows[1:, 2].argmax())
    at, most = int(rows[row, 0]), 0.999 * rows[row, 2]
    first = int(rows[np.flatnonzero(rows[:, 2] > most)[0], 0])
    limits = CommitteeLimits(every=4, force_threshold=float(most))
    for _ in range(2):
        with pytest.raises(SpreadError, match=r"forces of the committee.*force_threshold"):
            run(silicon(committee=limits), tmp_path / "run")
        assert step_of(tmp_path / "run") == first <= at
    assert (tmp_path / "run" / f"uncertain.{first}.P0.extxyz").exists()
    said = run(silicon(committee=replace(limits, beyond="write")), tmp_path / "run")
    assert "committee.beyond was 'stop' and is now 'write'" in said[0]
    shown, _ = acepot.read_structures(tmp_path / "run" / "uncertain.extxyz")
    assert len(shown) == (rows[:, 2] > most).sum()
    for name in ("P0.energies", "committee.csv", "log.csv", "P0.live"):
        whole = (tmp_path / "whole" / name).read_bytes()
        assert whole == (tmp_path / "run" / name).read_bytes()


def test_thresholds_need_a_committee(attractive, tmp_path):
    limits = CommitteeLimits(energy_threshold=0.1)
    with pytest.raises(InputError, match="expected no thresholds, for .* has no committee"):
        run(silicon(model=str(attractive), committee=limits), tmp_path)


# ------------------------------------------------------------------ elements


def test_elements_that_the_model_lacks_are_named(tmp_path):
    with pytest.raises(InputError, match=r"elements of .*, which are Si, got O"):
        run(silicon(structure=Atoms({"Si": 1, "O": 2})), tmp_path)


def test_the_record_of_a_run_says_which_model_it_is_of(tmp_path):
    run(silicon(), tmp_path)
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["kind"] == "nested sampling" and len(about["model"]) == 64
