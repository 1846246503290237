"""Every solver on the same rows: errors for structures it does not know, functions kept, time.

    OMP_NUM_THREADS=1 python benchmarks/solvers.py [--data FOLDER] [--sets NAME ...]
                                                   [--degree D,D,D]

The rows of a set are made and compressed once, in parts for the solvers that want them; then each
solver has them. "s" is the processor time of the solver alone, beside that of the rows in the line
of the set. "µs" is the time of energy and forces of an atom of the test set with the model as it
is written, the best of several runs. The mlearn set of silicon lies in examples/data; the others
(Zuo et al. 2020) are read from FOLDER/mlearn_zuo2020. scikit-learn is left out where it is not
installed.
"""

import argparse
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import acepot
from acepot.basis.spec import BasisSpec
from acepot.errors import AceError
from acepot.fitting import solvers
from acepot.fitting.assembly import Job, StructureRows
from acepot.fitting.choice import Choice, choose
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.partition import Division, Partition
from acepot.fitting.problem import Problem
from acepot.fitting.recipe import Recipe
from acepot.fitting.restraint import restraint_rows
from acepot.fitting.solution import Solution
from acepot.structure import Structure

HERE = Path(__file__).parents[1]
SOLVERS = {
    "blr": solvers.BLR(),
    "blr, separate noise": solvers.BLR(noise="separate"),
    "qr": solvers.QR(),
    "qr, damping 0": solvers.QR(0.0),
    "ridge": solvers.Ridge(),
    "lsqr": solvers.LSQR(),
    "svd": solvers.TruncatedSVD(),
    "rrqr": solvers.RRQR(),
    "ard": solvers.ARD(),
    "omp": solvers.OMP(),
    "omp, slack 0.1": solvers.OMP(slack=0.1),
    "lasso": solvers.Lasso(),
    "lasso, slack 0.1": solvers.Lasso(slack=0.1),
    "elastic_net": solvers.ElasticNet(),
    "sklearn BayesianRidge": solvers.ScikitLearn("BayesianRidge"),
    "sklearn ARDRegression": solvers.ScikitLearn("ARDRegression"),
}
#: Times a potential is evaluated to find the best.
_RUNS = 40


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    found = what()
    return found, time.process_time() - start


def files(name: str, data: str | None) -> tuple[Path, Path]:
    folder = HERE / "examples" / "data"
    if name != "Si":
        if data is None:
            raise SystemExit(f"{name}: its data are needed: --data FOLDER")
        folder = Path(data) / "mlearn_zuo2020"
    return folder / f"{name}_train.extxyz.xz", folder / f"{name}_test.extxyz.xz"


def rows_of(choice: Choice, basis: LoweredBasis, train: list[Structure]) -> Problem:
    """Those of all structures and of the restraint, by folds and observables."""
    rows = Partition(basis.expanded.size, Division(4, by_observable=True))
    job = Job(train, choice.recipe, basis, 1, None)
    counts: dict[str, int] = {}
    for structure in train:
        block = job.make(structure)
        fold = counts.setdefault(structure.config_type, 0) % 4
        counts[structure.config_type] += 1
        each = list(zip(block.quantities, block.counts, strict=True))
        rows.add_observables(block.rows, block.targets, block.weights, fold, each)
    rows.add(*restraint_rows(basis.spec, basis.expanded, choice.recipe.restraint))
    return rows.finish()


def errors(blocks: list[StructureRows], coefficients: np.ndarray) -> tuple[float, float]:
    """Root mean square errors in meV/atom and meV/Å."""
    energies, forces = [], []
    for block in blocks:
        left = block.rows @ coefficients - block.targets
        energies.append(left[0] / len(block.structure))
        forces.append(left[1:])
    root = (np.sqrt(np.mean(np.concatenate([np.atleast_1d(e) for e in one]) ** 2))
            for one in (energies, forces))  # fmt: skip
    energy, force = root
    return 1e3 * float(energy), 1e3 * float(force)


def microseconds(basis: LoweredBasis, solution: Solution, test: list[Structure]) -> float:
    """Time of an atom."""
    model = acepot.Model(basis.spec, solution.coefficients, basis.blank.e0)
    potential = acepot.Potential(model, threads=1)
    best = min(timed(lambda: potential.compute_all(test))[1] for _ in range(_RUNS))
    return 1e6 * best / sum(map(len, test))


def compare(name: str, data: str | None, degree: tuple[float, ...]) -> None:
    train, test = (acepot.read_structures(path)[0] for path in files(name, data))
    recipe = Recipe(basis=BasisSpec(order=len(degree), degree=degree, cutoff=5.0))
    choice = choose(recipe, train, test, "observables")
    basis = LoweredBasis.of(choice.recipe.basis, choice.e0, lambda _line: None)
    problem, spent = timed(lambda: rows_of(choice, basis, train))
    gamma = choice.recipe.prior.gamma(basis.expanded)
    job = Job(test, choice.recipe, basis, 1, None)
    blocks = [job.make(s) for s in test]
    print(
        f"\n{name}: {len(train)} structures, {problem.rows} rows, {problem.columns} functions, "
        f"rows made and compressed in {spent:.1f} s\n"
    )
    print(f"{'solver':24s} {'kept':>5s} {'E':>7s} {'F':>7s} {'s':>7s} {'µs':>6s}")
    for label, solver in SOLVERS.items():
        if label.startswith("sklearn") and find_spec("sklearn") is None:
            continue
        try:
            solution, seconds = timed(lambda: solvers.solve(problem, gamma, solver))  # noqa: B023
        except AceError as error:
            print(f"{label:24s} {error}")
            continue
        energy, force = errors(blocks, solution.coefficients)
        kept, cost = np.count_nonzero(solution.coefficients), microseconds(basis, solution, test)
        print(
            f"{label:24s} {kept:5d} {energy:7.2f} {force:7.1f} {seconds:7.2f} {cost:6.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the public sets")
    parser.add_argument("--sets", nargs="+", default=["Si", "Li"], choices=["Si", "Li", "Ni", "Cu"])
    parser.add_argument("--degree", default="20,16,12", help="one per order")
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, acepot {acepot.__version__}")
    print("E: meV/atom, F: meV/Å, root mean square errors of the test set")
    degree = tuple(float(d) for d in options.degree.split(","))
    for name in options.sets:
        compare(name, options.data, degree)


if __name__ == "__main__":
    main()
