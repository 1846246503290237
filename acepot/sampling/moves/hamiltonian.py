"""Hamiltonian trajectories at constant total of enthalpy and kinetic energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling.cells import Floats
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Batch, Drawn, StepRule
from acepot.sampling.moves.turning import turned


@dataclass(frozen=True)
class Hamiltonian:
    """Velocity Verlet from momenta that are uniform under the limit.

    What is sampled is uniform in positions and momenta where E = H + K is below its limit and K
    below Kmax. Before each trajectory momenta are drawn from what the limit leaves to them, which
    nothing rejects: q = p/√m = r √(2 min(E_limit - H, Kmax)) e, with e uniform on the sphere of 3n
    dimensions and r = u^(1/3n). The end point counts if E is below its limit and K below Kmax;
    otherwise the walker stays where it was, with the momenta that were drawn. All moves begin with
    fresh momenta, so that no sign has to be kept from one to the next. Points where the model
    cannot be evaluated end a trajectory where it began.

    A move may have several such parts, one after the other: before each but the first q turns by an
    angle at constant K, and has its sign changed where the part before ended where it began.

    Args:
        weight: how often it is chosen.
        length: steps of a part.
        step: first size of the time step in Å √(amu/eV), which is 10.18 fs; None: from the largest
            volume and kinetic energy.
        parts: trajectories one after the other.
        turn: angle between one and the next in radians.
    """

    weight: float = 1.0
    length: int = 8
    step: float | None = None
    parts: int = 1
    turn: float = 0.3
    kind: str = "hamiltonian"

    @property
    def calls(self) -> int:
        """As `Move`."""
        return self.parts * self.length

    def rule(self, ensemble: Ensemble) -> StepRule:
        """As `Move`."""
        if not (ensemble.kinetic > 0).all():
            raise InputError(
                "moves: hamiltonian needs ensemble.kinetic, largest kinetic energies in eV, "
                f"above 0; got {ensemble.kinetic.tolist()}"
            )
        edge = float(np.cbrt(ensemble.prior.volume_max * ensemble.atoms))
        speed = np.sqrt(2 * ensemble.kinetic.max() / (3 * ensemble.masses[ensemble.numbers].sum()))
        first = 0.02 * edge / float(speed) if self.step is None else self.step
        return StepRule(first, 1e3 * first, (0.5, 0.95))

    def draw(self, random: np.random.Generator, times: int, walkers: int, atoms: int) -> Drawn:
        """Directions, of any length, with what turns them, and u."""
        directions = random.standard_normal((times, walkers, self.parts, atoms, 3))
        return directions, random.random((times, walkers))

    def make(self, batch: Batch, drawn: Drawn, step: Floats) -> NDArray[np.bool_]:
        """As `Move`; of several parts it is the last that counts as accepted or not."""
        now, ensemble = batch.now, batch.ensemble
        most = ensemble.kinetic[batch.replicas]
        enthalpy = ensemble.enthalpy(now.energy, batch.volumes, now.numbers, batch.replicas)
        room = np.clip(batch.limits - enthalpy, 0.0, most)
        now.kinetic[:] = room * drawn[1] ** (2 / (3 * ensemble.atoms))
        now.total[:] = enthalpy + now.kinetic
        first = drawn[0][:, 0]
        q = first * np.sqrt(2 * now.kinetic / _squares(first))[:, None, None]
        for part in range(1, self.parts):
            moved, end = self.fly(batch, q, step)
            q = turned(np.where(moved[:, None, None], end, -q), drawn[0][:, part], self.turn)
        return self.fly(batch, q, step)[0]

    def fly(self, batch: Batch, q: Floats, step: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Make one trajectory with all walkers.

        Args:
            batch: the walkers.
            q: p/√m of all atoms, shape (M, n, 3).
            step: time steps, shape (M,).

        Returns:
            Whether each walker moved, shape (M,), and its q at the end of the trajectory.
        """
        now, ensemble = batch.now, batch.ensemble
        most = ensemble.kinetic[batch.replicas]
        inverse = 1 / ensemble.masses[now.numbers][:, :, None]  # [m, atom, 1]
        x, v, energy, forces, alive = self.trajectory(
            batch, q * np.sqrt(inverse), inverse, step[:, None, None]
        )
        end = v / np.sqrt(inverse)
        kinetic = 0.5 * _squares(end)
        total = kinetic + ensemble.enthalpy(energy, batch.volumes, now.numbers, batch.replicas)
        rows = np.flatnonzero(alive & (kinetic <= most))
        good = batch.below(total[rows], rows)
        ensemble.prior.guard(good, now.numbers[rows], x[rows], now.cells[rows])
        to = rows[good]
        moved = np.zeros(len(step), dtype=bool)
        moved[to] = True
        now.positions[to], now.energy[to], now.forces[to] = x[to], energy[to], forces[to]
        now.kinetic[to], now.total[to] = kinetic[to], total[to]
        return moved, end

    def trajectory(
        self, batch: Batch, v: Floats, inverse: Floats, dt: Floats
    ) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
        """Positions, velocities, energies and forces at the end, and which trajectories got there.

        Args:
            batch: the walkers.
            v: velocities, which are changed, shape (M, n, 3).
            inverse: 1/m, shape (M, n, 1).
            dt: shape (M, 1, 1).
        """
        now = batch.now
        x, energy, forces = now.positions.copy(), now.energy.copy(), now.forces.copy()
        alive = np.ones(len(v), dtype=bool)
        for _ in range(self.length):
            rows = np.flatnonzero(alive)
            if len(rows) == 0:
                break
            v += 0.5 * dt * inverse * forces
            x += dt * v
            found = batch.evaluate(now.numbers[rows], x[rows], now.cells[rows])
            sound = np.isfinite(found.energy)
            alive[rows[~sound]] = False
            rows = rows[sound]
            energy[rows], forces[rows] = found.energy[sound], found.forces[sound]
            v += 0.5 * dt * inverse * forces
        return x, v, energy, forces, alive


def _squares(q: Floats) -> Floats:
    """Squared lengths of the vectors of all atoms together, shape (m, n, 3) -> (m,)."""
    return np.asarray(np.einsum("max,max->m", q, q))
