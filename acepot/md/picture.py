"""The picture of a simulation: temperature, energies, pressure and volume against time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acepot.md.config import Ensemble
from acepot.md.engine import Floats
from acepot.run import picture
from acepot.run.picture import Panel, Target


def draw(columns: dict[str, Floats], atoms: int, ensemble: Ensemble, path: Path) -> None:
    """Draw a simulation, the time of its equilibration on a grey background.

    Args:
        columns: of the log, by title.
        atoms: their number.
        ensemble: says what temperature and pressure should be on average.
        path: of the PNG file.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    temperature: Target = None if ensemble.kind == "nve" else ensemble.temperature
    pressure: Target = ensemble.pressure if ensemble.kind == "npt" else None
    temperature = columns.get("target_temperature_K", temperature)
    pressure = columns.get("target_pressure_GPa", pressure)
    panels = [
        Panel("Temperature (K)", columns["temperature_K"], temperature),
        Panel("Potential energy (eV/atom)", columns["potential_eV"] / atoms),
        Panel("Total energy (eV/atom)", columns["total_eV"] / atoms),
    ]
    if not np.isnan(columns["pressure_GPa"]).all():
        panels.append(Panel("Pressure (GPa)", columns["pressure_GPa"], pressure))
    if np.ptp(columns["volume_A3"]) > 0:
        panels.append(Panel("Volume (Å³/atom)", columns["volume_A3"] / atoms))
    if "force_spread_eV_A" in columns:
        panels.append(Panel("Force spread (eV/Å)", _held(columns["force_spread_eV_A"])))
    picture.draw(path, "Time (ps)", columns["time_ps"], panels, shaded_to=0.0)


def _held(values: Floats) -> Floats:
    """Values with the last known one in place of every nan after it."""
    known = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return values[known]
