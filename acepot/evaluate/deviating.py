"""Sums over sites with coefficients that are random numbers: what they are, and how sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.structure import Structure

__all__ = ["DeviatingSum", "DeviatingSums"]


@dataclass(frozen=True, eq=False)
class DeviatingSum:
    """E = c̄·b of one structure with its deviation σ, and the derivatives of w_E E + w_σ σ.

    Args:
        product: E.
        sigma: σ.
        forces: -d(w_E E + w_σ σ)/dr, shape (n, 3).
        virial: -d(w_E E + w_σ σ)/dε, shape (3, 3).
        error: why this structure could not be evaluated; then all numbers are nan.
    """

    product: float
    sigma: float
    forces: Floats
    virial: Floats
    error: InputError | None = None

    @classmethod
    def failed(cls, structure: Structure, error: InputError) -> DeviatingSum:
        """Of a structure that could not be evaluated."""
        nan = np.nan
        return cls(nan, nan, np.full((len(structure), 3), nan), np.full((3, 3), nan), error)


class DeviatingSums:
    """Coefficients c ~ N(c̄, F Fᵀ) as the compiled evaluator reads them, once for a call.

    A factor with K columns or more is kept as the triangle R with F Fᵀ = RᵀR, which takes half the
    multiplications.

    Args:
        mean: c̄, shape (K,).
        factor: F, shape (K, r).

    Attributes:
        triangle: R, shape (K, K), column by column; None where F is narrow.
        rows: those of R from the diagonal on, or those of Fᵀ, one after the other.
        triangular: whether they are those of R.
    """

    def __init__(self, mean: Floats, factor: Floats) -> None:
        from scipy.linalg import qr  # here: engines start without it

        count = len(factor)
        self.mean = np.ascontiguousarray(mean, dtype=float)
        self.triangular = factor.shape[1] >= count
        self.triangle: Floats | None = None
        if self.triangular:
            self.triangle = np.asfortranarray(qr(factor.T, mode="r", check_finite=False)[0][:count])
            self.rows = self.triangle[np.triu_indices(count)]
        else:
            self.rows = np.ascontiguousarray(factor.T).ravel()
