"""`acepot md`: runs that are made longer, moved, chained, and stopped by their committee."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from md_runs import (
    ENGINES,
    MODEL,
    TRAJECTORIES,
    Make,
    each_engine_once,
    frames,
    refused,
    same,
    stop,
)

import acepot
from acepot import Potential
from acepot.md.config import load_config
from acepot.md.simulation import simulate
from acepot.md.snapshot import LAST, moving, velocities
from acepot.md.start import prepare
from acepot.run import lock as locks
from acepot.run.folder import run_folder
from acepot.units import AMU

DATA = Path(__file__).parent / "data"
pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("md_environment")]


# ------------------------------------------------------------------ longer


@ENGINES
def test_a_run_made_longer_equals_one_that_was_as_long(engine: str, make: Make) -> None:
    make(run__steps=40).finish(engine, "run")
    simulation = make(run__steps=80)
    done = simulation.run(engine, "run")
    assert done.status == 0, done.stderr
    assert "run.steps was 40 and is now 80" in done.stdout and "from step 40" in done.stdout
    assert json.loads((simulation.folder("run") / "run.json").read_text())["changes"] == [
        {"step": 40, "run.steps": [40, 80]}
    ]
    simulation.finish(engine, "whole")
    same(simulation, engine, "whole", "run")
    assert (simulation.folder("run") / "md.toml").read_text() == (
        simulation.folder("whole") / "md.toml"
    ).read_text()


def test_no_run_is_made_shorter_than_it_is(make: Make, capsys) -> None:
    simulation = make(run__steps=40)
    simulation.finish("ase", "run")
    before = {path.name: path.read_bytes() for path in simulation.folder("run").iterdir()}
    shorter = "run.steps: this run is at step 40; expected 40 or more, got 20"
    refused(make(run__steps=20), shorter, capsys)
    both = r"belongs to another run: ensemble.temperature was 600.0 and is now 700.0; run.init"
    refused(make(run__steps=80, ensemble__temperature=700), both, capsys)
    refused(make(run__steps=80, output__every=20), "output.every was 10 and is now 20", capsys)
    assert before == {path.name: path.read_bytes() for path in simulation.folder("run").iterdir()}


# ------------------------------------------------------------------ moved


@ENGINES
def test_another_machine_has_other_threads_and_ranks(engine: str, make: Make) -> None:
    make(ensemble__kind="nve").finish(engine, "run")
    simulation = make(ensemble__kind="nve", run__steps=80, run__threads=2, lammps__ranks=2)
    done = simulation.run(engine, "run")
    assert done.status == 0, done.stderr
    assert "run.threads was 1 and is now 2" in done.stdout
    assert ("lammps.ranks" in done.stdout) == (engine == "lammps")
    (change,) = json.loads((simulation.folder("run") / "run.json").read_text())["changes"]
    assert change["run.threads"] == [1, 2] and change["step"] == 40
    assert simulation.log("run")["step"].tolist() == list(range(0, 81, 10))
    assert len(frames(engine, simulation.folder("run") / TRAJECTORIES[engine])) == 9
    make(ensemble__kind="nve", run__steps=80).finish(engine, "whole")
    for name in ("potential_eV", "kinetic_eV"):
        one, other = simulation.log("run")[name], simulation.log("whole")[name]
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_files_may_lie_elsewhere_if_they_are_the_same(make: Make, tmp_path: Path, capsys) -> None:
    shutil.copy(MODEL, tmp_path / "here.acepot")
    make(model="here.acepot").finish("ase", "run")
    (tmp_path / "here.acepot").rename(tmp_path / "there.acepot")
    done = make(model="there.acepot", run__steps=60).run("ase", "run")
    assert done.status == 0 and "model was '../here.acepot' and is now" in done.stdout
    other = ROOT_MODEL.read_bytes()
    (tmp_path / "there.acepot").write_bytes(other)
    refused(make(model="there.acepot"), "contents of the model have changed", capsys)


ROOT_MODEL = Path(__file__).parents[1] / "before" / "data" / "models" / "linear.acepot"


# ------------------------------------------------------------------ lost and damaged files


@pytest.mark.parametrize("name", ["md.toml", "run.json", "checkpoint.json", "state"])
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_folder_that_lost_something_is_refused(
    name: str, damage: str, make: Make, capsys
) -> None:
    simulation = make()
    simulation.finish("ase", "run")
    folder = simulation.folder("run")
    if name == "state":
        (name,) = (path.name for path in folder.glob("state.*"))
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:-7] + b"\xff[{=\x00\x01")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused(make(run__steps=60), rf"{name}.*(missing|damaged).*; .*--out", capsys)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", [LAST, "start.extxyz", "md.png"])
def test_files_of_others_are_not_overwritten(name: str, make: Make, capsys) -> None:
    simulation = make()
    simulation.folder("run").mkdir()
    (simulation.folder("run") / name).write_text("mine")
    refused(simulation, f"got one with a {name} that no run has made", capsys)
    assert (simulation.folder("run") / name).read_text() == "mine"


# ------------------------------------------------------------------ chained


@ENGINES
def test_a_run_starts_where_a_run_of_another_engine_is(engine: str, make: Make) -> None:
    """ASE, the engine, ASE again: the first row of each is the last of the one before."""
    simulation = make(ensemble__kind="nve")
    before = simulation.finish("ase", "first")
    for name, which, source in (("second", engine, "first"), ("third", "ase", "second")):
        simulation = make(ensemble__kind="nve", structure__run=source)
        done = simulation.run(which, name)
        assert done.status == 0, done.stderr
        assert re.search(rf"starts where .*{source} is: step 40", done.stdout), done.stdout
        columns = simulation.log(name)
        for title in ("potential_eV", "kinetic_eV", "volume_A3"):
            assert columns[title][0] == pytest.approx(before[title][-1], rel=1e-6)
        assert columns["step"][0] == 0
        before = columns


def test_a_chain_in_constant_energy_is_one_run(make: Make) -> None:
    whole = make(ensemble__kind="nve", run__steps=80).finish("ase", "whole")
    make(ensemble__kind="nve").finish("ase", "first")
    second = make(ensemble__kind="nve", structure__run="first").finish("ase", "second")
    for name in ("potential_eV", "kinetic_eV", "pressure_GPa"):
        np.testing.assert_allclose(second[name], whole[name][4:], rtol=1e-9, atol=1e-9)


def test_a_chained_run_goes_on_whatever_became_of_the_other(make: Make, tmp_path: Path) -> None:
    make().finish("ase", "first")
    simulation = make(structure__run="first")
    simulation.finish("ase", "second")
    make(run__steps=60).finish("ase", "first")
    make(structure__run="first", run__steps=60).finish("ase", "second")
    shutil.rmtree(tmp_path / "first")
    columns = make(structure__run="first", run__steps=80).finish("ase", "second")
    assert columns["step"].tolist() == list(range(0, 81, 10))


def test_velocities_come_from_a_frame_of_a_trajectory(make: Make, tmp_path: Path, capsys) -> None:
    ase_io = pytest.importorskip("ase.io")
    make().finish("ase", "first")
    trajectory = tmp_path / "first" / TRAJECTORIES["ase"]
    chosen = {"structure__file": str(trajectory), "structure__repeat": [1, 1, 1]}
    keep = {**chosen, "run__initial_temperature": "keep"}
    atoms = prepare(load_config(make(**keep, structure__frame=2).toml))
    frame = ase_io.read(trajectory, 2)
    from ase import units

    np.testing.assert_allclose(atoms.start.velocities, frame.get_velocities() * units.fs, rtol=1e-6)
    drawn = prepare(load_config(make(**chosen, structure__frame=2).toml))
    assert abs(drawn.start.velocities - atoms.start.velocities).max() > 1e-3
    repeated = {**keep, "structure__repeat": [2, 1, 1]}
    refused(make(**repeated), "structure.repeat: expected .* would all move alike", capsys)
    still = make(run__initial_temperature="keep", structure__repeat=[1, 1, 1])
    refused(still, 'Si8.extxyz: .* "keep" needs velocities, in a column momenta', capsys)
    refused(make(run__initial_temperature="kept"), "initial_temperature: expected number", capsys)


def test_new_velocities_may_be_drawn_for_a_chained_run(make: Make) -> None:
    make().finish("ase", "first")
    columns = make(structure__run="first", run__initial_temperature=0).finish("ase", "second")
    assert columns["kinetic_eV"][0] == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structure__run": "none"}, "structure.run: expected the folder of a run of acepot md"),
        ({"structure__run": "x", "structure__frame": 1}, "structure.frame: expected none beside"),
        ({"structure__run": "x", "structure__file": "y"}, "structure.file: expected none beside"),
        ({"structure__file": None}, "structure.file: expected a file of structures, or instead"),
    ],
)
def test_a_start_is_a_file_or_a_run(changes, message: str, make: Make, capsys) -> None:
    refused(make(**changes), message, capsys)


def test_a_turned_snapshot_moves_as_before(make: Make, tmp_path: Path) -> None:
    """A cell that has to be turned takes the velocities along."""
    rng = np.random.default_rng(3)
    cell = np.array([[0.3, 5.6, 0.2], [5.3, 0.4, -0.9], [1.9, -1.4, -6.1]])
    positions, momenta = rng.uniform(0, 5, (3, 3)), rng.normal(size=(3, 3))
    rows = np.hstack((positions, momenta)).tolist()
    text = "".join(f"Si {' '.join(map(repr, row))}\n" for row in rows)
    lattice = " ".join(map(repr, cell.ravel().tolist()))
    head = f'3\nLattice="{lattice}" Properties=species:S:1:pos:R:3:momenta:R:3\n'
    (tmp_path / "turned.extxyz").write_text(head + text)
    simulation = make(
        structure__file="turned.extxyz", structure__repeat=[1, 1, 1],
        run__initial_temperature="keep",
    )  # fmt: skip
    atoms = prepare(load_config(simulation.toml))
    speeds = momenta / (atoms.masses[:, None] * np.sqrt(AMU))
    for ours, theirs in ((atoms.start.velocities, speeds), (atoms.start.positions, positions)):
        np.testing.assert_allclose(ours @ atoms.start.cell.T, theirs @ cell.T, atol=1e-12)


# ------------------------------------------------------------------ killed

LONG = {"structure__repeat": [1, 1, 1], "run__steps": 1500, "output__checkpoint": 50}


@each_engine_once("way", "extended", "chained")
def test_a_killed_run_of_any_kind_goes_on(engine: str, way: str, make: Make) -> None:
    """Ten kills each, and other threads and ranks in turn: benchmarks/kills.py."""
    short = {**LONG, "run__steps": 50}
    make(**short).finish(engine, "killed" if way == "extended" else "first")
    changes: dict[str, object] = dict(LONG)
    if way == "extended":
        make(**short).finish(engine, "whole")
    else:
        changes |= {"structure__run": "first", "structure__repeat": [1, 1, 1]}
    simulation = make(**changes)
    rows = 20 if way == "extended" else 15
    assert stop(simulation, engine, "killed", rows, signal.SIGKILL) == -signal.SIGKILL
    simulation.finish(engine, "killed")
    assert simulation.log("killed")["step"].tolist() == list(range(0, 1501, 10))
    simulation.finish(engine, "whole")
    for name in ("log.csv", TRAJECTORIES[engine]):
        pair = [simulation.folder(out) / name for out in ("killed", "whole")]
        if name == "log.csv":
            assert pair[0].read_text() == pair[1].read_text()
        else:
            ours, theirs = (frames(engine, path, 8) for path in pair)
            assert len(ours) == 151 and ours == theirs


# ------------------------------------------------------------------ fixed atoms


def _bottom(**changes: object) -> dict[str, object]:
    return {
        "structure__file": str(DATA / "fixed_bottom.vasp"), "structure__repeat": [1, 1, 1],
        "ensemble__temperature": 300, "run__timestep": 0.5, **changes,
    }  # fmt: skip


@ENGINES
@pytest.mark.parametrize("kind", ["nvt", "nve"])
def test_fixed_atoms_stay_where_they_are(engine: str, kind: str, make: Make) -> None:
    pytest.importorskip("ase")
    simulation = make(**_bottom(ensemble__kind=kind, run__equilibration=20))
    done = simulation.run(engine, "run")
    assert done.status == 0 and "8 atoms (4 of them fixed)" in done.stdout, done.stderr
    begin = prepare(load_config(simulation.toml))
    (end,) = moving(simulation.folder("run") / LAST)
    far = np.linalg.norm(end.positions - begin.start.positions, axis=1)
    assert (far[:4] < 1e-12).all() and (far[4:] > 0.01).all()
    speeds = velocities(end, begin.masses)
    assert not speeds[:4].any()
    assert end.fixed is not None and end.fixed.all(axis=1).tolist() == [True] * 4 + [False] * 4
    kinetic = 0.5 * AMU * (begin.masses[:, None] * speeds**2).sum()
    columns = simulation.log("run")
    assert columns["kinetic_eV"][-1] == pytest.approx(kinetic, rel=2e-6)
    kelvin = 2 * columns["kinetic_eV"] / (3 * 4 * 8.617333262e-5)
    np.testing.assert_allclose(columns["temperature_K"], kelvin, rtol=1e-6)
    if kind == "nve":
        core = make(**_bottom(ensemble__kind="nve")).finish("ase", "core")
        here = make(**_bottom(ensemble__kind="nve")).finish(engine, "here")
        np.testing.assert_allclose(here["total_eV"], core["total_eV"], rtol=0, atol=2e-5)
    make(**_bottom(ensemble__kind=kind, run__equilibration=20, run__steps=80)).finish(engine, "run")
    (later,) = moving(simulation.folder("run") / LAST)
    assert abs(later.positions[:4] - end.positions[:4]).max() < 1e-12


def test_a_repeated_cell_repeats_its_fixed_atoms(make: Make) -> None:
    pytest.importorskip("ase")
    atoms = prepare(load_config(make(**_bottom(structure__repeat=[2, 1, 3])).toml))
    assert atoms.fixed.tolist() == ([True] * 4 + [False] * 4) * 6 and atoms.free == 24


def _constrained(path: Path, *constraints: object) -> None:
    ase_io = pytest.importorskip("ase.io")
    atoms = ase_io.read(DATA / "fixed_bottom.vasp")
    atoms.set_constraint(list(constraints))
    atoms.write(path)


@pytest.mark.parametrize("name", ["a.extxyz", "a.traj"])
def test_constraints_of_other_files_are_obeyed_or_refused(
    name: str, make: Make, tmp_path: Path, capsys
) -> None:
    constraints = pytest.importorskip("ase.constraints")
    start = _bottom(structure__file=name)
    _constrained(tmp_path / name, constraints.FixAtoms([1, 6]))
    assert prepare(load_config(make(**start).toml)).fixed.nonzero()[0].tolist() == [1, 6]
    refused(make(**start, ensemble__kind="npt"), "2 atoms are fixed, and npt would move", capsys)
    _constrained(tmp_path / name, constraints.FixCartesian([3], [True, False, False]))
    refused(make(**start), r"got atom 3 held along \[True, False, False\]", capsys)
    _constrained(tmp_path / name, constraints.FixAtoms(list(range(8))))
    refused(make(**start), "all 8 atoms are fixed; expected one that moves", capsys)
    if name == "a.traj":
        _constrained(tmp_path / name, constraints.FixBondLength(0, 1))
        refused(make(**start), "got FixBondLengths?, which acepot md cannot keep", capsys)


def test_an_engine_that_holds_no_atoms_says_so(make: Make, tmp_path: Path) -> None:
    pytest.importorskip("ase")
    import verlet_engine

    config = load_config(make(**_bottom(ensemble__kind="nve")).toml)
    with pytest.raises(acepot.errors.InputError, match="4 atoms are fixed, which the engine verl"):
        simulate(config, tmp_path / "run", verlet_engine.ENGINE, say=print, plots=False)


# ------------------------------------------------------------------ the committee

COMMITTEE = {"committee__every": 10, "output__checkpoint": 100, "run__steps": 100}


def _expected(path: Path) -> tuple[float, float]:
    """Spreads of the energy in eV/atom and of the largest force in eV/Å of one structure."""
    (structure,), _ = acepot.read_structures(path)
    result = Potential(acepot.load(MODEL), threads=1).compute(structure, committee=True)
    energies = result.committee.energies - result.energy
    forces = result.committee.forces - result.forces
    spread = np.sqrt((forces**2).sum(axis=-1).mean(axis=0)).max()
    return float(np.sqrt((energies**2).mean())) / len(structure), float(spread)


@ENGINES
def test_a_committee_that_disagrees_stops_the_run(engine: str, make: Make) -> None:
    limits = {**COMMITTEE, "committee__force_threshold": 0.006}
    simulation = make(**limits)
    done = simulation.run(engine, "run")
    assert done.status == 1 and "Traceback" not in done.stderr
    found = re.search(
        r"error: stopped at step (\d+): the forces of the committee on atom \d+ spread by ([\d.]+) "
        r"eV/Å, more than committee.force_threshold \(0.006\); the structure is in (\S+); the same",
        done.stderr,
    )
    assert found, done.stderr
    step, columns = int(found[1]), simulation.log("run")
    assert columns["step"][-1] == step and 0 < step < 100
    energy, force = _expected(Path(found[3]))
    assert columns["energy_spread_eV"][-1] == pytest.approx(energy, rel=1e-5)
    assert columns["force_spread_eV_A"][-1] == pytest.approx(force, rel=1e-5)
    assert float(found[2]) == pytest.approx(force, rel=1e-3) and force > 0.006
    assert (columns["force_spread_eV_A"][:-1] <= 0.006).all()
    again = simulation.run(engine, "run")
    assert again.status == 1 and f"stopped at step {step}" in again.stderr
    assert simulation.log("run")["step"][-1] == step
    done = make(**{**limits, "committee__force_threshold": 10}).run(engine, "run")
    assert done.status == 0, done.stderr
    assert "committee.force_threshold was 0.006 and is now 10.0" in done.stdout
    assert simulation.log("run")["step"].tolist() == list(range(0, 101, 10))
    assert len(frames(engine, simulation.folder("run") / TRAJECTORIES[engine])) == 11


def test_the_committee_is_evaluated_as_often_as_told(make: Make) -> None:
    pytest.importorskip("ase")
    run = {"run__steps": 100, "output__checkpoint": 100}
    spread = make(**run).finish("ase", "default")["force_spread_eV_A"]
    assert np.isfinite(spread).nonzero()[0].tolist() == [0, 5, 10]  # steps 0, 50, 100
    spread = make(**run, committee__every=20).finish("ase", "often")["energy_spread_eV"]
    assert np.isfinite(spread).nonzero()[0].tolist() == [0, 2, 4, 6, 8, 10]
    assert "force_spread_eV_A" not in make(**run, committee__every=0).finish("ase", "never")


def test_thresholds_that_mean_nothing_are_refused(make: Make, tmp_path: Path, capsys) -> None:
    shutil.copy(Path(__file__).parent / "md_before" / "model.acepot", tmp_path / "single.acepot")
    shutil.copy(Path(__file__).parent / "md_before" / "six.extxyz", tmp_path)
    single = {
        "model": "single.acepot", "structure__file": "six.extxyz",
        "structure__repeat": [1, 1, 1],
    }  # fmt: skip
    alone = make(**single, committee__energy_threshold=1)
    refused(alone, "committee: expected no thresholds, for .*single.acepot has no com", capsys)
    refused(make(committee__every=15), "committee.every: expected a multiple of output.", capsys)
    nothing = make(committee__every=0, committee__force_threshold=1)
    refused(nothing, "committee.force_threshold: expected none where every is 0", capsys)
    refused(make(committee__force_threshold=-1), "force_threshold: expected more than 0", capsys)


# ------------------------------------------------------------------ what it says meanwhile


@pytest.mark.parametrize("engine", [e for e in ("ase", "openmm", "ipi") if find_spec(e)])
def test_a_full_disk_is_named_once(engine: str, make: Make) -> None:
    """A limit on the size of files does to them what a full disk does."""
    simulation = make(run__steps=2000)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    done = subprocess.run(
        [sys.executable, "-B", *simulation.command(engine, "run", "--no-plots")[1:]],
        capture_output=True, text=True, preexec_fn=limit, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search(rf"error: .*run/{TRAJECTORIES[engine]}: File too large", done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_waiting_for_another_process_is_told_at_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 1.0)
    simulation = make()
    with run_folder(simulation.folder("run"), "md.toml"):
        done = simulation.run("ase", "run")
    assert done.status == 1 and "waits up to 1 s for another process" in done.stdout
    assert "another process runs in this folder" in done.stderr


@ENGINES
def test_an_error_within_an_engine_is_told_once(engine: str, make: Make) -> None:
    simulation = make(run__timestep=200, run__steps=400)
    done = subprocess.run(
        simulation.command(engine, "run", "--no-plots"), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.search(r"run: after step \d+: .*atoms \d+ and \d+ are 0.\d+ A apart", done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
