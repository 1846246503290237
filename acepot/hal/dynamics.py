"""Langevin dynamics of several walkers in step on E - τσ, and moves of cells and elements.

A step is that of BAOAB (Leimkuhler and Matthews, J. Chem. Phys. 138, 174102 (2013)): half a kick,
half a drift, friction and noise for the whole step, half a drift, half a kick. The positions of a
harmonic crystal are distributed exactly, whatever the time step. Without friction it is the
velocity Verlet method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from acepot.hal.moves import Move, make
from acepot.hal.surface import Surface
from acepot.hal.walker import Walker
from acepot.units import BOLTZMANN, GIGAPASCAL

__all__ = ["FAILED", "Dynamics", "begin"]

#: Why a walk ends where atoms are so close that nothing can be evaluated.
FAILED = "refused"
#: Draws the random numbers of a walker: of its thermostat (False) or its moves (True).
Randoms = Callable[[Walker, bool], np.random.Generator]


def begin(walkers: Sequence[Walker], surface: Surface) -> None:
    """Evaluate where walkers begin, in one call; those that cannot be evaluated end there."""
    found = surface.compute([w.structure for w in walkers], [w.tau for w in walkers])
    for walker, seen in zip(walkers, found, strict=True):
        if seen.error is not None:
            walker.ended = FAILED
        else:
            walker.take(seen)


@dataclass(frozen=True)
class Dynamics:
    """How walkers move.

    Args:
        timestep: in fs.
        friction: in 1/ps; 0: constant energy.
        moves: of cells and elements, beside the dynamics.
    """

    timestep: float
    friction: float
    moves: tuple[Move, ...] = ()

    def step(
        self,
        walkers: Sequence[Walker],
        surface: Surface,
        targets: Callable[[Walker], tuple[float, float]],
        randoms: Randoms,
    ) -> None:
        """Make one step with all walkers, in one call of the surface, and the moves that are due.

        A walker that cannot be evaluated where it would go is left where it was, and has ended.

        Args:
            walkers: that go on.
            surface: on which they move.
            targets: temperature in K and pressure in GPa of a walker.
            randoms: draw the numbers of a walker.
        """
        going = list(walkers)
        before = [(w.positions, w.velocities) for w in going]
        for walker in going:
            self._drift(walker, targets(walker)[0], randoms)
        found = surface.compute([w.structure for w in going], [w.tau for w in going])
        for walker, seen, (positions, velocities) in zip(going, found, before, strict=True):
            walker.step += 1
            if seen.error is not None or not np.isfinite(seen.biased):
                walker.positions, walker.velocities = positions, velocities
                walker.ended = FAILED
                continue
            walker.take(seen)
            walker.velocities = walker.velocities + self._kick(walker)
        for number, move in enumerate(self.moves):
            able = [
                w
                for w in going
                if not w.ended and w.step % move.every == 0 and move.suits(w.numbers, w.pbc)
            ]
            if able:
                kelvin, pressure = targets(able[0])
                drawn = [randoms(w, True) for w in able]
                make(number, move, able, surface, kelvin, pressure * GIGAPASCAL, drawn)

    def _kick(self, walker: Walker) -> np.ndarray:
        """Half a step of the forces."""
        return np.asarray(0.5 * self.timestep * walker.forces / walker.masses[:, None])

    def _drift(self, walker: Walker, kelvin: float, randoms: Randoms) -> None:
        """All of a step up to the new forces."""
        half = 0.5 * self.timestep
        velocities = walker.velocities + self._kick(walker)
        positions = walker.positions + half * velocities
        if self.friction > 0.0:
            kept = np.exp(-self.friction * 1e-3 * self.timestep)
            width = np.sqrt(BOLTZMANN * kelvin * (1.0 - kept**2) / walker.masses)
            noise = randoms(walker, False).standard_normal(velocities.shape)
            velocities = kept * velocities + width[:, None] * noise
        walker.positions = positions + half * velocities
        walker.velocities = velocities
