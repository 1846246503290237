"""Least squares in a set of columns that grows and shrinks by one column at a time."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack, qr_delete

from acepot.fitting.solvers.base import Floats
from acepot.fitting.solvers.rank import ROUNDING

__all__ = ["Active"]


class Active:
    """X[:, members] = Q T, by Gram–Schmidt steps that are done twice.

    Args:
        columns: X, shape (n, K).
        targets: y, shape (n,).
    """

    def __init__(self, columns: Floats, targets: Floats) -> None:
        self._columns, self._targets = columns, targets
        most = min(columns.shape)
        self._orthogonal = np.empty((len(targets), most), order="F")
        self._triangle = np.zeros((most, most), order="F")
        self._projected = np.empty(most)
        self.members: list[int] = []

    def append(self, column: int) -> bool:
        """Take a column in; not one that lies in the span of the others but for rounding.

        Returns:
            Whether it was taken.
        """
        count, vector = len(self.members), self._columns[:, column]
        if count == self._orthogonal.shape[1]:
            return False
        basis = self._orthogonal[:, :count]
        along = basis.T @ vector
        rest = vector - basis @ along
        again = basis.T @ rest
        rest -= basis @ again
        length = float(np.linalg.norm(rest))
        if length <= ROUNDING * float(np.linalg.norm(vector)):
            return False
        self._orthogonal[:, count] = rest / length
        self._triangle[:count, count] = along + again
        self._triangle[count, count] = length
        self._projected[count] = self._orthogonal[:, count] @ self._targets
        self.members.append(column)
        return True

    def drop(self, column: int) -> None:
        """Leave a column out again."""
        place, count = self.members.index(column), len(self.members)
        orthogonal, triangle = qr_delete(
            self._orthogonal[:, :count], self._triangle[:count, :count], place, which="col"
        )
        left = count - 1
        self._orthogonal[:, :left] = orthogonal[:, :left]
        self._triangle[:count, :count] = 0.0
        self._triangle[:left, :left] = triangle[:left]
        self._projected[:left] = orthogonal[:, :left].T @ self._targets
        del self.members[place]

    def residual(self) -> Floats:
        """What of y is outside the span, shape (n,)."""
        count = len(self.members)
        return np.asarray(self._targets - self._orthogonal[:, :count] @ self._projected[:count])

    def direction(self, signs: Floats) -> tuple[Floats, Floats]:
        """(XᵀX)⁻¹ s of the members and X times that, shapes (count,) and (n,)."""
        count = len(self.members)
        triangle = self._triangle[:count, :count]
        inner = _solved(triangle, signs, transposed=True)
        outward = _solved(triangle, inner)
        return outward, self._orthogonal[:, :count] @ inner

    def coefficients(self, signs: Floats | None = None) -> Floats:
        """The minimum of ½|X c - y|² + s·c over the members, the others 0, shape (K,).

        Args:
            signs: s, shape (count,); None: 0.
        """
        count = len(self.members)
        triangle, right = self._triangle[:count, :count], self._projected[:count]
        if signs is not None:
            right = right - _solved(triangle, signs, transposed=True)
        found = np.zeros(self._columns.shape[1])
        found[self.members] = _solved(triangle, right)
        return found


def _solved(triangle: Floats, right: Floats, transposed: bool = False) -> Floats:
    """T⁻¹ b, or T⁻ᵀ b; its diagonal has no zeros."""
    found: Floats = lapack.dtrtrs(triangle, right, trans=int(transposed))[0]
    return found
