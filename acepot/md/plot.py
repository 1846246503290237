"""The picture of a run: temperature, energies, pressure and volume against time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acepot.md.engine import Floats
from acepot.plots import picture

_COLOUR, _FAINT = "#0072b2", "#8c8c8c"


def draw(columns: dict[str, Floats], atoms: int, target: dict[str, float], path: Path) -> None:
    """Draw a run.

    Args:
        columns: of the log, by name.
        atoms: their number.
        target: what columns should be on average, by name: drawn as a line.
        path: of the PNG file.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    panels = {
        "temperature_K": ("Temperature (K)", columns["temperature_K"]),
        "potential_eV": ("Potential energy (eV/atom)", columns["potential_eV"] / atoms),
        "total_eV": ("Total energy (eV/atom)", columns["total_eV"] / atoms),
        "pressure_GPa": ("Pressure (GPa)", columns["pressure_GPa"]),
        "volume_A3": ("Volume (Å³/atom)", columns["volume_A3"] / atoms),
    }
    constant = {"volume_A3"} if np.ptp(columns["volume_A3"]) == 0 else set()
    if np.isnan(columns["pressure_GPa"]).all():
        constant.add("pressure_GPa")
    shown = {name: panel for name, panel in panels.items() if name not in constant}
    time = columns["time_ps"]
    with picture(path, 6.4, 1.3 * len(shown) + 0.5) as figure:
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, (label, values)) in zip(axes, shown.items(), strict=True):
            axis.plot(time, values, color=_COLOUR, linewidth=0.8)
            if name in target:
                axis.axhline(target[name], color=_FAINT, linewidth=0.8, linestyle="--")
            if time[0] < 0:
                axis.axvspan(time[0], min(0.0, time[-1]), color="#eeeeee", zorder=0)
            axis.set_ylabel(label.replace(" (", "\n("))
        axes[-1].set_xlabel("Time (ps)")
        figure.align_ylabels()
        figure.tight_layout()
