"""Moment tensor potentials by motep, in an interpreter of its own (`mtp_worker.py`)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np

WORKER = Path(__file__).with_name("mtp_worker.py")
_ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def fit(python: str, folder: Path, level: int, train: Path, cutoff: float) -> dict:
    """Fit one; it goes on where an earlier call was ended. How many coefficients."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "fitted.mtp"
    if not model.exists():
        with (folder / "fit.log").open("a") as log:
            command = [python, str(WORKER), "fit", str(level), str(train), model.name]
            command += ["--cutoff", str(cutoff)]
            subprocess.run(
                command, cwd=folder, env=_ENVIRONMENT, stdout=log, stderr=log, check=True
            )
    return {"coefficients": _count(model), "seconds": _seconds(folder / "fit.log")}


def random(python: str, folder: Path, level: int, cutoff: float) -> dict:
    """One whose coefficients are of no importance, for its time. How many they are."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [python, str(WORKER), "random", str(level), "fitted.mtp", "--cutoff", str(cutoff)]
    subprocess.run(command, cwd=folder, env=_ENVIRONMENT, check=True)
    return {"coefficients": _count(folder / "fitted.mtp"), "seconds": None}


def predictions(python: str, folder: Path, test: Path) -> tuple[list[float], np.ndarray]:
    """Energies in eV and forces in eV/Å, those of all structures in one array."""
    command = [python, str(WORKER), "test", "fitted.mtp", str(test), "test.npz"]
    subprocess.run(command, cwd=folder, env=_ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    with np.load(folder / "test.npz") as found:
        return found["energies"].tolist(), found["forces"]


class Running:
    """motep with a model and atoms, and the CPU time of its calls."""

    def __init__(self, python: str, folder: Path, structure: Path) -> None:
        self._process = subprocess.Popen(
            [python, str(WORKER), "time", "fitted.mtp", str(structure)],
            cwd=folder, env=_ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def cost(self, _steps: int) -> float:
        """µs of CPU time for an atom."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(60)


def _count(model: Path) -> int:
    """Radial and linear coefficients and the energy of an atom."""
    pairs = (line.split(" = ", 1) for line in model.read_text().splitlines() if " = " in line)
    lines = {key.strip(): value for key, value in pairs}
    size = int(lines["radial_basis_size"] if "radial_basis_size" in lines else lines["size"])
    return int(lines["radial_funcs_count"]) * size + int(lines["alpha_scalar_moments"])


def _seconds(log: Path) -> float | None:
    lines = [line for line in log.read_text().splitlines() if line.startswith("CPU seconds")]
    return float(lines[-1].rpartition(" ")[2]) if lines else None
