"""What the data of a linear fit leave open: c ~ N(c̄, F Fᵀ)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.model import Model

__all__ = ["Posterior", "model_digest"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """The coefficients of a linear model as random numbers, c ~ N(c̄, Σ) with Σ = F Fᵀ.

    Args:
        model: linear; c̄ are its coefficients.
        factor: F in eV, shape (K, r).
        noise: variance of the error of a weighted row of the fit.

    Raises:
        InputError: a nonlinear model, a factor of another shape, or numbers that cannot be.
    """

    model: Model
    factor: Floats
    noise: float

    def __post_init__(self) -> None:
        if self.model.nonlinear is not None:
            raise InputError("posterior: expected a linear model, got one with embeddings")
        factor = np.array(self.factor, dtype=float)
        count = self.model.coefficients.shape[2]
        if factor.ndim != 2 or factor.shape[0] != count or factor.shape[1] < 1:
            raise InputError(
                f"posterior: expected a factor of shape ({count}, r), a row for each function of "
                f"the model, got {factor.shape}"
            )
        if not np.isfinite(factor).all():
            raise InputError("posterior: expected a factor of finite numbers")
        if not (np.isfinite(self.noise) and self.noise >= 0):
            raise InputError(f"posterior: expected a noise of 0 or more, got {self.noise}")
        factor.flags.writeable = False
        object.__setattr__(self, "factor", factor)
        object.__setattr__(self, "noise", float(self.noise))

    @property
    def mean(self) -> Floats:
        """c̄ in eV, shape (K,)."""
        return np.asarray(self.model.coefficients[0, 0])

    def deviation(self, rows: Floats) -> Floats:
        """σ of what rows times coefficients is: σ² = a Σ aᵀ = |Fᵀ a|² for each row a.

        Args:
            rows: shape (m, K).

        Returns:
            Shape (m,), in the unit of the rows times eV.
        """
        return np.asarray(np.linalg.norm(rows @ self.factor, axis=1))


def model_digest(model: Model) -> str:
    """What tells one linear model from others: a digest of c̄ and E0.

    Committee and provenance do not matter.
    """
    found = hashlib.sha256()
    for array in (model.coefficients[0], model.e0):
        found.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return found.hexdigest()
