"""Solution: the coefficients of a fit and how well they are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError

__all__ = ["Solution"]


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver returns.

    Args:
        coefficients: shape (K,), in eV (the basis functions have no unit).
        factor: shape (K, r) with r <= K and posterior covariance = factor @ factor.T; None where
            the data do not determine one (as many rows as coefficients, no prior).
        noise: variance of the error of a weighted row.
        prior_variance: variance of the coefficients times γ; None for a solver without one.
        log_evidence: log p(targets | noise, prior_variance); None likewise.
        claimed: the sum of squares that these coefficients leave, as the decomposition of the
            rows has it; None where the method does not say.
        report: what happened, by name: rows, rank, condition number, ...
        line: what the method chose, for people; "" if nothing.
        curve: what it chose among, by name: values of the setting and of what decided.
    """

    coefficients: NDArray[np.float64]
    factor: NDArray[np.float64] | None
    noise: float
    prior_variance: float | None = None
    log_evidence: float | None = None
    claimed: float | None = None
    report: dict[str, float | str] = field(default_factory=dict)
    line: str = ""
    curve: dict[str, list[float]] = field(default_factory=dict)

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw coefficients from the posterior, c + F ξ with ξ ~ N(0, 1).

        Args:
            size: how many members.
            rng: the generator; the same state gives the same committee.

        Returns:
            One member per row, shape (size, K), in eV.

        Raises:
            InputError: the solution has no posterior.
        """
        if self.factor is None:
            raise InputError(
                "committee: these data determine no posterior (as many rows as coefficients); "
                'add data or use solver.kind = "blr"'
            )
        noise = rng.standard_normal((size, self.factor.shape[1]))  # [member, r]
        members: NDArray[np.float64] = self.coefficients + noise @ self.factor.T
        return members
