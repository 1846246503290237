"""A fit that is killed goes on where it was, and ends with the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acepot import Structure
from acepot.errors import InputError
from acepot.fitting import assembly
from acepot.fitting.config import load_config
from acepot.fitting.fit import fit
from acepot.fitting.folder import fit_to_folder
from acepot.fitting.problem import Accumulator
from acepot.fitting.resume import digest, memory_in
from acepot.io.structures import extxyz

ROOT = Path(__file__).parents[3]
CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])
FIT = """
data.train = "train.xyz"
data.test = "test.xyz"
basis = {order = 3, degree = 8, cutoff = 5.0, pair = {degree = 4}}
committee.size = 2
"""
#: A fit with a checkpoint after every structure that says how many rows it made.
PROGRAM = """
import sys, time
from acepot.fitting import assembly
from acepot.fitting.config import load_config
from acepot.fitting.folder import fit_to_folder
made = []
honest = assembly.structure_rows
def counted(*given):
    made.append(1)
    time.sleep(0.02)
    return honest(*given)
assembly.structure_rows = counted
say = lambda line: print(line, flush=True)
fit_to_folder(load_config("fit.toml"), sys.argv[1], say=say, threads=1, plots=False, every=0.0)
print("rows of", len(made))
"""
COUNT = 40


def sample(count: int, seed: int) -> list[Structure]:
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        cell = CELL @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.12, size=(4, 3))
        s = Structure(
            rng.permutation([8, 8, 14, 14]), positions, cell, True, config_type=f"g{k % 2}"
        )
        energy, forces, virial = rng.normal() - 16, rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
        found.append(s.labelled(energy=energy, forces=forces, virial=virial + virial.T))
    return found


@pytest.fixture
def here(tmp_path: Path) -> Path:
    extxyz.write_structures(tmp_path / "train.xyz", sample(COUNT, 1))
    extxyz.write_structures(tmp_path / "test.xyz", sample(3, 2))
    (tmp_path / "fit.toml").write_text(FIT)
    return tmp_path


def start(here: Path, folder: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, folder],
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


def wait_for_a_checkpoint(folder: Path, run: subprocess.Popen[str]) -> None:
    record = folder / "unfinished" / "checkpoint.json"
    end = time.monotonic() + 60
    while not record.exists() and run.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)


def end_again_and_again(here: Path, seed: int, kills: int, number: int) -> None:
    """Kill a fit several times at random points; the last run must go on and end it."""
    whole = start(here, "whole")
    said = whole.communicate(timeout=120)[0]
    assert whole.returncode == 0 and f"rows of {COUNT}" in said, said
    expected = left(here / "whole")
    assert set(expected) == {"model.acepot", "report.json", "fit.toml", "worst.extxyz"}

    rng = random.Random(seed)
    done: list[int] = []
    for _ in range(kills):
        run = start(here, "killed")
        wait_for_a_checkpoint(here / "killed", run)
        time.sleep(rng.uniform(0.15, 1.0 / kills))
        run.send_signal(number)
        said = run.communicate(timeout=120)[0]
        assert run.returncode != 0, said
        assert not (here / "killed" / "model.acepot").exists()
        done += [int(line.split("goes on after ")[1].split()[0]) for line in said.splitlines()
                 if "goes on after" in line]  # fmt: skip
    last = start(here, "killed")
    said = last.communicate(timeout=120)[0]
    assert last.returncode == 0, said
    begun = int(said.split("goes on after ")[1].split()[0])
    assert 0 < begun < COUNT and [*done, begun] == sorted([*done, begun])
    # Rows of structures that are in the state are not made again, but for the probes' rows.
    probes = np.linspace(0, COUNT - 1, 12).astype(int)
    made = int(said.split("rows of ")[1].split()[0])
    assert made == COUNT - begun + int((probes < begun).sum()) < COUNT
    assert left(here / "killed") == expected
    assert [p.name for p in (here / "killed").iterdir() if p.is_dir()] == []


def test_a_killed_fit_goes_on_to_the_same_bytes(here: Path) -> None:
    end_again_and_again(here, 1, 3, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_fit_killed_anywhere_goes_on_to_the_same_bytes(here: Path, seed: int) -> None:
    end_again_and_again(here, seed, 1, signal.SIGKILL)


def test_a_stopped_fit_says_so_and_goes_on(here: Path) -> None:
    run = start(here, "stopped")
    wait_for_a_checkpoint(here / "stopped", run)
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=60)[0]
    assert f"of {COUNT} structures; the same command goes on from there" in said
    assert run.returncode != 0
    again = start(here, "stopped").communicate(timeout=120)[0]
    assert f"of {COUNT} structures" in again and "goes on after" in again


# ------------------------------------------------------------------ in this process


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of so many structures are made, then the fit ends."""
    honest, made = assembly.structure_rows, []

    def counted(*given: Any) -> Any:
        made.append(1)
        if len(made) > count:
            raise KeyboardInterrupt
        return honest(*given)

    monkeypatch.setattr(assembly, "structure_rows", counted)


def run(here: Path, *, every: float = 0.0) -> list[str]:
    said: list[str] = []
    config = load_config(here / "fit.toml")
    fit_to_folder(config, here / "out", say=said.append, threads=1, plots=False, every=every)
    return said


def interrupted(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(7, patch)
        with pytest.raises(KeyboardInterrupt):
            run(here)
    assert (here / "out" / "unfinished" / "checkpoint.json").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h: (h / "fit.toml").write_text(FIT + "[weights.g0]\nforces = 2.0\n"), "weights"),
        (lambda h: (h / "fit.toml").write_text(FIT.replace("degree = 8", "degree = 7")), "degree"),
        (lambda h: extxyz.write_structures(h / "train.xyz", sample(COUNT, 3)), "e0"),
    ],
)
def test_the_state_of_another_fit_is_not_used(
    here: Path, monkeypatch: pytest.MonkeyPatch, change: Any, reason: str
) -> None:
    interrupted(here, monkeypatch)
    change(here)
    said = " ".join(run(here))
    assert "belongs to another run" in said and reason in said
    assert "the fit begins anew" in said and "goes on" not in said
    fresh = here / "fresh"
    config = load_config(here / "fit.toml")
    fit_to_folder(config, fresh, say=lambda _line: None, threads=1, plots=False)
    assert left(fresh) == left(here / "out")


def test_other_labels_are_another_fit(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "fit.toml").write_text(FIT + "[e0]\nO = -4.0\nSi = -4.0\n")
    interrupted(here, monkeypatch)
    text = (here / "train.xyz").read_text().splitlines()
    text[2] = " ".join([*text[2].split()[:-1], "0.5"])  # one force component
    (here / "train.xyz").write_text("\n".join(text) + "\n")
    assert "the contents of the training data have changed" in " ".join(run(here))


def test_damaged_state_is_said_and_not_used(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(here, monkeypatch)
    (state,) = (here / "out" / "unfinished").glob("state.*")
    state.write_bytes(state.read_bytes()[:100])
    said = " ".join(run(here))
    assert "damaged" in said and "the fit begins anew" in said


def test_a_fit_that_cannot_be_leaves_nothing_and_a_short_one_saves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(7, patch)
        with pytest.raises(KeyboardInterrupt):
            run(here, every=20.0)
    assert list((here / "out").iterdir()) == []


def test_a_fit_in_memory_has_a_checkpoint_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    structures, basis = sample(9, 1), {"order": 2, "degree": 5, "cutoff": 4.5}
    whole = fit(structures, basis, threads=1)
    monkeypatch.setattr("acepot.fitting.fit.memory_in", lambda path: memory_in(path, 0.0))
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        with pytest.raises(KeyboardInterrupt):
            fit(structures, basis, threads=1, checkpoint=tmp_path / "state")
    said: list[str] = []
    done = fit(structures, basis, threads=1, checkpoint=tmp_path / "state", say=said.append)
    assert any("goes on after 5 of 9 structures" in line for line in said)
    np.testing.assert_array_equal(done.model.coefficients, whole.model.coefficients)
    assert not (tmp_path / "state").exists()


def test_a_checkpoint_in_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    structures, basis = sample(3, 1), {"order": 1, "degree": 4, "cutoff": 4.5}
    md = {"checkpoint.json": "{}", "state.1": "x", "run.json": '{"engine": "ase"}', "lock": ""}
    for name, files in {
        "mine": {"state.dat": "x", "run.json": "{}"}, "notes": {"notes.txt": "x"}, "md": md,
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
        before = left(tmp_path / name)
        with pytest.raises(InputError, match=f"{name}: expected a new or empty folder"):
            fit(structures, basis, threads=1, checkpoint=tmp_path / name)
        assert left(tmp_path / name) == before


def test_a_finished_fit_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    """Another process has the folder as soon as it is removed, before the first fit ends."""
    path = tmp_path / "state"
    with memory_in(path) as first:
        first.remove()
        path.mkdir()
        (path / "checkpoint.json").write_text("of another fit")
    assert left(path) == {"checkpoint.json": b"of another fit"}


@pytest.mark.parametrize(("count", "targets"), [(3, 1), (700, 1), (1300, 3)])
def test_an_accumulator_goes_on_from_its_state_to_the_same_bits(count: int, targets: int) -> None:
    rng = np.random.default_rng(count)
    rows, right = rng.normal(size=(count + 400, 9)), rng.normal(size=(count + 400, targets))
    one = Accumulator(9, targets)
    one.add(rows[:count], right[:count])
    other = Accumulator.restored({k: v.copy() for k, v in one.state().items()})
    for each in (one, other):
        each.add(rows[count:], right[count:])
    for target in range(targets):
        a, b = one.finish(target), other.finish(target)
        np.testing.assert_array_equal(a.triangle, b.triangle)
        np.testing.assert_array_equal(a.targets, b.targets)
        assert a.outside == b.outside and a.rows == b.rows == count + 400
        trial = rng.normal(size=9)
        assert a.residual(trial) == pytest.approx(np.sum((rows @ trial - right[:, target]) ** 2))


def test_digests_tell_structures_apart() -> None:
    one, other = sample(2, 1)
    shadow = {"positions": np.zeros(3)}  # a label named like what every structure has
    moved = replace(one, positions=one.positions + 0.1)
    labelled = one.labelled(labels={"dipole": [1.0, 2.0, 3.0]})
    found = [
        digest(s)
        for s in (
            [one], [other], [one, other], [other, one], [labelled],
            [labelled.labelled(labels={"dipole": [1.0, 2.0, 3.5]})], [one.labelled(charge=1.0)],
            [one.labelled(labels=shadow)], [moved.labelled(labels=shadow)],
            [one.labelled(energy=None)], [one.labelled(forces=None)],
        )
    ]  # fmt: skip
    assert len(set(found)) == len(found) and digest([one]) == found[0]
