"""Design-matrix rows from the compiled extension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.extension import chosen_instruction_set, extension
from acepot.evaluate.protocol import Floats, Quantity, named, row_count, species_of
from acepot.evaluate.tablebytes import table_bytes
from acepot.structure import Structure
from acepot.tables import Tables

__all__ = ["NativeRowBuilder"]

#: Atoms a thread must have to be worth starting.
_PER_THREAD = 16


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
        module = extension()
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
                max(1, min(self.threads, len(structure) // _PER_THREAD)),
                out,
                *first.values(),
            )
        except ValueError as error:
            raise named(structure, error) from None
