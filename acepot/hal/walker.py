"""A walker: atoms on their way under E - τσ, and everything that its way goes on from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.masses import masses
from acepot.structure import Structure
from acepot.uncertainty.energies import BiasedEnergy
from acepot.units import AMU, BOLTZMANN

__all__ = ["RUNNING", "Walker"]

Floats = NDArray[np.float64]
#: What `ended` is while a walk goes on.
RUNNING = ""


@dataclass(eq=False)
class Walker:
    """Atoms on their way.

    Args:
        numbers: atomic numbers, shape (n,).
        positions: in Å, shape (n, 3).
        velocities: in Å/fs, shape (n, 3).
        cell: vectors as rows in Å, shape (3, 3).
        pbc: periodic directions, shape (3,).
        forces: -d(E - τσ)/dr in eV/Å, shape (n, 3).
        energy: E in eV.
        sigma: σ of it in eV.
        tau: τ.
        pull: running mean of |F| of the model in eV/Å.
        push: running mean of |dσ/dr| in eV/Å.
        measured: how often both were measured.
        step: so many steps were made.
        start: number of the structure from which the walk began.
        began: E where it began, in eV.
        ended: why it ended; empty: it goes on.
        grade: the largest number of an atom that the criterion compared last.
        quantile: the 90 % quantile of these numbers.
        tried: moves of each kind that were tried, and accepted, shape (moves, 2).
    """

    numbers: NDArray[np.int64]
    positions: Floats
    velocities: Floats
    cell: Floats
    pbc: NDArray[np.bool_]
    forces: Floats
    energy: float = 0.0
    sigma: float = 0.0
    tau: float = 0.0
    pull: float = 0.0
    push: float = 0.0
    measured: int = 0
    step: int = 0
    start: int = 0
    began: float = 0.0
    ended: str = RUNNING
    grade: float = 0.0
    quantile: float = 0.0
    tried: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    @classmethod
    def at(
        cls, structure: Structure, kelvin: float, random: np.random.Generator, moves: int = 0
    ) -> Walker:
        """A walker at a structure, with velocities of Maxwell and Boltzmann.

        Args:
            structure: atoms and cell.
            kelvin: of the velocities.
            random: draws them.
            moves: kinds of moves there are.
        """
        width = np.sqrt(BOLTZMANN * kelvin / (masses(structure.numbers) * AMU))
        return cls(
            structure.numbers,
            np.array(structure.positions),
            width[:, None] * random.standard_normal((len(structure), 3)),
            np.array(structure.cell),
            structure.pbc,
            np.zeros((len(structure), 3)),
            tried=np.zeros((moves, 2), dtype=np.int64),
        )

    def __post_init__(self) -> None:
        self._known: tuple[Floats, Structure] | None = None

    @property
    def structure(self) -> Structure:
        """Atoms and cell as they are now."""
        if self._known is None or self._known[0] is not self.cell:
            whole = Structure(self.numbers, self.positions, self.cell, self.pbc)
            self._known = self.cell, whole
            return whole
        return self._known[1].moved(self.positions)

    @property
    def masses(self) -> Floats:
        """In eV fs²/Å², shape (n,)."""
        return masses(self.numbers) * AMU

    @property
    def biased(self) -> float:
        """E - τσ in eV, with τ of now."""
        return self.energy - self.tau * self.sigma

    @property
    def volume(self) -> float:
        """Of the cell in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def kinetic(self) -> float:
        """Kinetic energy in eV."""
        return float(0.5 * self.masses @ (self.velocities**2).sum(axis=1))

    @property
    def kelvin(self) -> float:
        """2 K/(3 n k) in K."""
        return 2.0 * self.kinetic / (3.0 * len(self.numbers) * BOLTZMANN)

    def take(self, found: BiasedEnergy) -> None:
        """Note what the surface said about where it is."""
        self.energy, self.sigma, self.forces = found.energy, found.sigma, found.forces

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, from which `restored` makes the same walker bit by bit."""
        return {one.name: np.asarray(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def restored(cls, arrays: dict[str, NDArray[Any]]) -> Walker:
        """The walker that `arrays` described."""
        values: dict[str, Any] = {
            name: array if array.ndim else array.item() for name, array in arrays.items()
        }
        return cls(**values)
