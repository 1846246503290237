"""What tests of `acepot md` share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from md_runs import MODEL, ROOT, Make, Simulation


@pytest.fixture(scope="module")
def plugin_cache() -> Iterator[None]:
    """One plugin for every run of LAMMPS and all workers, named after its sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
        patch.setenv("OMP_NUM_THREADS", "1")
        # Ranks that share a processor would poll in each other's time.
        patch.setenv("MPIR_CVAR_POLLS_BEFORE_YIELD", "1")
        patch.setenv("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")
        yield


@pytest.fixture(scope="module")
def md_environment() -> Iterator[None]:
    """The plugin of LAMMPS is compiled once, and processes take turns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
        patch.setenv("MPIR_CVAR_POLLS_BEFORE_YIELD", "1")
        patch.setenv("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")
        yield


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a TOML file: silicon, with changes by dotted key; None takes it off."""

    def write(**changes: object) -> Simulation:
        settings: dict[str, object] = {
            "model": str(MODEL),
            "structure.file": str(ROOT / "examples" / "ipi" / "Si8.extxyz"),
            "structure.repeat": [2, 2, 2],
            "ensemble.temperature": 600,
            "run.steps": 40,
            "run.seed": 7,
            "output.every": 10,
            "output.checkpoint": 20,
        }
        if "structure__run" in changes:
            settings |= {"structure.file": None, "structure.repeat": None}
        settings |= {key.replace("__", "."): value for key, value in changes.items()}
        settings = {key: value for key, value in settings.items() if value is not None}
        path = tmp_path / "md.toml"
        path.write_text("".join(f"{key} = {json.dumps(v)}\n" for key, v in settings.items()))
        return Simulation(path)

    return write
