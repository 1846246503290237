"""Walks of eight silicon atoms: batched, one walker at a time, and through ASE's calculator.

    python benchmarks/nested_speed.py [--rounds 9]

The walks are those of nested sampling: Galilean trajectories, volume, shear and stretch moves of
models/Si-mlearn at 0.1 GPa. What is given is model evaluations per second and the part of the time
that is not the evaluator's, with one thread and with two. Versions take turns, and medians are
given; `process` is processor time of all threads. In the ASE row the same walk asks ase_ace's
calculator for one structure after the other.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np

import acepot
from acepot.evaluate.native import chosen_instruction_set, processors
from acepot.sampling.cells import fractional
from acepot.sampling.distances import MinimumDistances
from acepot.sampling.draws import Purpose
from acepot.sampling.energies import Energies, EnergyModel, PotentialEnergies
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.shape import Shear, Stretch
from acepot.sampling.moves.volume import Volume
from acepot.sampling.prior import Prior
from acepot.sampling.start import value
from acepot.sampling.walk import Task, walk
from acepot.sampling.walkers import Walkers
from acepot.units import GIGAPASCAL
from ase_ace import ACECalculator
from ase_ace.energies import CalculatorEnergies

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
MOVES = (Galilean(), Volume(), Shear(), Stretch())
STEPS = (0.05, 0.3, 0.03, 0.03)
#: In proportion to the evaluations of each kind: one trajectory of eight, two of each other move.
KINDS = np.array([0, 1, 2, 3, 1, 2, 3] * 2)


class Timed:
    """An energy model that notes how long it takes."""

    def __init__(self, model: EnergyModel) -> None:
        self.model, self.wall, self.process = model, 0.0, 0.0

    def compute(
        self, numbers: np.ndarray, positions: np.ndarray, cells: np.ndarray, out: Energies
    ) -> None:
        """As `EnergyModel`."""
        wall, process = time.perf_counter(), time.process_time()
        self.model.compute(numbers, positions, cells, out)
        self.wall += time.perf_counter() - wall
        self.process += time.process_time() - process


def silicon(count: int, ensemble: Ensemble, energies: EnergyModel) -> Walkers:
    """Diamond with atoms and cells off their places by some per cent."""
    random = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    walkers = Walkers.empty((count,), 8)
    walkers.cells[:] = 5.6 * (np.eye(3) + 0.02 * random.standard_normal((count, 3, 3)))
    walkers.positions[:] = basis @ walkers.cells + 0.15 * random.standard_normal((count, 8, 3))
    walkers.numbers[:] = 14
    value(ensemble, energies, walkers, np.zeros(count, dtype=int))
    return walkers


def measured(
    ensemble: Ensemble, model: EnergyModel, walkers: Walkers, batch: int
) -> tuple[float, float, float, float]:
    """Evaluations per second, their part of the wall time, and the same of processor time."""
    timed, calls = Timed(model), 0
    wall, process = time.perf_counter(), time.process_time()
    for first in range(0, len(walkers.total), batch):
        rows = np.arange(first, first + batch)
        task = Task(
            1, 0, Purpose.WALK, 0, KINDS, len(walkers.total), np.zeros(batch, dtype=int), rows,
            np.full(batch, walkers.total.max() + 0.5), np.ones(batch),
            np.tile(STEPS, (batch, 1)), walkers.take(rows),
        )  # fmt: skip
        calls += walk(ensemble, MOVES, timed, task).calls
    wall, process = time.perf_counter() - wall, time.process_time() - process
    return calls / wall, timed.wall / wall, calls / process, timed.process / process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    prior = Prior(40.0, 12.0, min_aspect=0.7, distances=MinimumDistances({(14, 14): 1.7}))
    ensemble = Ensemble([14] * 8, prior, [0.1 * GIGAPASCAL])
    model = acepot.load(MODEL)
    potentials = {threads: acepot.Potential(model, threads=threads) for threads in (1, 2)}
    native = {threads: PotentialEnergies(one) for threads, one in potentials.items()}
    walkers = silicon(64, ensemble, native[1])
    assert_inside(walkers)
    versions: dict[str, Callable[[], tuple[float, float, float, float]]] = {
        f"batches of {b}, {threads} thread{'s'[: threads - 1]}": (
            lambda b=b, threads=threads: measured(ensemble, native[threads], walkers, b)
        )
        for b, threads in ((64, 1), (64, 2), (32, 1), (32, 2), (16, 1), (8, 1), (1, 1))
    }
    calculator = CalculatorEnergies(ACECalculator(potentials[1]))
    versions["ASE calculator, one at a time"] = lambda: measured(ensemble, calculator, walkers, 1)
    found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in versions}
    for _ in range(rounds):
        for name, run in versions.items():
            found[name].append(run())
    print(machine())
    print(f"{rounds} rounds, 64 walkers of 8 atoms")
    print("| | evaluations/s | driver/evaluator | evaluations/s process | driver/evaluator |")
    print("|---|---|---|---|---|")
    for name, rows in found.items():
        rate, part, cpu, own = np.median(rows, axis=0)
        print(
            f"| {name} | {rate:.0f} | {100 * (1 / part - 1):.1f} % | {cpu:.0f} | "
            f"{100 * (1 / own - 1):.1f} % |"
        )
    names = ["batches of 64, 1 thread", "batches of 64, 2 threads"]
    gains = np.divide(*([row[0] for row in found[name]] for name in names[::-1]))
    print(
        f"two threads: {np.median(gains):.2f} times as fast ({gains.min():.2f}-{gains.max():.2f})"
    )


def machine() -> str:
    """When, where and how this was measured."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    return (
        f"{datetime.now():%Y-%m-%d %H:%M}, {name}, {processors()} processors, "
        f"load {os.getloadavg()[0]:.1f}, {chosen_instruction_set()}\n"
        f"python benchmarks/{Path(__file__).name} {' '.join(sys.argv[1:])}".rstrip()
    )


def assert_inside(walkers: Walkers) -> None:
    """Stop where the first walkers are no silicon any more."""
    s = fractional(walkers.positions, walkers.cells)
    if not (np.isfinite(s).all() and (walkers.energy < -30).all()):
        raise SystemExit("the first walkers are not what they should be")


if __name__ == "__main__":
    main()
