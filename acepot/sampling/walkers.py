"""Walkers: configurations as plain arrays, and the state of a run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.sampling.cells import Floats, Ints


@dataclass(frozen=True, eq=False)
class Walkers:
    """Configurations; the leading axes (…) are those of a set: (M,) in a batch, (R, K) in a state.

    Args:
        numbers: atomic numbers, shape (…, n).
        positions: in Å, shape (…, n, 3).
        cells: vectors as rows in Å, shape (…, 3, 3).
        energy: U in eV, shape (…).
        forces: in eV/Å, shape (…, n, 3).
        total: H = U + P V - Σ μ, with kinetic energy E = H + K, in eV, shape (…).
        kinetic: K in eV, of momenta that are drawn anew in each trajectory; else 0, shape (…).
        key: uniform in [0, 1), tells equal totals apart, shape (…).
        birth: the limit of the total under which a walker was cloned; infinite for the first ones,
            shape (…).
    """

    numbers: Ints
    positions: Floats
    cells: Floats
    energy: Floats
    forces: Floats
    total: Floats
    kinetic: Floats
    key: Floats
    birth: Floats

    @classmethod
    def empty(cls, shape: tuple[int, ...], atoms: int) -> Walkers:
        """Walkers with zeros in all arrays.

        Args:
            shape: of the set.
            atoms: n.
        """
        scalar = [np.zeros(shape) for _ in range(5)]
        vectors = [np.zeros((*shape, atoms, 3)) for _ in range(2)]
        numbers = np.zeros((*shape, atoms), dtype=np.int64)
        energy, total, kinetic, key, birth = scalar
        return cls(
            numbers, vectors[0], np.zeros((*shape, 3, 3)), energy, vectors[1], total, kinetic,
            key, birth,
        )  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by their names."""
        return {one.name: getattr(self, one.name) for one in fields(Walkers)}

    def take(self, *where: Any) -> Walkers:
        """Copies of some walkers.

        Args:
            where: indices of the leading axes, as numpy takes them.
        """
        return Walkers(**{name: np.array(a[where]) for name, a in self.arrays().items()})

    def put(self, others: Walkers, *where: Any) -> None:
        """Write others over some walkers.

        Args:
            others: as many.
            where: indices of the leading axes, as numpy takes them.
        """
        new = others.arrays()
        for name, array in self.arrays().items():
            array[where] = new[name]


def joined(parts: list[Walkers]) -> Walkers:
    """Batches of walkers as one, in their order."""
    every = [part.arrays() for part in parts]
    return Walkers(**{name: np.concatenate([one[name] for one in every]) for name in every[0]})


@dataclass(eq=False)
class State:
    """Everything that a run goes on from: plain arrays and one whole number.

    Args:
        walkers: of all replicas, shape (R, K).
        steps: step size of each kind of move, shape (R, moves); nan: it has none.
        rates: part of the pilot moves that was accepted when steps were last tuned, shape
            (R, moves); nan: not yet.
        tried: moves since then, shape (R, moves).
        accepted: of these, shape (R, moves).
        exchanged: exchanges of each neighbouring pair that were tried and accepted, shape
            (max(R - 1, 0), 2).
        peak: max of ln w - H / kT over culled walkers at the temperature where the run ends,
            shape (R,).
        calls: structures evaluated so far, in one number, shape (1,).
        iteration: how many walkers each replica has culled.
    """

    walkers: Walkers
    steps: Floats
    rates: Floats
    tried: Ints
    accepted: Ints
    exchanged: Ints
    peak: Floats
    calls: Ints
    iteration: int

    @classmethod
    def of(cls, walkers: Walkers, steps: Floats) -> State:
        """A state before the first iteration.

        Args:
            walkers: shape (R, K).
            steps: first step size of each move, shape (moves,).
        """
        replicas, moves = len(walkers.energy), len(steps)
        shape = (replicas, moves)
        return cls(
            walkers, np.tile(steps, (replicas, 1)), np.full(shape, np.nan),
            np.zeros(shape, np.int64), np.zeros(shape, np.int64),
            np.zeros((max(replicas - 1, 0), 2), np.int64), np.full(replicas, -np.inf),
            np.zeros(1, np.int64), 0,
        )  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it but the iteration by name, as a file keeps it; `from_arrays` takes it back."""
        own = {one.name: getattr(self, one.name) for one in fields(State)}
        del own["walkers"], own["iteration"]
        return {**{f"walkers/{k}": a for k, a in self.walkers.arrays().items()}, **own}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], iteration: int) -> State:
        """A state as `arrays` gave it; the arrays are copied."""
        of = {k: np.array(a) for k, a in arrays.items()}
        names = [one.name for one in fields(Walkers)]
        walkers = Walkers(**{k: of.pop(f"walkers/{k}") for k in names})
        return cls(walkers=walkers, iteration=iteration, **of)
