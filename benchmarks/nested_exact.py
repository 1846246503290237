"""Nested sampling of systems whose thermodynamics is known: means of independent runs.

    OMP_NUM_THREADS=1 python benchmarks/nested_exact.py [--full] [--cases NAME …] [--seed N] …

Each table has, for each 1/kT, the mean of the runs, what is exact (for six atoms: by parallel
tempering), and how many standard errors of the mean lie between them. C/k is that of all runs
together: the mean of theirs, and what the variance of their ⟨H⟩ adds. The weights of
tests/core/sampling/exact_cases.py have a bias of ln Z that is known, which stands there as well and
is taken into account. The last line counts what is beyond three, and says how many that would be by
chance (Student's t). `single` walks move one walker at a time, others a batch. `stuck` is the
harmonic case with steps so long that nothing moves: it must be wrong. --full takes the sizes that
README.md reports, else there are four small runs.

Runs are replicas of one state of equal pressure that never exchange: each has its own random
numbers, only the order of the kinds of moves is the same for all. Where replicas do exchange, there
is one process after the other.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from machine import machine
from scipy.stats import t as student

from acepot.sampling.ensemble import Ensemble
from acepot.sampling.walkers import Walkers, joined

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "core" / "sampling"))
import exact_cases as exact

COLUMNS = ("ln Z", "<H>", "C/k", "<V>")


@dataclass(frozen=True)
class Size:
    """How a case is run in full.

    Args:
        make: the case.
        runs: independent ones.
        walkers: K.
        length: evaluations an iteration.
        batch: walkers that move in step.
        exchange: iterations from one exchange of replicas to the next; 0: never.
        coldest: kT where the run ends, colder numbers are left out; 0: that of the coldest.
    """

    make: Callable[[], exact.Case]
    runs: int
    walkers: int
    length: int
    batch: int = 16
    exchange: int = 0
    coldest: float = 0.0

    def case(self) -> exact.Case:
        """The case with the temperatures that are reached."""
        made = self.make()
        warm = made.betas * self.coldest < 1
        return replace(made, betas=made.betas[warm], exact=made.exact[:, warm])


CASES = {
    "ideal": Size(exact.ideal_gas, 12, 100, 128),
    "ideal-single": Size(exact.ideal_gas, 12, 60, 40, 1),
    "ideal-shape": Size(lambda: exact.ideal_gas("free"), 12, 40, 256),
    "ideal-flat": Size(lambda: exact.ideal_gas(flat=True), 12, 120, 128),
    "harmonic": Size(exact.harmonic, 12, 100, 512),
    "harmonic-single": Size(exact.harmonic, 12, 40, 96, 1),
    "stuck": Size(exact.harmonic, 6, 40, 512, coldest=0.9),
    "one-atom": Size(exact.one_atom, 12, 100, 128),
    "line": Size(exact.line, 6, 100, 256),
    "line-exchange": Size(exact.line, 6, 100, 256, exchange=1),
    "six-atoms": Size(exact.six_atoms, 6, 64, 512, coldest=0.09),
    "six-atoms-single": Size(exact.six_atoms, 12, 32, 96, 1, coldest=0.28),
}


def repeated(case: exact.Case, runs: int) -> exact.Case:
    """The same case so many times over, as replicas."""
    ensemble, start = case.ensemble, case.start

    def starts(random: np.random.Generator, count: int) -> Walkers:
        return joined([one(random, count) for one in [start] * runs if one])

    many = Ensemble(ensemble.numbers, ensemble.prior, np.tile(ensemble.pressures, runs))
    return replace(case, ensemble=many, start=start and starts)


def found(name: str, size: Size, first: int) -> np.ndarray:
    """What independent runs say, shape (runs, replicas, betas, columns)."""
    case, sizes = size.case(), (size.walkers, size.length, size.batch)
    if size.exchange:
        runs = range(first, first + size.runs)
        return np.stack([case.run(seed, *sizes, exchange=size.exchange).mean for seed in runs])
    each, interval = (exact.stuck, 0) if name == "stuck" else (None, None)
    together = repeated(case, size.runs).run(first, *sizes, each=each, interval=interval).mean
    return together.reshape(size.runs, case.ensemble.replicas, *together.shape[1:])


def bias(case: exact.Case, walkers: int) -> np.ndarray:
    """By what ln Z is too large on average, since weights have ⟨t⟩ = K/(K + 1): D/(2K).

    D = -ln Z - ⟨H⟩/kT, the information in nats; see docs/ns_analyse.md. With a prior flat in the
    volume, D is another, and small.
    """
    found = np.zeros_like(case.exact)
    if not case.ensemble.prior.flat_volume:
        ln_z, h = case.exact[..., 0], case.exact[..., 1]
        found[..., 0] = (-ln_z - case.betas * h) / (2 * walkers)
    return found


def table(name: str, size: Size, first: int) -> str:
    """Run a case and compare it with what is exact."""
    case, began = size.case(), time.process_time()
    each = found(name, size, first)
    spent = (time.process_time() - began) / size.runs
    mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(size.runs)
    lines = [
        f"{name}: {size.runs} runs of {size.walkers} walkers, {size.length} evaluations an "
        f"iteration, batches of {size.batch}, seeds from {first}, {spent:.0f} s CPU a run"
    ]
    apart = case.betas**2 * each[..., 1].var(axis=0, ddof=1)
    mean[..., 2] += apart
    error[..., 2] = np.hypot(error[..., 2], apart * np.sqrt(2 / (size.runs - 1)))
    shift = bias(case, size.walkers)
    away = (mean - case.exact - shift) / error
    for r, pressure in enumerate(case.ensemble.pressures):
        for b, beta in enumerate(case.betas):
            lines.append(f"  P = {pressure:g}, kT = {1 / beta:.4g}")
            for k in np.flatnonzero(np.isfinite(case.exact[r, b])).tolist():
                known_bias = f" + {shift[r, b, k]:.4f}" if k == 0 else ""
                lines.append(
                    f"    {COLUMNS[k]:5} {mean[r, b, k]:10.4f} ± {error[r, b, k]:.4f}   "
                    f"exact {case.exact[r, b, k]:10.4f}{known_bias:9}   {away[r, b, k]:+.1f} "
                    "standard errors"
                )
    known = np.abs(away[np.isfinite(away)])
    chance = 2 * student.sf(3, size.runs - 1) * len(known)
    lines.append(
        f"  {(known > 3).sum()} of {len(known)} beyond 3 standard errors (by chance {chance:.1f}), "
        f"the largest {known.max():.1f}, root mean square {np.sqrt((known**2).mean()):.2f} "
        f"(by chance {np.sqrt((size.runs - 1) / (size.runs - 3)):.2f})"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--coldest", type=float, help="kT where runs end")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    for name in args.cases:
        size = CASES[name]
        if not args.full:
            size = replace(size, runs=4, walkers=max(size.walkers // 4, 2 * size.batch))
        size = replace(size, runs=args.runs or size.runs, coldest=args.coldest or size.coldest)
        text = table(name, size, args.seed)
        print(text, flush=True)
        if args.out:
            with args.out.open("a") as file:
                file.write(f"{text}\n  {machine()}\n\n")


if __name__ == "__main__":
    main()
