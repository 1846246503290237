"""One structure more: a joint fit of N + 1 structures against a fit of N that goes on.

    OMP_NUM_THREADS=1 python benchmarks/fit_add.py [--structures 200] [--degree 16] [--rounds 5]

Structures are those of examples/data/Si_train.extxyz.xz, so many of them in a random order, and one
more. Prints, for either solver, medians of the whole joint fit, of `Fit.add`, and of what an
addition consists of: the rows of one structure, taking the triangle over, the solve; and the
difference of what both fits predict, relative to the largest prediction.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import acepot
from acepot.fitting.assembly import Job
from acepot.fitting.solvers import solve

DATA = Path(__file__).parents[1] / "examples" / "data"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--structures", type=int, default=200)
    options.add_argument("--degree", type=float, default=16.0)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    structures, _ = acepot.read_structures(DATA / "Si_train.extxyz.xz")
    structures = [structures[i] for i in np.random.default_rng(0).permutation(len(structures))]
    first, extra = structures[: chosen.structures], structures[chosen.structures]
    fresh, _ = acepot.read_structures(DATA / "Si_test.extxyz.xz")
    basis = {"elements": ["Si"], "order": 3, "degree": chosen.degree}
    for solver in ({"kind": "blr"}, {"kind": "qr", "damping": 1e-3}):
        _compare(first, extra, fresh, basis, solver, chosen.rounds)


def _compare(
    first: list[acepot.Structure],
    extra: acepot.Structure,
    fresh: list[acepot.Structure],
    basis: dict[str, object],
    solver: dict[str, object],
    rounds: int,
) -> None:
    start = acepot.fit(first, basis, solver=solver, threads=1)
    e0 = start.assembled.choice.e0

    def joint() -> acepot.Fit:
        return acepot.fit([*first, extra], basis, solver=solver, e0=e0, threads=1)

    state, recipe = start.assembled, start.recipe
    job = Job([extra], recipe, state.basis, 1, None)
    grown = start.add(extra, threads=1)
    problem = grown.assembled.rows.finish()
    gamma = recipe.prior.gamma(state.basis.expanded)
    rows = job.make(extra)
    work: dict[str, Callable[[], object]] = {
        "joint fit": joint,
        "Fit.add": lambda: start.add(extra, threads=1),
        "  rows": lambda: job.make(extra),
        "  triangle": lambda: _compress(state.rows.copy(), rows),
        "  solve": lambda: solve(problem, gamma, recipe.solver),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            begin = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - begin)
    print(f"\n{len(first)} + 1 structures, {problem.columns} functions, {recipe.solver.kind}")
    for name, found in times.items():
        print(f"{name:<12}{1000 * statistics.median(found):10.1f} ms")
    expected, found = _predictions(joint(), fresh), _predictions(grown, fresh)
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"largest difference of predictions, relative: {worst:.1e}")


def _compress(accumulator, rows) -> None:  # type: ignore[no-untyped-def]
    accumulator.add(rows.rows, rows.targets, rows.weights)
    accumulator.finish()


def _predictions(fit: acepot.Fit, structures: list[acepot.Structure]) -> np.ndarray:
    results = fit.potential.compute_all(structures)
    return np.concatenate([np.append(r.forces.ravel(), r.energy) for r in results])


if __name__ == "__main__":
    main()
