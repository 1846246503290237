"""Charges that minimise χ·q + ½ qᵀ M q at a given total, M = A + diag J.

    [M 1; 1ᵀ 0] [q; μ] = [-χ; Q]

M is positive definite, so that they are unique. Few atoms: Cholesky. Many: conjugate gradients
among charges that add up to Q, with products of A alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.protocol import Floats

__all__ = ["Factorised", "iterated", "refined"]

#: Most steps of conjugate gradients; a cell of 20,000 ions takes about 60.
_STEPS = 1000
#: Most corrections, and by how much each lowers the residual where the coarse sums allow it.
_CORRECTIONS, _FALL = 20, 1e-4


@dataclass(frozen=True, eq=False)
class Factorised:
    """M of one structure, factorised.

    Args:
        factor: of Cholesky, as scipy keeps it.
        softness: v = M⁻¹ 1, shape (n,).
    """

    factor: tuple[Floats, bool]
    softness: Floats

    @classmethod
    def of(cls, matrix: Floats) -> Factorised:
        """Factorise M.

        Raises:
            InputError: M is not positive definite.
        """
        from scipy.linalg import (  # slow to import, and engines may not need it
            cho_factor,
            cho_solve,
        )

        try:
            factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            raise InputError(
                "charges: expected a positive definite matrix, which atoms at one place do not "
                "have, nor a hardness far below 0"
            ) from None
        ones = np.ones(len(matrix))
        return cls(factor, cho_solve(factor, ones, check_finite=False))

    def projected(self, right: Floats) -> Floats:
        """P b = M⁻¹ b - v (v·b)/(1·v), shape as b, (n,) or (n, K): it adds up to 0."""
        from scipy.linalg import cho_solve

        found = cho_solve(self.factor, right, check_finite=False)
        # v·b = 1·M⁻¹ b
        return np.asarray(
            found - np.multiply.outer(self.softness, found.sum(axis=0) / self.softness.sum())
        )

    @property
    def response(self) -> Floats:
        """How a total charge spreads: a = v/(1·v), shape (n,)."""
        return np.asarray(self.softness / self.softness.sum())

    def charges(self, chi: Floats, total: float) -> Floats:
        """The charges q = -P χ + a Q in e, shape (n,).

        Args:
            chi: χ in eV/e, shape (n,).
            total: Q in e.
        """
        return self.projected(-chi) + total * self.response


def iterated(
    product: Callable[[Floats], Floats],
    diagonal: Floats,
    chi: Floats,
    total: float,
    start: Floats | None,
    tolerance: float,
    least: float,
) -> tuple[Floats, int]:
    """The same charges by conjugate gradients.

    Args:
        product: M times charges, shape (n,).
        diagonal: of M, shape (n,).
        chi: χ in eV/e, shape (n,).
        total: Q in e.
        start: charges to begin with; None: Q spread evenly.
        tolerance: bound of the error of the charges, |δq|, in e.
        least: a bound of the eigenvalues of M from below, in eV/e².

    Returns:
        q in e, shape (n,), and the number of steps.

    Raises:
        ConvergenceError: the tolerance was not reached.
    """
    n = len(chi)
    weight = 1 / diagonal
    spread = weight / weight.sum()
    q = np.zeros(n) if start is None else np.array(start)
    q += (total - q.sum()) / n
    rest = -chi - product(q)
    rest -= rest.mean()  # μ takes it up; left in, its rounding would grow from step to step

    def among(r: Floats) -> Floats:
        """The preconditioned residual, adding up to 0."""
        z = weight * r
        return np.asarray(z - z.sum() * spread)

    bound = tolerance * least  # |δq| <= |r|/λ
    z = among(rest)
    along, size = z.copy(), float(rest @ z)
    for step in range(_STEPS):
        if np.linalg.norm(rest) <= bound:
            return q - (q.sum() - total) / n, step
        image = product(along)
        curvature = float(along @ image)
        if not curvature > 0:  # nothing left but rounding
            break
        length = size / curvature
        q += length * along
        rest -= length * image
        rest -= rest.mean()
        z = among(rest)
        size, before = float(rest @ z), size
        along = z + size / before * along
    raise ConvergenceError(
        f"charges: {step + 1} steps of conjugate gradients left a residual of "
        f"{np.linalg.norm(rest):.1e} eV/e, expected {bound:.1e}; raise the tolerance"
    )


def refined(
    product: Callable[[Floats], Floats],
    coarse: Callable[[Floats], Floats],
    diagonal: Floats,
    chi: Floats,
    total: float,
    start: Floats | None,
    tolerance: float,
    least: float,
) -> Floats:
    """As `iterated`, most of it with products that are less exact and cost less.

    Conjugate gradients with the coarse products solve for what the exact residual still asks for,
    a few times.

    Args:
        product: M times charges, shape (n,).
        coarse: the same, within a part of 1e-3 or less.
        diagonal: of M, shape (n,).
        chi: χ in eV/e, shape (n,).
        total: Q in e.
        start: charges to begin with; None: Q spread evenly.
        tolerance: bound of the error of the charges, |δq|, in e.
        least: a bound of the eigenvalues of M from below, in eV/e².

    Raises:
        ConvergenceError: the tolerance was not reached.
    """
    n = len(chi)
    q = np.zeros(n) if start is None else np.array(start)
    q += (total - q.sum()) / n
    for _ in range(_CORRECTIONS):
        rest = -chi - product(q)
        rest -= rest.mean()
        size = float(np.linalg.norm(rest))
        if size <= tolerance * least:
            return np.asarray(q - (q.sum() - total) / n)
        within = max(0.3 * tolerance, _FALL * size / least)
        q += iterated(coarse, diagonal, -rest, 0.0, None, within, least)[0]
    raise ConvergenceError(
        f"charges: {_CORRECTIONS} corrections left a residual of {size:.1e} eV/e, expected "
        f"{tolerance * least:.1e}; raise the tolerance"
    )
