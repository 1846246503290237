"""The logs of a run: what walkers did, and what was labelled."""

from __future__ import annotations

import numpy as np

from acepot.evaluate.protocol import Result
from acepot.hal.surface import Measured
from acepot.hal.walker import Walker
from acepot.run.log import Column
from acepot.structure import Structure

__all__ = ["LABELLED", "TRIGGERS", "USES", "WALKS", "labelled_row", "walk_row"]

#: Why a structure was labelled, and what for; logs have their places in these tuples.
TRIGGERS = (
    "start", "atom", "criterion", "distance", "force", "energy drop", "refused", "end",
)  # fmt: skip
USES = ("train", "test", "aside")

WALKS = (
    Column("cycle"),
    Column("walker"),
    Column("step"),
    Column("temperature", "K", "of the velocities"),
    Column("energy", "eV", "of the model, per atom"),
    Column("sigma", "eV", "standard deviation of the energy, per atom"),
    Column("tau", "", "strength of the bias"),
    Column("volume", "A3", "per atom; 0: no cell"),
    Column("grade", "", "the largest number of an atom that the criterion compares"),
    Column("quantile", "", "its 90 % quantile over atoms"),
    Column("force", "eV_A", "the largest on an atom, with the bias"),
)
LABELLED = (
    Column("calculation", "", "number of it, from 1"),
    Column("cycle"),
    Column("walker"),
    Column("step"),
    Column("trigger", "", "place in start, atom, criterion, distance, force, energy drop, ..."),
    Column("use", "", "0 train, 1 test, 2 aside"),
    Column("tau"),
    Column("grade", "", "when the walk ended"),
    Column("energy", "eV", "of the reference, per atom"),
    Column("volume", "A3", "per atom; 0: no cell"),
    Column("energy_error", "eV", "of the model before it was told, per atom"),
    Column("force_error", "eV_A", "root mean square of components, likewise"),
    Column("force_largest", "eV_A", "largest error of a force, likewise"),
    Column("force_spread", "eV_A", "root mean square of components that the model expected"),
)


def walk_row(cycle: int, number: int, walker: Walker) -> list[int | float]:
    """A row of the log of walks."""
    n = len(walker.numbers)
    volume = walker.volume / n if walker.pbc.all() else 0.0
    largest = float(np.linalg.norm(walker.forces, axis=1).max())
    return [
        cycle, number, walker.step, walker.kelvin, walker.energy / n, walker.sigma / n, walker.tau,
        volume, walker.grade, walker.quantile, largest,
    ]  # fmt: skip


def labelled_row(
    structure: Structure, expected: tuple[Result, Measured] | None
) -> list[int | float]:
    """The part of a row about a labelled structure: energy, volume, and what the model erred."""
    n = len(structure)
    volume = structure.volume / n if structure.pbc.all() else 0.0
    own = [(structure.energy or 0.0) / n, volume]
    if expected is None or structure.forces is None or structure.energy is None:
        return [*own, *[float("nan")] * 4]
    result, measured = expected
    wrong = result.forces - structure.forces
    return [
        *own,
        (result.energy - structure.energy) / n,
        float(np.sqrt(np.mean(wrong**2))),
        float(np.linalg.norm(wrong, axis=1).max()),
        float(np.sqrt(np.mean(measured.spread**2) / 3.0)),
    ]
