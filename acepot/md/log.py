"""The log of a simulation: the same columns, from the same definitions, in every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.md.config import MDConfig
from acepot.md.engine import Floats, Sample
from acepot.run import log
from acepot.run.log import Column
from acepot.units import BOLTZMANN, GIGAPASCAL

COLUMNS = (
    Column("step", meaning="negative in the equilibration"),
    Column("time", "ps", "of that step"),
    Column("temperature", "K", "2 K / (3 n k), n the number of atoms that are not fixed"),
    Column("potential", "eV", "the energy of the model"),
    Column("kinetic", "eV", "K, of all atoms"),
    Column("total", "eV", "their sum"),
    Column("pressure", "GPa", "(2 K + tr W) / (3 V); nan without a cell"),
    Column("volume", "A3", "V, of the cell; 0 without one"),
)
#: Only where there is a ramp.
TARGETS = (
    Column("target_temperature", "K", "of the ensemble, at that step"),
    Column("target_pressure", "GPa", "of the ensemble, at that step"),
)
#: Only where a model has a committee.
SPREAD = (
    Column("energy_spread", "eV", "of the committee, an atom; nan where it was not evaluated"),
    Column("force_spread", "eV_A", "of the committee, on the atom where it is largest; likewise"),
)


def columns(config: MDConfig, path: Path, *, spread: bool) -> tuple[Column, ...]:
    """The columns of a simulation.

    Args:
        config: of the simulation.
        path: of the log; one that is there keeps the columns it has.
        spread: whether a new one has those of a committee.
    """
    titles = _titles(path) if path.exists() else []
    if titles:
        spread = SPREAD[0].title in titles
    return (*COLUMNS, *_targets(config), *(SPREAD if spread else ()))


def targets(config: MDConfig, step: int) -> tuple[float, ...]:
    """What the columns of a ramp hold."""
    return config.targets(step)[: len(_targets(config))]


def _targets(config: MDConfig) -> tuple[Column, ...]:
    return TARGETS[: 2 if config.ensemble.kind == "npt" else 1] if config.ramp else ()


def _titles(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip().split(",")


def row(step: int, timestep: float, atoms: int, sample: Sample) -> tuple[float, ...]:
    """The row of a step, in the order and units of COLUMNS.

    Args:
        step: negative in the equilibration.
        timestep: fs.
        atoms: number of those that are not fixed.
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
    return step, time, temperature, potential, kinetic, total, float(pressure), sample.volume


def read(path: Path) -> dict[str, Floats]:
    """The columns of a log by title, such as temperature_K.

    Raises:
        InputError: not a log of a simulation.
    """
    titles = _titles(path)
    return log.read(path, (*COLUMNS, *(one for one in (*TARGETS, *SPREAD) if one.title in titles)))
