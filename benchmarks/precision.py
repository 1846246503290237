"""Mixed and single precision against double: errors, speed and conservation of energy.

    OMP_NUM_THREADS=1 python benchmarks/precision.py [--parts errors speed nve] [--out FOLDER]

errors: of forces, and of energies of atoms, in crystals with thermal displacements. speed: CPU time
of energies, forces and virial from positions, list included; the three precisions take turns in one
process. nve: after 2 ps of Langevin dynamics in double, each precision goes on from the same
positions and velocities at constant energy, 1 fs a step; the slope is that of a line fitted to the
total energy; the folder gets a CSV of the total energies and a PNG. With --pyace PYTHON, an
interpreter that has python-ace: its recursive evaluator in turn with ours, on copper. Potentials
whose folders are absent are left out.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from kernel import SHARED, SILICON, SYNTHETIC, fcc

from acepot import Structure
from acepot.evaluate.native import NativeEvaluator, instruction_sets
from acepot.evaluate.precision import Precision
from acepot.evaluate.protocol import require, species_of
from acepot.io.pace import read_pace
from acepot.io.registry import load
from acepot.lowering import lower
from acepot.tables import Tables

PRECISIONS: tuple[Precision, ...] = ("double", "mixed", "single")
#: eV per K; eV per Da Å²/fs².
BOLTZMANN, DALTON = 8.617333262e-5, 103.642697
MASSES = {14: 28.085, 29: 63.546}
#: fs; steps between two energies.
STEP, EVERY = 1.0, 10
FRICTION = 0.01  # 1/fs
ROWS = 400

Case = tuple[str, Tables, Structure]


def diamond(repeat: int, displacement: float) -> Structure:
    """Silicon, 8 repeat³ atoms."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    shifts = np.array(list(np.ndindex(repeat, repeat, repeat)))[:, None]
    positions = 5.43 * (shifts + np.concatenate((corners, corners + 0.25))).reshape(-1, 3)
    positions += np.random.default_rng(0).normal(scale=displacement, size=positions.shape)
    return Structure([14] * len(positions), positions, 5.43 * repeat * np.eye(3), True)


def cases(options: argparse.Namespace, scratch: Path) -> Iterator[Case]:
    silicon = lower(load(SILICON))
    yield "silicon, diamond", silicon, diamond(4, 0.05)
    yield "silicon, fcc as copper", silicon, fcc((5, 5, 5), (14,))
    file = options.data / "pace_potentials" / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace"
    if file.exists():
        yield "Cu-PBE-core-rep", lower(read_pace(file)), fcc((5, 5, 5))
    if not (options.prototype / "gen_pot.py").exists():
        return
    for name, (arguments, _) in SYNTHETIC.items():
        made = scratch / f"{name}.yace"
        command = [sys.executable, options.prototype / "gen_pot.py", made, *arguments]
        subprocess.run(command, check=True, capture_output=True)
        tables = lower(read_pace(made))
        yield name, tables, fcc((5, 5, 5), tuple(tables.numbers.tolist()))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def errors(case: Case, isa: str) -> None:
    name, tables, structure = case
    found = {
        p: require(NativeEvaluator(tables, 1, isa, p).evaluate([structure]))[0] for p in PRECISIONS
    }
    exact = found["double"]
    for precision in PRECISIONS[1:]:
        other = found[precision]
        each = other.energies - exact.energies
        print(f"{name}, {isa}, {precision}: forces {rms(other.forces - exact.forces):.1e} of "
              f"{rms(exact.forces):.2g} eV/Å, energies of atoms {rms(each):.1e}, their mean "
              f"{abs(each.mean()):.1e} eV, sum of all forces "
              f"{np.abs(other.forces.sum(axis=0)).max():.0e} eV/Å", flush=True)  # fmt: skip


def speed(case: Case, isa: str, rounds: int) -> None:
    name, tables, structure = case
    calls = []
    for precision in PRECISIONS:
        native = NativeEvaluator(tables, 1, isa, precision)
        calls.append(timed(native, tables, structure))
    times = np.array([[call() for call in calls] for _ in range(rounds)]).T
    ratios = [statistics.median(times[0] / one) for one in times]
    each = ", ".join(
        f"{p} {statistics.median(t):.2f} (least {t.min():.2f}; {r:.2f}, "
        f"{times[0].min() / t.min():.2f})"
        for p, t, r in zip(PRECISIONS, times, ratios, strict=True)
    )
    print(f"{name}, {isa}, µs/atom (ratios of medians and of least): {each}", flush=True)


def timed(native: NativeEvaluator, tables: Tables, structure: Structure) -> Callable[[], float]:
    """A call that returns µs of CPU time per atom."""
    bound = native.bind(species_of(tables, structure), structure.pbc)

    def call() -> float:
        begin = time.thread_time()
        bound.compute(structure.positions, structure.cell)
        return 1e6 * (time.thread_time() - begin) / len(structure)

    call()
    return call


def beside_pyace(options: argparse.Namespace, isa: str, rounds: int) -> None:
    """Least and median CPU times, and their ratios to ours in double, mixed and single."""
    file = options.data / "pace_potentials" / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace"
    command = [options.pyace, Path(__file__).parent / "pyace_worker.py", file, "5"]
    tables, structure = lower(read_pace(file)), fcc((5, 5, 5))
    natives = [NativeEvaluator(tables, 1, isa, precision) for precision in PRECISIONS]
    calls = [timed(native, tables, structure) for native in natives]
    found = []
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as worker:
        for _ in range(rounds):
            print(file=worker.stdin, flush=True)
            theirs = [float(word) for word in worker.stdout.readline().split()]
            found.append([*theirs, *(min(call() for _ in range(5)) for call in calls)])
        worker.stdin.close()
    times = np.array(found).T
    for name, one in zip(("with its list", "its C++ alone"), times[:2], strict=True):
        ratios = ", ".join(
            f"{p} {one.min() / t.min():.1f} ({statistics.median(one / t):.1f})"
            for p, t in zip(PRECISIONS, times[2:], strict=True)
        )
        print(f"python-ace, recursive, {name}: least {one.min():.0f} µs/atom; acepot, {isa}, list "
              f"included, is so many times as fast (medians): {ratios}", flush=True)  # fmt: skip


class Dynamics:
    """Velocity Verlet in numpy, with and without a Langevin thermostat."""

    def __init__(self, tables: Tables, structure: Structure, precision: Precision) -> None:
        native = NativeEvaluator(tables, 1, precision=precision)
        self._bound = native.bind(species_of(tables, structure), structure.pbc)
        self._cell = structure.cell
        self._masses = np.array([MASSES[z] for z in structure.numbers.tolist()])[:, None] * DALTON

    def run(
        self, x: np.ndarray, v: np.ndarray, steps: int, kelvin: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions, velocities, and total energies per atom in eV, one every EVERY steps."""
        rng, found = np.random.default_rng(3), []
        x, v, half = x.copy(), v.copy(), 0.5 * STEP / self._masses
        energies, forces, _ = self._bound.compute(x, self._cell)
        keep = np.exp(-FRICTION * STEP)
        for step in range(steps):
            if kelvin is None and step % EVERY == 0:
                found.append((energies.sum() + 0.5 * np.sum(self._masses * v**2)) / len(x))
            v += half * forces
            if kelvin is None:
                x += STEP * v
            else:
                x += 0.5 * STEP * v
                noise = rng.normal(size=v.shape) * np.sqrt(BOLTZMANN * kelvin / self._masses)
                v = keep * v + np.sqrt(1 - keep**2) * noise
                x += 0.5 * STEP * v
            energies, forces, _ = self._bound.compute(x, self._cell)
            v += half * forces
        return x, v - v.mean(axis=0), np.array(found)


def nve(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Total energies in eV/atom, by system and precision."""
    systems: list[tuple[str, Tables, Structure, float]] = [
        ("silicon, 64 atoms, 800 K", lower(load(SILICON)), diamond(2, 0.0), 800.0)
    ]
    file = options.data / "pace_potentials" / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace"
    if file.exists():
        systems.append(
            ("Cu-PBE-core-rep, 32 atoms, 600 K", lower(read_pace(file)), fcc((2, 2, 2)), 600.0)
        )
    out = {}
    for name, tables, structure, kelvin in systems:
        warm = Dynamics(tables, structure, "double")
        x, v, _ = warm.run(structure.positions, np.zeros((len(structure), 3)), 2000, kelvin)
        for precision in PRECISIONS:
            steps = round(options.ps * 1000 / STEP)
            found = Dynamics(tables, structure, precision).run(x, v, steps, None)[2]
            out[f"{name}, {precision}"] = found
            ps = np.arange(len(found)) * EVERY * STEP * 1e-3
            slope = np.polyfit(ps, found - found.mean(), 1)[0] * options.ps
            print(f"{name}, {precision}: {slope:+.1e} eV/atom in {options.ps:g} ps, standard "
                  f"deviation {found.std():.2e} eV/atom", flush=True)  # fmt: skip
    return out


def write(folder: Path, found: dict[str, np.ndarray], ps: float) -> None:
    """`precision_nve.csv`, thinned, and `precision_nve.png`: meV/atom less the first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    length = min(map(len, found.values()))
    chosen = np.arange(0, length, max(length // ROWS, 1))
    times = chosen * EVERY * STEP * 1e-3
    columns = {name: 1e3 * (e - e[0])[chosen] for name, e in found.items()}
    table = np.stack([times, *columns.values()], axis=1)
    head = "ps," + ",".join(f'"{name} (meV/atom)"' for name in columns)
    form = ["%.2f", *["%.6f"] * len(columns)]
    np.savetxt(folder / "precision_nve.csv", table, form, ",", header=head, comments="")
    systems = list(dict.fromkeys(name.rpartition(",")[0] for name in columns))
    figure = Figure(figsize=(8, 2.6 * len(systems)), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, system in zip(figure.subplots(len(systems), 1, squeeze=False)[:, 0], systems,
                            strict=True):  # fmt: skip
        for name, values in columns.items():
            if name.startswith(system):
                axis.plot(times, values, label=name.rpartition(", ")[2], linewidth=0.7)
        axis.set_title(system, fontsize=9)
        axis.set_xlabel("ps")
        axis.set_ylabel("meV/atom")
        axis.legend(fontsize=8)
    figure.savefig(folder / "precision_nve.png", dpi=110)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ["errors", "speed", "nve"]
    options.add_argument("--parts", nargs="+", choices=parts, default=parts, metavar="PART")
    options.add_argument("--rounds", type=int, default=41)
    options.add_argument("--ps", type=float, default=100.0)
    options.add_argument("--out", type=Path, help="folder for a CSV and a PNG of nve")
    options.add_argument("--pyace", type=Path, metavar="PYTHON", help="compare with python-ace")
    options.add_argument("--data", type=Path, default=SHARED / "data")
    options.add_argument("--prototype", type=Path, default=SHARED / "prototype" / "kernel")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if {"errors", "speed"} & set(chosen.parts):
            for case in cases(chosen, Path(folder)):
                for isa in [isa for isa in ("avx512", "avx2") if isa in instruction_sets()]:
                    if "errors" in chosen.parts:
                        errors(case, isa)
                    if "speed" in chosen.parts:
                        speed(case, isa, chosen.rounds)
    if chosen.pyace:
        for isa in [isa for isa in ("avx512", "avx2") if isa in instruction_sets()]:
            beside_pyace(chosen, isa, chosen.rounds)
    if "nve" in chosen.parts:
        found = nve(chosen)
        if chosen.out:
            write(chosen.out, found, chosen.ps)


if __name__ == "__main__":
    main()
