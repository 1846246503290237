"""Systems of which thermodynamics is known exactly, and what nested sampling makes of them.

Energies are in reduced units, k = 1. Priors are normalised to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import gammainc, gammaln, logsumexp

from acepot.sampling.energies import FunctionEnergies
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.protocol import Move
from acepot.sampling.moves.shape import Shear, Stretch
from acepot.sampling.moves.volume import Volume
from acepot.sampling.nested import NestedSampling
from acepot.sampling.prior import Prior
from acepot.sampling.settings import Exchange, Settings, Stop, Tuning
from acepot.sampling.walkers import State, Walkers

Array = np.ndarray


class Found(NamedTuple):
    """What a run says: ln Z, <H>, C/k and <V>, and their standard deviations.

    Args:
        mean: shape (R, betas, 4).
        error: by drawing the compression of each iteration 100 times from Beta(K, 1), same shape;
            that of <V> also by the scatter of volumes.
    """

    mean: Array
    error: Array


@dataclass(frozen=True)
class Case:
    """A system and its exact thermodynamics.

    Args:
        name: of the test.
        ensemble: what is sampled.
        function: batched energies and forces.
        moves: that suffice.
        betas: 1/kT where it is compared.
        exact: ln Z, U or H, C/k and V of each replica and beta, shape (R, betas, 4); nan where
            there is no number.
        start: draws first configurations; None: they are drawn from the prior.
    """

    name: str
    ensemble: Ensemble
    function: Callable[[Array, Array, Array], tuple[Array, Array]]
    moves: tuple[Move, ...]
    betas: Array
    exact: Array
    start: Callable[[np.random.Generator, int], Walkers] | None = None

    def run(
        self,
        seed: int,
        walkers: int,
        length: int,
        batch: int = 1,
        moves: Sequence[Move] | None = None,
        exchange: int = 0,
        interval: int | None = None,
        each: Callable[[State], None] | None = None,
        coldest: float | None = None,
    ) -> Found:
        """One run to the coldest kT."""
        stop = Stop(kt=1 / float(self.betas.max()) if coldest is None else coldest)
        interval = walkers // 2 if interval is None else interval
        settings = Settings(
            walkers, length, self.moves if moves is None else tuple(moves), stop, batch, seed,
            Tuning(interval), Exchange(exchange),
        )  # fmt: skip
        sampling = NestedSampling(
            self.ensemble, settings, FunctionEnergies(self.function, batched=True)
        )
        first = None if self.start is None else self.start(np.random.default_rng(seed), walkers)
        state = sampling.begin(first)
        samples: list[list[tuple[float, float]]] = [[] for _ in range(self.ensemble.replicas)]
        while not sampling.finished(state):
            if each is not None:
                each(state)
            for one in sampling.step(state):
                samples[one.replica].append((one.total, one.volume))
        every = [
            self._averages(np.array(own), state.walkers.take(r), walkers)
            for r, own in enumerate(samples)
        ]
        return Found(np.stack([one[0] for one in every]), np.stack([one[1] for one in every]))

    def _averages(self, culled: Array, live: Walkers, walkers: int) -> tuple[Array, Array]:
        h = np.append(culled[:, 0], live.total)
        v = np.append(culled[:, 1], np.linalg.det(live.cells))
        more = np.zeros(len(h))
        if self.ensemble.prior.flat_volume:  # samples of V^0 stand for V^N
            n, most = self.ensemble.atoms, self.ensemble.prior.volume_max * self.ensemble.atoms
            more = n * np.log(v / most) + np.log(n + 1)
        random, drawn = np.random.default_rng(0), []
        for _ in range(100):
            left = np.append(0.0, np.log(random.random(len(culled))).cumsum() / walkers)
            part = left[:-1] + np.log(-np.expm1(np.diff(left)))
            log = np.append(part, np.full(walkers, left[-1] - np.log(walkers))) + more
            drawn.append([averages(log, h, v, beta) for beta in self.betas])
        log = log_weights(len(culled), walkers) + more
        mean = np.array([averages(log, h, v, beta) for beta in self.betas])
        error = np.std(drawn, axis=0)
        for k, beta in enumerate(self.betas):  # samples of one total differ in volume
            w = np.exp(log - beta * h - mean[k, 0])
            error[k, 3] = np.hypot(error[k, 3], np.sqrt(w**2 @ (v - mean[k, 3]) ** 2))
        return mean, error


def log_weights(iterations: int, walkers: int) -> Array:
    """Logarithms of the prior masses of culled and living walkers, which sum to 1."""
    n = np.arange(iterations)
    shrink = np.log(walkers / (walkers + 1))
    dead = n * shrink - np.log(walkers + 1)
    return np.append(dead, np.full(walkers, iterations * shrink - np.log(walkers)))


def averages(log: Array, h: Array, v: Array, beta: float) -> tuple[float, float, float, float]:
    """Logarithm of Z, <H>, C/k = beta² var(H) and <V>."""
    terms = log - beta * h
    z = float(logsumexp(terms))
    w = np.exp(terms - z)
    mean = float(w @ h)
    return z, mean, float(beta**2 * (w @ (h - mean) ** 2)), float(w @ v)


def by_quadrature(log: Array, h: Array, v: Array, betas: Array) -> Array:
    """The same of a grid, with logarithms of prior masses that need not be normalised."""
    return np.array([averages(log - logsumexp(log), h, v, beta) for beta in betas])


# ------------------------------------------------------------------ ideal gas


def ideal_gas(shape: str = "fixed", flat: bool = False) -> Case:
    """Eight atoms without energy at P = 1; with free cells nothing changes."""
    n, most, betas = 8, 1000.0, np.array([0.1, 1.0, 10.0])
    prior = Prior(volume_max=most, shape=shape, flat_volume=flat)
    exact = np.full((1, 3, 4), np.nan)
    top = n * most
    exact[0, :, 0] = (
        np.log(n + 1) - (n + 1) * np.log(top) + gammaln(n + 1)
        + np.log(gammainc(n + 1, betas * top)) - (n + 1) * np.log(betas)
    )  # fmt: skip
    exact[0, :, 1] = exact[0, :, 3] = (n + 1) / betas
    exact[0, :, 2] = n + 1
    moves: tuple[Move, ...] = (Volume(),)
    if shape == "free":
        moves = (Volume(), Shear(weight=0.5), Stretch(weight=0.5))
    return Case("ideal gas", Ensemble([1] * n, prior, [1.0]), no_energy, moves, betas, exact)


def no_energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
    return np.zeros(len(positions)), np.zeros_like(positions)


# ------------------------------------------------------------------ harmonic


def harmonic() -> Case:
    """E = r²/2 in nine dimensions within r < 30, fixed volume: C = 9/2."""
    betas, radius, d = np.array([0.1, 1.0, 5.0]), 30.0, 9
    edge = 4 * radius
    prior = Prior(edge**3 / 3, shape="fixed", volume="fixed", periodic=False, ceiling=450 / 3)
    exact = np.full((1, 3, 4), np.nan)
    half = d / 2
    exact[0, :, 0] = (
        half * np.log(2 * np.pi / betas) + np.log(gammainc(half, betas * radius**2 / 2))
        - (half * np.log(np.pi) - gammaln(half + 1) + d * np.log(radius))
    )  # fmt: skip
    exact[0, :, 1], exact[0, :, 2] = half / betas, half

    def energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        away = positions - edge / 2
        return 0.5 * np.einsum("bnx,bnx->b", away, away), -away

    def start(random: np.random.Generator, count: int) -> Walkers:
        walkers = Walkers.empty((1, count), 3)
        direction = random.standard_normal((count, d))
        direction *= (random.random(count) ** (1 / d) * radius)[:, None] / np.linalg.norm(
            direction, axis=1, keepdims=True
        )
        walkers.positions[0] = direction.reshape(count, 3, 3) + edge / 2
        walkers.numbers[:], walkers.cells[:] = 1, edge * np.eye(3)
        return walkers

    ensemble = Ensemble([1, 1, 1], prior)
    return Case("harmonic", ensemble, energy, (Galilean(),), betas, exact, start)


# ------------------------------------------------------------------ Lennard-Jones


def lennard_jones(square: Array, cutoff: float = 3.0) -> tuple[Array, Array]:
    """Energy of pairs cut and shifted, and -dE/dr divided by r, of squared distances."""
    inverse = np.where(square < cutoff**2, 1 / np.maximum(square, 1e-8), 0.0) ** 3
    shift = 4 * (cutoff**-12 - cutoff**-6)
    energy = np.where(square < cutoff**2, 4 * (inverse**2 - inverse) - shift, 0.0)
    return energy, 24 * (2 * inverse**2 - inverse) / np.maximum(square, 1e-8)


def one_atom() -> Case:
    """One atom in each cubic cell: a lattice sum of its volume, P = 0.5."""
    low, most, pressure = 0.6, 40.0, 0.5
    betas = np.array([0.2, 1.0, 4.0])
    span = np.arange(-5, 6)
    images = np.stack(np.meshgrid(span, span, span), -1).reshape(-1, 3)
    kinds, times = np.unique((images**2).sum(axis=1), return_counts=True)
    kinds, times = kinds[1:], times[1:]

    def of(edges: Array) -> Array:
        return 0.5 * (times * lennard_jones(kinds * edges[:, None] ** 2)[0]).sum(axis=1)

    def energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        return of(np.cbrt(np.linalg.det(cells))), np.zeros_like(positions)

    v = np.linspace(low, most, 400_001)
    v = 0.5 * (v[1:] + v[:-1])
    h = of(np.cbrt(v)) + pressure * v
    ensemble = Ensemble([1], Prior(most, low, shape="fixed"), [pressure])
    exact = by_quadrature(np.log(v), h, v, betas)[None]
    return Case("one atom", ensemble, energy, (Volume(),), betas, exact)


# ------------------------------------------------------------------ two particles on a line


@dataclass(frozen=True)
class Line:
    """Two particles on a line that repeats with period a, and all their images.

    A pair at distance r has A e^(-h r²) - B e^(-(r - μ)²/2s²): at low pressure a = 2 μ, at high
    pressure a = μ.
    """

    a: float = 3.0
    h: float = 4.0
    b: float = 1.0
    mu: float = 1.0
    s: float = 0.12
    images: Array = field(default_factory=lambda: np.arange(-6, 7))

    def pair(self, r: Array) -> tuple[Array, Array]:
        core = self.a * np.exp(-self.h * r**2)
        well = self.b * np.exp(-((r - self.mu) ** 2) / (2 * self.s**2))
        return core - well, -2 * self.h * r * core + well * (r - self.mu) / self.s**2

    def energy(self, d: Array, period: Array) -> tuple[Array, Array]:
        """Energy of a period and its derivative by d, of arrays of one shape."""
        at = d[..., None] + self.images * period[..., None]
        e, slope = self.pair(np.abs(at))
        own = self.pair(self.images[self.images > 0] * period[..., None])[0]
        return e.sum(-1) + 2 * own.sum(-1), (slope * np.sign(at)).sum(-1)

    def function(self, positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        period = np.linalg.det(cells)
        edge = np.cbrt(period)
        fraction = (positions[:, 1, 0] - positions[:, 0, 0]) / edge
        energy, slope = self.energy((fraction - np.floor(fraction)) * period, period)
        forces = np.zeros_like(positions)
        forces[:, 1, 0] = -slope * period / edge
        forces[:, 0, 0] = -forces[:, 1, 0]
        return energy, forces


def line(pressures: Sequence[float] = (0.5, 1.5, 3.0)) -> Case:
    """Two particles on a line at several pressures; the volume is the period."""
    low, most, of = 0.6, 4.0, Line()
    betas = np.array([0.5, 2.0, 5.0])
    period = low + (np.arange(4000) + 0.5) * (most - low) / 4000
    part = (np.arange(400) + 0.5) / 400
    a, s = (one.ravel() for one in np.meshgrid(period, part, indexing="ij"))
    u = np.concatenate(
        [of.energy(s[k] * a[k], a[k])[0] for k in np.array_split(np.arange(len(a)), 40)]
    )
    exact = np.stack([by_quadrature(2 * np.log(a), u + p * a, a, betas) for p in pressures])
    prior = Prior(most / 2, low / 2, shape="fixed")
    moves = (Volume(), Galilean(length=4))
    return Case("line", Ensemble([1, 1], prior, pressures), of.function, moves, betas, exact)


# ------------------------------------------------------------------ six atoms

#: T, U and C/k (configurational) by parallel tempering, 30 temperatures of 24 chains.
SIX = np.array(
    [
        [0.0500, 0.0695, 0.0965, 0.1201, 0.1496, 0.1862, 0.2319, 0.2887, 0.3222, 0.3595, 0.4011,
         0.4475, 0.4994, 0.6218, 0.8638],
        [-12.302, -12.128, -11.807, -11.510, -11.150, -10.675, -9.973, -8.663, -7.447, -5.793,
         -4.199, -3.091, -2.409, -1.713, -1.259],
        [7.66, 10.47, 12.62, 12.41, 12.31, 13.71, 17.63, 30.4, 41.8, 44.3, 31.5, 17.6, 9.50, 3.39,
         1.055],
    ]
)  # fmt: skip


def six_atoms() -> Case:
    """Six Lennard-Jones atoms in a periodic cube of edge 6, cut and shifted at 3."""
    n, edge = 6, 6.0
    i, j = np.triu_indices(n, 1)
    incidence = np.zeros((n, len(i)))
    incidence[i, np.arange(len(i))], incidence[j, np.arange(len(i))] = 1.0, -1.0

    def energy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        apart = positions[:, i] - positions[:, j]
        apart -= edge * np.rint(apart / edge)
        e, pull = lennard_jones(np.einsum("bpx,bpx->bp", apart, apart))
        return e.sum(axis=1), incidence @ (pull[:, :, None] * apart)

    prior = Prior(edge**3 / n, shape="fixed", volume="fixed")
    exact = np.full((1, SIX.shape[1], 4), np.nan)
    exact[0, :, 1], exact[0, :, 2] = SIX[1], SIX[2]
    return Case("six atoms", Ensemble([1] * n, prior), energy, (Galilean(),), 1 / SIX[0], exact)


# ------------------------------------------------------------------ a mistake


def stuck(state: State) -> None:
    """Steps of the harmonic case thrice the ball's radius: hardly a trajectory is accepted."""
    radius = np.sqrt(2 * state.walkers.total.max())
    state.steps[:] = 3 * radius / np.sqrt(9)  # of nine components
