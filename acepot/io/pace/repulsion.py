"""What a singular pair function does below the shortest distance it was fitted to.

PACE's radial functions are finite at r = 0, so a function such as r^-p is written exactly only
above the shortest distance r_s of the training data. Below, it goes on with its value, slope
and curvature there and a repulsion h (1 - r/r_s)³ + W exp(-(6 r/r_s)²), h so large that two
atoms repel each other all the way in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from acepot.errors import InputError
from acepot.io.pace.chebyshev import Floats, Series, expand, plus
from acepot.io.pace.continuation import Continued, Function

#: First and largest h, and W, in eV: W is the wall of fast collisions, and 2e-14 eV at r_s.
_HEIGHT, _HIGHEST, _WALL = 10.0, 1e4, 100.0
#: Where the energy of two atoms must fall with distance: from the beginning of our tables to
#: this part of the shortest distance; nearer to it the model itself decides.
_BEGIN, _PART = 0.1, 0.9
#: Without a record of the shortest distance: this part of the typical one.
_UNKNOWN = 0.5
#: A record below the first number in Å, or above this part of the cut-off, is not used.
_LEAST, _MOST = 0.3, 0.8

#: Relative error of the wall: near rounding, as it also counts above r_s.
_EXACT = 3e-14


def shortest_distance(
    provenance: Mapping[str, object], pair: tuple[str, str], typical: float, cutoff: float
) -> float:
    """Where the continuation begins, in Å.

    Args:
        provenance: of the model; "shortest distances" holds those of its training data.
        pair: the two symbols.
        typical: distance of two neighbours in Å, for models without a record.
        cutoff: in Å.
    """
    stored = provenance.get("shortest distances")
    if isinstance(stored, Mapping):
        for name in ("-".join(pair), "-".join(reversed(pair))):
            found = stored.get(name)
            if isinstance(found, (int, float)) and _LEAST <= found <= _MOST * cutoff:
                return float(found)
    return min(_UNKNOWN * typical, _MOST * cutoff)


def continued(
    functions: list[Function],
    shortest: float,
    cutoffs: list[float],
    energy: Callable[[Floats, list[Floats]], Floats],
    least: int,
    tolerance: float,
    what: str,
) -> list[Series]:
    """The singular functions of a pair of elements, one for each end, made finite.

    Args:
        functions: as the model has them, in eV.
        shortest: where the continuation begins, in Å.
        cutoffs: of each in Å.
        energy: of two atoms at the distances given, in eV, from the values of the functions.
        least: smallest K to use.
        tolerance: largest error above `shortest`, relative to the largest value there.
        what: how an error begins.

    Raises:
        InputError: no continuation repels, or K would exceed its bound.
    """
    near = np.linspace(_BEGIN, _PART * shortest, 200)
    below = np.linspace(0.0, shortest, 200)
    walls = [
        expand(lambda r: _WALL * np.exp(-((6.0 * r / shortest) ** 2))[None], cutoff, _EXACT, what)
        for cutoff in cutoffs
    ]
    above = [
        Continued(f, shortest, cutoff, max(least, wall.order))
        for f, wall, cutoff in zip(functions, walls, cutoffs, strict=True)
    ]
    falling = [f(np.array([shortest])).first[0] < 0.0 for f in functions]
    height = _HEIGHT
    while height <= _HIGHEST:
        try:
            sums = [one.fit(height, tolerance, what) for one in above]
        except InputError:
            if height == _HEIGHT:
                raise
            break  # so high that it would spoil what is above
        sums = [plus(s, wall) for s, wall in zip(sums, walls, strict=True)]
        total = energy(
            near, [s.evaluate(near, cutoff)[0] for s, cutoff in zip(sums, cutoffs, strict=True)]
        )
        own = [
            s.evaluate(below, cutoff)[0]
            for s, cutoff, falls in zip(sums, cutoffs, falling, strict=True)
            if falls
        ]
        if (np.diff(total) < 0).all() and all((np.diff(v) < 0).all() for v in own):
            return sums
        height *= 2.0
    raise InputError(
        f"{what}: no continuation below {shortest:.4g} Å makes two atoms repel each other; "
        "the model attracts where its training data end"
    )
