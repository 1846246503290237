"""Structures -> Problem: weighted rows, the only place where weights are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import species_indices
from acepot.evaluate.protocol import Quantity, RowBuilder
from acepot.fitting.config import Weights
from acepot.fitting.problem import Accumulator
from acepot.model import Model
from acepot.structure import Structure

Floats = NDArray[np.float64]
VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


@dataclass(frozen=True, eq=False)
class StructureRows:
    """The unweighted rows of one structure and their labels, less E0.

    Args:
        structure: what they describe.
        quantities: which labels, in the order of the rows.
        rows: shape (m, K), in Fortran order.
        targets: shape (m,).
        weights: shape (m,).
    """

    structure: Structure
    quantities: tuple[Quantity, ...]
    rows: Floats
    targets: Floats
    weights: Floats


def structure_rows(
    structure: Structure,
    model: Model,
    builder: RowBuilder,
    quantities: Sequence[Quantity],
    weights: Weights,
) -> StructureRows:
    """Rows, targets and weights of the labels that one structure has.

    Energies have weight w/√n, force components w, the six virial components w/√n
    (ACEpotentials.jl's rule).

    Args:
        structure: with labels.
        model: for its elements and E0.
        builder: makes the rows.
        quantities: the labels to use where they are present.
        weights: of this structure's config type.
    """
    species = species_indices(model.numbers, structure.numbers)
    scale = 1 / np.sqrt(len(structure))
    parts: dict[Quantity, tuple[Floats, float]] = {}
    if structure.energy is not None:
        target = np.array([structure.energy - model.e0[species].sum()])
        parts["energy"] = target, weights.energy * scale
    if structure.forces is not None:
        parts["forces"] = structure.forces.ravel(), weights.forces
    if structure.virial is not None:
        parts["virial"] = structure.virial[VOIGT], weights.virial * scale
    used = tuple(name for name in parts if name in quantities)
    targets, factors = [np.zeros(0)], [np.zeros(0)]
    for name in used:
        target, factor = parts[name]
        targets.append(target)
        factors.append(np.full(len(target), factor))
    joined = np.concatenate(targets)
    rows = np.empty((len(joined), len(model.coefficients)), order="F")
    builder.fill(structure, used, rows)
    return StructureRows(structure, used, rows, joined, np.concatenate(factors))


def assemble(
    blocks: Iterator[StructureRows],
    accumulator: Accumulator,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Weight rows and add them to a problem; rows of weight zero are left out.

    Args:
        blocks: rows of the structures, in order.
        accumulator: takes the weighted rows.
        progress: called with the number of structures done.
    """
    for done, block in enumerate(blocks, start=1):
        kept = block.weights > 0
        weights = block.weights[kept]
        accumulator.add(block.rows[kept] * weights[:, None], block.targets[kept] * weights)
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
