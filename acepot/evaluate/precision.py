"""What less than double precision costs: an evaluator against itself in double."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import EnergyEvaluator, require
from acepot.structure import Structure
from acepot.tables import Tables

#: Of the native evaluator. double: all of it. mixed: what is computed for each neighbour in single
#: precision, the one-particle functions A and all that is made of them in double. single: all,
#: from the distances of neighbours on.
Precision = Literal["double", "mixed", "single"]


def checked_precision(value: str) -> Precision:
    """The precision of this name.

    Raises:
        InputError: there is none.
    """
    for name in get_args(Precision):
        if value == name:
            return name  # type: ignore[no-any-return]  # get_args has no types
    raise InputError(f"precision: expected double, mixed or single, got {value!r}")


#: Distances of neighbours in the sample crystals, relative to a bond length.
_DENSITIES = (0.9, 1.0, 1.15)
_BOND = 1 / 2.8  # about a bond length, in cut-offs


@dataclass(frozen=True)
class PrecisionLoss:
    """Errors of mixed or single precision on perturbed crystals.

    Args:
        precision: mixed or single.
        energy: largest error of an energy, in eV/atom.
        forces: root-mean-square error of the force components, in eV/Å.
        largest: largest error of a force component, in eV/Å.
        scale: root-mean-square force component of the same structures, in eV/Å.
    """

    precision: Precision
    energy: float
    forces: float
    largest: float
    scale: float

    def __str__(self) -> str:
        return (
            f"{self.precision} precision errs on perturbed crystals by up to {self.energy:.1e} "
            f"eV/atom in energies and by {self.forces:.1e} eV/Å in forces (largest "
            f"{self.largest:.1e}; the forces are {self.scale:.1e} eV/Å)"
        )


def precision_loss(
    double: EnergyEvaluator,
    other: EnergyEvaluator,
    precision: Precision,
    tables: Tables,
    seed: int = 0,
) -> PrecisionLoss:
    """Measure what less than double precision costs a model.

    Args:
        double: the evaluator in double precision.
        other: the same in another.
        precision: which.
        tables: what both evaluate.
        seed: of the displacements and of the arrangement of the elements.

    Returns:
        Errors over close-packed crystals of 108 atoms, compressed and stretched, with
        displacements of 5 % of a bond length and the elements at random.
    """
    structures = list(_crystals(tables, np.random.default_rng(seed)))
    exact, rounded = require(double.evaluate(structures)), require(other.evaluate(structures))
    energies = [
        abs(a.energy - b.energy) / len(s)
        for s, a, b in zip(structures, exact, rounded, strict=True)
    ]
    forces = np.concatenate([r.forces for r in exact])
    errors = np.concatenate([r.forces for r in rounded]) - forces
    rms: Callable[[NDArray[np.float64]], float] = lambda x: float(np.sqrt(np.mean(x**2)))  # noqa: E731
    return PrecisionLoss(
        precision, max(energies), rms(errors), float(np.abs(errors).max()), rms(forces)
    )


def _crystals(tables: Tables, rng: np.random.Generator) -> Iterator[Structure]:
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2
    shifts = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    sites = (corners + shifts[:, None]).reshape(-1, 3)
    for density in _DENSITIES:
        bond = density * _BOND * float(tables.cutoff.max())
        edge = np.sqrt(2) * bond
        species = rng.integers(len(tables.numbers), size=len(sites))
        positions = edge * sites + rng.normal(scale=0.05 * bond, size=sites.shape)
        cell = 3 * edge * np.eye(3)
        yield Structure(tables.numbers[species], positions, cell, True)
