"""What became of a candidate, and which of them no other one beats."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from math import prod
from typing import Literal

from acepot.errors import InputError
from acepot.schema import Settings

__all__ = ["Aim", "Outcome", "best", "excess", "front", "table"]

Errors = dict[str, float]


@dataclass(frozen=True)
class Outcome(Settings):
    """A candidate with its errors and its cost.

    Args:
        name: of the candidate.
        variant: of its settings.
        order: correlation order.
        cutoff: longest cut-off in Å.
        degree: of each order, in words.
        functions: how many.
        parameters: how many coefficients the model has.
        cost: µs for an atom.
        left_out: errors for structures that were left out of the fit: "energy mae" and "energy
            rmse" in meV/atom, "forces mae" and "forces rmse" in meV/Å.
        test: the same for test structures, which no choice depends on.
        seconds: CPU time of all its fits.
        given: whether it is what a fit would take by itself.
    """

    name: str
    variant: str
    order: int
    cutoff: float
    degree: str
    functions: int
    parameters: int
    cost: float
    left_out: Errors
    test: Errors = field(default_factory=dict)
    seconds: float = 0.0
    given: bool = False


@dataclass(frozen=True)
class Aim(Settings):
    """By what models are compared.

    Args:
        by: energies, forces, or both: the geometric mean of the two.
        measure: mean absolute or root-mean-square errors.
    """

    by: Literal["both", "energy", "forces"] = "both"
    measure: Literal["rmse", "mae"] = "rmse"

    def score(self, errors: Errors) -> float:
        """One number for the errors of a model, the smaller the better.

        Raises:
            InputError: it has no such errors.
        """
        wanted = ("energy", "forces") if self.by == "both" else (self.by,)
        found = [errors[key] for one in wanted if (key := f"{one} {self.measure}") in errors]
        if not found:
            raise InputError(f"by: no {' or '.join(wanted)} labels to compare models by")
        return float(prod(found) ** (1 / len(found)))

    def of(self, outcome: Outcome) -> float:
        """The score for structures that were left out."""
        return self.score(outcome.left_out)


def front(outcomes: Iterable[Outcome], aim: Aim) -> list[Outcome]:
    """Those that are better than all that cost as much or less, by cost."""
    found: list[Outcome] = []
    for one in sorted(outcomes, key=lambda o: (o.cost, aim.of(o))):
        if not found or aim.of(one) < aim.of(found[-1]):
            found.append(one)
    return found


def excess(outcome: Outcome, outcomes: Iterable[Outcome], aim: Aim) -> float:
    """Its score over the best of those that cost as much or less; 1: it is on the front."""
    rivals = [aim.of(one) for one in outcomes if one.cost <= outcome.cost]
    return aim.of(outcome) / min([aim.of(outcome), *rivals])


def best(outcomes: Sequence[Outcome], aim: Aim, budget: float) -> Outcome:
    """The best that costs no more.

    Args:
        outcomes: one or more.
        aim: by what they are compared.
        budget: µs for an atom.

    Raises:
        InputError: all cost more.
    """
    within = [one for one in outcomes if one.cost <= budget]
    if not within:
        least = min(outcomes, key=lambda one: one.cost)
        raise InputError(
            f"budget: expected {least.cost:.2g} µs/atom or more, what {least.name} costs, the "
            f"cheapest that was tried, got {budget:g}"
        )
    return min(within, key=aim.of)


def table(outcomes: Sequence[Outcome], aim: Aim) -> str:
    """All outcomes as CSV, by cost, with how far each is above the front."""
    names = sorted({key for one in outcomes for key in one.left_out})
    tested = sorted({key for one in outcomes for key in one.test})
    plain = [f.name for f in fields(Outcome) if f.name not in ("left_out", "test")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, "excess", *names, *(f"test {key}" for key in tested)])
    for one in sorted(outcomes, key=lambda o: o.cost):
        row = [getattr(one, name) for name in plain]
        errors = [one.left_out.get(key) for key in names] + [one.test.get(key) for key in tested]
        writer.writerow(map(_cell, [*row, excess(one, outcomes, aim), *errors]))
    return text.getvalue()


def _cell(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value
