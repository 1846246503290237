"""Where the functions of a small basis are among those of a larger one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from acepot.basis.expansion import Expansion
from acepot.errors import InputError

__all__ = ["columns_in"]

_Key = tuple[bytes, ...]


def columns_in(small: Expansion, large: Expansion) -> NDArray[np.intp]:
    """The column of the larger basis for each function of the smaller one, shape (K,).

    A function is known by its centre and by n, l and species of its factors; where several
    couplings have the same, by their order, which is that of the coupling alone.

    Raises:
        InputError: a function of the smaller one is not among those of the larger one.
    """
    place = {key: column for column, key in enumerate(_keys(large))}
    try:
        found = [place[key] for key in _keys(small)]
    except KeyError:
        raise InputError(
            f"basis: expected functions that are all among the {large.size} of the larger basis"
        ) from None
    return np.array(found, dtype=np.intp)


def _keys(expansion: Expansion) -> Iterator[_Key]:
    """Of each function, centre, order, n, l, species and which of the couplings."""
    labels, seen = expansion.labels, Counter[_Key]()
    table = np.column_stack([labels.centre, labels.order, labels.n, labels.l, labels.z])
    for row in table:
        key = (row.tobytes(),)
        yield (*key, str(seen[key]).encode())
        seen[key] += 1
