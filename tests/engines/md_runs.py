"""Runs of `acepot md` in tests: command lines, logs, frames, and ends by force."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from acepot.cli.main import main
from acepot.md import log

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "Si-mlearn" / "model.acepot"
PACKAGES = {"ase": "ase", "openmm": "openmm", "ipi": "ipi", "lammps": "lammps"}
TRAJECTORIES = {
    "ase": "trajectory.traj", "openmm": "trajectory.dcd", "ipi": "trajectory.xyz",
    "lammps": "trajectory.dump",
}  # fmt: skip
#: Seconds after which a process hangs.
HANG = 120.0

ENGINES = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(name, marks=[] if find_spec(package) else pytest.mark.skip("not installed"))
        for name, package in PACKAGES.items()
    ],
)


def each_engine_once(argument: str, first: str, second: str) -> pytest.MarkDecorator:
    """Every engine with two values of an argument: one of them, by turns, in the fast tests."""
    found = []
    for number, (engine, package) in enumerate(PACKAGES.items()):
        for value in (first, second):
            marks = [] if find_spec(package) else [pytest.mark.skip("not installed")]
            if (value == second) != bool(number % 2):
                marks.append(pytest.mark.slow)
            found.append(pytest.param(engine, value, marks=marks))
    return pytest.mark.parametrize(("engine", argument), found)


@dataclass(frozen=True)
class Ended:
    """What a run said, and its exit status."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Simulation:
    """A TOML file and folders for its runs."""

    toml: Path

    def command(self, engine: str, out: str, *more: str) -> list[str]:
        words = ["md", str(self.toml), "--engine", engine, "--out", str(self.folder(out)), *more]
        return [sys.executable, "-m", "acepot.cli", *words]

    def folder(self, out: str) -> Path:
        return self.toml.parent / out

    def run(self, engine: str, out: str, *more: str) -> Ended:
        """A run within this process."""
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            status = main(self.command(engine, out, "--no-plots", *more)[3:])
        return Ended(status, output.getvalue(), errors.getvalue())

    def finish(self, engine: str, out: str, *more: str) -> dict[str, np.ndarray]:
        """The columns of the log of a run that must end well."""
        done = self.run(engine, out, *more)
        assert done.status == 0, done.stderr + done.stdout
        return self.log(out)

    def log(self, out: str) -> dict[str, np.ndarray]:
        return log.read(self.folder(out) / "log.csv")


Make = Callable[..., Simulation]


def frames(engine: str, path: Path, atoms: int = 64) -> list[bytes]:
    """The frames of a trajectory, each as bytes that are equal for equal frames."""
    if engine == "ase":
        from ase.io import read

        return [
            f.positions.tobytes() + f.get_momenta().tobytes() + np.array(f.cell).tobytes()
            for f in read(path, ":")
        ]
    data = path.read_bytes()
    if engine == "openmm":
        count = int.from_bytes(data[8:12], "little")
        body = data[276:]
        assert len(body) % count == 0, "the header of the DCD file counts other frames"
        size = len(body) // count
        return [body[i * size : (i + 1) * size] for i in range(count)]
    mark = b"ITEM: TIMESTEP" if engine == "lammps" else b"%d\nLattice" % atoms
    return [mark + rest for rest in data.split(mark)[1:]]


def same(simulation: Simulation, engine: str, one: str, other: str) -> None:
    """Two runs have the same log and the same frames, bit by bit."""
    texts = [(simulation.folder(out) / "log.csv").read_text() for out in (one, other)]
    assert texts[0] == texts[1]
    name = TRAJECTORIES[engine]
    assert frames(engine, simulation.folder(one) / name) == frames(
        engine, simulation.folder(other) / name
    )


def stop(simulation: Simulation, engine: str, out: str, rows: int, how: signal.Signals) -> int:
    """Start a run, end it when its log has that many rows; its exit status."""
    process = subprocess.Popen(
        simulation.command(engine, out, "--no-plots"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    path, end = simulation.folder(out) / "log.csv", time.monotonic() + HANG
    while not path.exists() or path.read_bytes().count(b"\n") <= rows:
        assert process.poll() is None and time.monotonic() < end, "it ended by itself"
        time.sleep(0.002)
    process.send_signal(how)
    return process.wait(HANG)


def refused(
    simulation: Simulation, message: str, capsys, engine: str = "ase", out: str = "run"
) -> None:
    words = simulation.command(engine, out, "--no-plots")[3:]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert re.search(message, said), said
