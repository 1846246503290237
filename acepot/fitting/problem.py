"""The linear problem of a fit, compressed while its rows arrive.

Any number of weighted rows [A | y] is equivalent, for every solver here, to the triangle of
its QR decomposition: |A c - y|² = |R c - Qᵀy|² + rest. The accumulator holds that triangle and
one block of rows, so memory does not grow with the data, and unlike the normal equations it
keeps the full accuracy: cond(R) = cond(A).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

from acepot.errors import ConvergenceError, InputError

__all__ = ["Accumulator", "Problem"]

#: Columns that LAPACK eliminates at a time: of 32, 64 and 128 the fastest at K = 1000.
_PANEL = 32
#: Rows in a block, if there are fewer columns than that.
_LEAST_ROWS = 512


@dataclass(frozen=True, eq=False)
class Problem:
    """All the rows of a least-squares problem in compressed form.

    Args:
        triangle: R of A = Q R, shape (min(m, K), K).
        targets: Qᵀy, shape (min(m, K),).
        outside: |y - Q Qᵀy|², the sum of squares that no coefficients can reach.
        rows: m, the number of rows that went in.
    """

    triangle: NDArray[np.float64]
    targets: NDArray[np.float64]
    outside: float
    rows: int

    @property
    def columns(self) -> int:
        """K, the number of coefficients."""
        return int(self.triangle.shape[1])

    def residual(self, coefficients: NDArray[np.float64]) -> float:
        """The sum of squares |A c - y|² of coefficients of shape (K,)."""
        inside = self.triangle @ coefficients - self.targets
        return float(inside @ inside) + self.outside


class Accumulator:
    """Rows in, `Problem` out: a QR decomposition block by block (TSQR).

    Args:
        columns: K, the number of basis functions.

    Raises:
        InputError: fewer than one column.
    """

    def __init__(self, columns: int) -> None:
        if columns < 1:
            raise InputError(f"columns: expected 1 or more basis functions, got {columns}")
        self._columns = columns
        self._triangle: NDArray[np.float64] | None = None  # of [A | y], (K + 1, K + 1)
        # At least K + 1 rows, so that the first full block already has a square triangle.
        self._block = np.empty((max(columns + 1, _LEAST_ROWS), columns + 1), order="F")
        self._filled = 0
        self._rows = 0

    def add(self, rows: ArrayLike, targets: ArrayLike) -> None:
        """Add rows that are already weighted; they are not kept.

        Args:
            rows: shape (m, K).
            targets: shape (m,).

        Raises:
            InputError: wrong shapes, or a number that is not finite.
        """
        rows, targets = np.asarray(rows, dtype=float), np.asarray(targets, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self._columns or targets.shape != rows.shape[:1]:
            raise InputError(
                f"rows and targets: expected shapes (m, {self._columns}) and (m,), "
                f"got {rows.shape} and {targets.shape}"
            )
        for name, values in (("rows", rows), ("targets", targets)):
            if not np.isfinite(values).all():
                first = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
                raise InputError(
                    f"{name} at index {first} is {values[first]}: expected finite numbers; "
                    "check the labels, weights and positions of this structure"
                )
        start = 0
        while start < len(rows):
            count = min(len(rows) - start, len(self._block) - self._filled)
            place = slice(self._filled, self._filled + count)
            self._block[place, :-1] = rows[start : start + count]
            self._block[place, -1] = targets[start : start + count]
            self._filled += count
            start += count
            if self._filled == len(self._block):
                self._triangle = self._eliminate()
                self._filled = 0
        self._rows += len(rows)

    def finish(self) -> Problem:
        """The problem of all rows so far; more may be added afterwards.

        Raises:
            InputError: no rows were added.
        """
        if self._rows == 0:
            raise InputError("no rows to fit: expected energies, forces or virials, got none")
        columns = self._columns
        full = np.triu(self._eliminate())  # [row, K + 1]
        used = min(self._rows, columns)
        outside = float(full[columns, columns] ** 2) if self._rows > columns else 0.0
        return Problem(
            np.ascontiguousarray(full[:used, :columns]), full[:used, columns].copy(), outside,
            self._rows,
        )  # fmt: skip

    def _eliminate(self) -> NDArray[np.float64]:
        """The triangle of what is held; below its diagonal stands nothing of use."""
        block = self._block[: self._filled]
        if self._triangle is None:
            size = int(lapack.dgeqrf_lwork(*block.shape)[0])
            factored, _, _, info = lapack.dgeqrf(block, lwork=size)
            result = factored[: self._columns + 1].copy(order="F")
        elif self._filled == 0:
            return self._triangle
        else:
            panel = min(_PANEL, self._columns + 1)
            result, _, _, info = lapack.dtpqrt(0, panel, self._triangle, block)
        if info != 0:
            raise ConvergenceError(f"QR decomposition failed: LAPACK info {info}")
        triangle: NDArray[np.float64] = result
        return triangle
