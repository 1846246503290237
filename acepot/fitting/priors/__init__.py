"""Smoothness priors, one class a kind. A new file is imported here."""

from acepot.fitting.priors.ace1 import Algebraic06, AlgebraicACE1
from acepot.fitting.priors.base import NoPrior, Prior
from acepot.fitting.priors.given import Factors, Given
from acepot.fitting.priors.smooth import Algebraic, Exponential, Gaussian

__all__ = [
    "Algebraic",
    "Algebraic06",
    "AlgebraicACE1",
    "Exponential",
    "Factors",
    "Gaussian",
    "Given",
    "NoPrior",
    "Prior",
]
