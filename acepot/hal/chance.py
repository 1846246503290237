"""Random numbers of a run: what is drawn depends on what it is for, and on no state.

A run that was killed draws the same numbers again, whichever process draws them.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Use", "chance"]


class Use(IntEnum):
    """What numbers are for; the values never change, for runs are continued."""

    START = 0
    VELOCITIES = 1
    THERMOSTAT = 2
    MOVES = 3
    TEST = 4
    COMMITTEE = 5


def chance(seed: int, use: Use, cycle: int, walker: int = 0, step: int = 0) -> np.random.Generator:
    """The generator of one purpose (Philox, a block cipher of its counter).

    Args:
        seed: of the run, 0 to 2⁶³ - 1.
        use: what the numbers are for.
        cycle: of the run.
        walker: which one.
        step: of its walk.
    """
    key = np.array([seed, cycle], dtype=np.uint64)
    counter = np.array([0, step, use, walker], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
