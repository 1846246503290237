"""The rows of a fit as they are gathered: those that are fitted, and virials that may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.partition import Division, Partition

__all__ = ["Gathered"]

#: Before the names of the arrays of rows that are gathered apart.
_APART = "apart."


@dataclass(frozen=True, eq=False)
class Gathered:
    """Compressed rows.

    Args:
        fitted: what is fitted, K columns.
        apart: virials, whose fitting is not decided yet, K + 1 columns (`consistency`); None:
            there are none.
    """

    fitted: Partition
    apart: Partition | None = None

    @classmethod
    def none_yet(cls, columns: int, apart: bool, division: Division) -> Gathered:
        """No rows of K columns, in these parts."""
        further = Partition(columns + 1, division) if apart else None
        return cls(Partition(columns, division), further)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, from which `restored` goes on to the same bits."""
        found = self.fitted.state()
        if self.apart is not None:
            found |= {_APART + name: value for name, value in self.apart.state().items()}
        return found

    def copied(self) -> dict[str, NDArray[Any]]:
        """The same in arrays of its own, which do not change when rows are added or solved."""
        return {name: value.copy() for name, value in self.state().items()}

    @classmethod
    def restored(cls, state: Mapping[str, NDArray[Any]], division: Division) -> Gathered:
        """The rows of a state, in these parts.

        Raises:
            InputError: not a state that `state` made.
        """
        apart = {n.removeprefix(_APART): v for n, v in state.items() if n.startswith(_APART)}
        own = {n: v for n, v in state.items() if not n.startswith(_APART)}
        fitted = Partition.restored(own, division)
        return cls(fitted, Partition.restored(apart, division) if apart else None)

    def together(self) -> Partition:
        """All rows, those apart without their last column."""
        rows = self.fitted.copy()
        if self.apart is not None:
            columns = self.apart.finish().columns - 1
            rows.absorb(self.apart, np.arange(columns))
        return rows
