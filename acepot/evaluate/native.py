"""The single door to the compiled evaluator: checks, threads, nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError, MissingDependency
from acepot.evaluate.concatenated import concatenated
from acepot.evaluate.precision import Precision, checked_precision
from acepot.evaluate.protocol import (
    CommitteeResult,
    Floats,
    ManyTotals,
    Quantity,
    Result,
    Totals,
    named,
    row_count,
    species_of,
)
from acepot.evaluate.tablebytes import table_bytes
from acepot.structure import Structure
from acepot.tables import Tables

#: Forces an instruction set: avx512, avx2, baseline or neon (the default is the best there is).
VARIABLE = "ACEPOT_INSTRUCTION_SET"
#: Atoms a thread must have to be worth starting.
_PER_THREAD = 64
_ROWS_PER_THREAD = 16


def instruction_sets() -> list[str]:
    """Instruction sets this machine and this build have, the best last.

    Raises:
        MissingDependency: the extension was not built.
    """
    return list(_module().instruction_sets())


def built_instruction_sets() -> list[str]:
    """Instruction sets this build has, whether this machine has them or not.

    Raises:
        MissingDependency: the extension was not built.
    """
    return list(_module().built_instruction_sets())


def chosen_instruction_set() -> str:
    """What is used unless a caller says otherwise: as `VARIABLE` forces it, else the best."""
    return os.environ.get(VARIABLE) or instruction_sets()[-1]


def extension_file() -> Path:
    """The compiled extension; what the installation holds for other compiled code is beside it.

    Raises:
        MissingDependency: the extension was not built.
    """
    return Path(_module().__file__)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # only Linux tells
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_threads() -> int:
    """OMP_NUM_THREADS if it is set, else the processors this process may use."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(text) if text.isdigit() and int(text) > 0 else processors()


class NativeEvaluator:
    """Evaluates Tables in C++, neighbour list included.

    Args:
        tables: a lowered model of true scalars.
        threads: how many to use; None: as `available_threads`.
        instruction_set: avx512, avx2, baseline or neon; None: the environment variable
            ACEPOT_INSTRUCTION_SET, else the best.
        precision: double; mixed, in single precision from the distances of neighbours to the
            A's and from their adjoints to forces; or single, from the distances on. See
            evaluate/precision.py.

    Raises:
        MissingDependency: the extension was not built.
        InputError: tables the library cannot evaluate, or an unknown instruction set.
    """

    def __init__(
        self,
        tables: Tables,
        threads: int | None = None,
        instruction_set: str | None = None,
        precision: Precision = "double",
    ) -> None:
        module = _module()
        if not tables.is_energy:
            raise InputError("native: only models of true scalars have an energy; use reference")
        if threads is not None and threads < 1:
            raise InputError(f"threads: expected 1 or more, got {threads}")
        checked_precision(precision)
        self.tables = tables
        self.threads = available_threads() if threads is None else threads
        name = instruction_set or chosen_instruction_set()
        self._state = (tables, threads, instruction_set, precision)
        try:
            self._handle = module.Evaluator(table_bytes(tables), name, precision)
        except ValueError as error:
            raise InputError(f"native: {error}") from None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled as its tables: the compiled part is made again where it is opened."""
        return (NativeEvaluator, self._state)

    def __deepcopy__(self, memo: object) -> NativeEvaluator:
        return NativeEvaluator(*self._state)

    @property
    def instruction_set(self) -> str:
        """The instruction set in use."""
        return str(self._handle.instruction_set)

    def evaluate(self, structures: Sequence[Structure], *, committee: bool = False) -> list[Result]:
        """Energies, forces and virials of several structures in one call.

        Ctrl-C ends it: KeyboardInterrupt is raised within a fraction of a second.

        Args:
            structures: atoms and cells.
            committee: also evaluate the members of the committee.

        Returns:
            One result a structure, views of arrays that hold all of them; where it is an unknown
            element, coinciding or too close atoms, or numbers that are not finite, the result says
            so and the others stand.
        """
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        outputs, n = self.tables.members if committee else 1, len(atoms.species)
        energies, forces = np.empty((outputs, n)), np.empty((outputs, n, 3))
        virials = np.empty((1, n, 3, 3))
        virial = np.empty((outputs, len(structures), 3, 3)) if committee else None
        threads = self._threads(n)
        failed = self._handle.evaluate(*atoms, threads, outputs, energies, forces, virials, virial)
        errors = self._errors(structures, failed)
        first = atoms.first.tolist()
        if virial is None:
            rows = zip(first, first[1:], strict=False)
            return [
                Result(energies[0, a:b], forces[0, a:b], virials[0, a:b], None, errors.get(k))
                for k, (a, b) in enumerate(rows)
            ]
        results = []
        for k, (a, b) in enumerate(zip(first, first[1:], strict=False)):
            members = CommitteeResult(energies[1:, a:b].sum(axis=1), forces[1:, a:b], virial[1:, k])
            one = energies[0, a:b], forces[0, a:b], virials[0, a:b]
            results.append(Result(*one, members, errors.get(k)))
        return results

    def _threads(self, atoms: int) -> int:
        return max(1, min(self.threads, atoms // _PER_THREAD))

    def _errors(
        self, structures: Sequence[Structure], failed: Sequence[tuple[int, str]]
    ) -> dict[int, InputError]:
        """What the engine says about structures, by their number."""
        errors = {}
        for number, text in failed:
            structure, error = structures[number], Exception(text)
            try:
                species_of(self.tables, structure)
            except InputError as unknown:  # in words that name the element
                error = unknown
            which = number if len(structures) > 1 else None
            errors[number] = named(structure, error, which)
        return errors

    def bind(self, species: NDArray[np.int64], pbc: NDArray[np.bool_]) -> BoundEvaluator:
        """This evaluator for atoms whose species and periodic directions stay.

        Args:
            species: species index of every atom, shape (n,).
            pbc: periodic directions, shape (3,).
        """
        return BoundEvaluator(self, species, pbc, self._threads(len(species)))

    def bind_many(self, structures: Sequence[Structure]) -> BoundStructures:
        """This evaluator for structures whose elements and periodic directions stay.

        Args:
            structures: one or more; what they hold else does not matter.

        Raises:
            InputError: no structure, or an element the tables do not have.
        """
        return BoundStructures(self, structures)


class BoundEvaluator:
    """The native evaluator for atoms whose species and periodic directions stay.

    Made by `NativeEvaluator.bind`. Several threads may call it; they wait for each other.
    """

    def __init__(
        self,
        evaluator: NativeEvaluator,
        species: NDArray[np.int64],
        pbc: NDArray[np.bool_],
        threads: int,
    ) -> None:
        self._evaluator = evaluator
        self._species = np.ascontiguousarray(species, dtype=np.int32)
        self._pbc = np.ascontiguousarray(pbc, dtype=np.int32)
        self._threads = threads
        self._shape = (len(species), 3)

    def compute(self, positions: Floats, cell: Floats) -> Totals:
        """As `Bound`; only what can change from call to call is checked."""
        if positions.shape != self._shape:
            raise InputError(
                f"positions: expected those of the {self._shape[0]} atoms that were bound, "
                f"got shape {positions.shape}"
            )
        evaluate = self._evaluator._handle.evaluate_one
        try:
            return Totals(*evaluate(positions, self._species, cell, self._pbc, self._threads))
        except ValueError as error:
            raise InputError(str(error)) from None


class BoundStructures:
    """The native evaluator for several structures whose species and periodic directions stay.

    Made by `NativeEvaluator.bind_many`. Several threads may call it; they wait for each other.
    """

    def __init__(self, evaluator: NativeEvaluator, structures: Sequence[Structure]) -> None:
        if not structures:
            raise InputError("structures: expected at least one, got none")
        for number, structure in enumerate(structures):
            try:
                species_of(evaluator.tables, structure)
            except InputError as error:
                raise named(structure, error, number) from None
        self._evaluator = evaluator
        self._atoms = concatenated(evaluator.tables, structures)
        self._names = tuple(s.name or f"structure {k}" for k, s in enumerate(structures))
        self._threads = evaluator._threads(len(self._atoms.species))

    def compute(
        self, positions: Floats, cells: Floats, out: ManyTotals | None = None
    ) -> ManyTotals:
        """As `BoundMany`; only what can change from call to call is checked."""
        _, species, first, bound_cells, pbc = self._atoms
        for name, array, shape in (
            ("positions", positions, (len(species), 3)),
            ("cells", cells, bound_cells.shape),
        ):
            if array.shape != shape:
                raise InputError(f"{name}: expected shape {shape} as bound, got {array.shape}")
        totals = ManyTotals.empty(len(cells), len(species)) if out is None else out
        try:
            failed = self._evaluator._handle.evaluate(
                positions, species, first, cells, pbc, self._threads, 1,
                totals.energies[None], totals.forces[None], None, totals.virials[None],
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise InputError(
                f"out: expected arrays as ManyTotals.empty makes them: {error}"
            ) from None
        np.add.reduceat(totals.energies, first[:-1], out=totals.energy)
        errors = {k: InputError(f"{self._names[k]}: {text}") for k, text in failed}
        return totals._replace(errors=errors)


class NativeRowBuilder:
    """Design-matrix rows of linear models in C++, neighbour list included.

    Args:
        tables: a lowered basis of true scalars, or a linear model.
        threads: how many to use for one structure. Several structures may be filled at once
            from several threads of the caller, which is faster where there are many.
        instruction_set: as for `NativeEvaluator`.

    Raises:
        MissingDependency: the extension was not built.
        InputError: a model without design rows, or an unknown instruction set.
    """

    def __init__(
        self, tables: Tables, threads: int = 1, instruction_set: str | None = None
    ) -> None:
        module = _module()
        if tables.embeddings is not None:
            raise InputError("rows: a nonlinear model has no design matrix")
        if not tables.is_scalar:
            raise InputError("rows: only true scalars have an energy; use reference")
        if threads < 1:
            raise InputError(f"threads: expected 1 or more, got {threads}")
        self.tables = tables
        self.threads = threads
        try:
            self._handle = module.RowBuilder(
                table_bytes(tables), instruction_set or chosen_instruction_set()
            )
        except ValueError as error:
            raise InputError(f"native: {error}") from None

    @property
    def instruction_set(self) -> str:
        """The instruction set in use."""
        return str(self._handle.instruction_set)

    def fill(self, structure: Structure, quantities: Sequence[Quantity], out: Floats) -> None:
        """Write the rows of one structure, and nothing else (see `RowBuilder`).

        Raises:
            InputError: an unknown element, a matrix of another shape or order, coinciding or too
                close atoms.
        """
        first, rows = dict.fromkeys(("energy", "forces", "virial"), -1), 0
        for quantity in quantities:
            first[quantity] = rows
            rows += row_count(quantity, len(structure))
        if out.shape != (rows, self.tables.functions) or not out.flags.f_contiguous:
            raise InputError(
                f"out: expected shape {(rows, self.tables.functions)} in Fortran order, "
                f"got {out.shape} with strides {out.strides}"
            )
        if rows == 0:
            return
        try:
            self._handle.fill(
                structure.positions,
                species_of(self.tables, structure).astype(np.int32),
                structure.cell,
                structure.pbc.astype(np.int32),
                max(1, min(self.threads, len(structure) // _ROWS_PER_THREAD)),
                out,
                *first.values(),
            )
        except ValueError as error:
            raise named(structure, error) from None


def _module() -> Any:
    try:
        from acepot import _native
    except ImportError as error:
        raise MissingDependency(
            "acepot's compiled evaluator is not there; build it with `pip install .` in the "
            "source folder (needs a C++17 compiler), or ask for evaluator='reference', "
            f"which is much slower ({error})"
        ) from error
    return _native
