"""Training data that cannot be right, or that nothing else can check.

A wrong label pulls the model towards itself, by its leverage, so that its residual hides it. Its
error where the structure is left out does not (the studentised residual of Belsley, Kuh and Welsch,
Regression Diagnostics (1980), 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.fitting.observables import Observable
from acepot.structure import Structure
from acepot.uncertainty.calibration import Calibration
from acepot.uncertainty.predictions import Prediction

__all__ = ["Suspect", "leverages", "suspects"]

#: Errors so many half widths of the 68 % interval from zero are looked at: nine of them for a
#: Gaussian are one in 10^19, for the fat tails of errors of a potential one in some thousands.
_LIMIT = 9.0


@dataclass(frozen=True, eq=False)
class Suspect:
    """A label that the rest of the data contradicts.

    Args:
        structure: whose label it is.
        observable: name of the label.
        index: of the number that is furthest off, in the order of the rows.
        error: predicted by the rest of the data less label, in eV or eV/Å.
        ratio: size of the error in half widths of its 68 % interval.
        leverage: part of the label in its own fitted value, 0 to 1.
    """

    structure: Structure
    observable: str
    index: int
    error: float
    ratio: float
    leverage: float

    def __str__(self) -> str:
        one = Observable.known[self.observable]
        where = self.structure.name or "structure"
        if one.per_atom:
            where += f", atom {self.index // len(one.components)}"
        error = float(one.per_unit(np.array([self.error]), len(self.structure))[0])
        return (
            f"{where}: {one.name} off by {1000 * error:.4g} m{one.unit}, {self.ratio:.1f} "
            f"half widths of what the rest of the data say (leverage {self.leverage:.2f})"
        )


def suspects(
    left_out: Sequence[Prediction], calibration: Calibration, limit: float = _LIMIT
) -> list[Suspect]:
    """Labels that are far outside the interval which the other structures give.

    Args:
        left_out: of `without_frame`.
        calibration: scales of the same.
        limit: half widths of the 68 % interval from which a label is named.

    Returns:
        The largest number of each observable and structure above the limit, the worst first.
    """
    found = []
    for prediction in left_out:
        structure = prediction.structure
        for name, errors in prediction.errors.items():
            scaling = calibration.of(name, structure.config_type)
            if scaling is None:
                continue
            one, n = Observable.known[name], len(structure)
            widths = scaling.interval(one.per_unit(prediction.sigmas[name], n), 0.68)
            ratios = np.abs(one.per_unit(errors, n)) / widths
            k = int(ratios.argmax())
            own = prediction.leverage.get(name)
            h = 0.0 if own is None else float(own[k])
            found.append(Suspect(structure, name, k, float(errors[k]), float(ratios[k]), h))
    found = [one for one in found if one.ratio > limit]
    return sorted(found, key=lambda one: -one.ratio)


def leverages(left_out: Sequence[Prediction]) -> list[tuple[Structure, float]]:
    """Effective parameters that each structure determines by itself, the most first.

    Their sum is the number of effective parameters of the fit. A structure that takes a large part
    of its own number of labels cannot be checked by the others.

    Args:
        left_out: of `without_frame`.
    """
    sums = [(p.structure, sum(float(h.sum()) for h in p.leverage.values())) for p in left_out]
    return sorted(sums, key=lambda pair: -pair[1])
