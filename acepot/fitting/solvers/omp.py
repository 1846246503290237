"""Orthogonal matching pursuit: one function after the other, each the one that helps most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from acepot.fitting.bounds import at_least
from acepot.fitting.problem import Problem
from acepot.fitting.solvers.active import Active
from acepot.fitting.solvers.base import Floats
from acepot.fitting.solvers.sparse import Sized

__all__ = ["OMP"]


@dataclass(frozen=True)
class OMP(Sized, kind="omp"):
    """Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad, Asilomar 1993).

    In each step the column of A γ⁻¹ above damping · 1 that makes the smallest angle with what is
    left of the targets is taken, and all coefficients so far are solved for again.

    Args:
        size: how many functions are used; None: chosen on structures that are left out.
    """

    size: int | None = None

    def check(self) -> None:
        """At least one function."""
        super().check()
        if self.size is not None:
            at_least("size", self.size, 1)

    def path(self, problem: Problem, ends: Floats) -> Iterator[Floats]:
        """As `Sparse.path`."""
        columns, wanted = problem.triangle, [int(n) for n in ends]
        norms = np.linalg.norm(columns, axis=0)
        active = Active(columns, problem.targets)
        open_ = norms > 0
        least = np.finfo(float).eps * float(np.linalg.norm(problem.targets))
        while wanted:
            score = np.abs(active.residual() @ columns)
            score = np.where(open_, score / np.where(norms > 0, norms, 1.0), 0.0)
            best = int(np.argmax(score))
            if score[best] <= least:
                break
            open_[best] = False
            if active.append(best) and len(active.members) == wanted[0]:
                wanted.pop(0)
                yield active.coefficients()
        if wanted and active.members:  # more than there are
            yield active.coefficients()
