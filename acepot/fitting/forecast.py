"""What a fit will cost, told or refused before it begins.

Rows are compressed as they come, so memory does not grow with the data but with functions²:
triangle, block of rows, and what the decomposition of the triangle needs. Time is rows ×
functions² for the compression and functions³ for the solver, at the speed that a short probe of
this machine finds, and the making of the rows of a few structures, timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from acepot.errors import InputError
from acepot.fitting.elimination import Metric
from acepot.run.memory import free_memory
from acepot.run.progress import clock

__all__ = ["Forecast", "foresee_memory", "gigabytes", "measured", "nominal", "refusal"]

#: Arrays of functions² numbers that are held at once while the solver works, as measured.
_SQUARES = 13
#: Bytes of a process that has read its data and lowered a small basis.
_BASE = 150_000_000
#: Bytes that are never refused, whatever is said to be free.
_NEGLIGIBLE = 100_000_000
#: Bytes for a function of the basis itself: its products and tables.
_EACH = 40_000
#: Operations: of compressing a row, in functions²; of decomposing the triangle, in functions³.
#: The latter counts what takes as long as so many operations of the former.
_ROW, _SOLVE = 2.0, 21.0
#: Columns of the probe, and rows that it eliminates.
_PROBE, _PROBE_ROWS = 1000, 128
#: Seconds that are spent on timing the rows of structures.
_PATIENCE = 0.5


@dataclass(frozen=True)
class Forecast:
    """The cost of a fit.

    Args:
        bytes: most memory that the process will hold.
        assembling: seconds to make and compress all rows.
        solving: seconds to solve.
    """

    bytes: int
    assembling: float
    solving: float

    def line(self) -> str:
        """For people."""
        return (
            f"forecast: about {clock(self.assembling + self.solving)} "
            f"(rows {clock(self.assembling)}, solving {clock(self.solving)}), "
            f"{gigabytes(self.bytes)}"
        )


def gigabytes(count: float) -> str:
    """Bytes for people: 0.4 GB, 113 GB."""
    return f"{count / 1e9:.1f} GB" if count < 1e10 else f"{count / 1e9:,.0f} GB"


def foresee_memory(functions: int, held_rows: int) -> int:
    """Bytes that a fit will take.

    Args:
        functions: of the basis.
        held_rows: rows of structures that are held at once, waiting or kept.
    """
    return _BASE + 8 * functions * (_SQUARES * functions + held_rows) + _EACH * functions


def measured(
    functions: int,
    rows: int,
    threads: int,
    held_rows: int,
    probes: Sequence[tuple[int, Callable[[], object]]],
) -> Forecast:
    """The cost of a fit whose basis is there.

    Args:
        functions: of the basis.
        rows: how many will be made.
        threads: that make them.
        held_rows: as in `foresee_memory`.
        probes: for a few structures, how many rows they have, and what makes these.
    """
    begin, made = time.perf_counter(), 0
    for count, make in probes:
        make()
        made += count
        if time.perf_counter() - begin > _PATIENCE:
            break
    each = (time.perf_counter() - begin) / max(made, 1)
    speed = _operations_in_second(min(functions, _PROBE))
    return Forecast(
        foresee_memory(functions, held_rows),
        rows * (each / threads + _ROW * functions**2 / speed),
        _SOLVE * functions**3 / speed,
    )


def nominal(functions: int, rows: int) -> float:
    """Seconds of compression and solver alone, without a basis to time."""
    speed = _operations_in_second(min(functions, _PROBE))
    return (_ROW * rows * functions**2 + _SOLVE * functions**3) / speed


def _operations_in_second(columns: int) -> float:
    """The speed of eliminating rows here and now."""
    generator = np.random.default_rng(0)
    triangle = np.triu(generator.normal(size=(columns, columns))) + columns * np.eye(columns)
    block = np.asfortranarray(generator.normal(size=(_PROBE_ROWS, columns)))
    metric, taken = Metric.of(triangle), []
    for _ in range(3):  # the first wakes the threads
        begin = time.perf_counter()
        blas.dsyrk(1.0, metric.seen(block)[0], trans=1)
        taken.append(time.perf_counter() - begin)
    return _ROW * _PROBE_ROWS * columns**2 / max(min(taken), 1e-6)


def refusal(
    functions: int, rows: int, held_rows: int, instead: Callable[[int], str]
) -> InputError | None:
    """The error of a fit that cannot fit in the memory; None where it can, or nothing is known.

    Args:
        functions: of the basis.
        rows: how many will be made.
        held_rows: as in `foresee_memory`.
        instead: for a largest number of functions, what to do.
    """
    needed, free = foresee_memory(functions, held_rows), free_memory()
    further = needed - _BASE  # the process is there already
    if free is None or further <= max(free, _NEGLIGIBLE):
        return None
    most = int((max(free, _NEGLIGIBLE) / 2 / 8 / _SQUARES) ** 0.5)  # half of what is free
    return InputError(
        f"basis: {functions:,} functions need {gigabytes(needed)} and about "
        f"{clock(nominal(functions, rows))}; {gigabytes(free)} are free; {instead(most)}"
    )
