r"""Hyperactive learning of tungsten from an EAM, and what its model is worth.

    LD_LIBRARY_PATH=VENV/lib OMP_NUM_THREADS=1 python benchmarks/hal.py \
        --eam w_eam4.eam.fs --seed 1 --folder FOLDER

Three structures (bcc; bcc with a vacancy; fcc) and at most 90 calculations, walks from 1000 to
5500 K at no pressure. The truth is the EAM in LAMMPS. Printed and written to FOLDER/results.json:

- errors of forces on independent dynamics of the truth (1000 to 5500 K, solid and liquid) after
  every cycle, and of the same basis fitted to as many random snapshots of such dynamics;
- dynamics of the model at the highest temperature: how long it lasts, up to --picoseconds;
- at what temperature crystals melt that are heated at the same rate, of the truth and the model;
- where the time goes.

Everything that is there already is kept: the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from lammps import lammps

import acepot
from acepot.hal.config import load_config
from acepot.hal.database import read
from acepot.hal.dynamics import Dynamics, begin
from acepot.hal.moves import Volume
from acepot.hal.run import learn
from acepot.hal.surface import FunctionSurface
from acepot.hal.walker import Walker
from acepot.structure import Structure

EDGE, COLD, HOT, TIMESTEP = 3.1436, 1000.0, 5500.0, 2.0
CONFIG = """\
start.file = "start.xyz"

[reference]
kind = "ase"
name = "eam"
files = {{potential = "{eam}"}}
timeout = 120

[motion]
temperature = {cold}
temperature_end = {hot}
steps = {steps}
walkers = 4
timestep = {timestep}

[[moves]]
kind = "volume"
every = 10

[fit]
test_fraction = 0.0

[fit.basis]
order = 3
degree = {degree}
cutoff = 5.0

[bias]
strength = 0.25

[criterion]
kind = "relative"
tolerance = 0.25

[stop]
references = {references}
quiet = 4

[run]
seed = {seed}
threads = 1
"""


def structure(atoms: Any) -> Structure:
    """Of acepot."""
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)


class Truth:
    """The EAM in LAMMPS."""

    def __init__(self, eam: Path) -> None:
        self._eam, self._engines = eam, dict[int, Any]()

    def __call__(self, one: Structure) -> tuple[float, np.ndarray]:
        """Energy and forces."""
        engine = self._engines.get(len(one)) or self._made(len(one))
        a, b, c = one.cell
        if abs(one.cell - np.diag(np.diag(one.cell))).max() > 1e-9:
            raise ValueError("cells of the benchmark are rectangular")
        engine.command(
            f"change_box all x final 0 {a[0]:.17g} y final 0 {b[1]:.17g} z final 0 {c[2]:.17g} "
            "units box"
        )
        places = one.positions - np.floor(one.positions / np.diag(one.cell)) * np.diag(one.cell)
        engine.scatter_atoms(
            "x", 1, 3, np.ctypeslib.as_ctypes(np.ascontiguousarray(places).ravel())
        )
        engine.command("run 0 post no")
        forces = np.array(engine.gather_atoms("f", 1, 3)).reshape(-1, 3)
        return float(engine.get_thermo("pe")), forces

    def _made(self, atoms: int) -> Any:
        engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
        places = "\n".join(f"create_atoms 1 single 1 1 {1 + 0.1 * k}" for k in range(atoms))
        engine.commands_string(
            "units metal\natom_style atomic\natom_modify map yes sort 0 0\nboundary p p p\n"
            f"region b block 0 9 0 9 0 {atoms}\ncreate_box 1 b\n{places}\nmass 1 183.84\n"
            f"pair_style eam/fs\npair_coeff * * {self._eam} W\n"
            "neigh_modify every 1 delay 0 check no"
        )
        self._engines[atoms] = engine
        return engine

    def surface(self) -> FunctionSurface:
        """For dynamics."""

        def function(one: Structure) -> tuple[float, float, np.ndarray, np.ndarray]:
            energy, forces = self(one)
            return energy, 0.0, forces, np.zeros_like(forces)

        return FunctionSurface(function)


def of_model(potential: acepot.Potential) -> FunctionSurface:
    """For dynamics of a model alone."""

    def function(one: Structure) -> tuple[float, float, np.ndarray, np.ndarray]:
        found = potential.compute(one)
        return found.energy, 0.0, found.forces, np.zeros_like(found.forces)

    return FunctionSurface(function)


def dynamics(
    surface: FunctionSurface, start: Structure, steps: int, kelvin: Callable[[int], float],
    seed: int, every: int, friction: float = 10.0,
) -> list[Walker]:  # fmt: skip
    """Langevin dynamics at no pressure; snapshots (copies of the walker)."""
    random = np.random.default_rng(seed)
    walker = Walker.at(start, kelvin(0), random, 1)
    begin([walker], surface)
    moving, found = Dynamics(TIMESTEP, friction, (Volume(every=10),)), []
    for step in range(steps):
        moving.step([walker], surface, lambda w: (kelvin(w.step), 0.0), lambda *_: random)
        if walker.ended:
            return found
        if (step + 1) % every == 0:
            found.append(Walker.restored({k: v.copy() for k, v in walker.arrays().items()}))
    return found


def snapshots(truth: Truth, count: int, seed: int) -> list[Structure]:
    """Labelled structures of dynamics of the truth, over the range of temperatures."""
    start = structure(bulk("W", "bcc", EDGE, cubic=True) * (3, 3, 3))
    temperatures = np.linspace(COLD, HOT, 6)
    every, found = 150, []
    for k, t in enumerate(temperatures):
        steps = every * (-(-count // len(temperatures)) + 4)
        hot = steps // 3
        walked = dynamics(
            truth.surface(), start, steps,
            lambda step, t=t, hot=hot, k=k: 1.6 * t if k >= 4 and step < hot else t,
            seed + k, every, 5.0,
        )  # fmt: skip
        for walker in walked[4:]:
            energy, forces = truth(walker.structure)
            found.append(walker.structure.labelled(energy=energy, forces=forces))
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[k] for k in order[:count]]


def errors(potential: acepot.Potential, test: list[Structure]) -> dict[str, float]:
    """Root mean squares: forces in eV/Å, energies in meV/atom."""
    found = potential.compute_all(test)
    forces = np.concatenate(
        [(f.forces - s.forces).ravel() for f, s in zip(found, test, strict=True)]
    )
    energies = [(f.energy - s.energy) / len(s) for f, s in zip(found, test, strict=True)]
    return {
        "force": float(np.sqrt(np.mean(forces**2))),
        "energy": 1e3 * float(np.sqrt(np.mean(np.square(energies)))),
    }


def melting(surface: FunctionSurface, seed: int, steps: int) -> float:
    """Temperature in K at which the Bragg peaks of a heated crystal of 128 atoms go below 0.3."""
    start, low, high = structure(bulk("W", "bcc", EDGE, cubic=True) * (4, 4, 4)), 3000.0, 8000.0
    every = 50
    walked = dynamics(
        surface, start, steps, lambda step: low + (high - low) * step / steps, seed, every
    )
    for number, walker in enumerate(walked):
        fractional = walker.positions @ np.linalg.inv(walker.cell)
        waves = np.array([[4, 4, 0], [4, 0, 4], [0, 4, 4]]).T
        order = np.abs(np.exp(2j * np.pi * fractional @ waves).mean(axis=0)).mean()
        if order < 0.3:
            return low + (high - low) * (number + 1) * every / steps
    return float("nan")


def lasts(potential: acepot.Potential, picoseconds: float, seed: int) -> dict[str, float]:
    """Dynamics at the highest temperature: ps before atoms touch or energies run away."""
    start = structure(bulk("W", "bcc", EDGE, cubic=True) * (3, 3, 3))
    steps = round(picoseconds * 1000 / TIMESTEP)
    walked = dynamics(of_model(potential), start, steps, lambda _: HOT, seed, 500)
    energies = np.array([w.energy / len(w.numbers) for w in walked])
    volumes = np.array([w.volume / len(w.numbers) for w in walked])
    sound = (energies > -9.5) & (energies < -5.0) & (volumes < 40.0)
    until = len(walked) if sound.all() else int(np.argmin(sound))
    return {
        "ps": until * 500 * TIMESTEP / 1000, "asked_ps": picoseconds,
        "energy": float(energies[:until].mean()) if until else float("nan"),
        "volume": float(volumes[:until].mean()) if until else float("nan"),
    }  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--eam", type=Path, required=True)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--folder", type=Path, required=True)
    words.add_argument("--references", type=int, default=90)
    words.add_argument("--steps", type=int, default=1500)
    words.add_argument("--degree", type=int, default=14)
    words.add_argument("--test", type=int, default=60)
    words.add_argument("--picoseconds", type=float, default=1000.0)
    words.add_argument("--heating", type=int, default=15_000)
    o = words.parse_args()
    o.folder.mkdir(parents=True, exist_ok=True)
    path = o.folder / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def keep(name: str, make: Callable[[], Any]) -> Any:
        if name not in results:
            begun = time.process_time()
            results[name] = make()
            results[f"{name} (s)"] = round(time.process_time() - begun, 1)
            path.write_text(json.dumps(results, indent=1))
        print(f"{name}: {results[name]}", flush=True)
        return results[name]

    truth = Truth(o.eam.resolve())
    vacancy = bulk("W", "bcc", EDGE, cubic=True) * (3, 3, 3)
    del vacancy[13]
    first = [bulk("W", "bcc", EDGE, cubic=True) * (2, 2, 2), vacancy]
    first.append(bulk("W", "fcc", 3.99, cubic=True) * (2, 2, 2))
    acepot.write_structures(o.folder / "start.xyz", [structure(one) for one in first])
    text = CONFIG.format(
        eam=o.eam.resolve(), cold=COLD, hot=HOT, steps=o.steps, timestep=TIMESTEP, seed=o.seed,
        degree=o.degree, references=o.references,
    )  # fmt: skip
    (o.folder / "hal.toml").write_text(text)
    run = o.folder / "run"

    def learned() -> dict[str, float]:
        begun = time.perf_counter()
        journey = learn(load_config(o.folder / "hal.toml"), run, say=print)
        return {**journey.spent, "all": time.perf_counter() - begun, "cycles": journey.state.cycle}

    keep("time of the run (s)", learned)
    test = snapshots(truth, o.test, 1000)  # the same for every seed
    records = read(run / "data.extxyz")
    train = [r.structure for r in records if r.origin.use == "train"]

    def curve() -> list[list[float]]:
        found = []
        for folder in sorted((run / "models").iterdir()):
            cycle = int(folder.name)
            count = sum(r.origin.cycle <= cycle for r in records)
            one = errors(acepot.Potential(acepot.load(folder / "model.acepot"), threads=1), test)
            found.append([count, one["force"], one["energy"]])
        return found

    keep("calculations, force error (eV/Å), energy error (meV/atom)", curve)
    learned_model = acepot.Potential(acepot.load(run / "model.acepot"), threads=1)
    keep("hyperactive", lambda: errors(learned_model, test))

    def random_fit() -> dict[str, float]:
        pool = snapshots(truth, len(train), 5000 + 10 * o.seed)
        basis = {"order": 3, "degree": o.degree, "cutoff": 5.0}
        e0 = {"W": truth_of_atom(records)}
        made = acepot.fit(
            pool, basis, observables=("energy", "forces"), e0=e0, threads=1, accept_labels=True
        )
        return {**errors(made.potential, test), "structures": len(pool)}

    keep("random snapshots", random_fit)
    keep("melts when heated (K), truth", lambda: melting(truth.surface(), o.seed, o.heating))
    keep(
        "melts when heated (K), model",
        lambda: melting(of_model(learned_model), o.seed, o.heating),
    )
    keep("lasts", lambda: lasts(learned_model, o.picoseconds, o.seed))


def truth_of_atom(records: list[Any]) -> float:
    """Energy of the isolated atom."""
    return next(r.structure.energy for r in records if r.origin.trigger == "atom")


if __name__ == "__main__":
    main()
