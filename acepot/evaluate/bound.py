"""The compiled evaluator bound to atoms that stay: nothing is made anew from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.arrays import floats
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.concatenated import concatenated, species_by_number
from acepot.evaluate.protocol import Floats, Ints, ManyTotals, Totals, named, species_of
from acepot.structure import Structure
from acepot.tables import Tables


class BoundEvaluator:
    """The native evaluator for atoms whose species and periodic directions stay.

    Made by `NativeEvaluator.bind`. Several threads may call it; they wait for each other.
    """

    def __init__(
        self,
        evaluator: Any,
        species: NDArray[np.int64],
        pbc: NDArray[np.bool_],
        threads: int,
    ) -> None:
        self._evaluator = evaluator  # which copies and pickles itself, as its handle cannot
        self._species = np.ascontiguousarray(species, dtype=np.int32)
        self._pbc = np.ascontiguousarray(pbc, dtype=np.int32)
        self._threads = threads
        self._shape = (len(species), 3)

    def compute(self, positions: Floats, cell: Floats) -> Totals:
        """As `Bound`; only what can change from call to call is checked."""
        if type(positions) is not np.ndarray:  # masked arrays among them
            positions = floats("positions", positions)
        if positions.shape != self._shape:
            raise InputError(
                f"positions: expected those of the {self._shape[0]} atoms that were bound, "
                f"got shape {positions.shape}"
            )
        try:
            return self._totals(positions, cell)
        except TypeError:  # numbers of another type
            return self._totals(floats("positions", positions), _real_cell(cell))

    def _totals(self, positions: Floats, cell: Floats) -> Totals:
        evaluate = self._evaluator._handle.evaluate_one
        try:
            return Totals(*evaluate(positions, self._species, cell, self._pbc, self._threads))
        except ValueError as error:
            raise InputError(str(error)) from None


class BoundStructures:
    """The native evaluator for several structures whose sizes and periodic directions stay.

    Made by `NativeEvaluator.bind_many`. Several threads may call it; they wait for each other.
    """

    def __init__(
        self, evaluator: Any, tables: Tables, structures: Sequence[Structure], threads: int
    ) -> None:
        if not structures:
            raise InputError("structures: expected at least one, got none")
        for number, structure in enumerate(structures):
            try:
                species_of(tables, structure)
            except InputError as error:
                raise named(structure, error, number) from None
        self._evaluator = evaluator  # which copies and pickles itself, as its handle cannot
        self._atoms = concatenated(tables, structures)
        self._species = species_by_number(tables)
        self._elements = tables.numbers.tolist()
        self._names = tuple(s.name or f"structure {k}" for k, s in enumerate(structures))
        self._threads = threads

    def compute(
        self,
        positions: Floats,
        cells: Floats,
        out: ManyTotals | None = None,
        numbers: Ints | None = None,
    ) -> ManyTotals:
        """As `BoundMany`; only what can change from call to call is checked."""
        _, species, first, bound_cells, pbc = self._atoms
        if positions.shape != (len(species), 3):
            raise _misfit("positions", (len(species), 3), positions)
        if cells.shape != bound_cells.shape:
            raise _misfit("cells", bound_cells.shape, cells)
        if numbers is not None:
            if numbers.shape != species.shape:
                raise _misfit("numbers", species.shape, numbers)
            species = self._species_of(numbers)
        totals = ManyTotals.empty(len(cells), len(species)) if out is None else out
        energy, energies, forces, virials, _ = totals
        try:
            failed = self._evaluator._handle.evaluate(
                positions, species, first, cells, pbc, self._threads, 1,
                energies[None], forces[None], None, virials[None],
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise InputError(
                f"out: expected arrays as ManyTotals.empty makes them: {error}"
            ) from None
        np.add.reduceat(energies, first[:-1], out=energy)
        return ManyTotals(energy, energies, forces, virials, self._errors(failed, numbers))

    def _species_of(self, numbers: Ints) -> NDArray[np.int32]:
        """Species indices, -1 where the model does not know the element."""
        try:
            return self._species[numbers]
        except IndexError as error:
            raise InputError(f"numbers: expected atomic numbers 1 to 118: {error}") from None

    def _errors(
        self, failed: Sequence[tuple[int, str]], numbers: Ints | None
    ) -> dict[int, InputError]:
        """What the engine says about structures; of unknown elements in words that name them."""
        errors = {}
        for k, text in failed:
            said = text
            if numbers is not None:
                first = self._atoms.first
                try:
                    species_indices(self._elements, numbers[first[k] : first[k + 1]])
                except InputError as unknown:
                    said = str(unknown)
            errors[k] = InputError(f"{self._names[k]}: {said}")
        return errors


def _real_cell(cell: Any) -> Floats:
    """Lattice vectors of another type as real numbers."""
    made = floats("cell", cell)
    if made.shape != (3, 3):
        raise _misfit("cell", (3, 3), made)
    return made


def _misfit(name: str, shape: tuple[int, ...], array: NDArray[Any]) -> InputError:
    """An array that is not one of what was bound."""
    return InputError(f"{name}: expected shape {shape} as bound, got {array.shape}")
