"""`acepot md`: the same physics in every engine, tested by numbers and laws."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure
from acepot.cli.main import main
from acepot.io.structures import extxyz
from acepot.md import log

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "Si-mlearn" / "model.acepot"
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
        "structure.file": str(ROOT / "examples" / "ipi" / "Si8.extxyz"),
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
    np.testing.assert_allclose(columns["kinetic_eV"], core["kinetic_eV"], rtol=4e-7, atol=1e-12)
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
    sites = acepot.read_structures(ROOT / "examples" / "ipi" / "Si8.extxyz")[0][0]
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
    with pytest.raises(acepot.errors.InputError, match="8 atoms, but topology.extxyz has 7"):
        acepot.read_structures(path)
    topology.unlink()
    with pytest.raises(acepot.errors.InputError, match="put a topology.extxyz with one structure"):
        acepot.read_structures(path)
    topology.write_text(text)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(acepot.errors.InputError, match="trajectory.dcd: damaged, or cut off"):
        acepot.read_structures(path)
