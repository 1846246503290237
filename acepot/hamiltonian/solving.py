"""Coefficients of several targets of the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from acepot.evaluate.protocol import Floats
from acepot.fitting.problem import Accumulator
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import Solver
from acepot.fitting.solvers.base import proven

#: Columns whose length is below this part of the largest are zero.
_ZERO = 1e-10


def solve_all(problem: Accumulator, solver: Solver, roughness: Floats) -> list[Solution]:
    """Solutions of all targets of a problem, whose rows are factorised once.

    The prior of a coefficient is γ = |column| × roughness, so a damping is relative to the rows.
    Functions that are zero in every row have the coefficient 0, and no deviation.

    Args:
        problem: with its targets.
        solver: the method.
        roughness: of the functions, shape (K,), above 0.
    """
    whole = problem.finish_all()
    length = np.linalg.norm(whole[0].triangle, axis=0)
    used = np.flatnonzero(length > _ZERO * length.max())
    narrow = whole
    if len(used) < len(length):
        among = Accumulator(len(used), len(whole))
        among.absorb(problem, used)
        narrow = among.finish_all()
    state = solver.factorise(narrow[0], (length * roughness)[used])
    found = []
    for one in narrow:
        solution = proven(one, state.solve(one), solver)
        coefficients = np.zeros(len(length))
        coefficients[used] = solution.coefficients
        factor = None
        if solution.factor is not None:
            factor = np.zeros((len(length), solution.factor.shape[1]))
            factor[used] = solution.factor
        found.append(replace(solution, coefficients=coefficients, factor=factor))
    return found


def members_of(solution: Solution, committee: int, seed: list[int]) -> Floats:
    """The coefficients, and as many drawn from the posterior, shape (1 + committee, K).

    Args:
        solution: with its posterior.
        committee: how many are drawn.
        seed: of the draws.
    """
    if committee == 0:
        return solution.coefficients[None]
    drawn = solution.draw(committee, np.random.default_rng(seed))
    return np.concatenate([solution.coefficients[None], drawn])
