"""Structures as arrays in which they follow one another: no object for each reaches the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.evaluate.protocol import Floats, Ints
from acepot.structure import Structure
from acepot.tables import Tables


class Concatenated(NamedTuple):
    """S structures with N atoms together, as the compiled evaluator takes them.

    Args:
        positions: in Å, shape (N, 3).
        species: species indices, -1 for elements that the Tables do not have, shape (N,).
        first: the first atom of each structure and, at the end, N, shape (S + 1,).
        cells: lattice vectors as rows in Å, shape (S, 3, 3).
        pbc: periodic directions, 0 or 1, shape (S, 3).
    """

    positions: Floats
    species: NDArray[np.int32]
    first: Ints
    cells: Floats
    pbc: NDArray[np.int32]


def species_by_number(tables: Tables) -> NDArray[np.int32]:
    """Species index of every atomic number, -1 for elements that the Tables do not have."""
    species = np.full(len(SYMBOLS), -1, dtype=np.int32)
    species[tables.numbers] = np.arange(len(tables.numbers))
    return species


def concatenated(tables: Tables, structures: Sequence[Structure]) -> Concatenated:
    """The arrays of one structure or more."""
    sizes = [len(s.numbers) for s in structures]
    first = np.zeros(len(structures) + 1, dtype=np.int64)
    np.cumsum(sizes, out=first[1:])
    species = species_by_number(tables)
    if len(structures) == 1:
        s = structures[0]
        return Concatenated(
            s.positions, species[s.numbers], first, s.cell[None], s.pbc[None].astype(np.int32)
        )
    return Concatenated(
        np.concatenate([s.positions for s in structures]),
        species[np.concatenate([s.numbers for s in structures])],
        first,
        np.concatenate([s.cell for s in structures]).reshape(-1, 3, 3),
        np.concatenate([s.pbc for s in structures], dtype=np.int32).reshape(-1, 3),
    )
