"""Least squares of nonlinear models: a Levenberg–Marquardt loop around a linear solver.

Minimises ½ |r(c)|² + ½ |γ c|². At each iterate the rows of the Jacobian are compressed to a
triangle; all trial steps of the iteration,

    min |r + J δ|² + |γ (c + δ)|² + μ² |D δ|²,

come from that triangle at different dampings μ. D holds the largest column norms so far, so the
loop does not depend on the units of the coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import ConvergenceError, InputError
from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Accumulator, Problem
from acepot.fitting.solvers import QR, Solver, State
from acepot.schema import Settings

__all__ = ["Iterate", "Levenberg", "Minimum", "Stop", "minimise"]

Floats = NDArray[np.float64]
#: Residuals of a block, shape (m,), and their derivatives by the coefficients, shape (m, K).
Blocks = Iterable[tuple[ArrayLike, ArrayLike]]
#: The damping after the first step that failed, if it was smaller; the smallest and largest there
#: are.
_RAISED, _LEAST, _MOST = 1e-3, 1e-8, 1e12
#: Pivots that a step leaves out, of systems whose damping keeps all others above it.
_DROPPED = 1e-15
#: A full step this small beside the coefficients may fail by rounding alone.
_ROUNDED = 1e-8


class Stop(Enum):
    """Why the loop ended, in words."""

    GRADIENT = "the residuals are orthogonal to every column of the Jacobian"
    STEP = "the step is small beside the coefficients"
    LOSS = "the loss would fall by no more than rounding"
    STUCK = "no step lowers the loss, however much it is damped"
    ITERATIONS = "all iterations are used"
    ASKED = "the caller asked for it"

    @property
    def converged(self) -> bool:
        """Whether this is a minimum."""
        return self in (Stop.GRADIENT, Stop.STEP, Stop.LOSS)


@dataclass(frozen=True)
class Levenberg(Settings):
    """When the loop ends, and how it begins.

    Args:
        iterations: at most so many steps that lower the loss.
        gradient: largest cosine between residuals and a column of the Jacobian.
        step: length of a step relative to that of the coefficients, both in units of D.
        loss: fall of the loss relative to the loss.
        damping: μ of the first step, up to 1e12.
    """

    iterations: int = 100
    gradient: float = 1e-12
    step: float = 1e-13
    loss: float = 1e-15
    damping: float = _LEAST

    def check(self) -> None:
        """Tolerances may not be negative, and every step is damped."""
        at_least("iterations", self.iterations)
        for name in ("gradient", "step", "loss"):
            at_least(name, getattr(self, name))
        at_least("damping", self.damping, above=True, most=_MOST)


@dataclass(frozen=True, eq=False)
class Iterate:
    """Where the loop is; with it, it goes on as if it had never stopped.

    Going on repeats the last evaluation, which is counted once.

    Args:
        coefficients: c, shape (K,).
        loss: ½ |r|² + ½ |γ c|²; inf before the first evaluation.
        damping: μ of the next trial.
        growth: what μ² is multiplied by if that fails.
        scale: D, shape (K,); empty: no column was seen yet, zeros.
        iterations: steps so far.
        evaluations: coefficients so far at which the residuals were evaluated.
    """

    coefficients: Floats
    loss: float = np.inf
    damping: float = _LEAST
    growth: float = 2.0
    scale: Floats = field(default_factory=lambda: np.zeros(0))
    iterations: int = 0
    evaluations: int = 0

    def __post_init__(self) -> None:
        if self.scale.size == 0:
            object.__setattr__(self, "scale", np.zeros(np.shape(self.coefficients)))


@dataclass(frozen=True, eq=False)
class Minimum:
    """What the loop found.

    Args:
        at: the last iterate.
        stop: why it is the last.
        problem: the linear problem there, |J δ + r|² with the prior: its posterior is that of c.
    """

    at: Iterate
    stop: Stop
    problem: Problem


def minimise(
    residuals: Callable[[Floats], Blocks],
    start: ArrayLike | Iterate,
    *,
    gamma: ArrayLike | None = None,
    solver: Solver | None = None,
    settings: Levenberg | None = None,
    watch: Callable[[Iterate], bool] | None = None,
) -> Minimum:
    """Minimise ½ |r(c)|² + ½ |γ c|².

    Args:
        residuals: blocks of weighted residuals and Jacobian rows at coefficients.
        start: coefficients, shape (K,), or the iterate of an earlier call to go on from.
        gamma: the prior, shape (K,); None: none.
        solver: whose state gives the steps; None: QR.
        settings: when to end.
        watch: called after every step that lowers the loss; true ends the loop.

    Raises:
        InputError: residuals at the start that are not finite, or wrong shapes.
        ConvergenceError: LAPACK failed.
    """
    settings, solver = settings or Levenberg(), solver or QR(0.0, _DROPPED)
    at = start if isinstance(start, Iterate) else None
    if at is None:
        at = Iterate(np.array(start, dtype=float), damping=settings.damping)
    if at.coefficients.ndim != 1 or not np.isfinite(at.coefficients).all():
        raise InputError(f"start: expected finite numbers of shape (K,), got {start!r}")
    if at.scale.shape != at.coefficients.shape:
        raise InputError(
            f"start.scale: expected shape {at.coefficients.shape}, got {at.scale.shape}"
        )
    penalty = None if gamma is None else np.asarray(gamma, dtype=float)
    if penalty is not None and penalty.shape != at.coefficients.shape:
        raise InputError(f"gamma: expected shape {at.coefficients.shape}, got {penalty.shape}")
    loop = _Loop(residuals, penalty, solver, settings)
    try:
        return loop.run(at, watch)
    except np.linalg.LinAlgError as error:
        raise ConvergenceError(f"solver.kind = {solver.kind!r}: {error}") from error


@dataclass(frozen=True, eq=False)
class _Loop:
    """What does not change from step to step."""

    residuals: Callable[[Floats], Blocks]
    gamma: Floats | None
    solver: Solver
    settings: Levenberg

    def run(self, at: Iterate, watch: Callable[[Iterate], bool] | None) -> Minimum:
        """Go from an iterate to the end."""
        problem = self.linear(at.coefficients)
        if problem is None:
            raise InputError("residuals: expected finite numbers at the start")
        is_new = not np.isfinite(at.loss)
        at = replace(at, loss=_loss(problem), evaluations=at.evaluations + is_new)
        while True:
            at = replace(at, scale=_scale(problem, at.scale))
            if at.iterations >= self.settings.iterations:
                return Minimum(at, Stop.ITERATIONS, problem)
            if _cosine(problem) <= self.settings.gradient:
                return Minimum(at, Stop.GRADIENT, problem)
            found = self.step(at, problem, self.solver.factorise(problem, at.scale))
            if isinstance(found, Stop):
                return Minimum(at, found, problem)
            at, problem = found
            if watch is not None and watch(at):
                return Minimum(at, Stop.ASKED, problem)

    def step(self, at: Iterate, problem: Problem, state: State) -> tuple[Iterate, Problem] | Stop:
        """The next iterate and its problem, from as many dampings as it takes."""
        first = None  # length of the first step, which hardly any damping holds back
        while at.damping <= _MOST:
            step = state.solve(damping=at.damping).coefficients
            length = float(np.linalg.norm(at.scale * step))
            size = float(np.linalg.norm(at.scale * at.coefficients))
            fall = 0.5 * float(np.sum((problem.triangle @ step) ** 2)) + (at.damping * length) ** 2
            first = length if first is None else first
            if length <= self.settings.step * size:
                return Stop.STEP if first <= _ROUNDED * size else Stop.STUCK
            if fall <= self.settings.loss * at.loss:
                return Stop.LOSS
            trial = self.linear(at.coefficients + step)
            at = replace(at, evaluations=at.evaluations + 1)
            if trial is not None and _loss(trial) < at.loss:
                return self._accepted(at, step, (at.loss - _loss(trial)) / fall, trial)
            raised = max(at.damping * np.sqrt(at.growth), _RAISED)
            at = replace(at, damping=float(raised), growth=2 * at.growth)
        return Stop.STUCK

    def _accepted(
        self, at: Iterate, step: Floats, gain: float, trial: Problem
    ) -> tuple[Iterate, Problem]:
        """Nielsen's rule: the better the linear model was, the less damping is next."""
        factor = max(0.1, 1 - (2 * gain - 1) ** 3)
        following = Iterate(
            at.coefficients + step,
            _loss(trial),
            max(at.damping * float(np.sqrt(factor)), _LEAST),
            2.0,
            at.scale,
            at.iterations + 1,
            at.evaluations,
        )
        return following, trial

    def linear(self, coefficients: Floats) -> Problem | None:
        """|J δ + r|² + |γ (c + δ)|² around coefficients; None where something is not finite."""
        rows = Accumulator(len(coefficients))
        for block, slopes in self.residuals(coefficients):
            r, j = np.asarray(block, dtype=float), np.asarray(slopes, dtype=float)
            if not (np.isfinite(r).all() and np.isfinite(j).all()):
                return None
            rows.add(j, -r)
        if self.gamma is not None:
            rows.add(np.diag(self.gamma), -self.gamma * coefficients)
        return rows.finish()


def _loss(problem: Problem) -> float:
    """Half the sum of squares; infinite where a step went so far that it overflows."""
    with np.errstate(over="ignore"):
        return 0.5 * (float(problem.targets @ problem.targets) + problem.outside)


def _scale(problem: Problem, before: Floats) -> Floats:
    """The largest norm of each column so far; 1 for columns that were always 0."""
    norms = np.maximum(np.linalg.norm(problem.triangle, axis=0), before)
    return np.where(norms > 0, norms, 1.0)


def _cosine(problem: Problem) -> float:
    """The largest cosine of the angle between the residuals and a column of the Jacobian."""
    norms = np.linalg.norm(problem.triangle, axis=0) * np.sqrt(2 * _loss(problem))
    along = np.abs(problem.triangle.T @ problem.targets)
    return float(np.max(np.divide(along, norms, out=np.zeros_like(along), where=norms > 0)))
