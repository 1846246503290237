"""How often stated intervals hold, and whether large σ goes with large errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.uncertainty.calibration import ALL, LEVELS, Calibration, Values, gathered
from acepot.uncertainty.predictions import Prediction

__all__ = ["STATED", "coverage", "coverage_table", "reliability", "spearman", "stated"]

Floats = NDArray[np.float64]
#: Levels in reports.
STATED = (0.68, 0.90, 0.95)
#: coverage[group][letter]["68", "90", "95", "rmse", "sigma", "spearman", "count"].
Coverage = dict[str, dict[str, dict[str, float]]]
_MILLI = 1000.0


def coverage(predictions: Sequence[Prediction], calibration: Calibration) -> Coverage:
    """Compare stated intervals with errors on structures that were not in the fit.

    Args:
        predictions: of structures that calibration and fit have not seen, or of `without_frame`.
        calibration: what is stated.

    Returns:
        By group ("all" first), then by letter of the observable: "68", "90" and "95", the part of
        errors inside the interval of each level; "rmse" and "sigma", the root mean squares of
        errors and of stated σ, in meV/atom or meV/Å; "spearman", the rank correlation of σ and
        size of the error, of vectors for what atoms have; "count" of numbers. Values that symmetry
        fixes are left out.
    """
    every = [v for v in gathered(predictions) if calibration.of(v.observable.name) is not None]
    names = list(dict.fromkeys(name for values in every for name in values.groups.tolist()))
    found: Coverage = {}
    for group in (ALL, *names):
        parts = {v.observable.letter: v.among(group) for v in every}
        sums = {k: _summary(v, calibration) for k, v in parts.items() if len(v.free.errors)}
        if sums:
            found[group] = sums
    return found


def stated(values: Values, calibration: Calibration, level: float | None = None) -> Floats:
    """σ' of values by the scaling of their groups; with a level the half widths of intervals."""
    out = np.full(len(values.errors), np.nan)
    for group in dict.fromkeys(values.groups.tolist()):
        scaling = calibration.of(values.observable.name, group)
        own = values.groups == group
        if scaling is not None:
            sigmas = values.sigmas[own]
            out[own] = scaling.sigma(sigmas) if level is None else scaling.interval(sigmas, level)
    return out


def spearman(values: Values) -> float:
    """Rank correlation of σ and size of the error; 0 where one of them is the same throughout.

    For what every atom has, of the lengths of its error and of its σ.
    """
    errors, sigmas = np.abs(values.errors), values.sigmas
    if values.observable.per_atom:
        width = len(values.observable.components)
        errors, sigmas = (np.linalg.norm(x.reshape(-1, width), axis=1) for x in (errors, sigmas))
    errors, sigmas = errors[sigmas > values.least], sigmas[sigmas > values.least]
    a, b = _ranks(errors), _ranks(sigmas)
    spread = float(np.std(a) * np.std(b))
    return float(np.mean((a - a.mean()) * (b - b.mean()))) / spread if spread > 0 else 0.0


def _ranks(values: Floats) -> Floats:
    """Ranks from 0, equal values share theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[inverse])


def _summary(values: Values, calibration: Calibration) -> dict[str, float]:
    free = values.free
    errors = np.abs(free.errors)
    found = {
        f"{100 * level:.0f}": float(np.mean(errors <= stated(free, calibration, level)))
        for level in STATED
    }
    sigmas = stated(free, calibration)
    return found | {
        "rmse": _MILLI * float(np.sqrt(np.mean(errors**2))),
        "sigma": _MILLI * float(np.sqrt(np.mean(sigmas**2))),
        "spearman": spearman(values),
        "count": len(errors),
    }


def coverage_table(report: Coverage) -> str:
    """Write a report as fixed-width text, a line for each group and observable.

    Args:
        report: of `coverage`.

    Returns:
        Lines without a final newline. Intervals are in per cent.
    """
    width = max(len("config_type"), *(len(group) for group in report))
    lines = [
        f"{'config_type':<{width}}     {'count':>8}{'68 %':>7}{'90 %':>7}{'95 %':>7}"
        f"{'RMSE':>10}{'sigma':>10}{'Spearman':>10}"
    ]
    for group in [*(name for name in report if name != ALL), ALL]:
        for letter, one in report[group].items():
            held = "".join(f"{100 * one[f'{100 * level:.0f}']:7.1f}" for level in STATED)
            lines.append(
                f"{group:<{width}}  {letter:<3}{int(one['count']):>8d}{held}"
                f"{one['rmse']:10.3g}{one['sigma']:10.3g}{one['spearman']:10.2f}"
            )
    return "\n".join(lines)


def reliability(values: Values, calibration: Calibration) -> Floats:
    """The part of errors inside the interval of each of `LEVELS`, of values that are not fixed."""
    free = values.free
    errors = np.abs(free.errors)
    return np.array([np.mean(errors <= stated(free, calibration, level)) for level in LEVELS])
