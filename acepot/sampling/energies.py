"""Energies of many configurations in one call: of an acepot potential or of any function."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import BoundMany, ManyTotals
from acepot.potential import Potential
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.distances import MinimumDistances
from acepot.structure import Structure

#: Batches of different sizes that stay bound.
_BOUND = 256


class Energies(NamedTuple):
    """Room for the results of B configurations.

    Args:
        energy: in eV, shape (B,); infinite where a configuration cannot be evaluated.
        forces: in eV/Å, shape (B, n, 3).
    """

    energy: Floats
    forces: Floats

    @classmethod
    def empty(cls, count: int, atoms: int) -> Energies:
        """Arrays with any numbers in them."""
        return cls(np.empty(count), np.empty((count, atoms, 3)))


class EnergyModel(Protocol):
    """What samplers ask: one call for many configurations of n atoms each.

    The numbers of a configuration must not depend on what else is in the call.
    """

    def compute(self, numbers: Ints, positions: Floats, cells: Floats, out: Energies) -> None:
        """Energies and forces.

        Args:
            numbers: atomic numbers, shape (B, n).
            positions: in Å, anywhere in or outside the cells, shape (B, n, 3).
            cells: vectors as rows in Å, shape (B, 3, 3).
            out: takes the results.
        """
        ...


class NotFiniteError(InputError):
    """A model gave no number where it should have.

    Args:
        text: what came, and where.
        structure: what it was asked for.
    """

    def __init__(self, text: str, structure: Structure) -> None:
        super().__init__(text)
        self.structure = structure

    def __reduce__(self) -> tuple[type, tuple[str, Structure]]:
        return type(self), (str(self), self.structure)


class PotentialEnergies:
    """Energies of a potential; all processors share a call.

    Args:
        potential: of the elements that there will be.
        periodic: whether cells repeat along all three directions.
    """

    def __init__(self, potential: Potential, periodic: bool = True) -> None:
        self._potential = potential
        self._periodic = periodic
        self._bound: OrderedDict[tuple[int, ...], tuple[BoundMany, Floats, Floats]] = OrderedDict()
        self._begins = _begins(potential)

    def compute(self, numbers: Ints, positions: Floats, cells: Floats, out: Energies) -> None:
        """As `EnergyModel`; atoms closer than the model's tables begin have infinite energy.

        Raises:
            NotFiniteError: anything else that the model refuses.
        """
        bound, energies, virials = self._bind(numbers)
        totals = ManyTotals(out.energy, energies, out.forces.reshape(-1, 3), virials, {})
        found = bound.compute(positions.reshape(-1, 3), cells, totals, numbers.reshape(-1))
        for k, error in found.errors.items():
            one = slice(k, k + 1)
            close = self._begins.violated(numbers[one], positions[one], cells[one], self._periodic)
            if not close[0]:
                structure = Structure(numbers[k], positions[k], cells[k], self._periodic)
                raise NotFiniteError(str(error), structure)
            out.energy[k] = np.inf

    def _bind(self, numbers: Ints) -> tuple[BoundMany, Floats, Floats]:
        """The potential bound to so many atoms, with room for what nobody asks for."""
        if (made := self._bound.get(numbers.shape)) is not None:
            self._bound.move_to_end(numbers.shape)
            return made
        count, n = numbers.shape
        atoms = [Structure(one, np.zeros((n, 3)), np.eye(3), self._periodic) for one in numbers]
        made = self._potential.bind_many(atoms), np.empty(count * n), np.empty((count, 3, 3))
        self._bound[numbers.shape] = made
        if len(self._bound) > _BOUND:
            self._bound.popitem(last=False)
        return made


def _begins(potential: Potential) -> MinimumDistances:
    """Where the tables of a potential begin, in Å; atoms at no distance are refused by all."""
    tables = potential.tables
    elements = tables.numbers.tolist()
    least = np.full((len(elements), len(elements)), 1e-9)
    for table in (*tables.radial, *((tables.core,) if tables.core else ())):
        least = np.maximum(least, np.where(table.zero_inside > 0, 0.0, table.begin))
    return MinimumDistances(
        {(a, b): least[i, j] for i, a in enumerate(elements) for j, b in enumerate(elements)}
    )


class FunctionEnergies:
    """Energies of a plain function.

    Args:
        function: takes positions (n, 3), cell (3, 3) and atomic numbers (n,), and returns the
            energy and the forces (n, 3); batched: positions (B, n, 3), cells (B, 3, 3) and numbers
            (B, n), and returns energies (B,) and forces (B, n, 3).
        batched: which of the two.
    """

    def __init__(
        self, function: Callable[[Floats, Floats, Ints], tuple[Any, Any]], batched: bool = False
    ) -> None:
        self._function = function
        self._batched = batched

    def compute(self, numbers: Ints, positions: Floats, cells: Floats, out: Energies) -> None:
        """As `EnergyModel`."""
        if self._batched:
            out.energy[:], out.forces[:] = self._function(positions, cells, numbers)
            return
        for k in range(len(numbers)):
            out.energy[k], out.forces[k] = self._function(positions[k], cells[k], numbers[k])


def checked(numbers: Ints, positions: Floats, cells: Floats, periodic: bool, out: Energies) -> None:
    """Make sure that results are numbers, or +inf for what cannot be evaluated.

    Args:
        numbers: as `EnergyModel` took them.
        positions: likewise.
        cells: likewise.
        periodic: whether cells repeat.
        out: the results.

    Raises:
        NotFiniteError: an energy is nan or -inf, or a force is not finite where the energy is.
    """
    if math.isfinite(np.add.reduce(out.energy) + np.add.reduce(out.forces, axis=None)):
        return
    sound = np.isfinite(out.energy)
    bad = np.isnan(out.energy) | (out.energy == -np.inf)
    bad |= sound & ~np.isfinite(out.forces).all(axis=(1, 2))
    for k in np.flatnonzero(bad)[:1].tolist():
        what = f"energy {out.energy[k]}" if not sound[k] else "forces that are not finite"
        raise NotFiniteError(
            f"the model gave {what} for a configuration of {numbers.shape[1]} atoms in "
            f"{abs(np.linalg.det(cells[k])):.4g} Å³; expected finite numbers, or an infinite "
            "energy where atoms are too close",
            Structure(numbers[k], positions[k], cells[k], periodic),
        )
