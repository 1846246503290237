"""Galilean trajectories: straight lines that are reflected where the limit is exceeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.cells import Floats, Ints
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, Rows, StepRule

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

    Args:
        weight: how often it is chosen.
        length: steps.
        step: first width of v in Å for each coordinate; None: from the largest volume.
    """

    weight: float = 1.0
    length: int = 8
    step: float | None = None
    kind: str = "galilean"

    @property
    def calls(self) -> int:
        """As `Move`."""
        return self.length

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        edge = float(np.cbrt(ensemble.prior.volume_max * ensemble.atoms))
        return StepRule(0.02 * edge if self.step is None else self.step, 0.5 * edge, _WINDOW)

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Velocities of unit width."""
        return (random.standard_normal((times, walkers, atoms, 3)),)

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`."""
        return self.fly(batch, drawn[0] * step[:, None, None])

    def fly(self, batch: Batch, v: Floats) -> NDArray[np.bool_]:
        """Make one trajectory with all walkers.

        Args:
            batch: the walkers.
            v: their velocities in Å, which are changed, shape (M, n, 3).

        Returns:
            Whether each walker moved, shape (M,).
        """
        now, m = batch.now, len(v)
        x = now.positions.copy()
        alive, out = np.ones(m, dtype=bool), np.zeros(m, dtype=bool)
        left, every = np.full(m, (self.length - 1) // 2), np.arange(m)
        energy, total, forces = now.energy.copy(), now.total.copy(), now.forces.copy()
        for _ in range(self.length):
            if not alive.any():
                break
            rows: Rows = slice(None) if alive.all() else np.flatnonzero(alive)
            x[rows] += v[rows]
            numbers, positions, cells = now.numbers[rows], x[rows], now.cells[rows]
            found = batch.evaluate(numbers, positions, cells)
            totals = now.kinetic[rows] + batch.ensemble.enthalpy(
                found.energy, batch.volumes[rows], numbers, batch.replicas[rows]
            )
            energy[rows], forces[rows], total[rows] = found.energy, found.forces, totals
            inside = batch.below(totals, rows)
            outside = every[rows][~inside]
            left[outside] -= 1
            hit = outside[~out[outside] & (left[outside] >= 0)]
            out[rows] = ~inside
            batch.ensemble.prior.guard(inside, numbers, positions, cells)
            alive[rows] = inside
            if len(hit):
                alive[hit] = _reflect(v, hit, total, forces)
        moved = alive & ~out
        now.positions[moved], now.energy[moved] = x[moved], energy[moved]
        now.forces[moved], now.total[moved] = forces[moved], total[moved]
        return moved


def _reflect(v: Floats, rows: Ints, total: Floats, forces: Floats) -> NDArray[np.bool_]:
    """Reflect velocities at the surfaces of equal energy; whether each has a direction."""
    f = forces[rows]
    square = np.einsum("max,max->m", f, f)
    turns = np.isfinite(total[rows]) & (square > 0) & np.isfinite(square)
    r, f, square = rows[turns], f[turns], square[turns]
    along = 2 * np.einsum("max,max->m", v[r], f) / square
    v[r] -= along[:, None, None] * f
    return np.asarray(turns)
