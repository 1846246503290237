"""Moves of elements: exchanges of two atoms, and changes of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling.cells import Floats
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, Trial


@dataclass(frozen=True)
class Swap:
    """Two atoms of different elements exchange their positions.

    The first is any atom and the second any of another element; the composition stays, so that
    the way back is as likely. Momenta stay with their atoms, and K is unchanged.

    Args:
        weight: how often it is chosen.
    """

    weight: float = 1.0
    kind: str = "swap"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> None:
        """As `Move`."""
        if len({*ensemble.numbers.tolist(), *ensemble.elements}) < 2:
            raise InputError("moves: swap needs atoms of two elements or more, got one")

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """First atoms, and what decides on the second."""
        shape = (times, walkers)
        return random.integers(0, atoms, shape), random.random((*shape, atoms))

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        now, first, rows = batch.now, drawn[0], np.arange(len(step))
        other = now.numbers != now.numbers[rows, first][:, None]  # [m, atom]
        second = np.where(other, drawn[1], -1.0).argmax(axis=1)
        positions = now.positions.copy()
        positions[rows, first] = now.positions[rows, second]
        positions[rows, second] = now.positions[rows, first]
        return batch.settle(Trial(other.any(axis=1), positions))


@dataclass(frozen=True)
class Transmutation:
    """One atom, chosen at random, becomes one of the other elements of the semi-grand ensemble.

    All elements are alike in the prior, so that nothing but the limit decides. With momenta, that
    of the atom changes so that K does not: the measure is that of p/√m.

    Args:
        weight: how often it is chosen.
    """

    weight: float = 1.0
    kind: str = "transmutation"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> None:
        """As `Move`."""
        if len(ensemble.elements) < 2:
            raise InputError(
                "moves: transmutation needs ensemble.elements, two or more, got "
                f"{list(ensemble.elements)}"
            )

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Atoms, and numbers in [0, 1) that choose elements."""
        shape = (times, walkers)
        return random.integers(0, atoms, shape), random.random(shape)

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        now, atoms, rows = batch.now, drawn[0], np.arange(len(step))
        elements = np.array(batch.ensemble.elements)
        at = np.searchsorted(elements, now.numbers[rows, atoms])
        on = 1 + (drawn[1] * (len(elements) - 1)).astype(np.int64)
        numbers = now.numbers.copy()
        numbers[rows, atoms] = elements[(at + on) % len(elements)]
        return batch.settle(Trial(np.ones(len(step), dtype=bool), now.positions, numbers=numbers))
