"""The single door to the compiled evaluator: checks, threads, nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.bound import BoundEvaluator, BoundStructures
from acepot.evaluate.concatenated import concatenated
from acepot.evaluate.deviating import DeviatingSum, DeviatingSums
from acepot.evaluate.extension import (
    VARIABLE,
    available_threads,
    built_instruction_sets,
    chosen_instruction_set,
    extension,
    extension_file,
    instruction_sets,
    keep_apart,
    most_l,
    processors,
)
from acepot.evaluate.native_rows import NativeRowBuilder
from acepot.evaluate.precision import Precision, checked_precision
from acepot.evaluate.protocol import (
    CommitteeResult,
    Floats,
    OutputEnergies,
    Pullback,
    Result,
    SiteRows,
    Sites,
    StructureRows,
    adjoint_sites,
    displacement_of,
    named,
    no_pullback,
    no_sites,
    species_of,
    strains_of,
)
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.tablebytes import table_bytes
from acepot.structure import Structure
from acepot.tables import Tables
from acepot.voigt import from_voigt

__all__ = [
    "VARIABLE", "NativeEvaluator", "NativeRowBuilder", "available_threads",
    "built_instruction_sets", "chosen_instruction_set", "extension_file", "instruction_sets",
    "keep_apart", "most_l", "processors",
]  # fmt: skip

#: Atoms a thread must have to be worth starting.
_PER_THREAD = 64


class NativeEvaluator:
    """Evaluates Tables in C++, neighbour list included.

    Args:
        tables: a lowered model or basis; energies are of models of true scalars alone.
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
        module = extension()
        if threads is not None and threads < 1:
            raise InputError(f"threads: expected 1 or more, got {threads}")
        checked_precision(precision)
        self.tables = tables
        self.threads = available_threads() if threads is None else threads
        name = instruction_set or chosen_instruction_set()
        self._state = (tables, threads, instruction_set, precision)
        self._builder: NativeRowBuilder | None = None  # made when rows are first asked for
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

        Raises:
            InputError: Tables of a basis, or of something that is no energy.
        """
        self._require_energy("evaluate")
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
        rows = enumerate(itertools.pairwise(atoms.first.tolist()))
        if virial is None:
            return [
                Result(energies[0, a:b], forces[0, a:b], virials[0, a:b], None, errors.get(k))
                for k, (a, b) in rows
            ]
        results = []
        for k, (a, b) in rows:
            members = CommitteeResult(energies[1:, a:b].sum(axis=1), forces[1:, a:b], virial[1:, k])
            one = energies[0, a:b], forces[0, a:b], virials[0, a:b]
            results.append(Result(*one, members, errors.get(k)))
        return results

    def committee(self, structures: Sequence[Structure]) -> list[OutputEnergies]:
        """Energies of the model and of its committee, without forces: for a fraction of the time.

        Args:
            structures: atoms and cells.

        Raises:
            InputError: Tables of a basis, or of something that is no energy.
        """
        self._require_energy("committee")
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        energies = np.empty((self.tables.members, len(atoms.species)))
        failed = self._handle.evaluate(
            *atoms, self._threads(len(atoms.species)), len(energies), energies, None, None, None
        )
        errors = self._errors(structures, failed)
        return [
            OutputEnergies(energies[:, a:b], errors.get(k))
            for k, (a, b) in enumerate(itertools.pairwise(atoms.first.tolist()))
        ]

    def combination(
        self, structures: Sequence[Structure], weights: Sequence[Floats]
    ) -> list[Pullback]:
        """Forces and virials of Σ_m a_m E_m over the model and its M members, for the price of one.

        Args:
            structures: atoms and cells.
            weights: a of each structure, the model's first: shape (1 + M,), or (1 + M, n) for a
                weight of every site.

        Raises:
            InputError: weights of another shape, or that are not finite; Tables that are no energy.
        """
        self._require_energy("combination")
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        n = len(atoms.species)
        forces, virials = np.empty((1, n, 3)), np.empty((1, n, 3, 3))
        failed = self._handle.evaluate(
            *atoms, self._threads(n), self.tables.members, None, forces, virials, None,
            self._weights(structures, weights),
        )  # fmt: skip
        errors = self._errors(structures, failed)
        return [
            Pullback(forces[0, a:b], virials[0, a:b], errors.get(k))
            for k, (a, b) in enumerate(itertools.pairwise(atoms.first.tolist()))
        ]

    def _weights(self, structures: Sequence[Structure], weights: Sequence[Floats]) -> Floats:
        """Weights in one array: of structures, shape (1 + M, S), or else of sites, (1 + M, N)."""
        if len(weights) != len(structures):
            raise InputError(
                f"weights: expected those of {len(structures)} structures, got {len(weights)}"
            )
        arrays = [np.asarray(w, dtype=float) for w in weights]
        for k, (structure, array) in enumerate(zip(structures, arrays, strict=True)):
            shapes = (self.tables.members,), (self.tables.members, len(structure))
            if array.shape not in shapes or not np.isfinite(array).all():
                raise named(
                    structure,
                    InputError(
                        f"weights: expected finite numbers of shape {shapes[0]} or {shapes[1]}, "
                        f"got {array.shape}"
                    ),
                    k,
                )
        if all(array.ndim == 1 for array in arrays):
            return np.stack(arrays, axis=1)
        sites = [
            np.broadcast_to(a[:, None] if a.ndim == 1 else a, (len(a), len(s)))
            for a, s in zip(arrays, structures, strict=True)
        ]
        return np.concatenate(sites, axis=1)

    # -------------------------------------------------------------- site outputs

    def values(self, structures: Sequence[Structure]) -> list[Sites]:
        """y_io of every site (see `SiteEvaluator`), views of one array; stopped by Ctrl-C."""
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        out = np.empty((len(atoms.species), self.width))
        failed = self._handle.values(*atoms, self._threads(len(out)), out)
        return self._sites(structures, out, atoms.first, self._errors(structures, failed))

    def jvp(
        self,
        structures: Sequence[Structure],
        displacements: Sequence[Floats | None],
        strains: Sequence[Floats | None] | None = None,
    ) -> list[Sites]:
        """Derivatives of the values along displacements and strains (see `SiteEvaluator`)."""
        given = strains_of(structures, displacements, strains)
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        u, along = np.zeros((len(atoms.species), 3)), np.zeros((len(structures), 3, 3))
        wrong = {}
        for k, (a, b) in enumerate(itertools.pairwise(atoms.first.tolist())):
            try:
                u[a:b], along[k] = displacement_of(structures[k], displacements[k], given[k])
            except InputError as error:
                wrong[k] = self._named(structures, k, error)
        out = np.empty((len(u), self.width))
        failed = self._handle.jvp(*atoms, self._threads(len(out)), u, along, out)
        return self._sites(structures, out, atoms.first, self._errors(structures, failed) | wrong)

    def pullback(
        self, structures: Sequence[Structure], adjoints: Sequence[Sequence[Floats]]
    ) -> list[Pullback]:
        """Forces and virials of a loss with given adjoints (see `SiteEvaluator`)."""
        if len(structures) != len(adjoints):
            raise InputError("pullback: expected adjoints for each structure")
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        n, given, wrong = len(atoms.species), [], {}
        for k, (structure, adjoint) in enumerate(zip(structures, adjoints, strict=True)):
            try:
                given.append(adjoint_sites(self.tables, structure, adjoint))
            except InputError as error:
                given.append(np.zeros((len(structure), self.width)))
                wrong[k] = self._named(structures, k, error)
        forces, virials = np.empty((1, n, 3)), np.empty((1, n, 3, 3))
        together = given[0] if len(given) == 1 else np.concatenate(given)
        failed = self._handle.pullback(*atoms, self._threads(n), together, forces, virials)
        errors = self._errors(structures, failed) | wrong
        return [
            no_pullback(structures[k], errors[k])
            if k in errors
            else Pullback(forces[0, a:b], virials[0, a:b])
            for k, (a, b) in enumerate(itertools.pairwise(atoms.first.tolist()))
        ]

    def deviating_sums(
        self, structures: Sequence[Structure], sums: DeviatingSums, weights: Floats
    ) -> list[DeviatingSum]:
        """E = c̄·b and σ of sums b over sites, and forces and virials of w_E E + w_σ σ.

        For little more than plain forces: neighbours and products are made once for b and for the
        derivatives, and all sites of a structure share their adjoints w_E c̄ + w_σ dσ/db.

        Args:
            structures: atoms and cells.
            sums: coefficients of the values, which are random numbers.
            weights: w_E and w_σ of each structure, shape (S, 2).

        Raises:
            InputError: weights of another shape, or that are not finite; coefficients of another
                number than there are values.
        """
        count, n = len(structures), sum(map(len, structures))
        weights = np.ascontiguousarray(weights, dtype=float)
        if weights.shape != (count, 2) or not np.isfinite(weights).all():
            raise InputError(
                f"weights: expected finite numbers of shape ({count}, 2), got {weights}"
            )
        if not structures:
            return []
        atoms = concatenated(self.tables, structures)
        products, sigma = np.empty(count), np.empty(count)
        forces, virial = np.empty((1, n, 3)), np.empty((1, count, 3, 3))
        try:
            failed = self._handle.pull_deviation(
                *atoms, self._threads(n), sums.mean, sums.rows, sums.triangular, weights,
                products, sigma, forces, virial,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"sums: {error}") from None
        errors = self._errors(structures, failed)
        return [
            DeviatingSum.failed(structures[k], errors[k])
            if k in errors
            else DeviatingSum(float(products[k]), float(sigma[k]), forces[0, a:b], virial[0, k])
            for k, (a, b) in enumerate(itertools.pairwise(atoms.first.tolist()))
        ]

    def rows(
        self, structures: Sequence[Structure], weights: Sequence[Floats | None] | None = None
    ) -> list[StructureRows]:
        """Design rows of sums over sites of the functions (see `SiteEvaluator`).

        Compiled are those of true scalars over all sites alike, as fits of energies need them. Of
        tensors, and with weights of sites, they are the oracle's, which is much slower.
        """
        weighted = weights is not None and any(w is not None for w in weights)
        if weighted or not self.tables.is_scalar or self.tables.functions == 0:
            return ReferenceEvaluator(self.tables).rows(structures, weights)
        if self._builder is None:
            self._builder = NativeRowBuilder(self.tables, self.threads, self.instruction_set)
        made = []
        for k, structure in enumerate(structures):
            out = np.empty((7 + 3 * len(structure), self.tables.functions), order="F")
            try:
                self._builder.fill(structure, ("energy", "forces", "virial"), out)
            except InputError as error:
                made.append(StructureRows((), self._named(structures, k, error)))
                continue
            virial = from_voigt(out[-6:].T).transpose(1, 2, 0)[None, :, :, None]
            made.append(StructureRows((SiteRows(out[None, :1], out[None, 1:-6, None], virial),)))
        return made

    @property
    def width(self) -> int:
        """Number of values of a site, components counted."""
        pairs = zip(self.tables.widths, self.tables.irreps, strict=True)
        return sum(width * irrep.dim for width, irrep in pairs)

    def _sites(
        self,
        structures: Sequence[Structure],
        out: Floats,
        first: NDArray[np.int64],
        errors: dict[int, InputError],
    ) -> list[Sites]:
        """Values of shape (N, width) as one array for each structure and irrep."""
        shapes = [(w, i.dim) for w, i in zip(self.tables.widths, self.tables.irreps, strict=True)]
        bounds = list(itertools.pairwise(itertools.accumulate([0] + [w * d for w, d in shapes])))
        made = []
        for k, (a, b) in enumerate(itertools.pairwise(first.tolist())):
            if k in errors:
                made.append(no_sites(self.tables, structures[k], errors[k]))
                continue
            parts = zip(bounds, shapes, strict=True)
            made.append(Sites(tuple(out[a:b, i:j].reshape(b - a, *s) for (i, j), s in parts)))
        return made

    # -------------------------------------------------------------- steps

    def _require_energy(self, verb: str) -> None:
        if not self.tables.is_energy:
            raise InputError(
                f"{verb}: only models of true scalars have an energy; use values and pullback"
            )

    @staticmethod
    def _named(structures: Sequence[Structure], number: int, error: Exception) -> InputError:
        """An error that names its structure."""
        return named(structures[number], error, number if len(structures) > 1 else None)

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
            errors[number] = self._named(structures, number, error)
        return errors

    def bind(self, species: NDArray[np.int64], pbc: NDArray[np.bool_]) -> BoundEvaluator:
        """This evaluator for atoms whose species and periodic directions stay.

        Args:
            species: species index of every atom, shape (n,).
            pbc: periodic directions, shape (3,).
        """
        self._require_energy("bind")
        return BoundEvaluator(self, species, pbc, self._threads(len(species)))

    def bind_many(self, structures: Sequence[Structure]) -> BoundStructures:
        """This evaluator for structures whose elements and periodic directions stay.

        Args:
            structures: one or more; what they hold else does not matter.

        Raises:
            InputError: no structure, or an element the tables do not have.
        """
        self._require_energy("bind_many")
        threads = self._threads(sum(len(s) for s in structures))
        return BoundStructures(self, self.tables, structures, threads)
