"""Potential: a model bound to an evaluator. The facade that engines call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Bound, Evaluate, Floats, Result, Totals
from acepot.evaluate.reference import ReferenceEvaluator
from acepot.evaluate.single import SingleError, single_error
from acepot.lower import lower
from acepot.model import Model
from acepot.structure import Structure

_LOG = logging.getLogger(__name__)


class Potential:
    """Energies, forces and virials of structures.

    Args:
        model: a fitted model.
        evaluator: native (compiled, fast) or reference (numpy, the oracle). There is no silent
            fallback from one to the other.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.
        precision: double, or single for up to twice the speed of the native evaluator. What it
            costs depends on how far the terms of the model cancel: it is measured when single
            is chosen, logged as a warning and kept in `single_error`.

    Raises:
        MissingDependency: native, and the extension was not built.
    """

    #: Errors of single precision, None in double precision.
    single_error: SingleError | None = None

    def __init__(
        self,
        model: Model,
        evaluator: Literal["native", "reference"] = "native",
        threads: int | None = None,
        precision: Literal["double", "single"] = "double",
    ) -> None:
        if evaluator not in ("native", "reference"):
            raise InputError(f"evaluator: expected native or reference, got {evaluator!r}")
        if precision not in ("double", "single"):
            raise InputError(f"precision: expected double or single, got {precision!r}")
        if precision == "single" and evaluator != "native":
            raise InputError("precision: only the native evaluator has single precision")
        self.model = model
        self.tables = lower(model)
        self._evaluate: Evaluate
        self._native: NativeEvaluator | None = None
        if evaluator == "reference":
            self._evaluate = ReferenceEvaluator(self.tables).evaluate_all
            return
        self._native = NativeEvaluator(self.tables, threads)
        if precision == "single":
            single = NativeEvaluator(self.tables, threads, single=True)
            self.single_error = single_error(self._native.evaluate, single.evaluate, self.tables)
            _LOG.warning("%s", self.single_error)
            self._native = single
        self._evaluate = self._native.evaluate

    def compute(self, structure: Structure, *, committee: bool = False) -> Result:
        """What the model says about one structure.

        Args:
            structure: atoms and cell.
            committee: also evaluate the members of the model's committee.

        Returns:
            Energies in eV, forces in eV/Å, virials in eV.

        Raises:
            InputError: an element the model does not know, coinciding or too close atoms,
                or a committee asked of a model that has none.
        """
        return self.compute_all([structure], committee=committee)[0]

    def compute_all(
        self, structures: Sequence[Structure], *, committee: bool = False
    ) -> list[Result]:
        """What the model says about several structures, in one call.

        Args:
            structures: atoms and cells.
            committee: also evaluate the members of the model's committee.

        Returns:
            One result a structure.

        Raises:
            InputError: as `compute`.
        """
        if committee and self.model.committee is None:
            raise InputError(
                "committee: this model has none; fit it again with committee.size in its TOML"
            )
        species = [species_indices(self.model.numbers, s.numbers) for s in structures]
        return self._evaluate(structures, species, committee=committee)

    def bind(self, numbers: ArrayLike, pbc: ArrayLike) -> Bound:
        """This potential for atoms whose elements and periodic directions stay.

        Its `compute(positions, cell)` has no committee and no per-atom virials, and with the
        native evaluator it makes no Structure: engines call it step after step, where that
        matters for small systems.

        Args:
            numbers: atomic numbers, shape (n,).
            pbc: periodic directions, shape (3,) or one value for all.

        Raises:
            InputError: an element the model does not know, or no atoms.
        """
        places = np.zeros((np.size(np.asarray(numbers)), 3))
        checked = Structure(numbers, places, np.eye(3), pbc)
        species = species_indices(self.model.numbers, checked.numbers)
        if self._native is None:
            return _BoundPotential(self, checked)
        return self._native.bind(species, checked.pbc)


class _BoundPotential:
    """A potential of any evaluator, bound by making a Structure at every call."""

    def __init__(self, potential: Potential, atoms: Structure) -> None:
        self._potential = potential
        self._atoms = atoms

    def compute(self, positions: Floats, cell: Floats) -> Totals:
        """As `Bound`."""
        structure = Structure(self._atoms.numbers, positions, cell, self._atoms.pbc)
        result = self._potential.compute(structure)
        return Totals(result.energies, result.forces, result.virial)
