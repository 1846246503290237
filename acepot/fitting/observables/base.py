"""What an observable says about itself, once: its label, unit, weight, rows and prediction.

Everything that handles observables reads this table: assembly, weights, error tables, parity
plots and the check of a saved model. A new observable is one class:

    class Trace(Observable, name="trace"):
        letter, unit, title = "T", "eV/atom", "Trace of the virial"
        ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import Quantity, Result, RowBuilder, row_count
from acepot.structure import Structure

__all__ = ["DesignRows", "Evaluate", "Observable"]

Floats = NDArray[np.float64]
#: Evaluates the model of a prediction on further structures.
Evaluate = Callable[[Sequence[Structure]], list[Result]]


@dataclass(frozen=True, eq=False)
class DesignRows:
    """Rows of energy, forces and virial, of which those of other observables are made.

    Args:
        builder: makes them.
        functions: K, the number of basis functions.
    """

    builder: RowBuilder
    functions: int

    def of(self, structure: Structure, quantities: Sequence[Quantity]) -> Floats:
        """Rows of a structure, one quantity below the other, in Fortran order.

        Args:
            structure: atoms and cell.
            quantities: some of energy, forces and virial.

        Returns:
            Shape (m, K): rows @ coefficients is what the model predicts, less E0.
        """
        count = sum(row_count(name, len(structure)) for name in quantities)
        rows = np.empty((count, self.functions), order="F")
        self.builder.fill(structure, quantities, rows)
        return rows


class Observable(ABC):
    """A quantity that structures have labels for and models predict linearly.

    Subclasses say what they are in the class attributes and give `predicted`, and `rows` unless
    the compiled row builder knows them. All arrays are flat, in one order: that of the rows.

    Attributes:
        name: in `data.fit`, in weights, and of the label.
        letter: its key in reports.
        unit: of its errors, without the milli that reports put before it.
        title: above its parity plot.
        components: names of the numbers of an atom or, if it is not `per_atom`, of the structure.
        per_atom: whether every atom has these components.
        extensive: grows with the number n of atoms: rows are divided by √n, reports by n.
        weight: of its rows unless a configuration says otherwise.
        universal: whether its rows need nothing but the structure.
        compiled: its name in the compiled row builder, where that makes its rows.
        demand: what must be in the training data for it to be fitted; "" demands nothing.
        known: every observable by its name, those of the compiled row builder first.
    """

    name: ClassVar[str]
    letter: ClassVar[str]
    unit: ClassVar[str]
    title: ClassVar[str]
    components: ClassVar[tuple[str, ...]] = ("",)
    per_atom: ClassVar[bool] = False
    extensive: ClassVar[bool] = False
    weight: ClassVar[float] = 1.0
    universal: ClassVar[bool] = True
    compiled: ClassVar[Quantity | None] = None
    demand: ClassVar[str] = "such a label; name its key in data.keys"
    known: ClassVar[dict[str, Observable]] = {}

    def __init_subclass__(cls, *, name: str | None = None) -> None:
        super().__init_subclass__()
        if name is None:  # what several observables share
            return
        cls.name = name
        for other in cls.known.values():
            its = type(other)
            if (its.__module__, its.__qualname__) == (cls.__module__, cls.__qualname__):
                continue  # the same class, imported again
            if name == other.name or cls.letter == other.letter:
                raise TypeError(
                    f"{cls.__name__}: {its.__name__} has the name {other.name!r} "
                    f"and the letter {other.letter!r} already"
                )
        cls.known[name] = cls()
        compiled = [one for one in cls.known.values() if one.compiled is not None]
        others = [one for one in cls.known.values() if one.compiled is None]
        ordered = {one.name: one for one in (*compiled, *others)}
        cls.known.clear()
        cls.known.update(ordered)

    @staticmethod
    def named(name: str, where: str) -> Observable:
        """The observable of a name.

        Args:
            name: of the observable.
            where: what the name was given for, put before the message.

        Raises:
            InputError: there is none.
        """
        if (found := Observable.known.get(name)) is not None:
            return found
        near = get_close_matches(name, Observable.known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        names = ", ".join(map(repr, Observable.known))
        raise InputError(f"{where}: expected one of {names}, got {name!r}{hint}")

    @staticmethod
    def among(names: Iterable[str]) -> list[Observable]:
        """Those of the given names, in the order of the rows."""
        wanted = set(names)
        return [one for one in Observable.known.values() if one.name in wanted]

    def shape(self, atoms: int) -> tuple[int, ...]:
        """Shape of a label as people write it, for a structure of so many atoms."""
        return (atoms, len(self.components)) if self.per_atom else (len(self.components),)

    def size(self, atoms: int) -> int:
        """How many numbers, and rows, a structure of so many atoms has."""
        return int(np.prod(self.shape(atoms)))

    def flat(self, value: ArrayLike) -> Floats:
        """A label of shape `shape` in the order of the rows."""
        return np.asarray(value, dtype=float).ravel()

    def given(self, structure: Structure) -> ArrayLike | None:
        """The label of a structure in its usual shape; None if it has none."""
        return structure.labels.get(self.name)

    def label(self, structure: Structure, e0: float = 0.0) -> Floats | None:
        """The label of a structure in the order of the rows; None if it has none.

        Args:
            structure: with its labels.
            e0: Σ_i E0 of its atoms in eV, taken off where it is part of the label.

        Raises:
            InputError: the label has another number of components.
        """
        value = self.given(structure)
        if value is None:
            return None
        flat = self.flat(value)
        if len(flat) != self.size(len(structure)):
            raise InputError(
                f"{structure.name or 'structure'}: {self.name}: expected "
                f"{self.size(len(structure))} numbers, got {len(flat)}"
            )
        return self.less_e0(flat, e0)

    def less_e0(self, values: Floats, e0: float) -> Floats:
        """Values without what isolated atoms have of them."""
        return values

    @abstractmethod
    def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Floats:
        """What a model predicts, in the order of the rows.

        Args:
            structure: atoms and cell.
            result: what the model says about them.
            evaluate: the model, for what it says about further structures.
        """

    def rows(self, structure: Structure, design: DesignRows) -> Floats:
        """Design rows, shape (size, K): rows @ coefficients is the prediction, less E0."""
        if self.compiled is None:
            raise NotImplementedError(f"{type(self).__name__}: give it a method rows")
        return design.of(structure, (self.compiled,))

    def factor(self, weight: float, atoms: int) -> float:
        """What the rows of a structure are multiplied by."""
        return weight * (1 / np.sqrt(atoms)) if self.extensive else weight

    def per_unit(self, values: Floats, atoms: int) -> Floats:
        """Values in the unit of reports."""
        return values / atoms if self.extensive else values
