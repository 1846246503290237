"""What every move promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.cells import Floats, Ints
from acepot.sampling.energies import Energies
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.walkers import Walkers

#: Random numbers of one kind of move, arrays of shape (times, walkers, …).
Drawn = tuple[NDArray[Any], ...]
#: Some walkers of a batch, or the slice of all.
Rows = Ints | slice


@dataclass(frozen=True)
class StepRule:
    """How the step size of a move is found.

    Args:
        first: before it is tuned.
        largest: it may become.
        window: parts of the pilot moves that should be accepted, from and to.
    """

    first: float
    largest: float
    window: tuple[float, float] = (0.25, 0.5)


@dataclass(frozen=True, eq=False)
class Trial:
    """Where M walkers try to go.

    Args:
        allowed: whether prior and chance allow it, shape (M,); others are not evaluated.
        positions: in Å, shape (M, n, 3).
        cells: in Å, shape (M, 3, 3); None: they stay.
        numbers: atomic numbers, shape (M, n); None: they stay.
        volumes: of the cells in Å³, shape (M,); None: they stay.
    """

    allowed: NDArray[np.bool_]
    positions: Floats
    cells: Floats | None = None
    numbers: Ints | None = None
    volumes: Floats | None = None


class Batch(Protocol):
    """Walkers in the middle of a walk, as `acepot.sampling.walk.Batch` describes it."""

    ensemble: Ensemble
    now: Walkers
    replicas: Ints
    limits: Floats
    volumes: Floats

    def evaluate(self, numbers: Ints, positions: Floats, cells: Floats) -> Energies:
        """Energies and forces of m configurations."""
        ...

    def below(self, totals: Floats, rows: Rows) -> NDArray[np.bool_]:
        """Whether totals of some walkers are below their limits."""
        ...

    def settle(self, trial: Trial) -> NDArray[np.bool_]:
        """Move the walkers to where they try to go, where that is allowed."""
        ...


class Move(Protocol):
    """A kind of move."""

    @property
    def kind(self) -> str:
        """Its name in files."""
        ...

    @property
    def weight(self) -> float:
        """How often it is chosen, beside the weights of the others."""
        ...

    @property
    def calls(self) -> int:
        """Evaluations that one move costs at most."""
        ...

    def rule(self, ensemble: Ensemble) -> StepRule | None:
        """How its step size is found; None: it has none.

        Raises:
            InputError: the move can do nothing in this ensemble.
        """
        ...

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """All random numbers of so many moves, arrays of shape (times, walkers, …)."""
        ...

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """Make one move with all walkers.

        Args:
            batch: the walkers.
            drawn: arrays of shape (M, …).
            step: sizes, shape (M,).

        Returns:
            Whether each walker moved, shape (M,).
        """
        ...
