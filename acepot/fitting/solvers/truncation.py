"""How many directions of a decomposition are kept: a stated limit, or the least score."""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError
from acepot.fitting.problem import Problem
from acepot.fitting.solvers.base import Floats
from acepot.fitting.solvers.crossvalidation import CrossValidation

__all__ = ["Truncation"]

#: Points of the curve that is reported, at most.
_SHOWN = 60


class Truncation:
    """What is kept of directions in falling order of what the rows say about them.

    Args:
        sizes: singular values or pivots, largest first, shape (r,).
        projections: of the targets on the directions, shape (r,).
        problem: the rows.
        tolerance: directions below this part of the largest are dropped; None: as many are kept
            as have the least score of generalised cross-validation.
    """

    def __init__(
        self, sizes: Floats, projections: Floats, problem: Problem, tolerance: float | None
    ) -> None:
        least = len(sizes) * float(np.finfo(float).eps) if tolerance is None else tolerance
        possible = int(np.count_nonzero(sizes > least * sizes[0]))
        self.report: dict[str, float | str] = {}
        self.curve: dict[str, list[float]] = {}
        self.line = ""
        self.kept = possible
        if tolerance is not None:
            return
        p = projections[:possible]
        lost = max(float(problem.targets @ problem.targets) - float(p @ p), 0.0)
        score = CrossValidation(
            sizes[:possible] ** 2, p**2, problem.outside + lost, problem.rows
        ).truncated()
        self.kept = int(np.argmin(score[1:])) + 1 if possible else 0
        if possible and not np.isfinite(score[1]):
            raise InputError(
                f"tolerance: {problem.rows} rows are too few to choose it; add data, or state it"
            )
        shown = np.unique(np.geomspace(1, possible, _SHOWN).astype(int))
        shown = shown[np.isfinite(score[shown])]
        rule = "generalised cross-validation"
        self.report = {"rank chosen by": rule, "least score": float(score[self.kept])}
        self.curve = {"rank": shown.astype(float).tolist(), "score": score[shown].tolist()}
        self.line = f"{self.kept} of {problem.columns} directions by {rule}"
