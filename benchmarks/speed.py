"""Time per atom of the native evaluator and the numpy oracle, interleaved, medians.

    OMP_NUM_THREADS=1 python benchmarks/speed.py [--rounds 7]

The native times include its neighbour list. Ratios within one run are the figures to compare
between machines.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import acepot
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.neighbours import build

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    model = acepot.load(MODEL)
    tables = lower(model)
    evaluator = ReferenceEvaluator(tables)
    native = NativeEvaluator(tables, threads=1)
    cutoff = float(tables.cutoff.max())
    print(f"{tables.functions} functions, cut-off {cutoff:.3g} Å; µs per atom (ratio to native)")
    for repeat in (1, 2, 5):
        structure = _silicon(repeat)
        edges = build(structure, cutoff)
        work: dict[str, Callable[[], object]] = {
            "native": lambda s=structure: native.evaluate([s]),
            "list of the oracle": lambda s=structure: build(s, cutoff),
            "oracle and its list": lambda s=structure: evaluator.evaluate([s]),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(rounds):
            for name, call in work.items():
                begin = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - begin)
        medians = {n: 1e6 * statistics.median(t) / len(structure) for n, t in times.items()}
        line = ", ".join(f"{n} {t:.0f} ({t / medians['native']:.1f})" for n, t in medians.items())
        print(f"{len(structure):5d} atoms, {len(edges.centre) / len(structure):.0f} pairs: {line}")


def _silicon(repeat: int) -> acepot.Structure:
    """Rattled diamond silicon, 8 repeat³ atoms."""
    sites = [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
    shifts = np.array(
        [[i, j, k] for i in range(repeat) for j in range(repeat) for k in range(repeat)]
    )
    positions = 5.46 * (np.array(sites) / 4 + shifts[:, None]).reshape(-1, 3)
    positions += np.random.default_rng(0).normal(scale=0.05, size=positions.shape)
    return acepot.Structure(np.full(len(positions), 14), positions, 5.46 * repeat * np.eye(3), True)


if __name__ == "__main__":
    main()
