"""`acepot md`: the same physics in every engine, tested by numbers and laws."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.md import log
from acepot.md.config import Ensemble, MDConfig, Ramp, Run, Start
from acepot.md.engine import Engine, EngineKind
from acepot.md.picture import draw
from acepot.md.simulation import simulate
from acepot.run.checkpoint import Checkpoint
from acepot.run.folder import RunFolder
from acepot.units import BOLTZMANN, GIGAPASCAL

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "Si-mlearn" / "model.acepot"
SILICON = ROOT / "examples" / "ipi" / "Si8.extxyz"
TRAJECTORIES = {
    "ase": "trajectory.traj", "openmm": "trajectory.dcd", "ipi": "trajectory.xyz",
    "lammps": "trajectory.dump",
}  # fmt: skip
#: One worker: the plugin of LAMMPS is compiled once, and processes take turns.
pytestmark = pytest.mark.xdist_group("lammps")
Columns = dict[str, np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
        yield


@pytest.fixture(params=TRAJECTORIES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if find_spec(name) is None:
        pytest.skip("not installed")
    return name


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., Columns]:
    """Runs a simulation of silicon, with changes by dotted key; it must end well."""

    def run(engine: str, out: str = "run", **changes: object) -> Columns:
        status, said = attempt(tmp_path, engine, out, **changes)
        assert status == 0, said
        return log.read(tmp_path / out / "log.csv")

    return run


def attempt(folder: Path, engine: str, out: str, **changes: object) -> tuple[int, str]:
    """Exit status of a run, and what it said."""
    settings: dict[str, object] = {
        "model": str(MODEL),
        "structure.file": str(SILICON),
        "ensemble.temperature": 600,
        "run.steps": 100,
        "run.seed": 7,
        "output.every": 10,
        "output.checkpoint": 50,
    }
    settings |= {key.replace("__", "."): value for key, value in changes.items()}
    toml = folder / f"{out}.toml"
    toml.write_text("".join(f"{key} = {json.dumps(v)}\n" for key, v in settings.items()))
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        words = ["md", str(toml), "--engine", engine, "--out", str(folder / out), "--no-plots"]
        return main(words), said.getvalue()


# ------------------------------------------------------------------ molecules

PLANE = [[0, 0, 0], [2.3, 0, 0], [0, 2.25, 0], [2.2, 2.4, 0]]
MOLECULES = {
    "atom": [[1.0, 2.0, 3.0]],
    "dimer": [[0, 0, 0], [0, 0, 2.2]],
    "plane": PLANE,
    "fragments": [*PLANE, *(np.array(PLANE)[:2] + [9e4, -7e4, 8e4]).tolist()],
}


@pytest.mark.parametrize("name", MOLECULES)
def test_molecules_of_every_shape_move_alike(
    engine: str, name: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    """From rest, at constant energy: the path does not depend on the engine."""
    places = np.array(MOLECULES[name], dtype=float)
    molecule = Structure([14] * len(places), places)
    extxyz.write_structures(tmp_path / "molecule.extxyz", [molecule])
    changes = {
        "structure__file": "molecule.extxyz",
        "ensemble__kind": "nve",
        "run__initial_temperature": 0,
        "run__timestep": 0.5,
    }
    columns = go(engine, **changes)
    energy = Potential(acepot.load(MODEL)).compute(molecule).energy
    assert columns["potential_eV"][0] == pytest.approx(energy, rel=1e-11)
    core = go("ase", "core", **changes)
    np.testing.assert_allclose(columns["potential_eV"], core["potential_eV"], rtol=2e-8)
    np.testing.assert_allclose(columns["kinetic_eV"], core["kinetic_eV"], rtol=2e-6, atol=1e-12)
    assert np.ptp(columns["total_eV"]) < 0.02 * np.ptp(columns["kinetic_eV"]) + 1e-9
    assert (columns["temperature_K"][-1] > 1) == (name != "atom")


# ------------------------------------------------------------------ trajectories


def trajectory(folder: Path, engine: str) -> list[Structure]:
    """The frames of a run, as acepot reads them."""
    return acepot.read_structures(folder / TRAJECTORIES[engine])[0]


@pytest.mark.parametrize("kind", ["nvt", "npt"])
def test_trajectories_are_whole_and_unwrapped(
    engine: str, kind: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    """Atoms start outside of a triclinic cell and cross its faces; no step is a jump."""
    rng = np.random.default_rng(3)
    cell = np.array([[5.5, 0.3, 0.1], [0.2, 5.4, -0.4], [-0.3, 0.6, 5.6]])
    sites = acepot.read_structures(SILICON)[0][0]
    inside = sites.positions @ np.linalg.inv(sites.cell) + rng.uniform(-0.01, 0.01, (8, 3))
    outside = inside + rng.integers(-2, 3, (8, 3))
    start = Structure([14] * 8, outside @ cell, cell, True)
    extxyz.write_structures(tmp_path / "start.extxyz", [start])
    columns = go(engine, structure__file="start.extxyz", ensemble__kind=kind, run__timestep=2)
    frames = trajectory(tmp_path / "run", engine)
    assert len(frames) == len(columns["step"]) == 11
    places = np.array([frame.positions for frame in frames])
    gram = start.cell @ start.cell.T
    np.testing.assert_allclose(frames[0].cell @ frames[0].cell.T, gram, rtol=1e-6, atol=1e-6)
    first = places[0] @ np.linalg.inv(frames[0].cell)
    np.testing.assert_allclose(first, outside, atol=2e-6)
    assert 0.05 < np.abs(np.diff(places, axis=0)).max() < 0.5
    potential = Potential(acepot.load(MODEL))
    for frame, energy in zip(frames, columns["potential_eV"], strict=True):
        assert frame.pbc.all() and frame.numbers.tolist() == [14] * 8
        assert potential.compute(frame).energy == pytest.approx(energy, abs=2e-5)


def test_other_programs_read_the_trajectories(
    engine: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    read = pytest.importorskip("ase.io").read
    go(engine)
    folder = tmp_path / "run"
    if engine == "openmm":
        topology = read(folder / "topology.pdb")  # VMD, MDTraj: this file, then the DCD
        assert topology.get_chemical_symbols() == ["Si"] * 8
        np.testing.assert_allclose(topology.cell.lengths(), 5.469, atol=2e-3)
        return
    for own, other in zip(
        trajectory(folder, engine), read(folder / TRAJECTORIES[engine], ":"), strict=True
    ):
        assert other.pbc.all() and other.get_chemical_symbols() == ["Si"] * 8
        np.testing.assert_allclose(other.positions, own.positions, atol=1e-8)
        np.testing.assert_allclose(np.array(other.cell), own.cell, atol=1e-8)
    if engine == "ipi":
        read_file = pytest.importorskip("ipi.utils.io").read_file
        with (folder / TRAJECTORIES[engine]).open() as file:
            frame = read_file("xyz", file)
        bohr = 0.52917721  # i-PI has turned its file into atomic units
        first = trajectory(folder, engine)[0]
        np.testing.assert_allclose(frame["atoms"].q * bohr, first.positions.ravel(), atol=1e-6)
        np.testing.assert_allclose(frame["cell"].h.T * bohr, first.cell, atol=1e-5)


def test_a_dcd_without_its_topology_is_refused(go: Callable[..., Columns], tmp_path: Path) -> None:
    pytest.importorskip("openmm")
    go("openmm")
    path = tmp_path / "run" / "trajectory.dcd"
    topology = path.with_name("topology.extxyz")
    text = topology.read_text()
    topology.write_text(text.replace("8\n", "7\n", 1).rstrip().rpartition("\n")[0] + "\n")
    with pytest.raises(InputError, match="8 atoms, but topology.extxyz has 7"):
        acepot.read_structures(path)
    topology.unlink()
    with pytest.raises(InputError, match="put a topology.extxyz with one structure"):
        acepot.read_structures(path)
    topology.write_text(text)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="trajectory.dcd: damaged, or cut off"):
        acepot.read_structures(path)


# ------------------------------------------------------------------ constant pressure

STRAINS = {
    "anisotropic": np.diag([1.03, 0.98, 1.0]),
    "full": np.array([[1.03, 0.0, 0.0], [0.05, 0.98, 0.0], [-0.04, 0.06, 1.0]]),
}


def strained(folder: Path, cell: str) -> None:
    """Silicon under stress, in `folder`/strained.extxyz."""
    sites = acepot.read_structures(SILICON)[0][0]
    rows = sites.cell @ STRAINS[cell]
    places = sites.positions @ np.linalg.inv(sites.cell) @ rows
    extxyz.write_structures(folder / "strained.extxyz", [Structure([14] * 8, places, rows, True)])


def pressure(frame: Structure, kelvin: float) -> np.ndarray:
    """Tensor in GPa, with the mean kinetic part."""
    virial = Potential(acepot.load(MODEL), threads=1).compute(frame).virial
    assert virial is not None
    kinetic = len(frame) * BOLTZMANN * kelvin * np.eye(3)
    tensor: np.ndarray = (virial + kinetic) / frame.volume / GIGAPASCAL
    return tensor


#: Monte Carlo changes one degree of freedom at a time, and takes longer.
RELAXED = {"ase": 2000, "openmm": 6000, "ipi": 2000, "lammps": 2000}


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(one, marks=[pytest.mark.slow] * (one in ("ipi", "openmm")))
        for one in TRAJECTORIES
    ],
    indirect=True,
)
@pytest.mark.parametrize(
    "cell", [pytest.param("anisotropic", marks=pytest.mark.slow), pytest.param("full")]
)
def test_a_strained_cell_relaxes(
    engine: str, cell: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    """The mean pressure tensor becomes what it should be; a rectangular cell stays one."""
    strained(tmp_path, cell)
    go(
        engine,
        structure__file="strained.extxyz",
        structure__repeat=[2, 2, 2] if engine == "openmm" else [1, 1, 1],
        ensemble__kind="npt",
        ensemble__cell=cell,
        ensemble__temperature=300,
        ensemble__pressure=0.5,
        ensemble__barostat_time=0.2,
        run__timestep=2,
        run__steps=RELAXED[engine],
        output__every=20,
        output__checkpoint=500,
    )
    frames = trajectory(tmp_path / "run", engine)
    before = pressure(frames[0], 300)
    late = frames[len(frames) // 3 :]
    after = np.mean([pressure(frame, 300) for frame in late], axis=0)
    target = 0.5 * np.eye(3)
    assert np.abs(before - target).max() > (2 if cell == "anisotropic" else 5)
    assert np.abs(after - target).max() < 0.8, after
    rows = np.mean([frame.cell for frame in late], axis=0)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.ptp(lengths) < 0.02 * lengths[0]
    off = np.abs(rows - np.diag(rows.diagonal())).max()
    assert off < (1e-6 if cell == "anisotropic" else 0.035 * lengths[0])
    jumps = np.abs(np.diff([frame.positions for frame in frames], axis=0))
    assert jumps.max() < 1.5


@pytest.mark.parametrize("cell", STRAINS)
def test_constant_pressure_goes_on_bit_by_bit(
    engine: str, cell: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    """A run taken back to its checkpoint at step 100 of 200 ends as one that was not."""
    if engine == "openmm":
        pytest.skip("OpenMM forgets the size of its trial moves")
    strained(tmp_path, cell)
    changes = {
        "structure__file": "strained.extxyz", "ensemble__kind": "npt", "ensemble__cell": cell,
    }  # fmt: skip
    assert continues(tmp_path, engine, go, **changes)


def continues(folder: Path, engine: str, go: Callable[..., Columns], **changes: object) -> bool:
    """Whether a run that goes on from its middle has the log and frames of one that was whole."""
    changes |= {"run__steps": 200, "output__checkpoint": 100}
    go(engine, "whole", **changes)
    record = RunFolder.record

    def killed(self: RunFolder, step: int, last: Checkpoint | None) -> Checkpoint:
        if step == 200:
            raise InputError("killed")
        return record(self, step, last)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "record", killed)
        assert "killed" in attempt(folder, engine, "cut", **changes)[1]
    assert json.loads((folder / "cut" / "checkpoint.json").read_text())["step"] == 100
    go(engine, "cut", **changes)
    kept = {out: folder / out / "log.csv" for out in ("whole", "cut")}
    frames = [trajectory(folder / out, engine) for out in kept]
    same = all(
        np.array_equal(a.positions, b.positions) and np.array_equal(a.cell, b.cell)
        for a, b in zip(*frames, strict=True)
    )
    return same and kept["whole"].read_text() == kept["cut"].read_text()


def test_what_a_barostat_cannot_do_is_refused(tmp_path: Path) -> None:
    strained(tmp_path, "full")
    changes = {"structure__file": "strained.extxyz", "ensemble__kind": "npt"}
    status, said = attempt(tmp_path, "ase", "run", **changes, ensemble__cell="anisotropic")
    assert status == 1 and "needs a rectangular cell" in said and "use 'full'" in said
    status, said = attempt(tmp_path, "ase", "run", ensemble__cell="full")
    assert status == 1 and "ensemble.cell: 'full' is for kind = 'npt'" in said


@pytest.mark.slow
def test_the_volume_of_an_ideal_gas(
    engine: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    """⟨V⟩ = (n + 1) kT / P, and its standard deviation is smaller by √(n + 1).

    Of isotropic barostats: nothing holds the shape of a gas's cell, which would become a needle.
    """
    model, count, kelvin, side = acepot.load(MODEL), 8, 1000.0, 16.0
    acepot.save(replace(model, coefficients=0 * model.coefficients), tmp_path / "gas.acepot")
    places = np.random.default_rng(0).uniform(0, side, (count, 3))
    gas = Structure([14] * count, places, np.eye(3) * side, True)
    extxyz.write_structures(tmp_path / "gas.extxyz", [gas])
    columns = go(
        engine,
        model=str(tmp_path / "gas.acepot"),
        structure__file="gas.extxyz",
        ensemble__kind="npt",
        ensemble__temperature=kelvin,
        ensemble__pressure=(count + 1) * BOLTZMANN * kelvin / side**3 / GIGAPASCAL,
        ensemble__barostat_time=0.1,
        run__steps=20000,
        run__timestep=2,
        run__equilibration=1000,
        output__every=20,
        output__checkpoint=5000,
    )
    volumes = columns["volume_A3"][columns["step"] > 0] / side**3
    blocks = [block.mean() for block in np.array_split(volumes, 10)]
    assert abs(volumes.mean() - 1) < 4 * np.std(blocks) / 3 + 0.01
    assert 0.15 < volumes.std() < 0.6


# ------------------------------------------------------------------ ramps


def test_the_temperature_follows_its_ramp(engine: str, go: Callable[..., Columns]) -> None:
    columns = go(
        engine,
        structure__repeat=[2, 2, 2],
        ensemble__temperature=300,
        ensemble__friction=100,
        ramp__temperature=3000,
        ramp__steps=300,
        run__steps=400,
        run__equilibration=50,
    )
    step, target = columns["step"], columns["target_temperature_K"]
    np.testing.assert_allclose(target, 300 + 2700 * np.clip(step, 0, 300) / 300, rtol=1e-12)
    late = step > 100
    assert columns["temperature_K"][late].mean() == pytest.approx(target[late].mean(), rel=0.15)
    assert columns["temperature_K"][step > 330].mean() == pytest.approx(3000, rel=0.15)
    assert "target_pressure_GPa" not in columns


def test_the_pressure_follows_its_ramp(engine: str, go: Callable[..., Columns]) -> None:
    steps = 3000 if engine == "openmm" else 1000
    columns = go(
        engine,
        structure__repeat=[2, 2, 2],
        ensemble__kind="npt",
        ensemble__temperature=300,
        ensemble__barostat_time=0.1,
        ramp__pressure=10,
        run__steps=steps,
        run__timestep=2,
    )
    step, target = columns["step"], columns["target_pressure_GPa"]
    np.testing.assert_allclose(target, 10 * step / steps, atol=1e-12)
    np.testing.assert_array_equal(columns["target_temperature_K"], 300)
    late = step > 0.5 * steps
    assert columns["pressure_GPa"][late].mean() == pytest.approx(target[late].mean(), abs=1.5)
    assert columns["volume_A3"][-1] < 0.95 * columns["volume_A3"][0]


@pytest.mark.parametrize("kind", ["nvt", "npt"])
def test_a_ramp_goes_on_bit_by_bit(
    engine: str, kind: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    changes: dict[str, object] = {"ramp__temperature": 900, "ramp__steps": 150}
    if kind == "npt":
        if engine == "openmm":
            pytest.skip("OpenMM forgets the size of its trial moves")
        changes |= {"ensemble__kind": kind, "ensemble__cell": "full", "ramp__pressure": 3}
    assert continues(tmp_path, engine, go, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ensemble__kind": "nve", "ramp__temperature": 900}, "ramp: expected ensemble.kind nvt"),
        ({"ramp__pressure": 1}, "ramp.pressure: expected ensemble.kind npt, got 'nvt'"),
        ({"ramp__steps": 10}, "ramp.steps: expected a temperature or a pressure"),
        ({"ramp__steps": 15, "ramp__temperature": 9}, "multiple of output.every"),
        ({"ramp__temperature": 0}, "ramp.temperature: expected more than 0 K"),
    ],
)
def test_wrong_ramps_are_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    status, said = attempt(tmp_path, "ase", "run", **changes)
    assert status == 1 and message in said, said


def test_a_ramp_keeps_its_length_in_the_saved_settings(
    go: Callable[..., Columns], tmp_path: Path
) -> None:
    go("ase", ramp__temperature=900)
    assert "[ramp]\ntemperature = 900.0\nsteps = 100" in (tmp_path / "run/md.toml").read_text()
    go("ase", "plain")
    assert "ramp" not in (tmp_path / "plain" / "md.toml").read_text()  # as before there were ramps


# ------------------------------------------------------------------ slabs and wires

#: Lattice vectors as rows; those that are not periodic are meaningless, or missing.
CELLS = {
    (True, True, False): [[5.6, 0.3, 0.2], [-0.4, 5.4, 0.5], [0.9, -0.7, 25.0]],
    (True, False, True): [[5.6, 0.3, 0.2], [0, 0, 0], [-0.7, 0.6, 5.5]],
    (False, True, False): [[0, 0, 0], [0.4, 5.5, 0.3], [0, 0, 0]],
}


@pytest.mark.parametrize("pbc", CELLS)
def test_slabs_and_wires_move_alike(
    engine: str, pbc: tuple[bool, bool, bool], go: Callable[..., Columns], tmp_path: Path
) -> None:
    """Energy, forces (by the path they lead to) and the atoms of the trajectory."""
    rng = np.random.default_rng(11)
    cell, count = np.array(CELLS[pbc], dtype=float), 5
    places = rng.uniform(0, 4, (count, 3)) + 6.0 * np.arange(count)[:, None] % 5
    start = Structure([14] * count, places + rng.integers(-1, 2, (count, 3)) @ cell, cell, pbc)
    extxyz.write_structures(tmp_path / "start.extxyz", [start])
    changes = {"structure__file": "start.extxyz", "ensemble__kind": "nve", "run__timestep": 0.2}
    columns = go(engine, **changes)
    potential = Potential(acepot.load(MODEL), threads=1)
    assert columns["potential_eV"][0] == pytest.approx(potential.compute(start).energy, rel=1e-9)
    assert np.isnan(columns["pressure_GPa"]).all() and not columns["volume_A3"].any()
    core = go("ase", "core", **changes)
    for name in ("potential_eV", "kinetic_eV"):
        np.testing.assert_allclose(columns[name], core[name], rtol=2e-6)
    assert np.ptp(columns["potential_eV"]) > 0.05
    frames, expected = trajectory(tmp_path / "run", engine), trajectory(tmp_path / "core", "ase")
    for frame, other, energy in zip(frames, expected, columns["potential_eV"], strict=True):
        assert frame.pbc.tolist() == sorted(pbc, reverse=True)
        assert potential.compute(frame).energy == pytest.approx(energy, abs=1e-4)
        np.testing.assert_allclose(frame.positions, other.positions, atol=1e-4)


def test_a_slab_goes_on_bit_by_bit(engine: str, go: Callable[..., Columns], tmp_path: Path) -> None:
    places = [[0, 0, 0], [2.2, 0.3, 0.4], [0.4, 2.5, 1.9], [2.9, 2.7, 2.3]]
    slab = Structure([14] * 4, places, np.diag([5.2, 5.4, 0.0]), [True, True, False])
    extxyz.write_structures(tmp_path / "slab.extxyz", [slab])
    assert continues(tmp_path, engine, go, structure__file="slab.extxyz", run__equilibration=100)


def test_a_ramp_is_drawn(go: Callable[..., Columns], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    columns = go("ase", ramp__temperature=900)
    draw(columns, 8, Ensemble(600), tmp_path / "ramp.png")
    constant = {name: column for name, column in columns.items() if "target" not in name}
    draw(constant, 8, Ensemble(600), tmp_path / "constant.png")
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in ("ramp", "constant")]
    assert all(one.startswith(b"\x89PNG") for one in pictures) and pictures[0] != pictures[1]


# ------------------------------------------------------------------ averages


@pytest.mark.slow
def test_the_mean_square_displacement_of_silicon(
    engine: str, go: Callable[..., Columns], tmp_path: Path
) -> None:
    """At 600 K, over 1 to 2 ps, about the centre of mass: 0.063 Å² in every engine."""
    found = []
    for seed in range(3):
        out = f"run{seed}"
        go(
            engine,
            out,
            structure__repeat=[2, 2, 2],
            run__initial_temperature=1200,
            run__equilibration=500,
            run__steps=4000,
            run__seed=seed,
        )
        places = np.array([frame.positions for frame in trajectory(tmp_path / out, engine)])
        assert np.abs(np.diff(places, axis=0)).max() < 0.5
        places -= places.mean(axis=1, keepdims=True)
        moves = [places[lag:] - places[:-lag] for lag in range(100, 201, 20)]
        found.append(np.mean([(move**2).sum(-1).mean() for move in moves]))
    # The standard deviation of one run is 0.0023.
    assert np.mean(found) == pytest.approx(0.0631, abs=4 * 0.0023 / np.sqrt(3))


# ------------------------------------------------------------------ engines of other packages


@pytest.mark.parametrize("what", ["slabs", "ramps"])
def test_an_engine_that_does_not_say_it_can_is_refused(what: str, tmp_path: Path) -> None:
    slab = Structure([14], [[0, 0, 0]], np.diag([5, 5, 0]), [True, True, False])
    extxyz.write_structures(tmp_path / "slab.extxyz", [slab])
    start = Start(str(tmp_path / "slab.extxyz")) if what == "slabs" else Start(str(SILICON))
    ramp = Ramp(temperature=900) if what == "ramps" else Ramp()
    config = MDConfig(str(MODEL), start, Ensemble(600), Run(100), ramp=ramp)

    def never(*_: object) -> Engine:
        raise AssertionError("it was opened")

    kind = EngineKind("bare", "trajectory.txt", never)
    expected = {"slabs": "bare has no slabs and wires", "ramps": "ramp: the engine bare has none"}
    with pytest.raises(InputError, match=expected[what]):
        simulate(config, tmp_path / "run", kind, say=print, plots=False)


def test_openmm_forces_are_periodic_along_the_vectors_that_are_named() -> None:
    pytest.importorskip("openmm")
    from openmm_ace import create_force

    assert create_force(
        MODEL, ["Si"], periodic=[True, False, False]
    ).usesPeriodicBoundaryConditions()
    assert not create_force(MODEL, ["Si"], periodic=[False] * 3).usesPeriodicBoundaryConditions()
    with pytest.raises(InputError, match="periodic: expected one answer or three, got 2"):
        create_force(MODEL, ["Si"], periodic=[True, False])
