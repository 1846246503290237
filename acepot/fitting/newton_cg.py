"""Least squares of many coefficients by products alone: Gauss–Newton with conjugate gradients.

Minimises ½ |r(c)|² + ½ |γ c|² without a row of the Jacobian J: a caller gives r, J δ and
Jᵀ u. Each step solves

    (JᵀJ + γ² + μ M) δ = -(Jᵀ r + γ² c)

by conjugate gradients that M preconditions, so that the damping μ, which Nielsen's rule chooses,
has no unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.schema import LATER, Settings

__all__ = ["Descent", "Ended", "NewtonCG", "Products", "descend"]

Floats = NDArray[np.float64]
S = TypeVar("S")
#: Damping of the first step, the least, that after a failure, and the largest before giving up.
_FIRST, _LEAST, _RAISED, _MOST = 1e-2, 1e-5, 1e-3, 1e6
#: What part of the gradient a step may leave, and of √loss a gradient that is gone has.
_ENOUGH, _GONE = 0.1, 1e-10
#: So many steps in a row that hardly lower the loss end it.
_IDLE = 3
#: So many in a row that do not describe better what is held out.
_PATIENCE = 5
#: Parts of a step that are tried before it is found again with more damping.
_PARTS = (1.0, 0.4, 0.15)


class Ended(Enum):
    """Why the loop ended, in words."""

    LOSS = "the loss hardly falls any more"
    HELD_OUT = "structures that are held out are not described better any more"
    GRADIENT = "its gradient is gone"
    STUCK = "no step lowers the loss, however much it is damped"
    ITERATIONS = "all iterations are used"
    ASKED = "the caller asked for it"


class Products(Protocol[S]):
    """A nonlinear least-squares problem, known by products with its Jacobian."""

    def at(self, coefficients: Floats) -> S | None:
        """All that the products need at coefficients; None where something is not finite."""
        ...

    def residuals(self, state: S) -> Floats:
        """r, shape (m,)."""
        ...

    def times(self, state: S, direction: Floats) -> Floats:
        """J δ, shape (m,)."""
        ...

    def transposed(self, state: S, weights: Floats) -> Floats:
        """Jᵀ u, shape (K,)."""
        ...


@dataclass(frozen=True)
class NewtonCG(Settings):
    """When the loop ends.

    Args:
        iterations: at most so many steps that lower the loss.
        inner: at most so many steps of conjugate gradients for each.
        loss: smallest fall of the loss by a step, relative to the loss; three steps in a row that
            fall by less end it.
        held_out: part of the training structures that is not fitted but only decides when to end;
            the coefficients are then those that describe it best.
    """

    iterations: int = 60
    inner: int = 40
    loss: float = 1e-4
    held_out: float = field(default=0.0, metadata=LATER)

    def check(self) -> None:
        """Numbers of steps are positive, tolerances not negative."""
        at_least("iterations", self.iterations)
        at_least("inner", self.inner, above=True)
        at_least("loss", self.loss)
        if not 0 <= self.held_out < 1:
            raise InputError(f"held_out: expected a part from 0 to below 1, got {self.held_out}")


@dataclass(frozen=True, eq=False)
class Descent:
    """Where the loop is; with it, it goes on as if it had never stopped.

    Args:
        coefficients: c, shape (K,).
        loss: ½ |r|² + ½ |γ c|²; inf before the first evaluation.
        damping: μ of the next trial.
        growth: what μ is multiplied by if that fails.
        iterations: steps so far.
        products: multiplications with J or its transpose so far.
        idle: steps up to this one by which the loss hardly fell.
        best: coefficients that describe best what is held out; None: those of this iterate.
        judged: mean square of what is held out at the start and after every step; () without any.
    """

    coefficients: Floats
    loss: float = np.inf
    damping: float = _FIRST
    growth: float = 2.0
    iterations: int = 0
    products: int = 0
    idle: int = 0
    best: Floats | None = None
    judged: tuple[float, ...] = ()

    def with_judgement(self, value: float) -> Descent:
        """The same after the mean square of what is held out was found.

        Args:
            value: it.
        """
        better = not self.judged or value < min(self.judged)
        best = self.coefficients if better else self.best
        return replace(self, best=best, judged=(*self.judged, value))


def descend(
    problem: Products[S],
    start: Descent,
    *,
    penalty: Floats,
    precondition: Callable[[Floats], Floats],
    metric: Callable[[Floats], Floats],
    settings: NewtonCG,
    watch: Callable[[Descent], bool] | None = None,
    judge: Callable[[Floats], float] | None = None,
) -> tuple[Descent, Ended]:
    """Minimise ½ |r(c)|² + ½ |γ c|².

    Args:
        problem: r and its products.
        start: where to begin or go on.
        penalty: γ², shape (K,).
        precondition: M⁻¹ v.
        metric: M v.
        settings: when to end.
        watch: called after every step that lowers the loss; true ends the loop.
        judge: mean square at coefficients of what is held out; five steps that do not lower it
            end the loop. None: nothing is.

    Returns:
        The last iterate, and why it is the last.

    Raises:
        InputError: residuals at the start that are not finite.
    """
    loop = _Loop(problem, penalty, precondition, metric, settings, judge)
    return loop.run(start, watch)


@dataclass(frozen=True, eq=False)
class _Loop(Generic[S]):
    """What does not change from step to step."""

    problem: Products[S]
    penalty: Floats
    precondition: Callable[[Floats], Floats]
    metric: Callable[[Floats], Floats]
    settings: NewtonCG
    judge: Callable[[Floats], float] | None

    def run(self, at: Descent, watch: Callable[[Descent], bool] | None) -> tuple[Descent, Ended]:
        """Go from an iterate to the end."""
        state = self.problem.at(at.coefficients)
        if state is None:
            raise InputError("residuals: expected finite numbers at the start")
        at = replace(at, loss=self.loss(state, at.coefficients))
        if self.judge is not None and not at.judged:
            at = at.with_judgement(self.judge(at.coefficients))
        while at.iterations < self.settings.iterations:
            gradient = self.problem.transposed(state, self.problem.residuals(state))
            gradient = gradient + self.penalty * at.coefficients
            size = float(np.sqrt(gradient @ self.precondition(gradient)))
            if size <= _GONE * np.sqrt(at.loss):
                return at, Ended.GRADIENT
            found = self.step(replace(at, products=at.products + 1), state, gradient)
            if isinstance(found, Ended):
                return at, found
            after, state = found
            small = at.loss - after.loss <= self.settings.loss * at.loss
            at = replace(after, idle=at.idle + 1 if small else 0)
            if self.judge is not None:
                at = at.with_judgement(self.judge(at.coefficients))
            if watch is not None and watch(at):
                return at, Ended.ASKED
            if at.judged and len(at.judged) - 1 - int(np.argmin(at.judged)) >= _PATIENCE:
                return at, Ended.HELD_OUT
            if at.idle >= _IDLE:
                return at, Ended.LOSS
        return at, Ended.ITERATIONS

    def step(self, at: Descent, state: S, gradient: Floats) -> tuple[Descent, S] | Ended:
        """The next iterate and its state, from as many dampings as it takes."""
        while at.damping <= _MOST:
            step, count = self.solved(state, gradient, at.damping)
            at = replace(at, products=at.products + count)
            along = self.problem.times(state, step)
            slope = -float(gradient @ step)
            quadratic = float(along @ along + step @ (self.penalty * step))
            for part in _PARTS:
                fall = part * slope - 0.5 * part**2 * quadratic
                trial = self.problem.at(at.coefficients + part * step) if fall > 0 else None
                if trial is None:
                    continue
                loss = self.loss(trial, at.coefficients + part * step)
                if loss < at.loss:
                    gain = part**2 * (at.loss - loss) / fall
                    return self._accepted(at, part * step, loss, gain), trial
            raised = max(at.damping * at.growth, _RAISED)
            at = replace(at, damping=raised, growth=2 * at.growth)
        return Ended.STUCK

    def _accepted(self, at: Descent, step: Floats, loss: float, gain: float) -> Descent:
        """Nielsen's rule: the better the linear model was, the less damping is next."""
        factor = max(0.1, 1 - (2 * gain - 1) ** 3)
        return replace(
            at,
            coefficients=at.coefficients + step,
            loss=loss,
            damping=max(at.damping * factor, _LEAST),
            growth=2.0,
            iterations=at.iterations + 1,
        )

    def solved(self, state: S, gradient: Floats, damping: float) -> tuple[Floats, int]:
        """The step of one damping by conjugate gradients, and how many products it took."""
        step = np.zeros_like(gradient)
        rest = -gradient
        z = self.precondition(rest)
        rho = first = float(rest @ z)
        direction, count = z, 0
        while count < self.settings.inner and rho > _ENOUGH**2 * first:
            count += 1
            curved = self.problem.transposed(state, self.problem.times(state, direction))
            curved = curved + self.penalty * direction + damping * self.metric(direction)
            size = rho / float(direction @ curved)
            step, rest = step + size * direction, rest - size * curved
            z = self.precondition(rest)
            rho, before = float(rest @ z), rho
            direction = z + (rho / before) * direction
        return step, 2 * count

    def loss(self, state: S, coefficients: Floats) -> float:
        """½ |r|² + ½ |γ c|²."""
        r = self.problem.residuals(state)
        return 0.5 * float(r @ r + coefficients @ (self.penalty * coefficients))
