"""Runs in their folders: however they end, the same command goes on, to the same data base."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hal_cases import Truth, config, digest, lennard_jones, run

import acepot
from acepot.errors import InputError
from acepot.hal import journey as journey_module
from acepot.hal.columns import LABELLED, TRIGGERS
from acepot.hal.config import HalConfig, dump_config, load_config
from acepot.hal.database import read
from acepot.hal.influence import influence
from acepot.hal.reference.job import Labelled, ReferenceError
from acepot.hal.reference.opening import opened
from acepot.hal.reference.queue import WaitingError
from acepot.hal.reference.settings import FileReference
from acepot.hal.surface import FunctionSurface
from acepot.hal.walk import go_on
from acepot.hal.walker import Walker
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.extxyz import write_structures
from acepot.run import log
from acepot.structure import Structure
from acepot.uncertainty.leverage import leverages
from acepot.uncertainty.posterior_file import load_posterior


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    truth = Truth()
    said, journey = run(folder, truth)
    return folder, said, journey, truth


def test_a_run_learns_and_leaves_its_files(whole):
    folder, said, journey, truth = whole
    assert truth.asked == list(range(1, 13))
    records = read(folder / "data.extxyz")
    assert len(records) == 12 and journey.state.finished == "12 calculations were made"
    assert [r.origin.trigger for r in records][:5] == ["atom", *["start"] * 4]
    ended = [r for r in records if r.origin.cycle > 0]
    assert all(r.origin.trigger in ("criterion", "distance", "force") for r in ended)
    assert all(r.origin.parent in (0, 1) and r.origin.step > 0 for r in ended)
    for record in records:
        assert record.structure.energy == pytest.approx(
            lennard_jones(record.structure).energy, abs=1e-12
        )
    table = log.read(folder / "labelled.csv", LABELLED)
    assert len(table["cycle"]) == 12 and np.isfinite(table["force_error_eV_A"][5:]).all()
    criterion = table["trigger"] == TRIGGERS.index("criterion")
    assert (table["grade"][criterion] > 0.1).all()
    model = acepot.load(folder / "model.acepot")
    assert len(load_posterior(folder / "posterior.acepot", model).mean) == 23
    assert len(list((folder / "models").iterdir())) == journey.state.cycle
    page = (folder / "hal.html").read_text()
    assert "12 calculations were made" in page and page.count("<svg") == 8
    assert "<h2>Leverage</h2>" in page and "is contradicted" in page
    assert "written" not in said[-1] and "the model is" in said[-1]


def test_the_model_errs_less_than_before_and_the_fit_is_that_of_its_data(whole):
    folder, _, journey, _ = whole
    train = [r.structure for r in read(folder / "data.extxyz") if r.origin.use == "train"]
    again = acepot.fit(
        train, journey._learner.fit.recipe.basis, threads=1, e0={"Ar": 0.0},
        observables=("energy", "forces", "virial"), accept_labels=True,
    )  # fmt: skip
    model = acepot.load(folder / "model.acepot")
    assert model.coefficients[0, 0] == pytest.approx(
        again.model.coefficients[0, 0], rel=1e-5, abs=1e-5
    )


def test_a_finished_run_stays_as_it_is_and_a_longer_one_goes_on(whole, tmp_path):
    folder, _, _, _ = whole
    before = digest(folder)
    said, journey = run(folder)
    assert "is finished" in said[0] and digest(folder) == before
    one, _ = run(tmp_path / "a" / "run", stop={"references": 9})
    assert "9 calculations were made" in one[-1]
    two, _ = run(tmp_path / "a" / "run", stop={"references": 12})
    assert "stop.references was 9 and is now 12" in two[0]
    assert "this run had ended" in two[1] and "goes on" in two[1]
    assert len(read(tmp_path / "a" / "run" / "data.extxyz")) == 12
    with pytest.raises(InputError, match="another run: motion.steps was 60 and is now 61"):
        run(folder, motion={"steps": 61})


@pytest.mark.parametrize("onward", [True, False])
def test_walks_go_on_from_where_the_criterion_ended_them(onward, tmp_path, monkeypatch):
    seen = []

    def watched(config, walkers, surface):
        seen.append([(w.step, np.array(w.positions), np.array(w.velocities)) for w in walkers])
        go_on(config, walkers, surface)
        assert all(w.ended == "" for w in walkers)
        assert [w.step for w in walkers] == [step for step, _, _ in seen[-1]]

    monkeypatch.setattr(journey_module, "go_on", watched)
    folder = tmp_path / "run"
    run(
        folder,
        motion={"onward": onward},
        criterion={"tolerance": 0.005},
        guards={"min_distance": 1.3},
    )
    records = [r for r in read(folder / "data.extxyz") if r.origin.trigger == "criterion"]
    for cycle, walkers in enumerate(seen, start=1):
        before = [r for r in records if r.origin.cycle == cycle - 1 and r.origin.step < 60]
        before.sort(key=lambda r: r.origin.walker)
        room = len(walkers)  # the last cycle has fewer
        assert room == min(len(before), 2) * onward or cycle == len(seen)
        for (step, positions, _), record in zip(walkers, before, strict=False):
            assert step == record.origin.step
            assert np.allclose(positions, record.structure.positions, rtol=0, atol=1e-9)
    assert any(seen) == onward


def test_a_walk_goes_on_with_the_bias_of_the_new_model(tmp_path):
    lengths = np.array([1.0, 1.4, 1.9])

    def surface(scale):
        def function(structure):
            forces = np.zeros((3, 3))
            forces[:, 0] = scale * lengths
            return 2.0 * scale, 0.5, forces, np.ones((3, 3)) / np.sqrt(3.0)

        return FunctionSurface(function)

    structure = Structure([18] * 3, 3.0 * np.eye(3))
    walker = Walker.at(structure, 300.0, np.random.default_rng(1))
    walker.ended, walker.step, walker.tau, walker.pull, walker.push = "criterion", 30, 9.0, 7.0, 3.0
    velocities = np.array(walker.velocities)
    go_on(config(tmp_path / "run", bias={"warm_up": 3, "strength": 0.2}), [walker], surface(3.0))
    assert walker.ended == "" and walker.step == 30
    assert np.array_equal(walker.velocities, velocities)
    assert walker.tau == pytest.approx(0.2 * 3.0 * lengths.mean(), rel=1e-12)
    assert walker.energy == 6.0 and walker.sigma == 0.5
    expected = np.zeros((3, 3))
    expected[:, 0] = 3.0 * lengths
    assert walker.forces == pytest.approx(expected - walker.tau / np.sqrt(3.0), rel=1e-12)


def test_the_leverages_of_a_fit_are_its_effective_parameters(whole):
    journey = whole[2]
    fit = journey._learner.fit
    numbers = list(range(100, 100 + len(fit.train)))
    text = influence(fit.left_out, numbers)
    largest, amount = leverages(fit.left_out)[0]
    total = sum(amount for _, amount in leverages(fit.left_out))
    assert f"determine {total:.0f} parameters" in text
    number = next(n for n, s in zip(numbers, fit.train, strict=True) if s is largest)
    assert text.index(f"<td>{number}</td>") < text.index(f"<td>{amount:.1f}</td>")
    assert influence([], []) == ""


def test_a_label_that_cannot_be_right_is_named(whole):
    fit = whole[2]._learner.fit
    wrong = list(fit.left_out)
    k = next(k for k, p in enumerate(wrong) if "energy" in p.errors and len(p.structure) > 1)
    errors = {**wrong[k].errors, "forces": wrong[k].errors["forces"] + 500.0}
    wrong[k] = replace(wrong[k], errors=errors)
    text = influence(wrong, list(range(50, 50 + len(wrong))))
    assert f"<li>calculation {50 + k}, " in text and "forces off by" in text


# ------------------------------------------------------------------ kills


def killed(folder: Path, count: int, seed: int, whole: Path, **tables) -> int:
    """Kill a run in a process of its own at random moments; how often it was in its middle.

    Every other time it is killed soon after a checkpoint, wherever the start takes long.
    """
    choose, hits = random.Random(seed), 0
    words = json.dumps({"output": {"checkpoint": 0.0}, **tables})
    command = [sys.executable, str(Path(__file__).with_name("hal_cases.py")), str(folder), words]
    record = folder / "checkpoint.json"
    for number in range(count):
        before = record.stat().st_mtime_ns if record.exists() else None
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        wait = time.monotonic() + 60
        while number % 2 == 0 and process.poll() is None and time.monotonic() < wait:
            if record.exists() and record.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(choose.uniform(0.0, 2.5 if number % 2 else 0.3))
        if process.poll() is None:
            hits += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    _, journey = run(folder, output={"checkpoint": 0.0}, **tables)
    assert journey.state.finished
    assert digest(folder) == digest(whole)
    return hits


def test_a_run_killed_twice_equals_one_that_was_not(whole, tmp_path):
    assert killed(tmp_path / "run", 2, 1, whole[0]) >= 1


@pytest.mark.slow
def test_a_run_killed_ten_times_equals_one_that_was_not(tmp_path):
    more = {"stop": {"references": 30}, "motion": {"steps": 400}}
    run(tmp_path / "whole" / "run", **more)
    hits = killed(tmp_path / "killed" / "run", 10, 2, tmp_path / "whole" / "run", **more)
    assert hits >= 4


class Stops(Truth):
    """A reference during which the run is asked to stop."""

    def submit(self, number, structure, e0):
        if number == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().submit(number, structure, e0)


def test_sigterm_makes_a_checkpoint_and_the_run_goes_on(whole, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(folder, Stops())
    run(folder)
    assert digest(folder) == digest(whole[0])


# ------------------------------------------------------------------ faults


def test_a_structure_that_cannot_be_labelled_is_kept_and_the_run_goes_on(tmp_path):
    def fault(number, found):
        return Labelled(found.structure.moved(found.structure.positions), "diverged") \
            if number == 8 else found  # fmt: skip

    said, _ = run(tmp_path / "run", Truth(fault))
    assert "calculation 8 gave no labels: diverged" in said
    assert len(read(tmp_path / "run" / "data.extxyz")) == 11
    text = (tmp_path / "run" / "failed.extxyz").read_text()
    assert "hal_error=diverged" in text and "hal_trigger=" in text


def test_where_nothing_is_labelled_the_run_stops_and_tries_again(whole, tmp_path):
    def fault(number, found):
        return Labelled(found.structure.moved(found.structure.positions), "no licence")

    folder = tmp_path / "run"
    with pytest.raises(ReferenceError, match=r"isolated Ar atom: no licence; or give fit.e0.Ar"):
        run(folder, Truth(fault))
    late = Truth(lambda n, found: fault(n, found) if n > 5 else found)
    with pytest.raises(ReferenceError, match="no calculation of cycle 1 gave labels: no licence"):
        run(folder, late)
    run(folder)
    assert digest(folder) == digest(whole[0])


def test_large_forces_are_kept_aside(tmp_path):
    run(tmp_path / "run", fit={"max_force": 0.5})
    uses = {r.origin.use for r in read(tmp_path / "run" / "data.extxyz")}
    assert uses == {"train", "aside"}


def test_a_full_disk_loses_nothing_up_to_the_last_checkpoint(whole, tmp_path):
    folder = tmp_path / "run"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Fills(Truth):
        def submit(self, number, structure, e0):
            if number == 9:
                resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, before[1]))
            return super().submit(number, structure, e0)

    try:
        with pytest.raises(OSError, match="nothing up to the last checkpoint is lost"):
            run(folder, Fills())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run(folder)
    assert digest(folder) == digest(whole[0])


def test_labels_of_somebody_else(whole, tmp_path):
    """The run ends where inputs wait, and goes on to what a run without a break has."""
    folder = tmp_path / "run"
    for _ in range(40):
        try:
            run(folder, opened(FileReference(), folder, lambda _: None))
            break
        except WaitingError:
            for path in sorted((folder / "jobs").glob("??????.extxyz")):
                output = path.with_name(f"{path.stem}.out.extxyz")
                if not output.exists():
                    write_structures(output, [lennard_jones(read_structures(path)[0][0])])
    assert digest(folder) == digest(whole[0])


def test_quiet_cycles_end_a_run(tmp_path):
    tables = {"criterion": {"tolerance": 1e5}, "guards": {"max_force": 1e6, "min_distance": 0.0}}
    _, journey = run(tmp_path / "run", **tables)
    assert journey.state.finished == "no walk was ended in 2 cycles"
    ended, _ = run(tmp_path / "b" / "run", stop={"cycles": 1, "quiet": 0}, **tables)
    assert "1 cycles were made" in ended[-1]


def test_elements_come_from_nothing_but_a_composition(tmp_path):
    start = {"composition": {"Ar": 6}, "volume": 45.0, "structures": 2, "file": None}
    _, journey = run(tmp_path / "run", start=start, stop={"references": 7})
    records = read(tmp_path / "run" / "data.extxyz")
    assert len(records) == 7 and all(len(r.structure) == 6 for r in records[1:])


# ------------------------------------------------------------------ growth, settings


def test_the_basis_grows_where_the_data_ask_for_it(tmp_path, monkeypatch):
    growth = {"degrees": [3.0, 6.0, 7.0], "every": 3}
    said, journey = run(tmp_path / "run", growth=growth, stop={"references": 14})
    grown = [line for line in said if "the basis grows to degree" in line]
    assert grown and journey.state.lessons.level >= 1
    again, repeated = run(tmp_path / "run", growth=growth, stop={"references": 15})
    assert repeated.state.lessons.level >= journey.state.lessons.level


def test_a_larger_basis_that_cannot_be_fitted_changes_nothing(tmp_path):
    growth = {"degrees": [6.0, 150.0], "every": 2}
    said, journey = run(tmp_path / "run", growth=growth, stop={"references": 8})
    assert any("a larger one cannot be fitted" in line for line in said)
    assert journey.state.lessons.level == 0


def test_settings_are_written_out_and_read_again(tmp_path):
    one = config(tmp_path / "run")
    (tmp_path / "hal.toml").write_text(dump_config(one, tmp_path))
    assert load_config(tmp_path / "hal.toml") == one
    assert isinstance(one, HalConfig)
    with pytest.raises(InputError, match="file: expected a file of structures, or instead"):
        config(tmp_path / "run", start={"file": None})
    with pytest.raises(InputError, match="degrees: expected numbers above 0 that grow"):
        config(tmp_path / "run", growth={"degrees": [6.0, 3.0]})
