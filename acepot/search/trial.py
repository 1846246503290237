"""A candidate is tried: fitted with each part of the data left out in turn, tested, and timed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from acepot.basis.choices import BasisChoices
from acepot.evaluate.protocol import Result
from acepot.potential import Potential
from acepot.report.metrics import errors
from acepot.search.candidate import Candidate, shares_rows
from acepot.search.cost import Meter
from acepot.search.fits import Data, Fits, FitsOfRows, FitsOfStructures, Rows
from acepot.search.outcome import Outcome
from acepot.structure import Structure

__all__ = ["tried"]

#: Observables that models are compared by, and their letters in reports.
_LETTERS = {"energy": "E", "forces": "F"}


def tried(candidate: Candidate, rows: Rows | None, data: Data, meter: Meter) -> Outcome:
    """Errors of a candidate for structures left out and for test structures, and its cost.

    Args:
        candidate: of a family.
        rows: of that family; None: it is not linear, and makes its own.
        data: structures.
        meter: measures the cost.

    Raises:
        ConvergenceError: a fit failed.
        InputError: data and recipe do not fit together.
    """
    began = time.process_time()
    recipe = candidate.recipe
    fits: Fits
    if rows is not None and shares_rows(recipe):
        fits = FitsOfRows(recipe, rows, data)
    else:
        fits = FitsOfStructures(recipe, data)
    left_out = _left_out(fits, data)
    whole = fits.of_all()
    seconds = time.process_time() - began
    coefficients = whole.model.coefficients
    return Outcome(
        name=candidate.name,
        variant=candidate.variant,
        order=recipe.basis.order,
        cutoff=_longest(recipe.basis),
        degree=",".join(f"{d:g}" for d in recipe.basis.degrees_of(recipe.basis.elements[0])),
        functions=coefficients.shape[2],
        parameters=coefficients[0].size,
        cost=meter.cost(whole.tables),
        left_out=left_out,
        test=_errors(data.test, whole.compute_all(data.test), whole) if data.test else {},
        seconds=seconds,
        given=candidate.given,
    )


def _left_out(fits: Fits, data: Data) -> dict[str, float]:
    """Errors of every structure by the fit that does not know it."""
    found: dict[int, Result] = {}
    for part, potential in zip(data.parts, fits.without_each(), strict=True):
        results = potential.compute_all([data.train[i] for i in part])
        found |= dict(zip(part.tolist(), results, strict=True))
    results = [found[i] for i in range(len(data.train))]
    return _errors(data.train, results, potential)


def _errors(
    structures: Sequence[Structure], results: Sequence[Result], potential: Potential
) -> dict[str, float]:
    """Those of energies and forces, as outcomes have them."""
    report = errors(structures, results, potential.compute_all)["all"]
    return {
        f"{name} {measure}": report[letter][measure]
        for name, letter in _LETTERS.items()
        if letter in report
        for measure in ("mae", "rmse")
    }


def _longest(basis: BasisChoices) -> float:
    """The longest cut-off in Å of a resolved basis."""
    cutoff = basis.cutoff
    return max(cutoff.values()) if isinstance(cutoff, dict) else float(cutoff or 0.0)
