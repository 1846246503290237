"""Galilean trajectories: straight lines that are reflected where the limit is exceeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.cells import Floats, Ints
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, StepRule
from acepot.sampling.moves.turning import turned

#: Of trajectories. In a ball of nine dimensions, eight steps of which 90 to 70 % are accepted leave
#: 0.5 to 0.8 of the correlation of energies, but 0.95 to 0.99 where 50 to 25 % are: long steps are
#: accepted where they came back to where they were.
_WINDOW = (0.7, 0.9)


@dataclass(frozen=True)
class Galilean:
    """All atoms move by v in each of `length` steps, with v normal and new in each trajectory.

    At a point outside, where the total is at its limit or above, v -= 2 (v·n) n with n = F/|F| at
    that point; the walker does not step back. Two points outside in a row, or one within the limit
    where atoms are too close, or that has no direction, end the trajectory where it began. So do
    as many reflections as half the steps: steps much too long go out and come back to where they
    were, in turns, and would be accepted without having moved anything. What happens at a point is
    a property of the point alone, and the points of the way back are those of the way there, so
    that both are as likely; the end point must be inside.

    A move may have several such parts, one after the other: v is new in the first alone, and turns
    by an angle before each of the others, v of a part that ended where it began having its sign
    changed. So a walker keeps its direction for longer than what one trajectory dares.

    Args:
        weight: how often it is chosen.
        length: steps of a part.
        step: first width of v in Å for each coordinate; None: from the largest volume.
        parts: trajectories one after the other.
        turn: angle between one and the next in radians.
    """

    weight: float = 1.0
    length: int = 8
    step: float | None = None
    parts: int = 1
    turn: float = 0.3
    kind: str = "galilean"

    @property
    def calls(self) -> int:
        """As `Move`."""
        return self.parts * self.length

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        edge = float(np.cbrt(ensemble.prior.volume_max * ensemble.atoms))
        return StepRule(0.02 * edge if self.step is None else self.step, 0.5 * edge, _WINDOW)

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Velocities of unit width, and what turns them."""
        return (random.standard_normal((times, walkers, self.parts, atoms, 3)),)

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`; of several parts it is the last that counts as accepted or not."""
        v = drawn[0][:, 0] * step[:, None, None]
        for part in range(1, self.parts):
            back = -v
            moved = self.fly(batch, v)
            v = turned(np.where(moved[:, None, None], v, back), drawn[0][:, part], self.turn)
        return self.fly(batch, v)

    def fly(self, batch: Batch, v: Floats) -> NDArray[np.bool_]:
        """Make one trajectory with all walkers.

        Args:
            batch: the walkers.
            v: their velocities in Å, afterwards those at the end where a walker moved, shape
                (M, n, 3).

        Returns:
            Whether each walker moved, shape (M,).
        """
        now, ensemble = batch.now, batch.ensemble
        way = _Way(
            np.arange(len(v)), now.positions.copy(), v, now.numbers, now.cells, now.kinetic,
            ensemble.added(batch.volumes, now.numbers, batch.replicas),
            np.zeros(len(v), dtype=bool), np.full(len(v), (self.length - 1) // 2),
        )  # fmt: skip
        moved = np.zeros(len(v), dtype=bool)
        for step in range(1, self.length + 1):
            np.add(way.x, way.v, out=way.x)
            found = batch.evaluate(way.numbers, way.x, way.cells)
            total = way.kinetic + (found.energy + way.added)
            inside = batch.below(total, way.rows)
            hit = ~inside  # now and not before
            np.subtract(way.left, hit, out=way.left)
            if step < self.length:
                hit &= ~way.out & (way.left >= 0)
                np.logical_not(inside, out=way.out)
                _reflect(way.v, hit, total, found.forces)
            ensemble.prior.guard(inside, way.numbers, way.x, way.cells)
            if step == self.length:
                break
            inside |= hit
            if np.count_nonzero(inside) < len(inside):
                way = way.of(inside.nonzero()[0])
                if len(way.rows) == 0:
                    return moved
        good = np.flatnonzero(inside)
        rows = way.rows[good]
        now.positions[rows], now.energy[rows] = way.x[good], found.energy[good]
        now.forces[rows], now.total[rows] = found.forces[good], total[good]
        v[rows], moved[rows] = way.v[good], True
        return moved


class _Way(NamedTuple):
    """Walkers that are still on their way; arrays of shape (m, …).

    Args:
        rows: their numbers in the batch.
        x: where they are in Å.
        v: in Å a step.
        numbers: atomic numbers.
        cells: in Å.
        kinetic: K in eV.
        added: what the enthalpy has beside the energy, in eV.
        out: whether they are outside.
        left: outside points that are still allowed.
    """

    rows: Ints
    x: Floats
    v: Floats
    numbers: Ints
    cells: Floats
    kinetic: Floats
    added: Floats
    out: NDArray[np.bool_]
    left: Ints

    def of(self, chosen: Ints) -> _Way:
        """Some of them."""
        return _Way._make(array.take(chosen, axis=0) for array in self)


def _reflect(v: Floats, hit: NDArray[np.bool_], total: Floats, forces: Floats) -> None:
    """Reflect velocities at the surfaces of equal energy.

    Args:
        v: in Å a step, is changed, shape (m, n, 3).
        hit: whose; false afterwards where there is no direction, shape (m,).
        total: in eV, shape (m,).
        forces: in eV/Å, shape (m, n, 3).
    """
    (rows,) = hit.nonzero()
    if len(rows) == 0:
        return
    f = forces.take(rows, axis=0)
    square = np.einsum("max,max->m", f, f)
    turns = (square > 0) & np.isfinite(total.take(rows) + square)
    if np.count_nonzero(turns) < len(turns):
        hit[rows] = turns
        rows, f, square = rows[turns], f[turns], square[turns]
    old = v.take(rows, axis=0)
    along = 2 * np.einsum("max,max->m", old, f) / square
    v[rows] = old - along[:, None, None] * f
