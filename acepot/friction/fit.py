"""fit_friction: coefficients of Σ from friction tensors, the same from every start.

Minimises Σ_s W_s ‖Γ(C) - Γ_s‖² + |γ C|² over C of shape (K, channels). With as many channels as
Σ has independent columns the problem has no bad local minima, whatever the random start; restarts
are compared all the same, and the report says how far they are apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.fitting.gauss_newton import minimise
from acepot.friction.data import FrictionData
from acepot.friction.evaluator import CouplingFunctions, FrictionEvaluator, shapes_of
from acepot.friction.prior import smoothness
from acepot.friction.rows import Direct, Objective, Quadratic, Rows
from acepot.friction.settings import FrictionSettings, empty_part
from acepot.masses import masses
from acepot.model import FrictionModel, FrictionPart
from acepot.schema import to_mapping

__all__ = ["Errors", "FrictionFit", "Restart", "errors_of", "fit_friction"]

#: Numbers of G = C Cᵀ up to which data are compressed, and of C that a fit may have.
_FEW, _MOST = 2500, 6000
#: The prior of a restart begins so many times stronger: what is weakly determined by the data is
#: where it is smoothest, whatever the start, and then follows.
_LADDER = (100.0, 10.0, 1.0)
#: Part of the largest trace of a function below which that of another one is rounding.
_ROUNDED = 1e-16


@dataclass(frozen=True)
class Restart:
    """One minimisation.

    Args:
        seed: of its start.
        objective: residuals relative to the data, squared, with the prior.
        loss: residuals relative to the data, squared.
        iterations: of the solver.
        stop: why it ended.
    """

    seed: int
    objective: float
    loss: float
    iterations: int
    stop: str


@dataclass(frozen=True)
class Errors:
    """Errors of Γ on some data.

    Args:
        relative: ‖Γ - Γ_s‖ / ‖Γ_s‖ over all structures together.
        rms: root mean square of all numbers that are known, in amu/fs.
        least: smallest eigenvalue of any predicted Γ relative to its largest.
        structures: how many.
    """

    relative: float
    rms: float
    least: float
    structures: int


@dataclass(frozen=True, eq=False)
class FrictionFit:
    """What `fit_friction` returns.

    Args:
        model: the best of the restarts.
        restarts: all of them.
        channels: that are left, of every coupling.
    """

    model: FrictionModel
    restarts: tuple[Restart, ...]
    channels: tuple[int, ...]


def fit_friction(
    data: Sequence[FrictionData],
    settings: FrictionSettings,
    *,
    say: Callable[[str], None] = lambda _text: None,
) -> FrictionFit:
    """Fit a model of friction.

    Args:
        data: friction tensors.
        settings: couplings and how they are fitted.
        say: takes lines for people.

    Raises:
        InputError: settings that do not fit the data, or more functions than a fit can have.
    """
    if not data:
        raise InputError("data: expected one friction tensor or more")
    numbers = np.unique(np.concatenate([one.structure.numbers for one in data])).tolist()
    elements = [SYMBOLS[z] for z in numbers]
    parts = [empty_part(one, elements) for one in settings.couplings]
    problem = posed(data, parts, settings)
    found = []
    for seed in range(settings.seed, settings.seed + settings.starts):
        found.append(_restart(problem, settings, seed))
        one = found[-1][0]
        say(
            f"start {seed}: objective {one.objective:.4e}, relative error "
            f"{np.sqrt(one.loss):.3e}, {one.iterations} iterations ({one.stop})"
        )
    best = min(found, key=lambda pair: pair[0].objective)[1]
    told = tuple(restart for restart, _ in found)
    made = [
        filled(part, turned(c, trace, settings.drop))
        for part, c, trace in zip(parts, best, problem.traces, strict=True)
    ]
    provenance = {
        "settings": to_mapping(settings), "structures": len(data),
        "objectives": [one.objective for one in told],
    }  # fmt: skip
    model = FrictionModel(tuple(made), provenance)
    return FrictionFit(model, told, tuple(part.channels for part in made))


@dataclass(frozen=True, eq=False)
class Posed:
    """What a restart minimises.

    Args:
        objective: residuals relative to the data.
        traces: what functions have in the trace of Γ of the data, (K, K) of every coupling.
        penalties: γ of the functions of every coupling, shape (K,).
        shapes: (K, channels) of every coupling.
    """

    objective: Objective
    traces: tuple[Floats, ...]
    penalties: tuple[Floats, ...]
    shapes: tuple[tuple[int, int], ...]

    def split(self, flat: Floats) -> list[Floats]:
        """Coefficients of every coupling."""
        bounds = np.cumsum([0, *(k * r for k, r in self.shapes)])
        return [
            flat[a:b].reshape(shape)
            for a, b, shape in zip(bounds[:-1], bounds[1:], self.shapes, strict=True)
        ]


def posed(
    data: Sequence[FrictionData], parts: Sequence[FrictionPart], settings: FrictionSettings
) -> Posed:
    """The problem of a fit, relative to ‖Γ‖ of the data.

    Raises:
        InputError: too many functions, or data that are zero.
    """
    sizes = [sum(shapes_of(part)) for part in parts]
    shapes = tuple((k, one.channels) for k, one in zip(sizes, settings.couplings, strict=True))
    if (count := sum(k * r for k, r in shapes)) > _MOST:
        raise InputError(
            f"couplings: {' and '.join(map(str, sizes))} functions, {count} coefficients: expected "
            f"up to {_MOST}: lower degrees of basis and bonds, or channels"
        )
    functions = [CouplingFunctions(part) for part in parts]
    weights = weights_of(data, settings)
    traces = tuple(np.zeros((k, k)) for k in sizes)

    def rows() -> Iterator[Rows]:
        for one, weight in zip(data, weights, strict=True):
            made = Rows(one, [f.blocks(one.structure) for f in functions], weight)
            for total, trace in zip(traces, made.traces, strict=True):
                total += trace
            yield made

    columns = sum(k * (k + 1) // 2 for k in sizes)
    objective: Objective
    objective = Quadratic.of(rows(), columns) if columns <= _FEW else Direct(list(rows()))
    penalties = tuple(
        smoothness(part, settings, trace) for part, trace in zip(parts, traces, strict=True)
    )
    return Posed(objective, traces, penalties, shapes)


def weights_of(data: Sequence[FrictionData], settings: FrictionSettings) -> list[Floats]:
    """w_ij of the blocks of every structure, shape (n, n): Σ (w Γ)² over all data is 1."""
    found = []
    largest = max(one.norm for one in data)
    for one in data:
        mass = masses(one.structure.numbers) if settings.mass_weighted else np.ones(1)
        weight = 1 / np.sqrt(np.outer(mass, mass))
        if settings.weight == "relative":
            weight = weight / (one.norm + settings.floor * largest + 1e-300)
        found.append(np.broadcast_to(weight, (len(one.structure),) * 2))
    total = 0.0
    for one, weight in zip(data, found, strict=True):
        mine = np.kron(weight[np.ix_(one.atoms, one.atoms)], np.ones((3, 3)))
        total += float(np.sum((one.gamma * one.mask * mine) ** 2))
    if not total > 0:
        raise InputError("data: expected friction that is not zero everywhere")
    return [weight / np.sqrt(total) for weight in found]


def _restart(problem: Posed, settings: FrictionSettings, seed: int) -> tuple[Restart, list[Floats]]:
    """One minimisation from random coefficients of the size that the data ask for."""
    random = np.random.default_rng(seed)
    start = []
    for shape, trace in zip(problem.shapes, problem.traces, strict=True):
        # What is left of functions that cancel is rounding, and has no size to be divided by.
        own = trace.diagonal()
        size = np.sqrt(np.maximum(own, _ROUNDED * own.max()) + 1e-300)
        start.append(random.standard_normal(shape) / size[:, None])
    flat = np.concatenate([c.ravel() for c in start]) * _scale(problem.objective, start)
    gamma = np.concatenate(
        [np.repeat(p, r) for p, (_, r) in zip(problem.penalties, problem.shapes, strict=True)]
    )
    iterations, stop = 0, ""
    for times in _LADDER if gamma.any() else (1.0,):
        found = minimise(
            lambda c: problem.objective.residuals(problem.split(c)),
            flat,
            gamma=times * gamma if gamma.any() else None,
            settings=settings.solver,
        )
        flat, stop = found.at.coefficients, found.stop.value
        iterations += found.at.iterations
    coefficients = problem.split(flat)
    loss = problem.objective.loss(coefficients)
    prior = float(np.sum((gamma * flat) ** 2))
    return Restart(seed, loss + prior, loss, iterations, stop), coefficients


def _scale(objective: Objective, start: list[Floats]) -> float:
    """The factor of coefficients with which Γ is nearest to the data: |r(c)|² is a parabola in c².

    Γ(s C) = s² Γ(C), so that |s² g - t|² of three s gives gᵀt and gᵀg.
    """
    zero, one, two = (
        objective.loss([np.sqrt(square) * c for c in start]) for square in (0.0, 1.0, 2.0)
    )
    curvature = two - 2 * one + zero  # 2 gᵀg
    slope = one - zero - 0.5 * curvature  # -2 gᵀt
    return float(np.sqrt(max(-slope / max(curvature, 1e-300), 1e-6)))


def turned(coefficients: Floats, trace: Floats, drop: float) -> Floats:
    """The same G = C Cᵀ with as few channels as it needs, the largest first.

    Args:
        coefficients: C, shape (K, channels).
        trace: what functions have in the trace of Γ, shape (K, K).
        drop: channels with a smaller part of the trace are left out.
    """
    values, vectors = np.linalg.eigh(trace)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    _, sizes, right = np.linalg.svd(root @ coefficients, full_matrices=False)
    made = coefficients @ right.T
    kept = np.flatnonzero(sizes**2 >= drop * np.sum(sizes**2))
    made = made[:, kept if len(kept) else [0]]
    largest = made[np.abs(made).argmax(axis=0), np.arange(made.shape[1])]
    return np.asarray(made * np.where(largest < 0, -1.0, 1.0))


def filled(part: FrictionPart, coefficients: Floats) -> FrictionPart:
    """The coupling with its coefficients, shape (K, channels), in the order of its functions."""
    channels = coefficients.shape[1]
    there = tuple(f"there {r}" for r in range(channels))
    back = tuple(f"back {r}" for r in range(channels))
    bonds, sites, start = part.bonds, part.sites, 0

    def take(size: int) -> Floats:
        nonlocal start
        start += size
        return coefficients[start - size : start].T[None]

    if bonds is not None:
        sizes = [c.shape[2] for c in bonds.coefficients]
        found = [take(size) for size in sizes]
        names = there
        if not part.is_antisymmetric:
            found = [
                np.concatenate((c, take(n)), axis=1) for c, n in zip(found, sizes, strict=True)
            ]
            names = (*there, *back)
        bonds = replace(bonds, coefficients=tuple(found), names=(names,) * len(found))
    if sites is not None:
        own = tuple(take(c.shape[2]) for c in sites.coefficients)
        sites = replace(sites, coefficients=own, names=(there,) * len(own))
    return FrictionPart(part.coupling, part.momentum, part.acts_on, bonds, sites)


def errors_of(model: FrictionModel, data: Sequence[FrictionData]) -> Errors:
    """Errors of a model.

    Args:
        model: of friction.
        data: what it is compared with.
    """
    evaluator, off, size, count, least = FrictionEvaluator(model), 0.0, 0.0, 0.0, np.inf
    for one in data:
        gamma = evaluator.gamma(one.structure)
        values = np.linalg.eigvalsh(gamma)
        least = min(least, float(values[0]) / max(float(values[-1]), 1e-300))
        off += float(np.sum(((one.of(gamma) - one.gamma) * one.mask) ** 2))
        size += float(np.sum((one.gamma * one.mask) ** 2))
        count += float(one.mask.sum())
    relative, rms = float(np.sqrt(off / max(size, 1e-300))), float(np.sqrt(off / count))
    return Errors(relative, rms, least, len(data))
