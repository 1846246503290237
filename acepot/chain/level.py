"""What a level of the chain says: errors on what it has not seen, and quantities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.properties.crystals import crystal
from acepot.structure import Structure
from acepot.uncertainty.conformal import held, likely_scale

__all__ = ["Contribution", "HeldOut", "Level", "Place", "Quantity", "judged", "place"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Errors of one kind of label on structures that were not fitted.

    Args:
        what: it is.
        unit: of the error.
        count: of numbers.
        rmse: root mean square of the errors.
        scale: factor of the model's own deviations with which they are as large as errors.
        holds: how often intervals hold, by their stated level in per cent, where those of every
            structure are as wide as other structures make them.
    """

    what: str
    unit: str
    count: int
    rmse: float
    scale: float
    holds: Mapping[str, float]


@dataclass(frozen=True)
class Contribution:
    """What a level adds to the error of a quantity.

    Args:
        level: its name.
        sigma: standard deviation, in the unit of the quantity.
        how: it was found, in words.
        file: in the folder of the report, or as it was named, that has the number.
        key: where in it.
    """

    level: str
    sigma: float
    how: str
    file: str
    key: str


@dataclass(frozen=True)
class Quantity:
    """A number that is asked for, and what its error is made of.

    Args:
        name: of it.
        value: of it.
        unit: of it; empty: a number.
        level: that gives the value.
        file: that has it.
        key: where in it.
        contributions: by level; they are independent.
        reference: the reference's own value; None: it has none.
    """

    name: str
    value: float
    unit: str
    level: str
    file: str
    key: str
    contributions: tuple[Contribution, ...] = ()
    reference: float | None = None

    @property
    def sigma(self) -> float:
        """Of all levels together; no number where none states one."""
        if not self.contributions:
            return float("nan")
        return float(np.sqrt(sum(one.sigma**2 for one in self.contributions)))

    @property
    def largest(self) -> Contribution | None:
        """Of the level that adds most; None: no level states an error."""
        return max(self.contributions, key=lambda one: one.sigma, default=None)


def judged(
    what: str, unit: str, errors: Sequence[Floats], sigmas: Sequence[Floats], per_unit: float = 1.0
) -> HeldOut:
    """Errors of structures that were not fitted, and how often intervals around them hold.

    Args:
        what: it is.
        unit: of the error.
        errors: of every structure.
        sigmas: deviations likewise.
        per_unit: how many units one of the errors' has.
    """
    every = np.concatenate(errors)
    rmse = per_unit * float(np.sqrt(np.mean(every**2)))
    inside = {f"{100 * level:.0f}": 100 * part for level, part in held(errors, sigmas).items()}
    return HeldOut(what, unit, len(every), rmse, likely_scale(errors, sigmas), inside)


@dataclass(frozen=True)
class Level:
    """What one level of the chain says.

    Args:
        name: of it.
        files: that it is made of, with their digests.
        errors: on what it has not seen.
        quantities: that it gives.
        notes: remarks, a sentence each.
    """

    name: str
    files: Mapping[str, str]
    errors: tuple[HeldOut, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def write(self, path: Path, **more: Any) -> None:
        """All of it as JSON."""
        with replaced(path) as file:
            file.write(json.dumps({**asdict(self), **more}, indent=1, allow_nan=False) + "\n")


@dataclass(frozen=True, eq=False)
class Place:
    """The crystal, and how sure its size is.

    Args:
        structure: at rest by the potential, where there is one.
        strain: standard deviation of its length relative to it; None: it is given.
        file: that has the lattice constant.
        key: where in it.
    """

    structure: Structure
    strain: float | None = None
    file: str = ""
    key: str = ""

    def scaled(self, by: float) -> Structure:
        """The crystal, all lengths multiplied."""
        one = self.structure
        return Structure(one.numbers, by * one.positions, by * one.cell, one.pbc, name=one.name)

    def along(self, values: Mapping[float, float]) -> tuple[Contribution, ...]:
        """What the uncertain size adds to a quantity.

        Args:
            values: of the quantity in the crystal scaled by 1 - s and 1 + s.
        """
        if self.strain is None:
            return ()
        (low, first), (high, second) = sorted(values.items())
        sigma = abs(second - first) / (high - low) * self.strain
        how = "its slope by the size of the cell, times the deviation of that"
        return (Contribution("potential", float(sigma), how, self.file, self.key),)


def place(structure: str) -> Place:
    """The crystal as it is given.

    Raises:
        InputError: a crystal by name without a lattice constant, and no potential to find it.
    """
    try:
        return Place(crystal(structure))
    except InputError as error:
        raise InputError(f"structure: {error}") from None
