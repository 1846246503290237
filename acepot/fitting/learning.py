"""Where the learning of radial functions is, as plain data that a checkpoint can hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ending", "Learning"]

Floats = NDArray[np.float64]
#: Damping of the first step.
_FIRST = 1e-5


class Ending(Enum):
    """Why learning ended, in words."""

    LOSS = "the loss hardly falls any more"
    HELD_OUT = "structures that are held out are not described better any more"
    STUCK = "no step lowers the loss, however much it is damped"
    STEPS = "all steps are used"


@dataclass(frozen=True, eq=False)
class Learning:
    """Where learning is; with it, it goes on as if it had never stopped.

    Args:
        weights: w [centre, neighbour, channel, k].
        best: those that describe what is held out best, or the last.
        by_l: whether every l has weights of its own.
        damping: of the next step.
        losses: sum of squares and penalties at the start and after every step.
        held_out: mean weighted square of what is held out likewise; nan without any.
        ended: why it is over; None: it is not.
    """

    weights: Floats
    best: Floats
    by_l: bool = False
    damping: float = _FIRST
    losses: tuple[float, ...] = ()
    held_out: tuple[float, ...] = ()
    ended: Ending | None = None

    @property
    def steps(self) -> int:
        """How many there were."""
        return max(len(self.losses) - 1, 0)

    @property
    def report(self) -> dict[str, Any]:
        """What happened."""
        found: dict[str, Any] = {
            "ended": "" if self.ended is None else self.ended.value,
            "steps": self.steps,
            "weights": int(self.best.size),
            "loss": list(self.losses),
        }
        if np.isfinite(self.held_out).any():
            found["held out"] = list(self.held_out)
        return found
