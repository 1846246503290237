"""Error bars: from independent runs, from redrawn weights, and from theory.

Independent runs are the ones to trust: they also see walks that do not mix. Redrawn weights know
what one run can know, that its volumes are uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError
from acepot.sampling.analysis.samples import Samples
from acepot.sampling.analysis.thermodynamics import Curves, Sums, redrawn_curves
from acepot.sampling.analysis.weights import ratios
from acepot.units import BOLTZMANN

__all__ = ["FEWEST_RUNS", "Estimate", "Runs", "combined", "theory"]

Floats = NDArray[np.float64]

#: Fewer runs do not tell how far they scatter: the error of two is known to within 75 %.
FEWEST_RUNS = 3


@dataclass(frozen=True, eq=False)
class Estimate:
    """Thermodynamic functions with errors, each of shape (t,).

    Args:
        value: the mean over the runs.
        runs: the standard error over independent runs, sd/sqrt(R); None: there is one.
        redraws: the standard error by redrawn weights; None: none were drawn.
        theory: sqrt(D/K) of ln Z, over sqrt(R).
    """

    value: Curves
    runs: Curves | None
    redraws: Curves | None
    theory: Floats
    count: int

    @property
    def source(self) -> Literal["runs", "redraws", "none"]:
        """Which of the errors is `error`: those over runs where there are three or more."""
        if self.runs is not None and (self.count >= FEWEST_RUNS or self.redraws is None):
            return "runs"
        return "none" if self.redraws is None else "redraws"

    @property
    def error(self) -> Curves | None:
        """The errors to quote."""
        return {"runs": self.runs, "redraws": self.redraws, "none": None}[self.source]


class Runs:
    """Independent runs of one system at one pressure.

    Args:
        samples: of each run.
        redraws: how many times the weights of each are redrawn; 0: never.
        seed: of the random numbers.
        boltzmann: k in eV/K.

    Raises:
        InputError: no run, or runs of different systems.
    """

    def __init__(
        self,
        samples: Sequence[Samples],
        redraws: int = 200,
        seed: int = 0,
        boltzmann: float = BOLTZMANN,
    ) -> None:
        if not samples:
            raise InputError("samples: expected those of at least one run, got none")
        if redraws < 0 or redraws == 1:
            raise InputError(f"redraws: expected 0, or 2 and more, got {redraws}")
        for key in ("atoms", "extra", "pressure"):
            first, *others = (getattr(one, key) for one in samples)
            for one, other in zip(samples[1:], others, strict=True):
                if other != first:
                    raise InputError(
                        f"{one.name}: expected {key} = {first} as in {samples[0].name}, got {other}"
                    )
        self.samples, self.redraws, self.seed = tuple(samples), redraws, seed
        self.boltzmann = boltzmann

    def sums(self, temperatures: ArrayLike) -> list[Sums]:
        """Boltzmann factors of every run.

        Args:
            temperatures: in K, shape (t,).
        """
        return [Sums(one, temperatures, self.boltzmann) for one in self.samples]

    def curves(self, sums: Sequence[Sums]) -> Curves:
        """The functions of every run, each of shape (R, t).

        Args:
            sums: of every run.
        """
        return Curves.stacked([one.curves() for one in sums])

    def redrawn(self, sums: Sequence[Sums]) -> list[Curves]:
        """The functions with redrawn weights, of every run, each of shape (redraws, t).

        The same draws at every call, so that what is computed from several calls belongs together.

        Args:
            sums: of every run.
        """
        return [
            redrawn_curves(one, ratios(one.samples, self.redraws, self.seed + index))
            for index, one in enumerate(sums)
        ]

    def estimate(self, sums: Sequence[Sums]) -> Estimate:
        """The functions with their errors.

        Args:
            sums: of every run.
        """
        each, count = self.curves(sums), len(self.samples)
        redraws = self.redrawn(sums) if self.redraws else []
        gained = [theory(one, entropy) for one, entropy in zip(sums, each.entropy, strict=True)]
        return Estimate(
            value=each.over(_mean),
            runs=each.over(_standard_error) if count > 1 else None,
            redraws=Curves.stacked([one.over(_deviation) for one in redraws]).over(combined)
            if redraws
            else None,
            theory=combined(np.array(gained)),
            count=count,
        )


def _mean(values: Floats) -> Floats:
    mean: Floats = values.mean(axis=0)
    return mean


def _deviation(values: Floats) -> Floats:
    deviation: Floats = values.std(axis=0, ddof=1)
    return deviation


def _standard_error(values: Floats) -> Floats:
    error: Floats = _deviation(values) / np.sqrt(len(values))
    return error


def combined(errors: Floats) -> Floats:
    """The error of a mean whose terms have errors, along the first axis."""
    total: Floats = np.sqrt((errors**2).sum(axis=0)) / len(errors)
    return total


def theory(sums: Sums, entropy: Floats) -> Floats:
    """Standard error of ln Z of one run, sqrt(D/K), D = -ln Z - <H>/kT.

    D is the information gained from prior to canonical distribution (Skilling, Bayesian Analysis
    1, 833 (2006), eq. 19). Where several are culled at once, 1/K is the mean of 1/alive² over that
    of 1/alive.

    Args:
        sums: of the run.
        entropy: -D, shape (t,).

    Returns:
        Shape (t,).
    """
    rate = 1.0 / sums.samples.alive[: sums.samples.at_once]
    error: Floats = np.sqrt(np.maximum(-entropy, 0.0) * (rate**2).sum() / rate.sum())
    return error
