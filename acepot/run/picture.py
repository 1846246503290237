"""The picture of a run: quantities against time, or whatever else a run goes along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.run.figure import picture

__all__ = ["Panel", "Target", "draw"]

#: What values should be on average: one number, or one for every row; None: nothing is known.
Target = float | NDArray[np.float64] | None

_COLOUR, _FAINT = "#0072b2", "#8c8c8c"


@dataclass(frozen=True, eq=False)
class Panel:
    """One quantity.

    Args:
        label: with the unit in brackets, which goes to a second line.
        values: shape (rows,).
        target: what they should be on average, drawn as a line.
    """

    label: str
    values: NDArray[np.float64]
    target: Target = None


def draw(
    path: Path,
    label: str,
    along: NDArray[np.float64],
    panels: Sequence[Panel],
    *,
    shaded_to: float | None = None,
) -> None:
    """Draw panels below each other.

    Args:
        path: of the PNG file.
        label: of the common axis.
        along: where on it the values lie, shape (rows,).
        panels: the quantities.
        shaded_to: up to where the background is grey, for what does not count.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    with picture(path, 6.4, 1.3 * len(panels) + 0.5) as figure:
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, panel in zip(axes, panels, strict=True):
            axis.plot(along, panel.values, color=_COLOUR, linewidth=0.8)
            if isinstance(panel.target, np.ndarray):
                axis.plot(along, panel.target, color=_FAINT, linewidth=0.8, linestyle="--")
            elif panel.target is not None:
                axis.axhline(panel.target, color=_FAINT, linewidth=0.8, linestyle="--")
            if shaded_to is not None and along[0] < shaded_to:
                axis.axvspan(along[0], min(shaded_to, along[-1]), color="#eeeeee", zorder=0)
            axis.set_ylabel(panel.label.replace(" (", "\n("))
        axes[-1].set_xlabel(label)
        figure.align_ylabels()
        figure.tight_layout()
