"""Structures -> rows of a problem: the only place where weights are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.evaluate.protocol import RowBuilder, named
from acepot.fitting.consistency import with_pressure
from acepot.fitting.gathered import Gathered
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.observables import DesignRows, Observable
from acepot.fitting.partition import Division
from acepot.fitting.recipe import Recipe, Weights
from acepot.fitting.resume import Memory
from acepot.model import Model
from acepot.run.progress import Progress
from acepot.structure import Structure

__all__ = ["Job", "StructureRows", "assemble", "in_threads", "structure_rows"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StructureRows:
    """The unweighted rows of one structure and their labels, less E0.

    Args:
        structure: what they describe.
        quantities: names of the observables, in the order of the rows.
        rows: shape (m, K), in Fortran order.
        targets: shape (m,).
        weights: shape (m,).
        sure: the first so many rows are fitted; those after them are virials that may be.
        counts: rows of each observable, in the order of the rows.
        fold: of the structure, where some are left out in turn; -1: none.
    """

    structure: Structure
    quantities: tuple[str, ...]
    rows: Floats
    targets: Floats
    weights: Floats
    sure: int
    counts: tuple[int, ...]
    fold: int = -1

    def add_to(self, gathered: Gathered) -> None:
        """Weight the rows and add them; rows of weight zero are left out."""
        n, fitted = self.sure, slice(self.sure)
        each = list(zip(self.quantities, self.counts, strict=True))
        first = int(np.searchsorted(np.cumsum(self.counts), n, side="right"))
        gathered.fitted.add_observables(
            self.rows[fitted], self.targets[fitted], self.weights[fitted], self.fold, each[:first]
        )
        if gathered.apart is not None and n < len(self.targets):
            rows = with_pressure(self.rows[n:], self.structure)
            gathered.apart.add_observables(
                rows, self.targets[n:], self.weights[n:], self.fold, each[first:]
            )


def structure_rows(
    structure: Structure,
    model: Model,
    builder: RowBuilder,
    quantities: Sequence[str],
    weights: Weights,
    tried: Sequence[str] = (),
) -> StructureRows:
    """Rows, targets and weights of the labels that one structure has.

    Args:
        structure: with labels.
        model: for its E0 and the number of its functions.
        builder: makes the rows.
        quantities: names of the observables to use where there are labels.
        weights: of this structure's config type.
        tried: names of further ones, which come last.
    """
    e0 = float(model.e0[species_indices(model.numbers, structure.numbers)].sum())
    wanted = [*Observable.among(quantities), *Observable.among(tried)]
    labelled = [(one, one.label(structure, e0)) for one in wanted]
    used = [(one, label) for one, label in labelled if label is not None]
    factors = [
        np.full(len(label), one.factor(weights.of(one), len(structure))) for one, label in used
    ]
    return StructureRows(
        structure,
        tuple(one.name for one, _ in used),
        _rows(
            [one for one, _ in used], structure, DesignRows(builder, model.coefficients.shape[2])
        ),
        np.concatenate([np.zeros(0), *(label for _, label in used)]),
        np.concatenate([np.zeros(0), *factors]),
        sum(len(label) for one, label in used if one.name in quantities),
        tuple(len(label) for _, label in used),
    )


def _rows(observables: Sequence[Observable], structure: Structure, design: DesignRows) -> Floats:
    """One below the other; those the compiled builder knows, which come first, in one call."""
    compiled = [one.compiled for one in observables if one.compiled is not None]
    rows = design.of(structure, compiled)
    others = [one.rows(structure, design) for one in observables if one.compiled is None]
    return np.asfortranarray(np.concatenate([rows, *others])) if others else rows


def assemble(
    blocks: Iterator[StructureRows],
    gathered: Gathered,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Add rows to those that are gathered.

    Args:
        blocks: rows of the structures, in order.
        gathered: takes the rows.
        progress: called with the number of structures done.
    """
    for done, block in enumerate(blocks, start=1):
        block.add_to(gathered)
        if progress:
            progress(done)


def in_threads(
    make: Callable[[Structure], StructureRows], structures: Sequence[Structure], threads: int
) -> Iterator[StructureRows]:
    """Rows of structures in order, made by several threads, with few of them waiting.

    Args:
        make: rows of one structure.
        structures: the data.
        threads: how many at once.
    """
    if threads <= 1:
        yield from map(make, structures)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(make, s) for s in structures[: threads + 1]]
        for following in range(len(waiting), len(structures) + len(waiting)):
            yield waiting.pop(0).result()
            if following < len(structures):
                waiting.append(pool.submit(make, structures[following]))


@dataclass(frozen=True, eq=False)
class Job:
    """Structures on their way into the rows of a fit.

    Args:
        structures: whose rows are made, in the order in which they are added.
        recipe: resolved.
        basis: the functions that the columns of the rows stand for.
        threads: structures handled at once.
        say: called with lines for people; None: silent.
        memory: where checkpoints go.
        chosen: indices of the structures whose unweighted rows are kept.
        earlier: structures whose rows are there already.
        division: the parts of the rows; None: those that the solver asks for.
    """

    structures: Sequence[Structure]
    recipe: Recipe
    basis: LoweredBasis
    threads: int
    say: Callable[[str], None] | None
    memory: Memory | None = None
    chosen: frozenset[int] = frozenset()
    earlier: Sequence[Structure] = ()
    division: Division | None = None

    @property
    def parts(self) -> Division:
        """Into which the rows are divided."""
        return self.recipe.solver.division if self.division is None else self.division

    @cached_property
    def folds(self) -> list[int]:
        """The fold of each structure, where some are left out in turn."""
        groups = [s.config_type for s in self.structures]
        earlier = [s.config_type for s in self.earlier]
        return self.parts.folds_of(groups, earlier)

    @cached_property
    def builder(self) -> NativeRowBuilder:
        """Threads work on structures of their own; those that find none help with one."""
        helpers = max(1, self.threads // len(self.structures))
        return NativeRowBuilder(self.basis.tables, helpers)

    def make(self, structure: Structure) -> StructureRows:
        """The rows of one structure.

        Raises:
            InputError: it has none; the message names it.
        """
        weights = self.recipe.weights_of(structure)
        names, tried = self.recipe.observables, self.recipe.tried
        blank, builder = self.basis.blank, self.builder
        try:
            return structure_rows(structure, blank, builder, names, weights, tried)
        except InputError as error:
            number = next(i for i, one in enumerate(self.structures) if one is structure)
            raise named(structure, error, number) from None

    def checkpoint(self) -> tuple[int, Gathered] | None:
        """How many structures are in the rows of the last checkpoint, and these; None: no such."""
        if self.memory is None:
            return None
        tell, digest = self.say or (lambda _line: None), self.basis.tables.digest
        return self.memory.begin(self.recipe, self.structures, digest, tell, self.parts)

    def from_the_start(
        self, found: tuple[int, Gathered] | None = None
    ) -> tuple[Gathered, tuple[StructureRows, ...]]:
        """All rows, from a checkpoint on if there is one, and those that are kept.

        Args:
            found: what `checkpoint` gave.
        """
        apart = bool(self.recipe.tried)
        none = 0, Gathered.none_yet(self.basis.expanded.size, apart, self.parts)
        start, rows = none if found is None else found
        if self.memory is None:
            return rows, self.add_to(rows)
        with self.memory.stoppable():
            return rows, self.add_to(rows, start)

    def add_to(self, rows: Gathered, start: int = 0) -> tuple[StructureRows, ...]:
        """Add the rows of all structures from one on; the rows of those that are kept."""
        total = len(self.structures)
        kept = [self.make(self.structures[i]) for i in sorted(self.chosen) if i < start]
        progress = None if self.say is None else Progress("assembling", total)

        def watched(blocks: Iterator[StructureRows]) -> Iterator[StructureRows]:
            for number, block in enumerate(blocks, start):
                if number in self.chosen:
                    kept.append(block)
                yield replace(block, fold=self.folds[number])

        def note(done: int) -> None:
            if progress is not None:
                progress.update(start + done)
            if self.memory is not None:
                self.memory.after(start + done, total, rows, self.say or (lambda _line: None))

        blocks = in_threads(self.make, self.structures[start:], self.threads)
        assemble(watched(blocks), rows, note)
        return tuple(kept)
