"""What is chosen by errors for structures that are left out: each fold in turn.

The rows of every fold are a triangle of their own, made in the one pass over the data. All folds
but one, joined, are a problem to solve; the errors of its coefficients for the fold that was left
out follow from the triangle of that fold: no row is made again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from acepot.errors import InputError
from acepot.fitting.problem import Problem, joined
from acepot.fitting.solvers.base import Floats

__all__ = ["HeldOut", "fewest"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Problems of all folds but one, and what was left out of each.

    Args:
        others: the rows that are not left out.
        left_out: the rows that are.
    """

    others: tuple[Problem, ...]
    left_out: tuple[Problem, ...]

    @classmethod
    def of(cls, problem: Problem, instead: str) -> HeldOut:
        """Those of a problem with parts.

        Args:
            problem: whose parts are folds; rows of fold -1 are never left out.
            instead: the setting that makes the folds needless, for the message.

        Raises:
            InputError: there are fewer than two folds.
        """
        grouped: dict[int, list[Problem]] = {}
        for one in problem.parts:
            grouped.setdefault(one.fold, []).append(one.problem)
        always = grouped.pop(-1, [])
        folds = [some[0] if len(some) == 1 else joined(some) for some in grouped.values()]
        if len(folds) < 2:
            raise InputError(
                f"{instead}: expected a number where fewer than two structures of a config type "
                "have labels, or where the rows are not those of structures; got none"
            )
        before = _sums(always, folds)
        after = _sums([], folds[::-1])[::-1]
        pairs = zip(before[:-1], after[1:], strict=True)
        others = tuple(joined([one for one in pair if one is not None]) for pair in pairs)
        return cls(others, tuple(folds))

    @property
    def rows(self) -> int:
        """How many rows are left out in all."""
        return sum(one.rows for one in self.left_out)

    def error(self, coefficients: Sequence[Floats]) -> float:
        """Root mean square of the weighted errors, each fold with coefficients of the others."""
        pairs = zip(self.left_out, coefficients, strict=True)
        return math.sqrt(sum(one.residual(c) for one, c in pairs) / self.rows)


def _sums(first: list[Problem], folds: list[Problem]) -> list[Problem | None]:
    """`first` and the first n of the folds together, for n = 0, 1, ...; None where that is none."""
    found: list[Problem | None] = [joined(first) if first else None]
    for one in folds:
        last = found[-1]
        found.append(one if last is None else joined([last, one]))
    return found


def fewest(errors: Iterable[float], slack: float) -> int:
    """Index of the first error that is at most 1 + slack times the least."""
    values = np.array(list(errors))
    return int(np.argmax(values <= (1 + slack) * values.min()))
