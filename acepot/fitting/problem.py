"""The linear problem of a fit, compressed while its rows arrive.

Any number of weighted rows [A | y] is equivalent, for every solver here, to the triangle of
its QR decomposition: |A c - y|² = |R c - Qᵀy|² + rest. The accumulator holds that triangle and
one block of rows, so memory does not grow with the data, and unlike the normal equations it
keeps the full accuracy: cond(R) = cond(A). How a block is eliminated: `elimination`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError
from acepot.fitting.elimination import Elimination, stacked

__all__ = ["Accumulator", "Part", "Problem", "joined"]

#: Rows in a block, if there are fewer columns than that, or more than `_WIDE`: a block of a wide
#: problem is eliminated in a second or two, at three quarters of the speed of a matrix product.
_LEAST_ROWS = 512
#: Columns from which a block has fewer rows than columns.
_WIDE = 1500


@dataclass(frozen=True, eq=False)
class Problem:
    """All the rows of a least-squares problem in compressed form.

    Args:
        triangle: R of A = Q R, of K rows or fewer, shape (r, K).
        targets: Qᵀy, shape (r,).
        outside: |y - Q Qᵀy|², the sum of squares that no coefficients can reach.
        rows: m, the number of rows that went in.
        parts: the same rows in parts, for solvers that ask for it; () where they are not divided.
    """

    triangle: NDArray[np.float64]
    targets: NDArray[np.float64]
    outside: float
    rows: int
    parts: tuple[Part, ...] = ()

    @property
    def columns(self) -> int:
        """K, the number of coefficients."""
        return int(self.triangle.shape[1])

    def residual(self, coefficients: NDArray[np.float64]) -> float:
        """The sum of squares |A c - y|² of coefficients of shape (K,)."""
        inside = self.triangle @ coefficients - self.targets
        return float(inside @ inside) + self.outside

    @property
    def whole(self) -> NDArray[np.float64]:
        """The triangle of [A | y], shape (K + 1, K + 1); rows that are lacking are 0."""
        count = self.columns
        rows = np.column_stack([self.triangle, self.targets])
        if len(rows) > count or np.tril(rows, -1).any():
            rows = np.asarray(np.linalg.qr(rows, mode="r"))
        made = np.zeros((count + 1, count + 1), order="F")
        made[: len(rows)] = rows
        made[count, count] = math.hypot(made[count, count], math.sqrt(self.outside))
        return made

    def scaled(self, gamma: NDArray[np.float64]) -> Problem:
        """The problem of γ c instead of c, whose columns are divided by γ of shape (K,)."""
        parts = tuple(replace(one, problem=one.problem.scaled(gamma)) for one in self.parts)
        return replace(self, triangle=self.triangle / gamma, parts=parts)

    def among(self, columns: NDArray[np.intp]) -> Problem:
        """The problem of some of the coefficients, where all others are 0; without parts."""
        return replace(self, triangle=self.triangle[:, columns], parts=())


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the rows of a problem.

    Args:
        problem: these rows alone.
        fold: number of the group of structures that is left out together; -1: rows that are never
            left out, such as those of the restraint.
        observable: whose labels they are; "": of several.
    """

    problem: Problem
    fold: int = -1
    observable: str = ""


def joined(problems: Sequence[Problem], weights: Sequence[float] | None = None) -> Problem:
    """All rows of several problems of the same coefficients, without parts.

    Args:
        problems: one or more.
        weights: what the rows of each are multiplied by; None: nothing.
    """
    scales = [1.0] * len(problems) if weights is None else weights
    pairs = zip(problems, scales, strict=True)
    whole = stacked([scale * one.whole for one, scale in pairs])
    count, rows = problems[0].columns, sum(one.rows for one in problems)
    triangle, targets = whole[:count, :count], whole[:count, count]
    return Problem(triangle.copy(), targets.copy(), float(whole[count, count] ** 2), rows)


class Accumulator:
    """Rows in, `Problem` out: a QR decomposition block by block (TSQR).

    Args:
        columns: K, the number of basis functions.
        targets: T, the number of right-hand sides of these rows.

    Raises:
        InputError: fewer than one of either.
    """

    def __init__(self, columns: int, targets: int = 1) -> None:
        for name, value in (("columns", columns), ("targets", targets)):
            if value < 1:
                raise InputError(f"{name}: expected 1 or more, got {value}")
        self._columns, self._width = columns, columns + targets
        # The first full block has a square triangle, or is eliminated against one of zeros.
        wide = self._width > _WIDE
        rows = _LEAST_ROWS if wide else max(self._width, _LEAST_ROWS)
        self._eliminated = Elimination(self._width, wide)  # of [A | Y]
        self._block = np.empty((rows, self._width), order="F")
        self._filled = 0
        self._rows = 0

    def add(self, rows: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Add rows; they are not kept.

        Args:
            rows: shape (m, K).
            targets: shape (m,), or (m, T) where there are several.
            weights: what rows and targets are multiplied by, shape (m,); rows of weight 0 are
                left out. None: nothing.

        Raises:
            InputError: wrong shapes, or a number that is not finite.
        """
        matrix, right = np.asarray(rows, dtype=float), np.asarray(targets, dtype=float)
        scale = None if weights is None else np.asarray(weights, dtype=float)
        each = self._width - self._columns
        fit = [right.shape[1:] in ([(), (1,)] if each == 1 else [(each,)])]
        fit += [one is None or one.shape[:1] == matrix.shape[:1] for one in (right, scale)]
        if matrix.ndim != 2 or matrix.shape[1] != self._columns or not all(fit):
            wanted = "(m,)" if each == 1 else f"(m, {each})"
            raise InputError(
                f"rows and targets: expected shapes (m, {self._columns}) and {wanted}, "
                f"got {matrix.shape} and {right.shape}"
                + ("" if scale is None else f", weights of shape {scale.shape}")
            )
        right = right.reshape(len(matrix), each)
        if scale is not None and not (kept := scale != 0).all():
            matrix, right, scale = matrix[kept], right[kept], scale[kept]
        start = 0
        while start < len(matrix):
            stop = start + min(len(matrix) - start, len(self._block) - self._filled)
            self._put(matrix, right, scale, slice(start, stop))
            start = stop
            if self._filled == len(self._block):
                self._eliminated.take(self._block)
                self._filled = 0
        self._rows += len(matrix)

    def _put(
        self,
        rows: NDArray[np.float64],
        targets: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        chosen: slice,
    ) -> None:
        """Write some rows into the block, where alone they are weighted."""
        stop = self._filled + chosen.stop - chosen.start
        place, split = self._block[self._filled : stop], self._columns
        for name, values, out in (
            ("rows", rows[chosen], place[:, :split]),
            ("targets", targets[chosen], place[:, split:]),
        ):
            if weights is None:
                out[:] = values
            else:
                np.multiply(values, weights[chosen, None], out=out)
            if not np.isfinite(out).all():
                first = tuple(int(i) for i in np.argwhere(~np.isfinite(out))[0])
                shown = (first[0] + chosen.start, *first[1 if name == "rows" else 2 :])
                raise InputError(
                    f"{name} at index {shown} is {out[first]}: expected finite numbers; "
                    "check the labels, weights and positions of this structure"
                )
        self._filled = stop

    def finish(self, target: int = 0) -> Problem:
        """The problem of all rows so far; more may be added afterwards.

        Args:
            target: which of the right-hand sides.

        Raises:
            InputError: no rows were added, or there is no such right-hand side.
        """
        count = self._width - self._columns
        if not 0 <= target < count:
            raise InputError(f"target: expected 0 to {count - 1}, got {target}")
        return self.finish_all()[target]

    def finish_all(self) -> list[Problem]:
        """The problems of all right-hand sides, whose rows are the same.

        Raises:
            InputError: no rows were added.
        """
        if self._rows == 0:
            raise InputError("no rows to fit: expected energies, forces or virials, got none")
        columns = self._columns
        # [row, K + T]; eliminated against zeros, fewer rows than columns end up in any of its rows.
        full = self._finished()
        used = min(len(full), columns)
        triangle, right = np.ascontiguousarray(full[:used, :columns]), full[:, columns:]
        rest = right[used:]
        outside = np.einsum("it,it->t", rest, rest).tolist()
        return [
            Problem(triangle, right[:used, target].copy(), outside[target], self._rows)
            for target in range(right.shape[1])
        ]

    @property
    def rows(self) -> int:
        """How many rows were added."""
        return self._rows

    @property
    def reflected(self) -> int:
        """How many rows are, or would be, eliminated by Householder reflections."""
        return self._eliminated.by_reflections(self._filled)

    def absorb(self, other: Accumulator, columns: NDArray[np.intp]) -> None:
        """Add all rows of another one, as its triangle stands for them.

        Args:
            other: with as many targets; it stays as it is.
            columns: which of its columns are those of this one, in order.
        """
        if other._rows == 0:
            return
        full = other._finished()
        split, rows = other._columns, self._rows
        self.add(full[:, columns], full[:, split:])
        self._rows = rows + other._rows

    def _finished(self) -> NDArray[np.float64]:
        """The triangle of all rows so far, which then stands for those in the block, too."""
        full = self._eliminated.completed(self._block[: self._filled])
        if self._eliminated.rows > 0:
            self._filled = 0
        return full

    def copy(self) -> Accumulator:
        """Another one that holds the same rows; either may take more."""
        return Accumulator.restored(self.state())

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything it holds, as arrays: `restored` goes on from it to the same bits."""
        return {
            "counts": np.array([self._columns, self._width - self._columns, self._rows]),
            "block": self._block[: self._filled],
            **self._eliminated.state(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, NDArray[Any]]) -> Accumulator:
        """The accumulator of a state.

        Raises:
            InputError: not a state that `state` made.
        """
        columns, targets, rows = (int(n) for n in state["counts"])
        made, block = cls(columns, targets), state["block"]
        if block.shape != (len(block), made._width):
            raise InputError(f"state: expected {made._width} columns, got shape {block.shape}")
        made._eliminated.restore(state, rows - len(block))
        if len(block) > len(made._block):  # of a version with longer blocks
            made._block = np.empty_like(made._block, shape=block.shape)
        made._block[: len(block)] = block
        made._filled, made._rows = len(block), rows
        return made
