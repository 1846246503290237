"""The structures that determine a model best: a D-optimal choice.

With rows b_i of all atoms of the structures chosen so far, A = λ + Σ_i b_i b_iᵀ is the information
that they hold about the coefficients, and log det A is what a D-optimal choice makes as large as
possible (V. V. Fedorov, Theory of Optimal Experiments, 1972). One structure after the other is
taken, the one that adds most. What a structure adds never grows as others are chosen, so a value
of before is an upper bound, and only structures whose bound is the highest are looked at again
(M. Minoux, Optimization Techniques 7, 234 (1978)): the choice is that of looking at all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from acepot.errors import InputError
from acepot.fitting.dataset import elements
from acepot.fitting.labels.duplicates import duplicates
from acepot.run.progress import Progress
from acepot.structure import Structure
from acepot.survey.features import features

__all__ = ["Selection", "greedy", "select"]

Floats = NDArray[np.float64]
Rows = NDArray[np.floating]
#: λ in units of the mean size of functions, squared: directions with less in all atoms are none.
_LEAST = 1e-2


@dataclass(frozen=True, eq=False)
class Selection:
    """Structures that were chosen.

    Args:
        chosen: their numbers in the pool, in the order in which they were taken.
        gains: what each added to log det A, shape (chosen,).
        information: of those chosen and given, in parts of that of all structures.
        functions: of the basis.
        first: how many are single atoms, which are taken first.
    """

    chosen: tuple[int, ...]
    gains: Floats
    information: float
    functions: int
    first: int


def select(
    pool: Sequence[Structure],
    *,
    count: int | None = None,
    atoms: int | None = None,
    given: Sequence[Structure] = (),
    threads: int = 1,
    watched: bool = False,
) -> Selection:
    """Choose the structures that tell most about a model.

    Single atoms with an energy come first, because reference energies are theirs. A structure that
    is given, or in the pool twice, is not taken again.

    Args:
        pool: to choose from; labels are not needed.
        count: how many structures; None: as many as the atoms allow.
        atoms: how many atoms they have at most; the structure that adds most per atom is then the
            next. Exactly one of the two is given.
        given: structures that are there already.
        threads: structures handled at once.
        watched: show how far it is, where that takes more than a second.

    Raises:
        InputError: neither or both of count and atoms, or one that is not positive.
    """
    if (count is None) == (atoms is None):
        raise InputError("select: expected a number of structures or of atoms, and not both")
    wanted = count if count is not None else atoms
    if wanted is not None and wanted < 1:
        raise InputError(f"select: expected one structure or atom at least, got {wanted}")
    every = [*pool, *given]
    made = features(every, elements(every), threads=threads, watched=watched)
    alone = [k for k, s in enumerate(pool) if len(s) == 1 and s.energy is not None]
    alone = [k for k in alone if not made.rows[k].any()][:count]
    again = (twins.places[1] - len(given) for twins in duplicates([*given, *pool]))
    skip = [*alone, *(k for k in again if k >= 0)]
    rows, before = made.rows[: len(pool)], made.rows[len(pool) :]
    if atoms is None:
        sizes, room = np.ones(len(pool)), float(wanted or 0) - len(alone)
    else:
        sizes, room = np.array([float(len(s)) for s in pool]), float(atoms - len(alone))
    chosen, gains = greedy(rows, sizes, room, before, skip=skip, watched=watched)
    information = _information([*before, *(rows[k] for k in chosen)], len(made.scale))
    whole = _information(made.rows, len(made.scale))
    return Selection(
        chosen=(*alone, *chosen),
        gains=np.concatenate([np.zeros(len(alone)), gains]),
        information=information / whole if whole > 0 else 1.0,
        functions=len(made.scale),
        first=len(alone),
    )


def greedy(
    rows: Sequence[Rows],
    sizes: Floats,
    room: float,
    before: Sequence[Rows] = (),
    *,
    skip: Sequence[int] = (),
    watched: bool = False,
) -> tuple[list[int], Floats]:
    """Take one structure after the other, the one that adds most to log det A for its size.

    Args:
        rows: of each structure, shape (n, K) each.
        sizes: of each structure, shape (m,).
        room: sum of the sizes at most.
        before: rows of structures that are there already.
        skip: structures that are not looked at.
        watched: show how far it is.

    Returns:
        Their numbers in the order in which they were taken, and what each added.
    """
    functions = rows[0].shape[1]
    information = _LEAST * np.eye(functions)
    for own in before:
        information += _squared(own)
    factor = cholesky(information, lower=True)
    left = [k for k in range(len(rows)) if k not in set(skip)]
    queue = [(-_gain(rows[k], factor) / sizes[k], k, 0) for k in left]
    heapq.heapify(queue)
    chosen: list[int] = []
    gains: list[float] = []
    progress = Progress("choosing", max(int(min(room, sizes[left].sum())), 1)) if watched else None
    taken = 0.0
    while queue:
        bound, k, seen = heapq.heappop(queue)
        if taken + sizes[k] > room:
            continue
        if seen < len(chosen):  # an upper bound: look again
            heapq.heappush(queue, (-_gain(rows[k], factor) / sizes[k], k, len(chosen)))
            continue
        chosen.append(k)
        gains.append(-bound * sizes[k])
        taken += sizes[k]
        if progress is not None:
            progress.update(int(taken))
        if taken + sizes.min() > room:
            break
        information += _squared(rows[k])
        factor = cholesky(information, lower=True)
    return chosen, np.array(gains)


def _gain(rows: Rows, factor: Floats) -> float:
    """What rows B add: log det(A + BᵀB) - log det A, with A = factor factorᵀ."""
    turned = solve_triangular(factor, rows.T.astype(float), lower=True, check_finite=False)
    small = turned.T @ turned if rows.shape[0] <= rows.shape[1] else turned @ turned.T
    small[np.diag_indices(len(small))] += 1.0
    return float(2 * np.log(np.diag(cholesky(small, lower=True, check_finite=False))).sum())


def _squared(rows: Rows) -> Floats:
    own = rows.astype(float)
    return np.asarray(own.T @ own)


def _information(rows: Sequence[Rows], functions: int) -> float:
    """What rows hold: log det A/λ."""
    total = _LEAST * np.eye(functions)
    for own in rows:
        total += _squared(own)
    return float(np.linalg.slogdet(total / _LEAST)[1])
