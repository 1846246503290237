"""Figures of an analysis: heat capacity and volume over temperature, transitions over pressure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from acepot.run.figure import picture
from acepot.sampling.analysis.clapeyron import Line
from acepot.sampling.analysis.peaks import Peak
from acepot.sampling.analysis.pipeline import Analysis, AtPressure
from acepot.units import GIGAPASCAL

__all__ = ["draw_curves", "draw_diagram"]

_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
)  # fmt: skip
_FAINT = 0.2
#: Where the largest value is so many times the smallest, the axis is logarithmic.
_DECADES = 5.0


def draw_curves(analysis: Analysis, path: str | Path) -> None:
    """Draw C_p and the volume of an atom over temperature, a colour for each pressure.

    Bands are one standard error; where samples do not suffice, lines are dotted.

    Args:
        analysis: of runs.
        path: of the PNG file.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    with picture(path, 6.4, 5.2) as figure:
        heat, volume = figure.subplots(2, 1, sharex=True)
        for index, one in enumerate(analysis.pressures):
            colour = _COLOURS[index % len(_COLOURS)]
            name = f"{one.pressure / GIGAPASCAL:.4g} GPa"
            _curve(heat, one, "heat_capacity", colour, name)
            _curve(volume, one, "volume", colour, name)
        heat.set_ylabel("$C_p$ / k per atom")
        volume.set_ylabel("volume per atom (Å³)")
        volume.set_xlabel("temperature (K)")
        volume.set_xscale("log")
        for axis in (heat, volume):
            if axis.dataLim.y1 > _DECADES * axis.dataLim.y0 > 0.0:
                axis.set_yscale("log")
        for line in (volume.xaxis, heat.yaxis, volume.yaxis):
            line.set_major_formatter("{x:g}")
        heat.legend()
        figure.align_ylabels()
        figure.tight_layout()


def _curve(axis: Any, one: AtPressure, quantity: str, colour: str, name: str) -> None:
    atoms = max(one.atoms, 1)
    value = getattr(one.estimate.value, quantity) / atoms
    good = np.where(one.good, value, np.nan)
    axis.plot(one.temperatures, value, color=colour, linewidth=0.8, linestyle=":")
    axis.plot(one.temperatures, good, color=colour, linewidth=1.0, label=name)
    if one.estimate.error is not None:
        error = getattr(one.estimate.error, quantity) / atoms
        low = np.maximum(value - error, 1e-3 * value)
        axis.fill_between(one.temperatures, low, value + error, color=colour, alpha=_FAINT)


def draw_diagram(analysis: Analysis, path: str | Path) -> None:
    """Draw the temperatures of all peaks over pressure, with the slopes that TΔV/ΔH foretells.

    Peaks of one line are joined; bars are one standard error, and the short lines through the
    peaks the slopes of Clausius and Clapeyron. Open symbols are peaks without two phases at them,
    crosses those that are not to be trusted.

    Args:
        analysis: of runs.
        path: of the PNG file.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    pressures = np.array([one.pressure for one in analysis.pressures]) / GIGAPASCAL
    reach = 0.25 * float(np.diff(pressures).min()) if len(pressures) > 1 else 0.5
    with picture(path, 5.0, 4.2) as figure:
        axis = figure.subplots()
        for index, line in enumerate(analysis.lines):
            _draw_line(axis, line, pressures, reach, _COLOURS[index % len(_COLOURS)])
        axis.set_xlabel("pressure (GPa)")
        axis.set_ylabel("temperature (K)")
        figure.tight_layout()


def _draw_line(axis: Any, line: Line, pressures: Any, reach: float, colour: str) -> None:
    places = pressures[list(line.pressures)]
    temperatures = [peak.temperature.value for peak in line.peaks]
    axis.plot(places, temperatures, color=colour, linewidth=0.6, linestyle="--")
    for place, peak in zip(places, line.peaks, strict=True):
        axis.errorbar(
            [place],
            [peak.temperature.value],
            yerr=None if peak.temperature.error is None else [peak.temperature.error],
            color=colour,
            marker="o" if peak.good else "x",
            markersize=4,
            markerfacecolor=colour if peak.resolved else "white",
            capsize=2,
        )
        _draw_slope(axis, place, peak, reach, colour)


def _draw_slope(axis: Any, place: float, peak: Peak, reach: float, colour: str) -> None:
    ends = np.array([-reach, reach])
    along = peak.temperature.value + peak.slope.value * GIGAPASCAL * ends
    axis.plot(place + ends, along, color=colour, linewidth=1.2)
