"""The evidence of a Bayesian linear regression, and where it is largest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import ConvergenceError

__all__ = ["ROUNDED", "Evidence"]

Array = NDArray[np.float64]

#: Step of the scan in ln(vc/ve). Each term of the evidence is a logistic curve of width 1 in it.
_STEP = 0.25
#: Singular values below this part of the largest do not widen the scan (they are rounding).
_DUST = 1e-20
#: Decades of the damping either way, and points, of the curve that is reported.
_AROUND, _SHOWN = 4, 33
#: A variance below its floor times this is at its floor: the factor covers rounding only.
ROUNDED = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class Evidence:
    """The log marginal likelihood of y = X c + e with e ~ N(0, ve) and c ~ N(0, vc).

    With X = U S Vᵀ, p = Uᵀy, t = vc s² + ve, and N - r directions outside the span,

        L = -½ Σ (p²/t + ln t) - ½ (outside/ve + (N - r) ln ve) - ½ N ln 2π.

    Args:
        squares: s², shape (r,).
        projections: p², shape (r,).
        outside: squared norm of y outside the span of U.
        rows: N.
    """

    squares: Array
    projections: Array
    outside: float
    rows: int

    def value(self, prior: float, noise: float) -> float:
        """L at the variances vc = prior and ve = noise."""
        t = prior * self.squares + noise
        inside = np.sum(self.projections / t + np.log(t))
        rest = self.outside / noise + (self.rows - len(t)) * math.log(noise)
        return float(-0.5 * (inside + rest + self.rows * math.log(2 * math.pi)))

    def gradient(self, prior: float, noise: float) -> tuple[float, float]:
        """dL/dvc and dL/dve at the variances vc = prior and ve = noise."""
        t = prior * self.squares + noise
        excess = (self.projections / t - 1) / t  # [r]: twice dL/dt
        rest = (self.outside / noise - (self.rows - len(t))) / noise
        return 0.5 * float(self.squares @ excess), 0.5 * float(np.sum(excess) + rest)

    def best_for(self, ratio: float, floor: float) -> tuple[float, float]:
        """The variances of largest evidence among those with vc/ve = ratio, both >= floor².

        Without the floor ve = (Σ p²/(1 + ratio s²) + outside)/N: at a fixed ratio the evidence
        has a single maximum along the scale.
        """
        inside = float(np.sum(self.projections / (1 + ratio * self.squares)))
        least = floor**2 * max(1.0, 1 / ratio)
        noise = max((inside + self.outside) / self.rows, least)
        return max(ratio * noise, floor**2), noise

    def curve(self, ratio: float, floor: float) -> dict[str, list[float]]:
        """L around a ratio vc/ve = 1/damping², each at its best scale."""
        near = ratio * np.logspace(2 * _AROUND, -2 * _AROUND, _SHOWN)
        values = [self.value(*self.best_for(float(one), floor)) for one in near]
        return {"damping": (near**-0.5).tolist(), "log evidence": values}

    def maximise(self, floor: float) -> tuple[float, float, int]:
        """The variances vc and ve, both >= floor², of the global maximum.

        The best scale of each ratio vc/ve is known, which leaves one variable: a scan brackets
        its highest maximum, the root of the derivative there is the answer to full accuracy.

        Returns:
            vc, ve and the number of evaluations of the derivative.

        Raises:
            ConvergenceError: no maximum was found.
        """
        from scipy.optimize import brentq

        size = max(float(self.projections.sum()) + self.outside, floor**2)
        used = self.squares[self.squares > _DUST**2 * self.squares.max()]
        # A maximum has ve <= |y|²/N and vc <= |y|²/s² for the smallest s: it lies in between.
        low = math.log(floor**2) - math.log(size) - 1
        high = max(math.log(size) - math.log(used.min()) - math.log(floor**2), 0.0) + 1
        grid = np.linspace(low, high, math.ceil((high - low) / _STEP) + 1)
        values = [self.value(*self.best_for(math.exp(u), floor)) for u in grid]

        def slope(u: float) -> float:
            prior, noise = self.best_for(math.exp(u), floor)
            by_prior, by_noise = self.gradient(prior, noise)
            at_floor = prior <= floor**2 * ROUNDED  # then the ratio moves ve instead of vc
            return -noise * by_noise if at_floor else prior * by_prior

        left = right = int(np.argmax(values))
        while left > 0 and slope(grid[left]) <= 0:
            left -= 1
        while right < len(grid) - 1 and slope(grid[right]) >= 0:
            right += 1
        if not slope(grid[left]) > 0 > slope(grid[right]):
            raise ConvergenceError(
                f"evidence: no maximum for vc/ve between {math.exp(low):.3g} and "
                f'{math.exp(high):.3g}; check the data or use solver.kind = "qr" with a damping'
            )
        root, info = brentq(slope, grid[left], grid[right], xtol=1e-13, full_output=True)
        prior, noise = self.best_for(math.exp(root), floor)
        if self.value(prior, noise) < max(values) - 1e-9 * self.rows:
            raise ConvergenceError("evidence: the search ended below the best value of its scan")
        return prior, noise, info.function_calls
