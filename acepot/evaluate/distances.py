"""Atoms closer than the tables of a model begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.neighbours import Edges
from acepot.tables import Tables


def refuse_closer(tables: Tables, species: NDArray[np.int64], edges: Edges) -> None:
    """Check that no two atoms are closer than the tables begin.

    Args:
        tables: a lowered model.
        species: species index of every atom, shape (n,).
        edges: neighbour list.

    Raises:
        InputError: two atoms are; the message names the closest and the distance.
    """
    r = np.sqrt(np.einsum("ed,ed->e", edges.vector, edges.vector))
    s, z = species[edges.centre], species[edges.neighbour]
    for table in (*tables.radial, *((tables.core,) if tables.core else ())):
        begin = np.where(table.zero_inside > 0, 0.0, table.begin)
        close = r < begin[s, z]
        if close.any():
            e = int(np.where(close, r, np.inf).argmin())
            raise InputError(
                f"atoms {edges.centre[e]} ({SYMBOLS[tables.numbers[s[e]]]}) and "
                f"{edges.neighbour[e]} ({SYMBOLS[tables.numbers[z[e]]]}) are {r[e]:.4g} Å apart; "
                f"this model's tables begin at {begin[s[e], z[e]]:.4g} Å"
            )
