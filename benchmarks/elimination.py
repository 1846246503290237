"""Time of eliminating rows: matrix products against Householder reflections, alternating, medians.

    OMP_NUM_THREADS=1 python benchmarks/elimination.py [--columns 1041] [--rows 20000] [--rounds 5]

Random rows whose columns are nearly dependent (condition number 10^8) are compressed to a triangle,
in parts as large as structures of 108 atoms make them: as fits do it, and with every row eliminated
by reflections. The last lines are the operations that both consist of, on one block of rows.
GFlop/s counts 2 × rows × columns² for either way. The difference is that of |R v| along singular
vectors v of the rows, in units of rounding of the largest singular value.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from acepot.fitting import elimination
from acepot.fitting.problem import Accumulator

Floats = NDArray[np.float64]
#: Rows of a structure of 108 atoms.
_PART = 325


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--columns", type=int, default=1041)
    options.add_argument("--rows", type=int, default=20000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    columns, count = chosen.columns, chosen.rows
    generator = np.random.default_rng(0)
    right = np.linalg.qr(generator.normal(size=(columns, columns)))[0]
    rows = generator.normal(size=(count, columns)) * np.logspace(0, -8, columns) @ right
    targets = generator.normal(size=count)
    settled = elimination._SETTLED

    def compressed(settle: int) -> Floats:
        elimination._SETTLED = settle
        made = Accumulator(columns)
        for start in range(0, count, _PART):
            made.add(rows[start : start + _PART], targets[start : start + _PART])
        return made.finish().triangle

    whole = {
        "matrix products": lambda: compressed(settled),
        "reflections": lambda: compressed(count),
    }
    taken = _medians(whole, chosen.rounds)
    print(f"{count} rows of {columns} columns")
    for name, seconds in taken.items():
        print(
            f"    {name:16s} {seconds:6.2f} CPU s, {_speed(count, columns, seconds):5.1f} GFlop/s"
        )
    print(f"    ratio {taken['reflections'] / taken['matrix products']:.2f}")
    lengths = [np.linalg.norm(call() @ right.T, axis=0) for call in whole.values()]
    rounding = float(np.finfo(float).eps) * float(lengths[1].max())
    print(f"    difference {np.abs(lengths[0] - lengths[1]).max() / rounding:.0f} × rounding")
    _parts(columns, generator, chosen.rounds)


def _parts(columns: int, generator: np.random.Generator, rounds: int) -> None:
    """What a block of as many rows as columns costs."""
    triangle = np.triu(generator.normal(size=(columns, columns))) + columns * np.eye(columns)
    triangle = np.asfortranarray(triangle)
    block = np.asfortranarray(generator.normal(size=(columns, columns)))
    gram, metric = np.zeros_like(triangle), elimination.Metric.of(triangle)
    work: dict[str, Callable[[], object]] = {
        "reflections": lambda: lapack.dtpqrt(0, 32, triangle, block),
        "solve": lambda: metric.seen(block),
        "sum of squares": lambda: blas.dsyrk(1.0, block, 1.0, gram, 1, 0, 1),
        "matrix product": lambda: blas.dgemm(1.0, block, triangle),
    }
    operations = {"reflections": 2, "solve": 1, "sum of squares": 1, "matrix product": 2}
    print(f"a block of {columns} rows")
    for name, seconds in _medians(work, 3 * rounds).items():
        speed = _speed(columns, columns, seconds) * operations[name] / 2
        print(f"    {name:16s} {1e3 * seconds:6.1f} CPU ms, {speed:5.1f} GFlop/s")


def _speed(rows: int, columns: int, seconds: float) -> float:
    return 2e-9 * rows * columns**2 / seconds


def _medians(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of each, alternating."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            begin = time.process_time()
            call()
            taken[name].append(time.process_time() - begin)
    return {name: statistics.median(times) for name, times in taken.items()}


if __name__ == "__main__":
    main()
