"""Moves of elements: exchanges of two atoms, and changes of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, Trial

#: Clusters of one atom more are less likely by this.
_SHRINK = 0.75


@dataclass(frozen=True)
class Swap:
    """Two atoms of different elements exchange their positions, or two clusters do.

    The first atom is any and the second any of another element; the composition stays, so that
    the way back is as likely. Momenta stay with their atoms, and K is unchanged.

    Clusters of s > 1 atoms come with probabilities ∝ 0.75^s, up to `cluster`: two atoms are chosen
    at random, each with the s - 1 nearest ones, and the k-th nearest of one exchanges its position
    with the k-th nearest of the other. Which places belong to a cluster depends on all places
    alone, and these stay: the way back is as likely. Clusters that share an atom, or have the same
    elements in the same order, stay where they are.

    Args:
        weight: how often it is chosen.
        cluster: atoms of the largest cluster.
    """

    weight: float = 1.0
    cluster: int = 1
    kind: str = "swap"
    calls: int = 1

    def rule(self, ensemble: Ensemble) -> None:
        """As `Move`."""
        if len({*ensemble.numbers.tolist(), *ensemble.elements}) < 2:
            raise InputError("moves: swap needs atoms of two elements or more, got one")
        if 2 * self.cluster > ensemble.atoms:
            raise InputError(
                f"moves: swap.cluster: expected at most half of {ensemble.atoms} atoms, got "
                f"{self.cluster}"
            )

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """First atoms, what decides on the second, and where there are clusters their sizes."""
        shape = (times, walkers)
        pair = random.integers(0, atoms, shape), random.random((*shape, atoms))
        if self.cluster == 1:
            return pair
        likely = _SHRINK ** np.arange(self.cluster)
        return *pair, random.choice(np.arange(1, self.cluster + 1), shape, p=likely / likely.sum())

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        now, first, rows = batch.now, drawn[0], np.arange(len(step))
        sizes = drawn[2] if self.cluster > 1 else np.ones(len(step), dtype=np.int64)
        other = np.where(
            (sizes == 1)[:, None],
            now.numbers != now.numbers[rows, first][:, None],
            np.arange(now.numbers.shape[1]) != first[:, None],
        )  # [m, atom]
        second = np.where(other, drawn[1], -1.0).argmax(axis=1)
        here, there = first[:, None], second[:, None]  # [m, member]
        if self.cluster > 1:
            here, there = (_nearest(batch, centre, self.cluster) for centre in (first, second))
        member = np.arange(self.cluster) < sizes[:, None]
        shared = (here[:, :, None] == there[:, None]) & member[:, :, None] & member[:, None]
        kinds = [np.take_along_axis(now.numbers, one, axis=1) for one in (here, there)]
        new = (member & (kinds[0] != kinds[1])).any(axis=1)
        positions = now.positions.copy()
        row, place = member.nonzero()
        positions[row, here[row, place]] = now.positions[row, there[row, place]]
        positions[row, there[row, place]] = now.positions[row, here[row, place]]
        return batch.settle(Trial(new & ~shared.any(axis=(1, 2)), positions))


def _nearest(batch: Batch, centre: Ints, count: int) -> Ints:
    """An atom of each walker and those nearest to it, the nearest first, shape (M, count)."""
    now, rows = batch.now, np.arange(len(centre))
    apart = now.positions - now.positions[rows, centre][:, None]
    if batch.ensemble.prior.periodic:
        fractions = np.linalg.solve(now.cells.transpose(0, 2, 1), apart.transpose(0, 2, 1))
        fractions -= np.rint(fractions)
        apart = fractions.transpose(0, 2, 1) @ now.cells
    square = np.einsum("max,max->ma", apart, apart)
    square[rows, centre] = -1.0
    return np.argsort(square, axis=1)[:, :count]


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
