"""The triangle R of A = Q R, whose rows arrive in blocks, at the speed of matrix products.

Householder reflections update a triangle by a block at two thirds of the speed of a matrix
product, and with several threads wait for each other after every few columns. So, once there is
a triangle T of some rows, further rows B are seen in its metric, P = B T⁻¹ (a triangular solve),
and add up there: [T; B]ᵀ[T; B] = Tᵀ (1 + PᵀP) T, and R = chol(1 + PᵀP) T. Both are matrix products.

This is no system of normal equations. The matrix that is decomposed has no eigenvalue below 1, and
its largest ones are about how many times as many rows as in T there are in P: rounding of it is
rounding of the rows themselves, whatever the condition number of A. (A row p solves
p (T + δ) = b with a δ as small beside each column of T as rounding is: Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., theorem 8.5.) That holds as long as no row of P is
large, which is seen at once: a row with |p|² > `_NEAR`, as it has a component in a direction that T
hardly knows, is set aside, and the rows aside are eliminated by reflections. When PᵀP has grown,
R becomes T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from acepot.errors import ConvergenceError, InputError

__all__ = ["Elimination", "Metric", "stacked"]

Floats = NDArray[np.float64]
#: Columns that reflections eliminate at a time: of 32, 64 and 128 the fastest at K = 1000.
_PANEL = 32
#: Rows, in units of the columns, from which a triangle is a metric for others.
_SETTLED = 2
#: Largest |p|² of a row, and largest sum of squares of a column of P, before T is renewed.
_NEAR, _GROWN = 1e4, 1e4
#: A diagonal element of T below this part of its column is rounding, and is made as large.
_ROUNDED = 4 * float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Metric:
    """Rows as seen from a triangle T: P = B T⁻¹.

    Args:
        triangle: T, with a 1 on the diagonal of columns that are zero.
        unseen: these columns; rows are zero in them, too.
    """

    triangle: Floats
    unseen: NDArray[np.intp]

    @classmethod
    def of(cls, triangle: Floats) -> Metric:
        """That of a triangle without zeros on its diagonal but for columns that are zero."""
        unseen = np.flatnonzero(~triangle.any(axis=0))
        regular = np.array(triangle, order="F")
        regular[unseen, unseen] = 1.0
        return cls(regular, unseen)

    def seen(self, block: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """P of a block, whose rows that are far are zero, and which these are."""
        rows: Floats = blas.dtrsm(1.0, self.triangle, block, side=1)
        with np.errstate(over="ignore", invalid="ignore"):
            far = ~(np.einsum("ij,ij->i", rows, rows) <= _NEAR)  # also what is not a number
        if len(self.unseen):
            far |= block[:, self.unseen].any(axis=1)
        if far.any():
            rows[far] = 0.0
        return rows, far


class Elimination:
    """Blocks of rows in, a triangle out.

    Args:
        columns: of the rows, all right-hand sides among them.
        from_zeros: whether the first block is eliminated against a triangle of zeros, as one of
            fewer rows than columns must be.
    """

    def __init__(self, columns: int, from_zeros: bool) -> None:
        self._columns, self._from_zeros = columns, from_zeros
        self._triangle: Floats | None = None  # T
        self._gram: Floats | None = None  # PᵀP, its upper half
        self._aside = np.zeros((0, columns))
        self._metric: Metric | None = None
        self.rows = 0
        self.reflected = 0

    def take(self, block: Floats) -> None:
        """Eliminate the rows of a block, which stays as it is.

        Args:
            block: shape (m, columns), in Fortran order.
        """
        if self._triangle is None or self.rows < _SETTLED * self._columns:
            self._reflect(block)
        else:
            self._project(block)
        self.rows += len(block)

    def completed(self, block: Floats) -> Floats:
        """The triangle of all rows and those of a block, which are then taken.

        A block before any other is not: it may have fewer rows than columns.

        Returns:
            Shape (columns, columns), or as many rows as there were if these are fewer.
        """
        rest = np.concatenate([self._aside, block]) if len(self._aside) else block
        whole = np.triu(_reflected(self._renewed(), rest, self._from_zeros))
        if self.rows > 0:
            self._triangle, self._gram, self._metric = np.asfortranarray(whole), None, None
            self._aside = self._aside[:0]
            self.rows += len(block)
            self.reflected += len(rest)
        return whole

    def by_reflections(self, rest: int) -> int:
        """How many rows a triangle with so many more is made of by reflections."""
        return self.reflected + len(self._aside) + rest

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything it holds, as arrays."""
        none = np.zeros((0, 0))
        return {
            "eliminated": np.array([self.rows, self.reflected]),
            "settled": none if self._triangle is None else self._triangle,
            "gram": none if self._gram is None else self._gram,
            "aside": self._aside,
        }

    def restore(self, state: Mapping[str, NDArray[Any]], rows: int) -> None:
        """Take over a state.

        Args:
            state: as `state` gives it, or a triangle alone, as earlier versions did.
            rows: that are in such a triangle.

        Raises:
            InputError: arrays of other shapes.
        """
        none, size = np.zeros((0, 0)), self._columns
        triangle = state["settled"] if "settled" in state else state["triangle"]
        gram = state.get("gram", none)
        aside = state.get("aside", np.zeros((0, size)))
        squares = ((0, 0), (size, size))
        if not (triangle.shape in squares and gram.shape in squares and aside.shape[1:] == (size,)):
            shapes = f"{triangle.shape}, {gram.shape} and {aside.shape}"
            raise InputError(f"state: expected {size} columns, got shapes {shapes}")
        self.rows, self.reflected = (int(n) for n in state.get("eliminated", (rows, rows)))
        self._triangle = np.triu(triangle).copy("F") if triangle.size else None
        self._gram = np.array(gram, order="F") if gram.size else None
        self._aside = np.array(aside, order="F")

    def _reflect(self, block: Floats) -> None:
        """Householder reflections: any rows, at two thirds of the speed."""
        self._triangle = np.asfortranarray(
            np.triu(_reflected(self._triangle, block, self._from_zeros))
        )
        self._metric = None
        self.reflected += len(block)

    def _project(self, block: Floats) -> None:
        """Add up rows in the metric of the triangle; those that are far wait for reflections."""
        if self._metric is None:
            self._metric = self._settled()
        rows, far = self._metric.seen(block)
        if self._gram is None:
            self._gram = np.zeros((self._columns, self._columns), order="F")
        self._gram = blas.dsyrk(1.0, rows, beta=1.0, c=self._gram, trans=1, overwrite_c=1)
        if far.any():
            self._aside = np.asfortranarray(np.concatenate([self._aside, block[far]]))
        full = len(self._aside) >= len(block)
        if full or self._gram.diagonal().max() > _GROWN:
            self._triangle, self._gram, self._metric = self._renewed(), None, None
        if full:
            self._reflect(self._aside)
            self._aside = self._aside[:0]

    def _renewed(self) -> Floats | None:
        """T with the rows that were added up."""
        if self._gram is None or self._triangle is None:
            return self._triangle
        inner = self._gram.copy(order="F")
        inner[np.diag_indices_from(inner)] += 1.0
        root, info = lapack.dpotrf(inner, clean=1, overwrite_a=1)
        if info != 0:
            raise ConvergenceError(f"Cholesky decomposition failed: LAPACK info {info}")
        renewed: Floats = blas.dtrmm(1.0, root, self._triangle)
        return renewed

    def _settled(self) -> Metric:
        """The metric of T, whose columns that are zero get rows that are zero.

        A column of zeros leaves a row of T without a diagonal element. What stands in that row
        goes into those below it.
        """
        triangle = np.array(self._triangle, order="F")
        norms = np.linalg.norm(triangle, axis=0)
        unseen = np.flatnonzero(norms == 0)
        if triangle[unseen].any():
            rest = np.asfortranarray(triangle[unseen])
            triangle[unseen] = 0.0
            triangle = np.asfortranarray(np.triu(_reflected(triangle, rest, True)))
        diagonal = triangle.diagonal()
        least = np.where(np.abs(diagonal) < _ROUNDED * norms, _ROUNDED * norms, 0.0)
        fixed = np.where(least > 0, np.copysign(least, diagonal), diagonal)
        triangle[np.diag_indices_from(triangle)] = fixed
        self._triangle = triangle
        return Metric.of(triangle)


def stacked(triangles: Sequence[Floats]) -> Floats:
    """The triangle of the rows of several triangles.

    Args:
        triangles: one or more, upper ones of shape (n, n) each.

    Returns:
        Shape (n, n).
    """
    whole = np.array(triangles[0], order="F")
    for one in triangles[1:]:
        size = len(one)
        below = np.array(one, order="F")
        whole, _, _, info = lapack.dtpqrt(size, min(_PANEL, size), whole, below, 1, 1)
        if info != 0:
            raise ConvergenceError(f"QR decomposition failed: LAPACK info {info}")
    return np.asarray(np.triu(whole))


def _reflected(triangle: Floats | None, block: Floats, from_zeros: bool) -> Floats:
    """The triangle of another one and a block; below its diagonal stands nothing of use."""
    size = block.shape[1]
    if triangle is None and from_zeros:
        triangle = np.zeros((size, size), order="F")
    if triangle is None:
        work = int(lapack.dgeqrf_lwork(*block.shape)[0])
        factored, _, _, info = lapack.dgeqrf(block, lwork=work)
        result: Floats = factored[:size].copy(order="F")
    elif len(block) == 0:
        return triangle
    else:
        result, _, _, info = lapack.dtpqrt(0, min(_PANEL, size), triangle, block)
    if info != 0:
        raise ConvergenceError(f"QR decomposition failed: LAPACK info {info}")
    return result
