"""How a run of nested sampling goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from acepot.errors import InputError
from acepot.sampling.moves.protocol import Move


@dataclass(frozen=True)
class Tuning:
    """How step sizes are tuned: by pilot moves on copies, never on the walkers themselves.

    Args:
        interval: iterations from one tuning to the next; 0: never.
        pilots: copies that make one pilot move each.
        factor: by which a size is changed.
        rounds: of pilot moves at most.
    """

    interval: int = 100
    pilots: int = 200
    factor: float = 1.25
    rounds: int = 40

    def __post_init__(self) -> None:
        if self.interval < 0 or self.pilots < 1 or self.rounds < 1 or not self.factor > 1:
            raise InputError(f"tuning: expected positive numbers and a factor above 1, got {self}")


@dataclass(frozen=True)
class Exchange:
    """Replica exchange between neighbouring pressures.

    Args:
        interval: iterations from one exchange to the next; 0: never.
        attempts: pairs of walkers that each pair of replicas tries each time.
    """

    interval: int = 1
    attempts: int = 1

    def __post_init__(self) -> None:
        if self.interval < 0 or self.attempts < 1:
            raise InputError(f"exchange: expected positive numbers, got {self}")


@dataclass(frozen=True)
class Stop:
    """When a run is at its end.

    Args:
        iterations: this many; None: no limit.
        kt: kT in eV of the lowest temperature of interest: the run ends when in every replica
            ln w - H/kT of the last culled walker is below its maximum by `margin`.
        margin: in units of 1.
    """

    iterations: int | None = None
    kt: float | None = None
    margin: float = 10.0

    def __post_init__(self) -> None:
        if self.iterations is None and self.kt is None:
            raise InputError("stop: expected iterations or kt, got neither")
        if self.kt is not None and not self.kt > 0:
            raise InputError(f"stop.kt: expected a positive energy in eV, got {self.kt}")


@dataclass(frozen=True, eq=False)
class Settings:
    """How a run goes.

    Args:
        walkers: K of each replica.
        length: evaluations L of a walk from one culling to the next, of all walkers of a replica
            together.
        moves: the kinds there are.
        stop: when it ends.
        batch: B walkers of each replica that move in step, the clone and B - 1 others, each for
            L/B evaluations: on average a walker makes L of them from its birth to its end, as with
            one. About the B-th part of the walkers have made only their first walk: where L/B
            evaluations do not take a clone away from its parent these lie in pairs, the highest
            walker is lower than that of K independent ones, and ln Z comes out too large.
        seed: of all random numbers.
        tuning: of step sizes.
        exchange: between replicas.
        shape_rounds: of shears and stretches that make first cells.
        tries: draws of each first configuration until one is below the ceiling.

    Raises:
        InputError: numbers that cannot be.
    """

    walkers: int
    length: int
    moves: tuple[Move, ...]
    stop: Stop
    batch: int = 1
    seed: int = 0
    tuning: Tuning = field(default_factory=Tuning)
    exchange: Exchange = field(default_factory=Exchange)
    shape_rounds: int = 1000
    tries: int = 20_000

    def __post_init__(self) -> None:
        if self.walkers < 2:
            raise InputError(f"walkers: expected 2 or more, got {self.walkers}")
        if not 1 <= self.batch < self.walkers:
            raise InputError(
                f"batch: expected 1 to {self.walkers - 1}, fewer than there are walkers, got "
                f"{self.batch}"
            )
        if self.length < 1 or self.tries < 1 or self.shape_rounds < 0:
            raise InputError("length, tries, shape_rounds: expected positive numbers")
        if not self.moves or not all(move.weight > 0 for move in self.moves):
            raise InputError("moves: expected one or more kinds with positive weights")
        if not 0 <= self.seed < 2**64:
            raise InputError(f"seed: expected 0 to 2**64 - 1, got {self.seed}")
