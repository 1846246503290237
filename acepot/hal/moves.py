"""Moves that dynamics does not make: volumes, shapes of cells, exchanges of elements.

A move proposes positions and a cell of its own; what it proposes from is never touched. With
E' = E - τσ at one τ it is accepted with

    min(1, exp(-β [ΔE' + P ΔV] + (N + m) ln(V'/V)))

where N ln(V'/V) is from atoms that keep their fractional coordinates, and m = 0 where V' = V + δ,
but 1 where ln V, or a symmetric ε in h exp(ε), is what is drawn: then V'/V is the Jacobian. All of
them give ⟨V⟩ = (N + 1) kT/P for the ideal gas.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.hal.surface import Surface
from acepot.hal.walker import Walker
from acepot.schema import Kind
from acepot.units import BOLTZMANN

__all__ = ["Move", "Proposal", "Strain", "Swap", "Volume", "make"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Proposal:
    """Where a walker might go.

    Args:
        positions: in Å, shape (n, 3).
        cell: in Å, shape (3, 3).
        powers: of V'/V in the ratio of densities, N + m; None: the cell stays.
    """

    positions: Floats
    cell: Floats
    powers: int | None = None


class Move(Kind, tag="kind"):
    """A kind of move.

    Args:
        every: steps of dynamics between two tries.
    """

    every: int

    def check(self) -> None:
        """Refuse numbers that are none of a move."""
        if not 1 <= self.every <= 1_000_000:
            raise InputError(f"every: expected 1 to 1000000 steps, got {self.every}")
        step = getattr(self, "step", 1.0)
        if not 0.0 < step <= 1e3:
            raise InputError(f"step: expected more than 0, up to 1000, got {step:g}")

    @abstractmethod
    def suits(self, numbers: NDArray[np.int64], pbc: NDArray[np.bool_]) -> bool:
        """Whether it can do something with such atoms."""

    @abstractmethod
    def propose(self, walker: Walker, random: np.random.Generator) -> Proposal | None:
        """Where it would go; None: nowhere."""


@dataclass(frozen=True)
class Volume(Move, kind="volume"):
    """V' = V + δ with δ uniform, the shape stays.

    Args:
        every: steps of dynamics between two tries.
        step: largest |δ| in Å³ per atom.
    """

    every: int = 10
    step: float = 0.3

    def suits(self, numbers: NDArray[np.int64], pbc: NDArray[np.bool_]) -> bool:
        """Cells that repeat along all directions."""
        return bool(pbc.all())

    def propose(self, walker: Walker, random: np.random.Generator) -> Proposal | None:
        """As `Move`."""
        atoms, before = len(walker.numbers), walker.volume
        volume = before + atoms * self.step * (2.0 * random.random() - 1.0)
        if not volume > 0.0:
            return None
        factor = np.cbrt(volume / before)
        return Proposal(walker.positions * factor, walker.cell * factor, atoms)


@dataclass(frozen=True)
class Strain(Move, kind="strain"):
    """h' = h exp(ε) with ε symmetric, its components normal and independent.

    A step and its inverse are equally likely, so that the measure of the steps is the invariant
    one of cells, d ln V times that of shapes.

    Args:
        every: steps of dynamics between two tries.
        step: standard deviation of the components of ε.
    """

    every: int = 10
    step: float = 0.01

    def suits(self, numbers: NDArray[np.int64], pbc: NDArray[np.bool_]) -> bool:
        """Cells that repeat along all directions."""
        return bool(pbc.all())

    def propose(self, walker: Walker, random: np.random.Generator) -> Proposal | None:
        """As `Move`."""
        upper = np.triu(random.standard_normal((3, 3)))
        values, vectors = np.linalg.eigh(self.step * (upper + np.triu(upper, 1).T))
        stretch = (vectors * np.exp(values)) @ vectors.T
        return Proposal(walker.positions @ stretch, walker.cell @ stretch, len(walker.numbers) + 1)


@dataclass(frozen=True)
class Swap(Move, kind="swap"):
    """Two atoms of unlike elements exchange their positions; momenta stay with their atoms.

    Velocities of atoms of other masses would change the kinetic energy, which the acceptance does
    not know.

    Args:
        every: steps of dynamics between two tries.
    """

    every: int = 10

    def suits(self, numbers: NDArray[np.int64], pbc: NDArray[np.bool_]) -> bool:
        """Atoms of two elements or more."""
        return bool((numbers != numbers[0]).any())

    def propose(self, walker: Walker, random: np.random.Generator) -> Proposal | None:
        """As `Move`: any atom, then any of another element; the way back is as likely."""
        first = int(random.integers(len(walker.numbers)))
        others = np.flatnonzero(walker.numbers != walker.numbers[first])
        if not len(others):
            return None
        second = int(random.choice(others))
        positions = walker.positions.copy()
        positions[[first, second]] = walker.positions[[second, first]]
        return Proposal(positions, walker.cell)


def make(
    number: int,
    move: Move,
    walkers: Sequence[Walker],
    surface: Surface,
    kelvin: float,
    pressure: float,
    randoms: Sequence[np.random.Generator],
) -> None:
    """Try one move with several walkers, in one call of the surface.

    Args:
        number: of the move, for the counts of walkers.
        move: the kind.
        walkers: those that it suits; they change where it is accepted.
        surface: on which they are.
        kelvin: temperature.
        pressure: in eV/Å³.
        randoms: of each walker.
    """
    tries = [move.propose(w, r) for w, r in zip(walkers, randoms, strict=True)]
    tried = [(w, p, r) for w, p, r in zip(walkers, tries, randoms, strict=True) if p is not None]
    for walker in walkers:
        walker.tried[number, 0] += 1
    if not tried:
        return
    there = [
        w.structure.moved(p.positions, p.cell if p.powers is not None else None)
        for w, p, _ in tried
    ]
    found = surface.compute(there, [w.tau for w, _, _ in tried])
    for (walker, proposal, random), seen in zip(tried, found, strict=True):
        luck = random.random()
        if seen.error is not None or not np.isfinite(seen.biased):
            continue
        change = seen.biased - walker.biased
        volume = abs(np.linalg.det(proposal.cell))
        grown = 0.0
        if proposal.powers is not None:
            change += pressure * (volume - walker.volume)
            grown = proposal.powers * np.log(volume / walker.volume)
        if np.log(luck) < grown - change / (BOLTZMANN * kelvin):
            walker.positions, walker.cell = proposal.positions, proposal.cell
            walker.take(seen)
            walker.tried[number, 1] += 1
