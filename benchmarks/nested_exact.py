"""Nested sampling of systems whose thermodynamics is known: means of independent runs.

    OMP_NUM_THREADS=1 python benchmarks/nested_exact.py [--full] [--cases NAME …] [--out FILE]

Each table has, for each 1/kT, the mean of the runs, what is exact (for six atoms: by parallel
tempering), and how many standard errors of the mean lie between them. --full takes six runs of the
sizes that README.md reports, else there are three small ones. `stuck` is the harmonic case with
steps so long that nothing moves: it must be wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "core" / "sampling"))
import exact_cases as exact

COLUMNS = ("ln Z", "<H>", "C/k", "<V>")
#: How the cases are run in full: what makes them, walkers, length, batch, interval of exchange.
CASES: dict[str, tuple[Callable[[], exact.Case], int, int, int, int]] = {
    "ideal": (exact.ideal_gas, 200, 128, 16, 0),
    "one-atom": (exact.one_atom, 200, 128, 16, 0),
    "harmonic": (exact.harmonic, 200, 512, 16, 0),
    "line": (exact.line, 200, 256, 16, 0),
    "line-exchange": (exact.line, 200, 256, 16, 1),
    "six-atoms": (exact.six_atoms, 200, 512, 16, 0),
    "ideal-shape": (lambda: exact.ideal_gas("free"), 200, 256, 16, 0),
    "ideal-flat": (lambda: exact.ideal_gas(flat=True), 400, 128, 16, 0),
    "ideal-single": (exact.ideal_gas, 100, 40, 1, 0),
    "harmonic-single": (exact.harmonic, 100, 128, 1, 0),
    "six-atoms-single": (exact.six_atoms, 64, 128, 1, 0),
    "stuck": (exact.harmonic, 200, 512, 16, 0),
}


def table(name: str, full: bool, runs: int) -> str:
    """Run a case and compare it with what is exact."""
    make, walkers, length, batch, exchange = CASES[name]
    if not full:
        walkers = max(walkers // 4, 2 * batch)
    case, began = make(), time.process_time()
    each, interval = (exact.stuck, 0) if name == "stuck" else (None, None)
    found = np.stack(
        [
            case.run(
                seed, walkers, length, batch, exchange=exchange, each=each, interval=interval
            ).mean
            for seed in range(runs)
        ]
    )  # [run, replica, beta, column]
    spent = (time.process_time() - began) / runs
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(runs)
    lines = [
        f"{name}: {runs} runs of {walkers} walkers, {length} evaluations an iteration, "
        f"batches of {batch}, {spent:.0f} s CPU a run"
    ]
    for r, pressure in enumerate(case.ensemble.pressures):
        for b, beta in enumerate(case.betas):
            lines.append(f"  P = {pressure:g}, kT = {1 / beta:.4g}")
            for k, column in enumerate(COLUMNS):
                if np.isfinite(case.exact[r, b, k]):
                    away = (mean[r, b, k] - case.exact[r, b, k]) / error[r, b, k]
                    lines.append(
                        f"    {column:5} {mean[r, b, k]:10.4f} ± {error[r, b, k]:.4f}   "
                        f"exact {case.exact[r, b, k]:10.4f}   {away:+.1f} standard errors"
                    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    runs = args.runs or (6 if args.full else 3)
    for name in args.cases:
        text = table(name, args.full, runs)
        print(text, flush=True)
        if args.out:
            with args.out.open("a") as file:
                file.write(text + "\n\n")


if __name__ == "__main__":
    main()
