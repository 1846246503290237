"""Random numbers by counter: no generator has a state that a run would have to keep.

What is drawn depends on the seed, the replica, the iteration and what it is for, and on nothing
else: an iteration can be repeated bit for bit, and a worker with some of the walkers finds the
numbers that one with all of them finds.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for; the values never change, for runs are continued."""

    START = 0
    SHAPE = 1
    CLONE = 2
    KINDS = 3
    WALK = 4
    PILOT = 5
    CHOICE = 6
    EXCHANGE = 7
    KEYS = 8


def draws(
    seed: int, replica: int, iteration: int, purpose: Purpose, part: int = 0
) -> np.random.Generator:
    """The generator of one purpose (Philox, a block cipher of its counter).

    Args:
        seed: of the run, 0 to 2⁶⁴ - 1.
        replica: which pressure.
        iteration: of the run.
        purpose: what the numbers are for.
        part: tells several generators of one purpose apart.

    Returns:
        A generator at its beginning; 2⁶⁴ blocks of numbers lie before the next part's.
    """
    key = np.array([seed, iteration], dtype=np.uint64)
    counter = np.array([0, part, purpose, replica], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
