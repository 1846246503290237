"""The structures of a pool that are most worth labelling, by what ends walks and by grades.

By uncertainty: the structure whose largest relative uncertainty of a force is the highest is taken,
and the posterior of the coefficients becomes what it is with its labels there, whatever these are:
with T its weighted rows times F/√noise, F' F'ᵀ = F (1 + TᵀT)⁻¹ Fᵀ. No uncertainty grows by that, so
that a value of before is an upper bound and only the highest are looked at again (M. Minoux,
Optimization Techniques 7, 234 (1978)). Neighbours on a trajectory are therefore not all taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from acepot.errors import InputError
from acepot.fitting.observables import DesignRows
from acepot.fitting.recipe import Weights
from acepot.run.progress import Progress
from acepot.structure import Structure
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.extrapolation import ActiveSet, SiteFunctions
from acepot.uncertainty.posterior import Posterior

__all__ = ["Chosen", "by_extrapolation", "by_uncertainty"]

Floats = NDArray[np.float64]
#: Structures whose grades are found in one call.
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Chosen:
    """Structures that were chosen.

    Args:
        places: in the pool, in the order in which they were taken.
        grades: the largest number of an atom of each when it was taken.
        left: the largest number of any structure that was not taken; nan: all were.
    """

    places: tuple[int, ...]
    grades: tuple[float, ...]
    left: float


def by_uncertainty(
    pool: Sequence[Structure],
    posterior: Posterior,
    count: int,
    *,
    regularisation: float = 0.2,
    threads: int | None = None,
    watched: bool = False,
) -> Chosen:
    """Take structures by the largest relative uncertainty of a force.

    Args:
        pool: to choose from; labels are not needed.
        posterior: of the model.
        count: how many.
        regularisation: ε in eV/Å.
        threads: of the native evaluator.
        watched: show how far it is.

    Raises:
        InputError: a count below 1, or a structure that cannot be evaluated.
    """
    _check(count)
    design, factor = UncertainPotential(posterior, threads).design, np.array(posterior.factor)
    mean, weights = posterior.mean, Weights()
    queue: list[tuple[float, int, int]] = []
    progress = Progress("uncertainties", len(pool)) if watched else None
    for place, structure in enumerate(pool):
        grade = _largest(structure, design, mean, factor, regularisation)
        queue.append((-grade, place, 0))
        if progress is not None:
            progress.update(place + 1)
    heapq.heapify(queue)
    places: list[int] = []
    grades: list[float] = []
    while queue and len(places) < count:
        bound, place, seen = heapq.heappop(queue)
        structure = pool[place]
        if seen < len(places):  # an upper bound: look again
            grade = _largest(structure, design, mean, factor, regularisation)
            heapq.heappush(queue, (-grade, place, len(places)))
            continue
        places.append(place)
        grades.append(-bound)
        rows = design.of(structure, ("energy", "forces"))
        rows[0] *= weights.energy / np.sqrt(len(structure))
        factor = _told(rows * weights.forces, factor, posterior.noise)
    return Chosen(tuple(places), tuple(grades), -queue[0][0] if queue else float("nan"))


def by_extrapolation(
    pool: Sequence[Structure],
    functions: SiteFunctions,
    given: Sequence[Structure],
    count: int,
) -> Chosen:
    """Take structures by the largest grade of extrapolation of an atom.

    Args:
        pool: to choose from; labels are not needed.
        functions: of the model.
        given: the data that it was fitted to, by which grades are measured.
        count: how many.

    Raises:
        InputError: a count below 1, no data, or a structure that cannot be evaluated.
    """
    _check(count)
    active = ActiveSet.chosen(functions, given)
    found: list[float] = []
    for begin in range(0, len(pool), _AT_ONCE):
        part = pool[begin : begin + _AT_ONCE]
        found += [float(one.max()) for one in active.grades(functions, part)]
    order = sorted(range(len(pool)), key=lambda k: (-found[k], k))
    rest = found[order[count]] if count < len(order) else float("nan")
    return Chosen(tuple(order[:count]), tuple(found[k] for k in order[:count]), rest)


def _check(count: int) -> None:
    if count < 1:
        raise InputError(f"count: expected one structure at least, got {count}")


def _largest(
    structure: Structure, design: DesignRows, mean: Floats, factor: Floats, regularisation: float
) -> float:
    """The largest f_i of a structure."""
    rows = design.of(structure, ("forces",))
    spread = np.linalg.norm((rows @ factor).reshape(len(structure), -1), axis=1)
    lengths = np.linalg.norm((rows @ mean).reshape(-1, 3), axis=1)
    return float((spread / (lengths + regularisation)).max())


def _told(rows: Floats, factor: Floats, noise: float) -> Floats:
    """F after labels with these weighted rows.

    Where the fit left no noise that of rounding is taken: what is labelled is then known.
    """
    least = 1e-12 * float((rows @ factor).var() + 1e-300)
    seen = rows @ factor / np.sqrt(max(noise, least))
    lower = cholesky(np.eye(factor.shape[1]) + seen.T @ seen, lower=True)
    return np.asarray(solve_triangular(lower, factor.T, lower=True).T)
