"""Potential: a model bound to an evaluator. The facade that engines call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from acepot.basis.basis import Basis
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.precision import (
    Precision,
    PrecisionLoss,
    checked_precision,
    precision_loss,
)
from acepot.evaluate.protocol import (
    Bound,
    BoundMany,
    EnergyEvaluator,
    EnergySpread,
    Floats,
    Ints,
    ManyTotals,
    Result,
    SiteEvaluator,
    Totals,
    require,
    spread_weights,
)
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import ChargeModel, Model, PotentialModel, TensorModel
from acepot.structure import Structure
from acepot.tables import Tables

_LOG = logging.getLogger(__name__)


class Potential:
    """Energies, forces and virials of structures.

    Args:
        model: a fitted model, with charges or without.
        evaluator: native (compiled, fast), torch (for its devices) or reference (numpy, the
            oracle). There is no silent fallback from one to another.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors. torch has
            its own, set by torch.set_num_threads.
        precision: double; mixed, 1.4 times as fast, with single precision in what is computed
            for each neighbour and double in products and sums (native only); or single, up to
            1.7 times as fast. What they cost depends on how far the terms of the model cancel: it
            is measured when one of them is chosen, kept in `precision_loss`, and for single
            logged as a warning. The reference has double precision only.
        device: where torch computes: cpu, cuda, cuda:1 …; the others know cpu alone.
        tables: `lower(model)`, where a caller has it; None: made here.

    Raises:
        MissingDependency: native, and the extension was not built; torch, and there is none.
        InputError: a choice the evaluator does not have.
    """

    #: Errors of mixed or single precision, None in double precision.
    precision_loss: PrecisionLoss | None = None

    def __init__(
        self,
        model: PotentialModel,
        evaluator: Literal["native", "torch", "reference"] = "native",
        threads: int | None = None,
        precision: Precision = "double",
        device: str = "cpu",
        *,
        tables: Tables | None = None,
    ) -> None:
        if evaluator not in ("native", "torch", "reference"):
            raise InputError(f"evaluator: expected native, torch or reference, got {evaluator!r}")
        checked_precision(precision)
        if precision != "double" and evaluator == "reference":
            raise InputError(f"precision: the reference evaluator has no {precision} precision")
        if precision == "mixed" and evaluator == "torch":
            raise InputError(
                "precision: mixed is of the native evaluator alone; torch has double and single"
            )
        if device != "cpu" and evaluator != "torch":
            raise InputError(f"device: only the torch evaluator knows {device!r}, not {evaluator}")
        if threads is not None and evaluator != "native":
            raise InputError(f"threads: of the native evaluator alone, not of {evaluator}")
        self.model: Any = model  # of the kind that the caller gave
        self._evaluator: EnergyEvaluator
        self._native: NativeEvaluator | None = None
        if isinstance(model, ChargeModel):
            self._serve_charges(model, evaluator, threads, precision)
            return
        self.tables = lower(model) if tables is None else tables
        if evaluator == "reference":
            self._evaluator = ReferenceEvaluator(self.tables)
            return
        if evaluator == "torch":
            from acepot.evaluate.torch.evaluator import TorchEvaluator

            self._evaluator = TorchEvaluator(self.tables, device, precision == "single")
            if precision != "double":
                self._measure(TorchEvaluator(self.tables, device), precision)
            return
        self._evaluator = self._native = NativeEvaluator(self.tables, threads, precision=precision)
        if precision != "double":
            self._measure(NativeEvaluator(self.tables, threads), precision)

    def _serve_charges(
        self, model: ChargeModel, evaluator: str, threads: int | None, precision: Precision
    ) -> None:
        """Evaluate a model with charges, which has one evaluator and one precision."""
        if evaluator != "native" or precision != "double":
            raise InputError(
                "evaluator: models with charges have the native one in double precision, got "
                f"{evaluator} in {precision}"
            )
        from acepot.charges.evaluator import ChargeEvaluator  # with solvers of scipy

        self._evaluator = found = ChargeEvaluator(model, threads)
        self.tables = found.sites.tables

    @property
    def single_error(self) -> PrecisionLoss | None:
        """Errors of single precision, None in any other."""
        loss = self.precision_loss
        return loss if loss is not None and loss.precision == "single" else None

    def _measure(self, double: EnergyEvaluator, precision: Precision) -> None:
        """Measure and log what less than double precision costs."""
        self.precision_loss = precision_loss(double, self._evaluator, precision, self.tables)
        level = logging.WARNING if precision == "single" else logging.INFO
        _LOG.log(level, "%s", self.precision_loss)

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
        self,
        structures: Sequence[Structure],
        *,
        committee: bool = False,
        failures: Literal["raise", "keep"] = "raise",
    ) -> list[Result]:
        """What the model says about several structures, in one call.

        Args:
            structures: atoms and cells.
            committee: also evaluate the members of the model's committee.
            failures: what to do about structures that cannot be evaluated: raise the error of
                the first, or keep each as the `error` of its result beside the others' numbers.

        Returns:
            One result a structure.

        Raises:
            InputError: as `compute`, unless failures are kept.
        """
        if failures not in ("raise", "keep"):
            raise InputError(f"failures: expected raise or keep, got {failures!r}")
        if committee:
            self._require_committee()
        results = self._evaluator.evaluate(structures, committee=committee)
        return list(require(results)) if failures == "raise" else results

    def bind(self, numbers: ArrayLike, pbc: ArrayLike, charge: float = 0.0) -> Bound:
        """This potential for atoms whose elements and periodic directions stay.

        Its `compute(positions, cell)` has no committee and no per-atom virials, and with the
        native evaluator it makes no Structure: engines call it step after step, where that
        matters for small systems.

        Args:
            numbers: atomic numbers, shape (n,).
            pbc: periodic directions, shape (3,) or one value for all.
            charge: total charge in e, of a model with charges; others have 0.

        Raises:
            InputError: an element the model does not know, no atoms, or a charge it cannot have.
        """
        if charge and not isinstance(self.model, ChargeModel):
            raise InputError(f"charge: a model without charges has none, got {charge:g}")
        places = np.zeros((np.size(np.asarray(numbers)), 3))
        checked = Structure(numbers, places, np.eye(3), pbc, charge=charge)
        species = species_indices(self.model.numbers, checked.numbers)
        if self._native is None:
            return _BoundPotential(self, checked)
        return self._native.bind(species, checked.pbc)

    def spread(self, structures: Sequence[Structure]) -> list[EnergySpread]:
        """How far the committee's energies of several structures are apart, and its derivatives.

        With the native evaluator the time of two or three evaluations of the model alone, whatever
        the number of members: their energies come without forces, and the derivatives of the spread
        are those of one weighted sum.

        Args:
            structures: atoms and cells.

        Returns:
            One spread a structure; those that cannot be evaluated say why.

        Raises:
            InputError: the model has no committee.
        """
        self._require_committee()
        if self._native is None:
            return [
                _spread_of(r) for r in self.compute_all(structures, committee=True, failures="keep")
            ]
        found = [
            spread_weights(np.zeros(self.tables.members) if e.error else e.totals)
            for e in self._native.committee(structures)
        ]
        slopes = self._native.combination(structures, [weights for _, weights in found])
        return [
            EnergySpread(value if s.error is None else np.nan, s.forces, s.virial, s.error)
            for (value, _), s in zip(found, slopes, strict=True)
        ]

    def _require_committee(self) -> None:
        if self.model.committee is None:
            raise InputError(
                "committee: this model has none; fit it again with committee.size in its TOML"
            )

    def bind_many(self, structures: Sequence[Structure]) -> BoundMany:
        """This potential for several structures whose sizes and periodic directions stay.

        Its `compute(positions, cells)` takes the positions of all of them in one array, and their
        elements if these have changed; with the native evaluator it makes no object for a
        structure. Samplers call it that move many walkers in step.

        Args:
            structures: one or more, of any sizes.

        Raises:
            InputError: no structure, or an element the model does not know.
        """
        if self._native is not None:
            return self._native.bind_many(structures)
        if not structures:
            raise InputError("structures: expected at least one, got none")
        for structure in structures:
            species_indices(self.model.numbers, structure.numbers)
        return _BoundStructures(self, structures)


def site_evaluator(
    model: Model | TensorModel | Basis,
    evaluator: Literal["native", "torch", "reference"] = "native",
    device: str = "cpu",
    threads: int | None = None,
) -> SiteEvaluator:
    """Values, derivatives, adjoints and design rows of site outputs.

    Args:
        model: its outputs are evaluated; or a basis, whose functions are.
        evaluator: native (compiled, fast), torch (for its devices) or reference (numpy, the
            oracle).
        device: where torch computes: cpu, cuda, cuda:1 …; the others know cpu alone.
        threads: of the native evaluator, as for `Potential`.

    Raises:
        MissingDependency: native, and the extension was not built; torch, and there is none.
        InputError: a choice there is not.
    """
    if threads is not None and evaluator != "native":
        raise InputError(f"threads: of the native evaluator alone, not of {evaluator}")
    if evaluator == "torch":
        from acepot.evaluate.torch.evaluator import TorchEvaluator

        return TorchEvaluator(lower(model), device)
    if evaluator not in ("native", "reference") or device != "cpu":
        raise InputError(
            "evaluator: expected native or reference (on cpu) or torch, got "
            f"{evaluator!r} on {device!r}"
        )
    tables = lower(model)
    return (
        ReferenceEvaluator(tables) if evaluator == "reference" else NativeEvaluator(tables, threads)
    )


def descriptors(
    basis: Model | TensorModel | Basis, structures: Sequence[Structure]
) -> list[tuple[Floats, ...]]:
    """The basis functions B_ik of every atom: descriptors of its surroundings.

    Args:
        basis: a resolved specification, or a model for the basis it has.
        structures: atoms and cells.

    Returns:
        For each structure one array for each (L, parity) of the basis, shape (n, K, 2L + 1);
        scalars are `descriptors(...)[0][0][..., 0]`, shape (n, K).

    Raises:
        InputError: an element the basis does not have, coinciding or too close atoms.
    """
    owned = basis.basis if isinstance(basis, (Model, TensorModel)) else basis
    found = NativeEvaluator(lower(owned)).values(structures)
    return [sites.values for sites in require(found)]


def _spread_of(result: Result) -> EnergySpread:
    """The spread from the forces of every member."""
    members = result.committee
    if members is None or result.error is not None:
        nan = np.full_like(result.forces, np.nan)
        return EnergySpread(np.nan, nan, np.full((3, 3), np.nan), result.error)
    value, weights = spread_weights(np.append(result.energy, members.energies))
    forces = weights[0] * result.forces + np.tensordot(weights[1:], members.forces, 1)
    virial = weights[0] * result.virial + np.tensordot(weights[1:], members.virials, 1)
    return EnergySpread(value, forces, virial)


class _BoundPotential:
    """A potential of any evaluator, bound by making a Structure at every call."""

    def __init__(self, potential: Potential, atoms: Structure) -> None:
        self._potential = potential
        self._atoms = atoms

    def compute(self, positions: Floats, cell: Floats) -> Totals:
        """As `Bound`."""
        atoms = self._atoms
        structure = Structure(atoms.numbers, positions, cell, atoms.pbc, charge=atoms.charge)
        result = self._potential.compute(structure)
        return Totals(result.energies, result.forces, result.virial)


class _BoundStructures:
    """A potential of any evaluator, bound by making Structures at every call."""

    def __init__(self, potential: Potential, structures: Sequence[Structure]) -> None:
        self._potential = potential
        self._structures = tuple(structures)
        self._ends = np.cumsum([len(s) for s in structures])

    def compute(
        self,
        positions: Floats,
        cells: Floats,
        out: ManyTotals | None = None,
        numbers: Ints | None = None,
    ) -> ManyTotals:
        """As `BoundMany`."""
        parts = np.split(positions, self._ends[:-1])
        elements = (
            [s.numbers for s in self._structures]
            if numbers is None
            else np.split(numbers, self._ends[:-1])
        )
        found = self._potential.compute_all(
            [
                Structure(z, part, cell, s.pbc, name=s.name, charge=s.charge)
                for s, z, part, cell in zip(self._structures, elements, parts, cells, strict=True)
            ],
            failures="keep",
        )
        totals = ManyTotals.empty(len(found), int(self._ends[-1])) if out is None else out
        np.concatenate([r.energies for r in found], out=totals.energies)
        np.concatenate([r.forces for r in found], out=totals.forces)
        np.stack([r.virial for r in found], out=totals.virials)
        np.stack([r.energy for r in found], out=totals.energy)
        errors = {k: r.error for k, r in enumerate(found) if r.error is not None}
        return totals._replace(errors=errors)
