"""Embeddings and core repulsion in model files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from acepot.basis.embedding import CoreMode, Embedding, Nonlinear
from acepot.basis.pace_radial import MIN_WINDOW
from acepot.errors import InputError
from acepot.io.modelfile.radial import MAX_CUTOFF, Mixing, RadialEntry, radial_matrix, radial_table
from acepot.schema import from_mapping, to_mapping

#: Largest exponent of an embedding.
_EXPONENT = 20.0


@dataclass(frozen=True)
class NonlinearEntry:
    """What a header holds; core and inner run over ordered pairs of elements."""

    embeddings: tuple[Embedding, ...]
    mode: CoreMode = "none"
    core: tuple[RadialEntry, ...] = ()
    inner: tuple[tuple[float, float], ...] = ()


def nonlinear_header(nonlinear: Nonlinear, mixing: Mixing) -> dict[str, Any]:
    """The plain mapping that stands for it.

    Args:
        nonlinear: of a model.
        mixing: takes matrices.
    """
    inner = () if nonlinear.inner is None else nonlinear.inner.reshape(-1, 2).tolist()
    entry = NonlinearEntry(
        nonlinear.embeddings, nonlinear.mode, (), tuple((a, b) for a, b in inner)
    )
    rows = nonlinear.core or ()
    return to_mapping(entry) | {"core": [radial_table(f, mixing) for row in rows for f in row]}


def nonlinear_from(header: Any, species: int, mixing: Mixing) -> Nonlinear:
    """Embeddings and core repulsion again.

    Args:
        header: the mapping.
        species: number of elements.
        mixing: gives matrices.

    Raises:
        InputError: contents that do not fit together.
    """
    if not isinstance(header, dict):
        raise InputError("nonlinear: expected a table")
    entry = from_mapping(NonlinearEntry, header)
    pairs = species**2
    wanted = (0 if entry.mode == "none" else pairs, pairs if entry.mode == "zbl" else 0)
    if (len(entry.core), len(entry.inner)) != wanted or len(entry.embeddings) != species:
        raise InputError(
            f"nonlinear: expected {species} embeddings, and for the mode {entry.mode} "
            f"{wanted[0]} core densities and {wanted[1]} inner cut-offs, got "
            f"{len(entry.embeddings)}, {len(entry.core)} and {len(entry.inner)}"
        )
    for one in entry.embeddings:
        if max(one.exponents) > _EXPONENT or min(one.core_limit, one.core_width) < 0:
            raise InputError(
                f"nonlinear.embeddings: expected exponents up to {_EXPONENT:g} and a core density "
                f"of 0 or more, got {one}"
            )
    for begin, width in entry.inner:
        if not (MIN_WINDOW <= width <= MAX_CUTOFF and abs(begin) <= MAX_CUTOFF):
            raise InputError(f"nonlinear.inner: expected distances in Å, got {begin} and {width}")
    core = radial_matrix(entry.core, mixing)
    if any(f.count != 1 for row in core for f in row):
        raise InputError("nonlinear.core: expected one function for each pair of elements")
    return Nonlinear(
        entry.embeddings,
        entry.mode,
        core or None,
        np.array(entry.inner).reshape(species, species, 2) if entry.inner else None,
    )
