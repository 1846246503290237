"""Radial functions learned from data: variable projection around linear fits.

With R_n = Σ_k w_nk g_k the energy is linear in the coefficients c of the functions and a polynomial
in w. Each step finds c for w exactly, then takes the Gauss–Newton step of

    min over w of  min over c of  |y - A(w) c|² + λ² |γ c|² + Σ_nk ((w_nk - w⁰_nk)/s_nk)²,

damped as Levenberg and Marquardt do: Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), in
Kaufman's form, which leaves out how c changes the Jacobian. λ² and the unit of the last term follow
from the evidence of the linear problem.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from acepot.fitting.assembly import StructureRows, in_threads, structure_rows
from acepot.fitting.holdout import mingled
from acepot.fitting.learning import Ending, Learning
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.nonlinear.radial_slopes import RadialSlopes
from acepot.fitting.problem import Accumulator, Problem
from acepot.fitting.recipe import LearnedRadials, Recipe
from acepot.fitting.restraint import applies, restraint_rows
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, solve
from acepot.structure import Structure

__all__ = ["learn"]

Floats = NDArray[np.float64]
#: Damping in units of the columns' squares: after a failure, the least, and the largest before
#: giving up.
_RAISED, _LEAST, _MOST = 1e-5, 1e-8, 1e4
#: What part of its promise a step must keep for less damping next time, and for no more.
_GOOD, _POOR = 0.5, 0.2
#: Fall of the loss, relative to it, that hardly is one; so many in a row end it, as do so many
#: steps after which structures that are held out are not described better.
_FALL, _IDLE = 1e-3, 3


def learn(
    structures: Sequence[Structure],
    recipe: Recipe,
    basis: LoweredBasis,
    *,
    threads: int,
    start: Learning | None = None,
    watch: Callable[[Learning], None] | None = None,
    pause: Callable[[], None] | None = None,
) -> Learning:
    """Learn the radial functions of a basis.

    Args:
        structures: training structures.
        recipe: resolved, with settings of learned radial functions.
        basis: whose radial functions are those of its specification.
        threads: structures handled at once.
        start: where an earlier call was.
        watch: called after every step.
        pause: called often; what it raises ends this.

    Raises:
        InputError: a structure has no rows, or its rows are not finite.
    """
    settings = recipe.learned or LearnedRadials()
    slopes = RadialSlopes.of(basis, settings.functions, settings.by_l)
    at = start or Learning(slopes.first, slopes.first, settings.by_l)
    task = _Task.of(structures, recipe, basis, slopes, threads, pause or (lambda: None))
    return _Loop(task, settings, watch or (lambda _at: None)).run(at)


@dataclass(frozen=True, eq=False)
class _Point:
    """Everything at some weights.

    Args:
        weights: w.
        problem: its linear problem.
        solution: of largest evidence.
    """

    weights: Floats
    problem: Problem
    solution: Solution


@dataclass(frozen=True, eq=False)
class _Task:
    """Linear problems, penalties and losses of weights.

    Args:
        structures: that are learned from.
        judges: that are held out.
        recipe: of the fit.
        basis: as it was before.
        slopes: tables and derivatives by weights.
        threads: structures handled at once.
        pause: called often.
    """

    structures: Sequence[Structure]
    judges: Sequence[Structure]
    recipe: Recipe
    basis: LoweredBasis
    slopes: RadialSlopes
    threads: int
    pause: Callable[[], None]

    @classmethod
    def of(
        cls, structures: Sequence[Structure], recipe: Recipe, basis: LoweredBasis,
        slopes: RadialSlopes, threads: int, pause: Callable[[], None],
    ) -> _Task:  # fmt: skip
        """With structures drawn for learning and for judging."""
        settings = recipe.learned or LearnedRadials()
        order = mingled(structures, settings.seed)
        atoms = np.cumsum([len(structures[i]) for i in order])
        order = order[: 1 + int(np.searchsorted(atoms, settings.atoms))]
        # At least two to learn from: of fewer nothing is held out.
        apart = min(math.ceil(settings.held_out * len(order)), max(len(order) - 2, 0))
        judges, own = (
            [structures[i] for i in sorted(part)] for part in (order[:apart], order[apart:])
        )
        return cls(own, judges, recipe, basis, slopes, threads, pause)

    @cached_property
    def gamma(self) -> Floats:
        """Of the prior of c."""
        return self.recipe.prior.gamma(self.basis.expanded)

    def at(self, weights: Floats) -> _Point:
        """The linear problem of some weights, and its solution."""
        problem = self._gathered(self.structures, weights, restrained=True).finish()
        return _Point(weights, problem, solve(problem, self.gamma, BLR()))

    def judged(self, point: _Point) -> float:
        """Mean weighted square of the residuals of what is held out; nan if nothing is."""
        if not self.judges:
            return float("nan")
        rows = self._gathered(self.judges, point.weights, restrained=False).finish()
        return rows.residual(point.solution.coefficients) / rows.rows

    def joint(self, point: _Point) -> Problem:
        """Rows of c and w together, of what is left by c at these weights."""
        c, size = point.solution.coefficients, self.basis.expanded.size
        columns = self.slopes.columns(
            self.structures, self.recipe.observables, point.weights, c, self.threads, self.pause
        )
        rows, start = Accumulator(size + self.slopes.count), 0
        for block in self._blocks(self.structures, point.weights):
            mine = columns[start : start + len(block.targets)]
            start += len(block.targets)
            rows.add(np.hstack([block.rows, mine]), block.targets - block.rows @ c, block.weights)
        if (restraint := self._restraint) is not None:
            none = np.zeros((len(restraint[1]), self.slopes.count))
            rows.add(np.hstack([restraint[0], none]), restraint[1] - restraint[0] @ c)
        return rows.finish()

    @cached_property
    def _restraint(self) -> tuple[Floats, Floats] | None:
        recipe, spec = self.recipe, self.basis.spec
        if recipe.restraint.weight > 0 and applies(spec):
            return restraint_rows(spec, self.basis.expanded, recipe.restraint)
        return None

    def _gathered(
        self, structures: Sequence[Structure], weights: Floats, restrained: bool
    ) -> Accumulator:
        rows = Accumulator(self.basis.expanded.size)
        for block in self._blocks(structures, weights):
            rows.add(block.rows, block.targets, block.weights)
        if restrained and self._restraint is not None:
            rows.add(*self._restraint)
        return rows

    def _blocks(self, structures: Sequence[Structure], weights: Floats) -> Iterator[StructureRows]:
        """Rows of the structures in order."""
        builder, blank = self.slopes.builder(weights), self.basis.blank

        def make(one: Structure) -> StructureRows:
            own = self.recipe.weights_of(one)
            return structure_rows(one, blank, builder, self.recipe.observables, own)

        for block in in_threads(make, structures, self.threads):
            self.pause()
            yield block


@dataclass(frozen=True, eq=False)
class _Loop:
    """What does not change from step to step."""

    task: _Task
    settings: LearnedRadials
    watch: Callable[[Learning], None]

    def run(self, at: Learning) -> Learning:
        if at.ended is not None:
            return at
        point = self.task.at(at.weights)
        if not at.losses:
            first, judged = self.squares(point), self.task.judged(point)
            at = replace(at, losses=(first,), held_out=(judged,))
            self.watch(at)
        while (ending := self.ending(at)) is None:
            found = self.step(at, point)
            if found is None:
                ending = Ending.STUCK
                break
            at, point = found
            self.watch(at)
        at = replace(at, ended=ending)
        self.watch(at)
        return at

    def ending(self, at: Learning) -> Ending | None:
        """Why there is no further step."""
        falls = -np.diff(at.losses) / np.array(at.losses[:-1])
        best = int(np.argmin(at.held_out)) if np.isfinite(at.held_out).all() else at.steps
        if at.steps - best >= _IDLE:
            return Ending.HELD_OUT
        if len(falls) >= _IDLE and (falls[-_IDLE:] < _FALL).all():
            return Ending.LOSS
        return Ending.STEPS if at.steps >= self.settings.steps else None

    def step(self, at: Learning, point: _Point) -> tuple[Learning, _Point] | None:
        """One improvement; None if there is none."""
        triangle, targets = self.projected(point)
        before, damping = self.loss(point, point), at.damping
        moved = (point.weights - self.task.slopes.first).ravel() / self.deviation(point)
        squares = (triangle**2).sum(axis=0)
        while damping <= _MOST:
            # In units of the prior's deviation every w has a penalty of 1.
            count = len(squares)
            rows = np.vstack([triangle, np.eye(count), np.diag(np.sqrt(damping * squares))])
            right = np.concatenate([targets, -moved, np.zeros(count)])
            q, r = np.linalg.qr(rows)
            step = solve_triangular(r, q.T @ right)
            promised = targets @ targets + moved @ moved
            promised -= np.sum((triangle @ step - targets) ** 2) + np.sum((moved + step) ** 2)
            weights = point.weights + (step * self.deviation(point)).reshape(point.weights.shape)
            trial = self.task.at(weights)
            after = self.loss(trial, point)
            if after < before and promised > 0:
                gain = (before - after) / promised
                factor = 0.1 if gain > _GOOD else 3.0 if gain < _POOR else 1.0
                return self.accepted(at, trial, max(damping * factor, _LEAST)), trial
            damping = max(10 * damping, _RAISED)
        return None

    def accepted(self, at: Learning, point: _Point, damping: float) -> Learning:
        """The next iterate."""
        judged = self.task.judged(point)
        better = not np.isfinite(judged) or judged < min(at.held_out)
        return replace(
            at,
            weights=point.weights,
            best=point.weights if better else at.best,
            damping=damping,
            losses=(*at.losses, self.squares(point)),
            held_out=(*at.held_out, judged),
        )

    def projected(self, point: _Point) -> tuple[Floats, Floats]:
        """Triangle and targets of the step of w alone, c being eliminated with its prior.

        w is in units of its prior's standard deviation, everything else in those of the noise.
        """
        joint, solution = self.task.joint(point), point.solution
        size, count = point.problem.columns, self.task.slopes.count
        rows = joint.whole[:, : size + count] / np.sqrt(solution.noise)
        right = joint.whole[:, size + count] / np.sqrt(solution.noise)
        rows[:, size:] *= self.deviation(point)
        prior = self.task.gamma / np.sqrt(solution.prior_variance or 1.0)
        with_prior = np.zeros((len(rows) + size, size + count + 1))
        with_prior[: len(rows), :-1], with_prior[: len(rows), -1] = rows, right
        with_prior[len(rows) :, :size] = np.diag(prior)
        with_prior[len(rows) :, -1] = -prior * solution.coefficients
        whole = np.asarray(np.linalg.qr(with_prior, mode="r"))
        return whole[size : size + count, size:-1], whole[size : size + count, -1]

    def deviation(self, point: _Point) -> Floats:
        """Standard deviation of every w by its prior, flat."""
        k = np.arange(1, point.weights.shape[-1] + 1.0)
        each = self.settings.strength * k**-self.settings.smoothness
        return np.broadcast_to(each, point.weights.shape).ravel()

    def squares(self, point: _Point) -> float:
        """Squares and penalties at the best c, in the unit of weighted squares."""
        return self.loss(point, point) * point.solution.noise

    def loss(self, point: _Point, scale: _Point) -> float:
        """Squares and penalties at the best c, in units of the noise at another point."""
        noise, prior = scale.solution.noise, scale.solution.prior_variance or 1.0
        rows = np.sqrt(noise / prior) * self.task.gamma
        stacked = np.vstack([point.problem.triangle, np.diag(rows)])
        right = np.concatenate([point.problem.targets, np.zeros(len(rows))])
        q, _ = np.linalg.qr(stacked)
        inside = float(right @ right - np.sum((q.T @ right) ** 2)) + point.problem.outside
        moved = (point.weights - self.task.slopes.first).ravel() / self.deviation(point)
        return inside / noise + float(moved @ moved)
