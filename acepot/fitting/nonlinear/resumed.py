"""Nonlinear fits that say how far they are, and go on after their process was ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from acepot.fitting.assembled import Assembled
from acepot.fitting.learning import Learning
from acepot.fitting.newton_cg import Descent
from acepot.fitting.nonlinear.radials import learn
from acepot.fitting.nonlinear.refinement import Refinement, refine
from acepot.fitting.problem import Problem
from acepot.fitting.recipe import LearnedRadials
from acepot.fitting.resume import Memory
from acepot.fitting.solution import Solution
from acepot.run.progress import clock
from acepot.structure import Structure

__all__ = ["learned", "refined"]


def refined(
    state: Assembled,
    train: Sequence[Structure],
    problem: Problem,
    solution: Solution,
    say: Callable[[str], None],
    *,
    memory: Memory | None = None,
    start: Descent | None = None,
) -> Refinement:
    """The nonlinear model that begins at a linear solution, or at a checkpoint.

    Args:
        state: basis and recipe of the linear fit.
        train: training structures.
        problem: its rows.
        solution: of these.
        say: called with a line after each step.
        memory: where checkpoints are and go.
        start: where to begin if there is none; None: at the solution.

    Raises:
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    began = time.monotonic()

    def watch(at: Descent) -> bool:
        spent = clock(time.monotonic() - began)
        apart = f", held out {at.judged[-1]:.4g}" if at.judged else ""
        say(f"nonlinear: step {at.iterations}, loss {at.loss:.6g}{apart}, after {spent}")
        if memory is not None:
            memory.refined(at, say)
        return False

    if memory is not None and memory.descent is not None:
        start = memory.descent
    with nullcontext() if memory is None else memory.stoppable():
        found = refine(
            train, state.choice.recipe, state.basis, problem, solution,
            threads=state.threads, start=start, watch=watch,
        )  # fmt: skip
    say(f"nonlinear: {found.ended.value}, after {found.descent.iterations} steps")
    return found


def learned(
    state: Assembled,
    train: Sequence[Structure],
    say: Callable[[str], None],
    *,
    memory: Memory | None = None,
    start: Learning | None = None,
) -> Learning:
    """The radial functions that are learned from data.

    Args:
        state: basis and recipe of the linear fit.
        train: training structures.
        say: called with a line after each step.
        memory: where checkpoints go.
        start: of a checkpoint.

    Raises:
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    began = time.monotonic()
    steps = 0 if start is None else start.steps

    def watch(at: Learning) -> None:
        if memory is not None:
            memory.learned(at, say)
        if at.ended is not None:
            say(f"learning radial functions: {at.ended.value}, after {at.steps} steps")
            return
        apart = "" if at.held_out[-1] != at.held_out[-1] else f", held out {at.held_out[-1]:.4g}"
        spent = time.monotonic() - began
        most = (state.choice.recipe.learned or LearnedRadials()).steps - at.steps
        each = spent / max(at.steps - steps, 1)
        left = f", at most {clock(each * most)} left" * (at.steps > steps)
        say(
            f"learning radial functions: step {at.steps}, loss {at.losses[-1]:.6g}{apart}, "
            f"after {clock(spent)}{left}"
        )

    def pause() -> None:
        if memory is not None:
            memory.pause(say)

    with nullcontext() if memory is None else memory.stoppable():
        return learn(
            train, state.choice.recipe, state.basis,
            threads=state.threads, start=start, watch=watch, pause=pause,
        )  # fmt: skip
