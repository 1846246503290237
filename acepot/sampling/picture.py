"""The picture of a run: enthalpy, volume and temperature of what was culled, by iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from acepot.run.figure import picture
from acepot.sampling.cells import Floats

__all__ = ["PANELS", "draw"]

#: Quantities with their columns, whether they are an atom's, and whether they span decades.
PANELS = (
    ("Enthalpy (eV/atom)", "enthalpy_eV", True, False),
    ("Volume (Å³/atom)", "volume_A3", True, True),
    ("Temperature (K)", "temperature_K", False, True),
)


def draw(columns: Mapping[str, Floats], pressures: Sequence[float], atoms: int, path: Path) -> None:
    """Draw a run.

    Args:
        columns: of the log, by title.
        pressures: of the replicas in GPa.
        atoms: their number.
        path: of the PNG file.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    with picture(path, 6.4, 1.6 * len(PANELS) + 0.5) as figure:
        axes = figure.subplots(len(PANELS), 1, sharex=True)
        for axis, (label, column, each, decades) in zip(axes, PANELS, strict=True):
            for k, pressure in enumerate(pressures):
                values = columns[f"P{k}_{column}"] / (atoms if each else 1)
                axis.plot(columns["iteration"], values, lw=0.8, label=f"{pressure:g} GPa")
            axis.set_ylabel(label)
            if decades:
                axis.set_yscale("log")
        first = columns["P0_enthalpy_eV"] / atoms
        if len(first) > 4:  # the first ones are those of overlapping atoms
            low = min(columns[f"P{k}_enthalpy_eV"].min() for k in range(len(pressures))) / atoms
            axes[0].set_ylim(low - 0.2, min(float(first.max()), low + 12.0) + 0.2)
        axes[0].legend()
        axes[-1].set_xlabel("Iteration")
        figure.align_ylabels()
        figure.tight_layout()
