"""Surfaces whose averages are known, and small runs of hyperactive learning."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from acepot.hal.config import HalConfig
from acepot.hal.reference.job import Labelled
from acepot.hal.run import learn
from acepot.hal.surface import FunctionSurface
from acepot.hal.walker import Walker
from acepot.io.structures.extxyz import write_structures
from acepot.schema import from_mapping
from acepot.structure import Structure

#: A soft Lennard-Jones crystal: eV and Å; its pair energy and slope go to zero at the cut-off.
DEPTH, WIDTH, REACH = 0.4, 2.2, 4.4


def pairs(structure: Structure):
    """Vectors from every atom to images of others within the reach, by brute force."""
    shifts = [np.zeros(3, int)]
    if structure.pbc.all():
        around = np.arange(-2, 3)
        shifts = np.stack(np.meshgrid(around, around, around), -1).reshape(-1, 3)
    moved = structure.positions[None] + (np.array(shifts) @ structure.cell)[:, None]
    vectors = moved[:, None] - structure.positions[None, :, None]  # [shift, i, j, x]
    lengths = np.linalg.norm(vectors, axis=-1)
    return vectors, np.where((lengths > 1e-9) & (lengths < REACH), lengths, np.inf)


def pair_energy(r):
    """u(r) and du/dr, r^-12 - r^-6 times (1 - r²/R²)³."""
    near = r < REACH
    x = np.maximum(np.where(near, r, 2 * REACH), 0.3)
    six = (WIDTH / x) ** 6
    switch = np.where(near, 1 - (x / REACH) ** 2, 0.0)
    plain, slope = 4 * DEPTH * (six**2 - six), 4 * DEPTH * (6 * six - 12 * six**2) / x
    return plain * switch**3, slope * switch**3 - plain * 6 * x / REACH**2 * switch**2


def lennard_jones(structure: Structure) -> Structure:
    """The structure with its labels."""
    vectors, lengths = pairs(structure)
    energy, slope = pair_energy(lengths)
    unit = np.where(np.isfinite(lengths)[..., None], vectors / lengths[..., None], 0.0)
    pulls = slope[..., None] * unit  # [shift, i, j, x]
    forces = pulls.sum(axis=(0, 2))
    virial = -0.5 * np.einsum("sijx,sijy->xy", np.where(np.isfinite(vectors), vectors, 0.0), pulls)
    periodic = structure.pbc.all()
    return structure.labelled(
        energy=0.5 * energy.sum(), forces=forces, virial=virial if periodic else None
    )


class Truth:
    """A reference in this process; `fault` decides what becomes of a job."""

    def __init__(self, fault=None, delay=0.0):
        self.fault, self.delay, self.asked = fault, delay, []

    def submit(self, number, structure, e0):
        self.asked.append(number)
        future = Future()
        time.sleep(self.delay)
        found = Labelled(lennard_jones(structure))
        if self.fault is not None:
            found = self.fault(number, found)
        future.set_result(found)
        return future

    def close(self):
        """There is nothing to end."""


def starts(folder: Path) -> Path:
    """Two cells of a crystal, one with a vacancy."""
    side, places = 3.5, np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    whole = Structure([18] * 4, places * side, side * np.eye(3), True)
    sites = np.concatenate((places, places + [1, 0, 0])) * side
    holed = Structure([18] * 7, sites[1:], np.diag([2 * side, side, side]), True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "starts.xyz"
    write_structures(path, [whole, holed])
    return path


def config(folder: Path, **tables) -> HalConfig:
    """A small run; tables change what it is."""
    settings = {
        "start": {"file": str(starts(folder.parent))},
        "reference": {"kind": "files"},
        "motion": {
            "temperature": 300.0, "temperature_end": 1500.0, "steps": 60, "walkers": 2,
            "timestep": 3.0,
        },
        "moves": [{"kind": "volume", "every": 7}],
        "fit": {"basis": {"order": 2, "degree": 6, "cutoff": 4.0}},
        "criterion": {"kind": "relative", "every": 5, "tolerance": 0.1},
        "bias": {"warm_up": 1, "history": 4},
        "stop": {"references": 12},
        "run": {"threads": 1},
        "output": {"checkpoint": 1e6, "every": 10, "database": False},
    }  # fmt: skip
    for name, table in tables.items():
        settings[name] = {**settings.get(name, {}), **table} if isinstance(table, dict) else table
    return from_mapping(HalConfig, settings)


def run(folder: Path, reference=None, **tables):
    """Make a run; what it said and the journey."""
    said: list[str] = []
    journey = learn(
        config(folder, **tables), folder, say=said.append, reference=reference or Truth()
    )
    return said, journey


def digest(folder: Path) -> dict[str, str]:
    """What must be the same in runs that are: data, logs, models of every cycle."""
    names = [folder / n for n in ("data.extxyz", "failed.extxyz", "walks.csv", "labelled.csv")]
    names += sorted(folder.glob("models/*/model.acepot"))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in names
    }


def walkers(structure: Structure, count: int, kelvin: float, seed: int, moves: int = 1):
    """Several walkers at one structure."""
    return [
        Walker.at(structure, kelvin, np.random.default_rng([seed, k]), moves) for k in range(count)
    ]


def free() -> FunctionSurface:
    """No energy anywhere."""

    def function(structure):
        nothing = np.zeros((len(structure), 3))
        return 0.0, 0.0, nothing, nothing

    return FunctionSurface(function)


if __name__ == "__main__":  # a run in a process of its own, which tests kill
    _folder, _tables = Path(sys.argv[1]), json.loads(sys.argv[2])
    run(_folder, Truth(delay=0.02), **_tables)
