"""Reference calculations fail in every way there is, and nothing is lost."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hal_cases import lennard_jones

from acepot.errors import InputError
from acepot.hal.reference.job import ReferenceError, labelled
from acepot.hal.reference.opening import opened
from acepot.hal.reference.pool import Processes
from acepot.hal.reference.process import Process
from acepot.hal.reference.queue import Files, WaitingError
from acepot.hal.reference.settings import AseReference, FileReference
from acepot.io.structures.extxyz import write_structures
from acepot.structure import Structure

pytest.importorskip("ase")
HERE = str(Path(__file__).parent)
ATOMS = Structure([18, 18], [[0.0, 0.0, 0.0], [0.0, 0.3, 2.4]])


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", HERE)


def pool(folder, timeout=60.0, retries=1, **keywords):
    settings = AseReference(
        "strange_calculators:Strange", timeout=timeout, retries=retries, energy_limit=100.0
    )
    return Processes(settings, keywords, folder)


def asked(folder, **words):
    several = pool(folder, **words)
    try:
        return several.submit(1, ATOMS, 0.0).result()
    finally:
        several.close()


def test_labels_come_from_a_process_that_prints_and_loses_no_digit(tmp_path):
    found = asked(tmp_path)
    assert found.error == ""
    assert found.structure.energy == 0.5 * float((ATOMS.positions**2).sum())
    assert np.array_equal(found.structure.forces, -ATOMS.positions)
    assert "calculators print" in (tmp_path / "process_0" / "output.txt").read_text()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("die", "ended with status 9 in the middle of a calculation; it said: calculators print"),
        ("raise", "RuntimeError: not converged"),
        ("nan", "the reference gave no usable labels: energy at index () is nan"),
        ("nonsense", "5e+05 eV per atom from free atoms; expected at most 100"),
    ],
)
def test_a_fault_is_said_and_one_that_passes_is_tried_again(fault, words, tmp_path):
    always = asked(tmp_path / "a", retries=0, fault=fault, times=99)
    assert words in always.error and always.structure.energy is None
    passing = asked(tmp_path / "b", fault=fault, times=1, note=str(tmp_path / "note"))
    assert passing.error == "" and passing.structure.energy is not None


def test_a_calculation_that_hangs_is_ended_and_made_again(tmp_path):
    begin = time.monotonic()
    words = {"fault": "hang", "times": 1, "note": str(tmp_path / "note")}
    assert asked(tmp_path, timeout=1.0, **words).error == ""
    assert time.monotonic() - begin < 120
    alone = asked(tmp_path / "b", timeout=0.5, retries=0, fault="hang", times=9)
    assert "took longer than 0.5 s and was ended (reference.timeout)" in alone.error


def test_a_process_that_is_killed_from_outside_is_started_again(tmp_path):
    several = pool(tmp_path)
    assert several.submit(1, ATOMS, 0.0).result().error == ""
    os.killpg(several._every[0]._process.pid, signal.SIGKILL)
    assert several.submit(2, ATOMS, 0.0).result().error == ""
    several.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [("no_such_calculator", "cannot be made"), ("json:NoSuch", "has no attribute 'NoSuch'")],
)
def test_a_calculator_that_is_none_is_said(name, words, tmp_path):
    process = Process(name, {}, tmp_path)
    with pytest.raises(ReferenceError, match=words):
        process.evaluate({}, 60.0)
    process.close()


def test_answers_without_labels_are_none():
    for answer in ({}, {"energy": 1.0}, {"energy": 1.0, "forces": [[0, 0, 0]]}, {"energy": "x"}):
        found = labelled(ATOMS, answer, 10.0, 0.0)
        assert "no usable labels" in found.error


def test_stress_becomes_a_virial():
    cell = Structure([18], [[0.0, 0.0, 0.0]], 2.0 * np.eye(3), True)
    stress = [[1.0, 0.5, 0], [0.5, 2.0, 0], [0, 0, 3.0]]
    found = labelled(cell, {"energy": 0, "forces": [[0, 0, 0]], "stress": stress}, 10.0, 0.0)
    assert found.structure.virial == pytest.approx(-8.0 * np.array(stress))


# ------------------------------------------------------------------ files


def test_files_wait_until_somebody_has_labelled(tmp_path):
    files = opened(FileReference(), tmp_path, lambda _: None)
    assert isinstance(files, Files)
    future = files.submit(3, ATOMS, 0.0)
    assert not future.done() and (tmp_path / "jobs" / "000003.extxyz").exists()
    with pytest.raises(WaitingError, match=r"waits for the labels of 1 structure \(000003.extxyz"):
        files.require()
    write_structures(tmp_path / "jobs" / "000003.out.extxyz", [lennard_jones(ATOMS)])
    again = opened(FileReference(), tmp_path, lambda _: None)
    found = again.submit(3, ATOMS, 0.0).result()
    again.require()
    assert found.error == "" and found.structure.forces == pytest.approx(
        lennard_jones(ATOMS).forces
    )


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (ATOMS, "expected an energy and forces, got none"),
        (lennard_jones(Structure([18, 18], [[0, 0, 0], [0, 0, 2.4]])), "atoms of its input"),
        (lennard_jones(ATOMS).labelled(energy=1e9), "eV per atom from free atoms"),
        ("nonsense", "000001.out.extxyz"),
    ],
)
def test_outputs_of_something_else_are_refused(output, words, tmp_path):
    (tmp_path / "jobs").mkdir()
    path = tmp_path / "jobs" / "000001.out.extxyz"
    if isinstance(output, str):
        path.write_text(output)
    else:
        write_structures(path, [output])
    files = Files(FileReference(), tmp_path / "jobs")
    assert words in files.submit(1, ATOMS, 0.0).result().error


def test_wrapped_outputs_are_those_of_the_input(tmp_path):
    cell = Structure([18, 18], [[0.1, 0, 0], [0, 0.3, 2.4]], 5.0 * np.eye(3), True)
    moved = cell.moved(cell.positions + np.array([[5.0, 0, 0], [0, -5.0, 5.0]]))
    (tmp_path / "jobs").mkdir()
    write_structures(tmp_path / "jobs" / "000001.out.extxyz", [lennard_jones(moved)])
    files = Files(FileReference(), tmp_path / "jobs")
    found = files.submit(1, cell, 0.0).result()
    assert found.error == "" and np.array_equal(found.structure.positions, cell.positions)


def test_settings_of_references_are_checked():
    with pytest.raises(InputError, match="timeout: expected more than 0"):
        AseReference("eam", timeout=0.0)
    with pytest.raises(InputError, match="processes: expected 1 to"):
        AseReference("eam", processes=0)
    moved = AseReference("eam", files={"potential": "w.fs"}).moved(lambda name: f"/there/{name}")
    assert moved.all_keywords(lambda name: name) == {"potential": "/there/w.fs"}
