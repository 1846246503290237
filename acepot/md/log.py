"""The log of a simulation: the same columns, from the same definitions, in every engine."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.md.engine import Floats, Sample
from acepot.units import BOLTZMANN, GIGAPASCAL

COLUMNS = (
    "step", "time_ps", "temperature_K", "potential_eV", "kinetic_eV", "total_eV", "pressure_GPa",
    "volume_A3",
)  # fmt: skip
HEADER = ",".join(COLUMNS) + "\n"


@dataclass(frozen=True)
class Row:
    """One row of the log, in the order and units of COLUMNS.

    Args:
        step: negative in the equilibration.
        time: of that step in ps.
        temperature: 2 K / (3 n k) in K, n the number of atoms.
        potential: the energy of the model in eV.
        kinetic: K in eV, of all 3n degrees of freedom.
        total: their sum in eV.
        pressure: (2 K + tr W) / (3 V) in GPa; nan without a cell.
        volume: of the cell in Å³; 0 without one.
    """

    step: int
    time: float
    temperature: float
    potential: float
    kinetic: float
    total: float
    pressure: float
    volume: float


def row(step: int, timestep: float, atoms: int, sample: Sample) -> Row:
    """The row of a step.

    Args:
        step: negative in the equilibration.
        timestep: fs.
        atoms: their number.
        sample: of the engine.

    Raises:
        InputError: an energy that is not finite.
    """
    kinetic, potential = sample.kinetic, sample.potential
    if not np.isfinite([kinetic, potential]).all():
        raise InputError(
            f"step {step}: the energies are {potential} and {kinetic} eV; expected finite ones. "
            "Is the time step too long, or are atoms closer than in the model's training data?"
        )
    pressure = np.nan
    if sample.volume > 0:
        pressure = (2 * kinetic + sample.virial) / (3 * sample.volume) / GIGAPASCAL
    temperature = 2 * kinetic / (3 * atoms * BOLTZMANN)
    total = potential + kinetic
    time = step * timestep / 1000
    return Row(step, time, temperature, potential, kinetic, total, float(pressure), sample.volume)


def line(row: Row) -> str:
    """A row with every digit."""
    return ",".join(repr(value) for value in astuple(row)) + "\n"


def read(path: Path) -> dict[str, Floats]:
    """The columns of a log by name.

    Raises:
        InputError: not a log.
    """
    with path.open(newline="") as file:
        rows: Iterator[list[str]] = csv.reader(file)
        names = next(rows, [])
        if tuple(names) != COLUMNS:
            raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {names}")
        try:
            values = np.array([[float(word) for word in words] for words in rows])
        except ValueError as error:
            raise InputError(f"{path}: expected numbers: {error}") from error
    return dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
