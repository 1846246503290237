"""The rows of a fit in parts, each with a triangle of its own, in one pass over the data.

What is chosen on held-out data needs the rows of each group of structures, several levels of noise
need those of each observable. Every row is eliminated once, in its part; the triangles of the
parts together are the triangle of all rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.fitting.problem import Accumulator, Part, Problem, joined

__all__ = ["Division", "Partition"]

#: Before the names of the arrays of a part: its fold and its observable follow.
_PART = "part"


@dataclass(frozen=True)
class Division:
    """Which parts a solver asks for.

    Args:
        folds: groups of structures that are left out in turn; 0: none.
        by_observable: whether energies, forces and virials are apart.
    """

    folds: int = 0
    by_observable: bool = False

    def folds_of(self, groups: Iterable[str], earlier: Iterable[str] = ()) -> list[int]:
        """The fold of each structure: those of a group go to all folds in turn.

        Args:
            groups: config types of the structures, in order.
            earlier: of structures that are divided already.
        """
        seen = Counter(earlier)
        found = []
        for group in groups:
            found.append(seen[group] % self.folds if self.folds else -1)
            seen[group] += 1
        return found

    @property
    def undivided(self) -> bool:
        """Whether all rows go into one triangle."""
        return not (self.folds or self.by_observable)

    def key(self, fold: int, observable: str) -> tuple[int, str]:
        """The part of rows of a fold and an observable."""
        return (fold if self.folds else -1, observable if self.by_observable else "")


class Partition:
    """Rows in, a `Problem` with its parts out.

    Args:
        columns: K, the number of basis functions.
        division: into which parts.
    """

    def __init__(self, columns: int, division: Division | None = None) -> None:
        self._columns, self._division = columns, division or Division()
        self._parts: dict[tuple[int, str], Accumulator] = {}
        if self._division.undivided:
            self._part(-1, "")

    def add(
        self,
        rows: ArrayLike,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        fold: int = -1,
        observable: str = "",
    ) -> None:
        """Add rows of one part, as `Accumulator.add` takes them.

        Args:
            rows: shape (m, K).
            targets: shape (m,).
            weights: shape (m,).
            fold: of their structure; -1: never left out.
            observable: whose labels they are.
        """
        self._part(fold, observable).add(rows, targets, weights)

    def add_observables(
        self,
        rows: NDArray[np.float64],
        targets: NDArray[np.float64],
        weights: NDArray[np.float64],
        fold: int,
        observables: Sequence[tuple[str, int]],
    ) -> None:
        """Add the rows of one structure.

        Args:
            rows: shape (m, K).
            targets: shape (m,).
            weights: shape (m,).
            fold: of the structure.
            observables: name and number of rows, in the order of the rows.
        """
        if not self._division.by_observable:
            self.add(rows, targets, weights, fold=fold)
            return
        start = 0
        for name, count in observables:
            mine = slice(start, start + count)
            self.add(rows[mine], targets[mine], weights[mine], fold=fold, observable=name)
            start += count

    def finish(self) -> Problem:
        """The problem of all rows so far, with its parts where they are divided."""
        filled = {key: one for key, one in sorted(self._parts.items()) if one.rows}
        if self._division.undivided or not filled:
            return self._part(-1, "").finish()
        parts = [Part(one.finish(), fold, name) for (fold, name), one in filled.items()]
        return replace(joined([one.problem for one in parts]), parts=tuple(parts))

    @property
    def rows(self) -> int:
        """How many rows were added."""
        return sum(one.rows for one in self._parts.values())

    @property
    def reflected(self) -> int:
        """How many rows are, or would be, eliminated by Householder reflections."""
        return sum(one.reflected for one in self._parts.values())

    def absorb(self, other: Partition, columns: NDArray[np.intp]) -> None:
        """Add all rows of another one, each to its part.

        Args:
            other: it stays as it is.
            columns: which of its columns are those of this one, in order.
        """
        for (fold, name), one in other._parts.items():
            self._part(fold, name).absorb(one, columns)

    def copy(self) -> Partition:
        """Another one that holds the same rows; either may take more."""
        return Partition.restored(self.state(), self._division)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything it holds, as arrays: `restored` goes on from it to the same bits."""
        if self._division.undivided:
            return self._part(-1, "").state()
        found: dict[str, NDArray[Any]] = {"columns": np.array(self._columns)}
        for (fold, name), one in self._parts.items():
            found |= {f"{_PART}.{fold}.{name}.{k}": v for k, v in one.state().items()}
        return found

    @classmethod
    def restored(
        cls, state: Mapping[str, NDArray[Any]], division: Division | None = None
    ) -> Partition:
        """The rows of a state.

        Raises:
            InputError: not a state that `state` made.
        """
        division = division or Division()
        if division.undivided:
            whole = Accumulator.restored(state)
            made = cls(int(state["counts"][0]), division)
            made._parts[division.key(-1, "")] = whole
            return made
        made = cls(int(state["columns"]), division)
        arrays: dict[tuple[int, str], dict[str, NDArray[Any]]] = {}
        for key, value in state.items():
            if key.startswith(f"{_PART}."):
                _, fold, rest = key.split(".", 2)
                name, _, inner = rest.rpartition(".")
                arrays.setdefault((int(fold), name), {})[inner] = value
        made._parts = {key: Accumulator.restored(one) for key, one in arrays.items()}
        return made

    def _part(self, fold: int, observable: str) -> Accumulator:
        key = self._division.key(fold, observable)
        if key not in self._parts:
            self._parts[key] = Accumulator(self._columns)
        return self._parts[key]
