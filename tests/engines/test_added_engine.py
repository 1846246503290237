"""A new engine is one file and one entry point: `verlet_engine.py`, added as a package adds it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from acepot.cli.main import main
from acepot.errors import InputError, MissingDependency
from acepot.md import engines, log
from acepot.md.config import load_config
from acepot.md.engine import EngineKind
from acepot.md.simulation import simulate

ROOT = Path(__file__).parents[2]
ENGINE = Path(__file__).with_name("verlet_engine.py")
STEPS = 1500


def register(folder: Path, points: str, name: str = "verlet") -> None:
    """What an installer leaves for a package that names its engines."""
    about = folder / f"acepot_{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acepot-{name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[acepot.engines]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages."""
    path = tmp_path / "site"
    path.mkdir()
    shutil.copy(ENGINE, path)
    monkeypatch.syspath_prepend(path)
    return path


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    settings = {
        "model": str(ROOT / "models" / "Si-mlearn" / "model.acepot"),
        "structure.file": str(ROOT / "examples" / "ipi" / "Si8.extxyz"),
        "ensemble.kind": "nve",
        "ensemble.temperature": 300,
        "run.steps": STEPS,
        "run.seed": 2,
        "output.every": 10,
        "output.checkpoint": 30,
    }
    path = tmp_path / "md.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return path


def test_a_registered_engine_is_run_killed_and_goes_on(site: Path, toml: Path) -> None:
    register(site, "verlet = verlet_engine:ENGINE")
    out = toml.parent / "killed"
    command = [sys.executable, "-m", "acepot.cli", "md", str(toml), "--engine", "verlet", "--out"]
    environment = {**os.environ, "PYTHONPATH": f"{site}:{ROOT}", "OMP_NUM_THREADS": "1"}

    def run(folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, str(folder), "--no-plots"], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    killed, end = run(out), time.monotonic() + 120
    while not (out / "log.csv").exists() or (out / "log.csv").read_bytes().count(b"\n") < 12:
        assert killed.poll() is None and time.monotonic() < end
        time.sleep(0.002)
    killed.kill()
    killed.communicate()
    step = json.loads((out / "checkpoint.json").read_text())["step"]
    assert 0 < step < STEPS
    for folder in (out, toml.parent / "whole"):
        ended = run(folder)
        said, errors = ended.communicate(timeout=120)
        assert ended.returncode == 0, errors
        assert (f"from step {step}" in said) == (folder == out)
    for name in ("log.csv", "trajectory.txt", "run.json", "md.toml"):
        assert (out / name).read_bytes() == (toml.parent / "whole" / name).read_bytes(), name
    columns = log.read(out / "log.csv")
    assert columns["step"].tolist() == list(range(0, STEPS + 1, 10))
    assert np.ptp(columns["total_eV"]) < 0.02 * np.ptp(columns["kinetic_eV"])
    assert len((out / "trajectory.txt").read_text().splitlines()) == STEPS // 10 + 1


def test_an_engine_needs_no_registration_from_python(toml: Path, site: Path) -> None:
    import verlet_engine

    toml.write_text(toml.read_text().replace(f"run.steps = {STEPS}", "run.steps = 40"))
    said: list[str] = []
    simulate(
        load_config(toml), site.parent / "run", verlet_engine.ENGINE, say=said.append, plots=False
    )
    assert said == ["verlet: 8 atoms, nve, 40 steps"]
    columns = log.read(site.parent / "run" / "log.csv")
    assert columns["step"].tolist() == [0, 10, 20, 30, 40]
    pytest.importorskip("ase")
    kind = engines.engine("ase")
    simulate(load_config(toml), site.parent / "ase", kind, say=said.append, plots=False)
    for name, values in log.read(site.parent / "ase" / "log.csv").items():
        np.testing.assert_allclose(columns[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


def test_the_command_line_lists_what_is_installed(
    site: Path, toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(site, "verlet = verlet_engine:ENGINE")
    assert engines.names() == ("ase", "openmm", "ipi", "lammps", "verlet")
    with pytest.raises(SystemExit) as stop:
        main(["md", str(toml), "--engine", "gromacs", "--out", "run"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    for name in engines.names():
        assert name in said.partition("invalid choice: 'gromacs'")[2], said
    with pytest.raises(InputError, match="expected one of ase, openmm, ipi, lammps, verlet, got"):
        engines.engine("gromacs")


def test_an_engine_whose_host_is_missing_says_what_to_install(
    site: Path, toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "hostless.py").write_text("import a_host_that_nobody_has\n")
    register(site, "host = hostless:ENGINE\nbare = verlet_engine:NOTHING")
    with pytest.raises(
        MissingDependency, match="a_host_that_nobody_has.*pip install acepot-verlet"
    ):
        engines.engine("host")
    with pytest.raises(MissingDependency, match="NOTHING.*pip install acepot-verlet"):
        engines.engine("bare")
    assert main(["md", str(toml), "--engine", "host", "--out", str(site / "run")]) == 1
    assert "pip install acepot-verlet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ase", "openmm", "ipi", "lammps"])
def test_our_engines_are_there_or_say_what_to_install(name: str) -> None:
    try:
        kind = engines.engine(name)
    except MissingDependency as error:
        assert "pip install" in str(error)
    else:
        assert isinstance(kind, EngineKind) and kind.name == name


@pytest.mark.parametrize("name", ["ase", "openmm", "ipi"])
def test_our_engines_without_their_host_say_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (point,) = (point for point in engines.OWN if point.name == name)
    adapter = point.module.split(".")[0]
    for module in [m for m in sys.modules if m.split(".")[0] in (adapter, name)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency, match=rf"pip install (acepot\[{name}\]|{name})"):
        engines.engine(name)


def test_what_is_no_engine_and_what_is_there_twice_are_refused(site: Path) -> None:
    register(site, "wrong = verlet_engine:Verlet\nase = verlet_engine:ENGINE")
    with pytest.raises(InputError, match="expected verlet_engine:Verlet to be an EngineKind"):
        engines.engine("wrong")
    with pytest.raises(InputError, match="ase_ace.dynamics:ASE_ENGINE and verlet_engine:ENGINE"):
        engines.engine("ase")
    assert engines.names().count("ase") == 1
