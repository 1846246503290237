"""MaxVol: K of N rows whose matrix has a volume that no exchange of one row makes much larger.

Every other row is then a combination of them with coefficients of at most the tolerance
(Goreinov, Oseledets, Savostyanov, Tyrtyshnikov and Zamarashkin, How to find a good submatrix, in
Matrix Methods (2010), algorithm 1; for potentials: Podryabinkin and Shapeev, Comput. Mater. Sci.
140, 171 (2017)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from acepot.errors import ConvergenceError, InputError

__all__ = ["active_inverse"]

Floats = NDArray[np.float64]
#: Exchanges before it is given up; a few hundred are usual.
_EXCHANGES = 20_000
#: The combinations are computed afresh after so many exchanges, against rounding.
_FRESH = 200


def active_inverse(rows: Floats, tolerance: float = 1.001, ridge: float = 1e-7) -> Floats:
    """A⁻¹ of an active set of rows: max_k |row A⁻¹|_k is at most the tolerance for all of them.

    Made-up rows stand beside those given, one for each column, of `ridge` times the column's root
    mean square (times the largest of all for a column of zeros). They are chosen where the rows
    determine nothing: a rare element may have fewer atoms than functions. What goes that way later
    has a grade as many times 1/ridge.

    Args:
        rows: functions of all atoms of an element, shape (N, K).
        tolerance: above 1.
        ridge: size of the made-up rows, above 0.

    Returns:
        Shape (K, K).

    Raises:
        InputError: no rows or columns, numbers that are not finite, a tolerance of 1 or below.
        ConvergenceError: no active set after 20,000 exchanges.
    """
    if rows.ndim != 2 or 0 in rows.shape or not np.isfinite(rows).all():
        raise InputError(f"active set: expected finite rows of functions, got shape {rows.shape}")
    if not tolerance > 1 or not ridge > 0:
        raise InputError(
            "active set: expected a tolerance above 1 and a ridge above 0, got "
            f"{tolerance} and {ridge}"
        )
    scale = np.sqrt(np.mean(rows**2, axis=0))
    if not scale.any():
        raise InputError("active set: all functions are zero for all atoms of an element")
    scale[scale == 0] = scale.max()
    count = rows.shape[1]
    every = np.concatenate((rows / scale, ridge * np.eye(count)))
    # Grades do not depend on the basis of the columns: in that of Q, rows are well conditioned.
    basis, triangle = np.linalg.qr(every)
    chosen = qr(basis.T, mode="r", pivoting=True)[1][:count].copy()
    _exchange(basis, chosen, tolerance)
    inverse = np.linalg.inv(basis[chosen])  # of A R⁻¹
    return np.asarray(solve_triangular(triangle, inverse) / scale[:, None])


def _exchange(rows: Floats, chosen: NDArray[np.intp], tolerance: float) -> None:
    """Exchange rows of the set until no other has a larger coefficient than the tolerance."""
    for count in range(_EXCHANGES):
        if count % _FRESH == 0:
            combined = np.linalg.solve(rows[chosen].T, rows.T).T  # C = B A⁻¹, [N, K]
        i, j = np.unravel_index(np.abs(combined).argmax(), combined.shape)
        if abs(combined[i, j]) <= tolerance:
            if count % _FRESH == 0:
                return
            combined = np.linalg.solve(rows[chosen].T, rows.T).T
            if np.abs(combined).max() <= tolerance:
                return
            continue
        step = combined[i].copy()
        step[j] -= 1.0
        combined -= np.outer(combined[:, j], step / combined[i, j])
        chosen[j] = i
    raise ConvergenceError(
        f"active set: {_EXCHANGES} exchanges did not reach the tolerance {tolerance}; raise it"
    )
