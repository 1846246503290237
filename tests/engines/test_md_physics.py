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
    assert (columns["temperature_K"][-1] > 100) == (name != "atom")
