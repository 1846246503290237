"""Directions of trajectories that follow on each other: each turns a little from the last."""

from __future__ import annotations

import numpy as np

from acepot.sampling.cells import Floats


def turned(v: Floats, random: Floats, angle: float) -> Floats:
    """Vectors that are turned by an angle, their lengths as they were.

    v' = v cos φ + |v| e sin φ, with e the direction of what random vectors have across v. Where
    these are normal, v' is as likely from v as v from v', and uniform on the sphere if v is.

    Args:
        v: one vector of all coordinates for each walker, shape (M, n, 3).
        random: of any length, not along v, shape (M, n, 3).
        angle: φ in radians.
    """
    square = np.einsum("max,max->m", v, v)[:, None, None]
    along = np.einsum("max,max->m", v, random)[:, None, None]
    across = random - np.divide(along, square, out=np.zeros_like(along), where=square > 0) * v
    length = np.sqrt(square / np.einsum("max,max->m", across, across)[:, None, None])
    return np.asarray(np.cos(angle) * v + np.sin(angle) * length * across)
