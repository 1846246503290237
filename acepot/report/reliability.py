"""A picture (PNG) of how well stated uncertainties hold on data that were not fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.fitting.observables import Observable
from acepot.io.files import about
from acepot.report.evaluation import Evaluation
from acepot.run.figure import picture, require_matplotlib
from acepot.uncertainty.calibration import LEVELS, Calibration, Values, gathered
from acepot.uncertainty.coverage import coverage, coverage_table, reliability, stated
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior_file import load_posterior
from acepot.uncertainty.predictions import Prediction, predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["reliability_picture", "stated_on"]

_FAINT = "#8c8c8c"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000")
#: Errors are averaged over so many parts with equal numbers of values, from small σ to large.
_BINS = 12
#: Inches.
_PANEL = 2.5


def stated_on(
    done: Evaluation, model: str | Path, threads: int | None = None, path: str | None = None
) -> str:
    """How often the intervals that a model states hold on structures it was evaluated on.

    The report of the evaluation gets them under "uncertainty".

    Args:
        done: the evaluation.
        model: its file; `posterior.acepot` is in the same folder.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.
        path: a PNG file to draw it in; None: no picture.

    Returns:
        A table.

    Raises:
        InputError: the model is not calibrated.
        ModelFileError: the posterior is damaged or that of another model.
        MissingDependency: a picture without matplotlib.
    """
    if path is not None:
        require_matplotlib()
    own = done.potential.model
    with about(model):
        calibration = Calibration.from_provenance(own.provenance)
    posterior = load_posterior(Path(model).with_name("posterior.acepot"), own)
    found = predictions(UncertainPotential(posterior, threads), done.structures)
    done.report["uncertainty"] = {"data": coverage(found, calibration)}
    if path is not None:
        reliability_picture(path, {"data": found}, calibration)
    return coverage_table(done.report["uncertainty"]["data"])


def reliability_picture(
    path: str | Path, parts: Mapping[str, Sequence[Prediction]], calibration: Calibration
) -> None:
    """Draw stated against found: intervals above, standard deviations below.

    A column for each observable. Above, the part of errors inside the intervals of each level;
    below, the root mean square of errors where σ is small to where it is large.

    Args:
        path: the PNG file to make or replace.
        parts: predictions of structures that were not fitted, by what they are.
        calibration: what is stated.

    Raises:
        InputError: nothing to draw, or the file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    values = {part: gathered(predictions) for part, predictions in parts.items()}
    shown = [
        one
        for one in Observable.known.values()
        if calibration.of(one.name) is not None
        and any(v.observable is one for several in values.values() for v in several)
    ]
    if not shown:
        raise InputError("parts: expected predictions of a calibrated observable, got none")
    with picture(path, 0.4 + _PANEL * len(shown), 0.3 + 2 * _PANEL) as figure:
        axes = figure.subplots(2, len(shown), squeeze=False)
        for column, one in enumerate(shown):
            above, below = axes[0, column], axes[1, column]
            above.set_title(one.title)
            above.plot((0, 1), (0, 1), color=_FAINT, lw=0.7)
            for number, (part, several) in enumerate(values.items()):
                colour = _COLOURS[number % len(_COLOURS)]
                for found in several:
                    if found.observable is one:
                        _draw(above, below, found, calibration, part, colour)
            _finish(above, below, one.unit)
        figure.tight_layout()


def _draw(
    above: Axes, below: Axes, values: Values, calibration: Calibration, part: str, colour: str
) -> None:
    look: dict[str, Any] = {"color": colour, "marker": "o", "ms": 3, "lw": 0.9}
    free = values.free
    label = f"{part}, {len(free.errors):,} values"
    above.plot(LEVELS, reliability(values, calibration), label=label, **look)
    sigmas, errors = _binned(stated(free, calibration), free.errors)
    below.plot(sigmas, errors, **look)


def _binned(
    sigmas: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """Root mean squares of σ and of errors in parts of equal size, in thousandths."""
    order = np.argsort(sigmas, kind="stable")
    parts = [p for p in np.array_split(order, min(_BINS, len(order) // 5 or 1)) if len(p)]
    means = [[1000 * float(np.sqrt(np.mean(x[p] ** 2))) for p in parts] for x in (sigmas, errors)]
    return means[0], means[1]


def _finish(above: Axes, below: Axes, unit: str) -> None:
    above.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated level", ylabel="errors inside")
    above.legend(loc="upper left")
    below.set(xscale="log", yscale="log")
    below.set(xlabel=f"stated σ (m{unit})", ylabel=f"RMS error (m{unit})")
    low = min(*below.get_xlim(), *below.get_ylim())
    high = max(*below.get_xlim(), *below.get_ylim())
    below.plot((low, high), (low, high), color=_FAINT, lw=0.7, zorder=0)
    below.set(xlim=(low, high), ylim=(low, high))
    for axis in (below.xaxis, below.yaxis):
        axis.set_minor_formatter("")
