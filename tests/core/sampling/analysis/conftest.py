"""Runs of nested sampling without a walk: live points drawn from the prior under each limit.

Enthalpies of the culled follow from their prior volumes, which compress by t ~ Beta(K, 1), so that
samples are those of an ideal run and every answer is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from scipy.special import gammainc, gammaln

from acepot.sampling.analysis.samples import Samples
from acepot.units import BOLTZMANN, GIGAPASCAL


class System(Protocol):
    """A model whose configurations can be drawn on a contour of given prior volume."""

    atoms: int
    pressure: float

    def draw(
        self, log_x: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class IdealGas:
    """T1: H = P V with prior density V^N up to N vmax. Reduced units, k = 1."""

    atoms: int = 8
    pressure: float = 1.0
    vmax: float = 1000.0

    def draw(self, log_x, rng):
        volume = self.atoms * self.vmax * np.exp(log_x / (self.atoms + 1))
        return self.pressure * volume, volume

    def log_z(self, beta):
        n, b = self.atoms, beta * self.pressure
        top = self.atoms * self.vmax
        return (
            np.log(n + 1) - (n + 1) * np.log(top * b)
            + gammaln(n + 1) + np.log(gammainc(n + 1, b * top))
        )  # fmt: skip


@dataclass(frozen=True)
class FlatGas(IdealGas):
    """The same sampled with density V^0."""

    def draw(self, log_x, rng):
        volume = self.atoms * self.vmax * np.exp(log_x)
        return self.pressure * volume, volume


@dataclass(frozen=True)
class Harmonic:
    """T3: r²/2 in d dimensions, the prior uniform in a ball. Volumes are noise about 1.5."""

    dimensions: int = 9
    radius: float = 30.0
    atoms: int = 3
    pressure: float = 0.0

    def draw(self, log_x, rng):
        energy = 0.5 * self.radius**2 * np.exp(2.0 * log_x / self.dimensions)
        return energy, 1.0 + rng.random(len(energy))

    def log_z(self, beta):
        d, r = self.dimensions, self.radius
        return (
            np.log(d) - d * np.log(r) + (d / 2 - 1) * np.log(2.0) - d / 2 * np.log(beta)
            + gammaln(d / 2) + np.log(gammainc(d / 2, beta * r * r / 2))
        )  # fmt: skip


@dataclass(frozen=True)
class TwoPhases:
    """Two phases, each with its energy, volume and share of the prior, and k quadratic terms.

    Phase i has H = E_i + P V_i + x with prior weight share_i (x / top)^k. They are equally likely
    at kT = ΔH / ln(share_2 / share_1), ΔH = ΔE + P ΔV, whatever k is; so dT/dP = TΔV/ΔH.
    Units are eV, Å, K.
    """

    pressure: float
    energies: tuple[float, float] = (0.0, 1.5)
    volumes: tuple[float, float] = (160.0, 170.0)
    ratio: float = 1e12
    k: float = 10.0
    top: float = 50.0
    atoms: int = 8

    @property
    def floors(self):
        return np.array(self.energies) + self.pressure * np.array(self.volumes)

    @property
    def shares(self):
        return np.array([1.0, self.ratio]) / (1.0 + self.ratio)

    @property
    def latent_heat(self):
        return float(np.diff(self.floors)[0])

    @property
    def step(self):
        return self.volumes[1] - self.volumes[0]

    @property
    def temperature(self):
        return self.latent_heat / np.log(self.ratio) / BOLTZMANN

    def log_z(self, temperature):
        kt = BOLTZMANN * np.atleast_1d(temperature)[:, None]
        terms = np.log(self.shares) + self.k * np.log(kt / self.top) - self.floors / kt
        return gammaln(self.k + 1.0) + np.logaddexp(*terms.T)

    def heat_capacity(self, temperature):
        """k from the quadratic terms, and that of two levels."""
        kt = BOLTZMANN * temperature
        high = 1.0 / (1.0 + np.exp(self.latent_heat / kt) / self.ratio)
        return self.k + (self.latent_heat / kt) ** 2 * high * (1.0 - high)

    def volume(self, temperature):
        high = 1.0 / (1.0 + np.exp(self.latent_heat / (BOLTZMANN * temperature)) / self.ratio)
        return self.volumes[0] + self.step * high

    def draw(self, log_x, rng):
        grid = self.floors[0] + np.concatenate(
            [
                np.geomspace(1e-7, self.latent_heat, 4000),
                self.latent_heat + np.geomspace(1e-7, self.top, 8000),
            ]
        )
        inside = np.maximum(grid[:, None] - self.floors, 1e-300)
        with np.errstate(divide="ignore"):
            each = np.log(self.shares) + self.k * np.log(inside / self.top)
        h = np.exp(np.interp(log_x, np.logaddexp(*each.T), np.log(grid - self.floors[0])))
        h = h + self.floors[0]
        inside = np.maximum(h[:, None] - self.floors, 1e-300)
        density = np.log(self.shares) + (self.k - 1.0) * np.log(inside)
        high = rng.random(len(h)) < 1.0 / (
            1.0 + np.exp(np.minimum(density[:, 0] - density[:, 1], 700.0))
        )
        return h, np.where(high, self.volumes[1], self.volumes[0])


def ideal_run(
    system: System, walkers: int, nats: float, seed: int, at_once: int = 1, **fields: object
) -> Samples:
    """A run that compresses the prior by so many nats.

    Args:
        system: what is sampled.
        walkers: K.
        nats: -ln X at the end.
        seed: of the random numbers.
        at_once: culled in an iteration.
        fields: further ones of `Samples`.
    """
    rng = np.random.default_rng(seed)
    rate = float(np.mean(1.0 / (walkers - np.arange(at_once))))
    culled = int(nats / rate) // at_once * at_once
    alive = walkers - np.arange(culled) % at_once
    log_x = np.cumsum(-rng.exponential(size=culled) / alive)
    enthalpy, volume = system.draw(log_x, rng)
    live, live_volume = system.draw(log_x[-1] + np.log(rng.random(walkers)), rng)
    given = {"atoms": system.atoms, "pressure": system.pressure} | fields
    samples = Samples(enthalpy, volume, culled, walkers, at_once, **given)
    return samples.with_live(live, live_volume)


def write_run(folder: Path, runs: list[Samples]) -> None:
    """Write the files of a run as the sampler does."""
    folder.mkdir()
    pressures = [run.pressure / GIGAPASCAL for run in runs]
    (folder / "ns.toml").write_text(f"walkers = 1\n[ensemble]\npressures = {pressures}\n")
    for index, run in enumerate(runs):
        dead = run.culled
        rows = [f"{run.walkers} {run.at_once} {run.extra} {run.flat} {run.atoms}"]
        rows += [
            f"{i // run.at_once} {h!r} {v!r}"
            for i, (h, v) in enumerate(
                zip(run.enthalpy[:dead].tolist(), run.volume[:dead].tolist(), strict=True)
            )
        ]
        (folder / f"P{index}.energies").write_text("\n".join(rows) + "\n")
        live = zip(run.enthalpy[dead:].tolist(), run.volume[dead:].tolist(), strict=True)
        (folder / f"P{index}.live").write_text("".join(f"{h!r} {v!r}\n" for h, v in live))


@dataclass(frozen=True)
class Kit:
    """What the tests of the analysis share."""

    IdealGas = IdealGas
    FlatGas = FlatGas
    Harmonic = Harmonic
    TwoPhases = TwoPhases
    run: Callable[..., Samples] = staticmethod(ideal_run)
    write: Callable[..., None] = staticmethod(write_run)


@pytest.fixture(scope="session")
def kit() -> Kit:
    """Systems with known answers, and ideal runs of them."""
    return Kit()
