"""Coarse-graining of a system with a known answer: python benchmarks/oscillator_bath.py DIR.

Particles, and for each pair of them a bath of harmonic oscillators coupled to a function g of their
distance: the potential of mean force is the pair potential V, the friction γ Σ ∇g ∇gᵀ with the
memory e^(-t/τ)/τ. Full Hamiltonian dynamics is written as trajectories of the particles alone;
`acepot friction coarse` makes a model of them; its dynamics is compared with the fine one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from machine import machine

from acepot.cli.main import main as acepot_main
from acepot.friction.coarse.config import Mapping
from acepot.friction.coarse.trajectory import read_beads, write_trajectory
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.langevin import Langevin
from acepot.friction.thermostat import FrictionThermostat
from acepot.io.modelfile import load
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN

KT, GAMMA, TAU, MASS, CUT = 0.5, 6.0, 0.05, 12.0, 2.5  # eV, eV fs/Å², fs, eV fs²/Å², Å
N, BOX, OSCILLATORS, STEP, EVERY = 8, 5.2, 200, 0.004, 4
REPLICAS, FRAMES = 24, 4000
KELVIN = KT / BOLTZMANN
TOML = """
timestep = 0.05
[fine]
files = [{files}]
interval = {interval}
temperature = {kelvin}
[mapping]
mass = {mass}
[potential]
order = 1
degree = 12.0
cutoff = 2.6
r0 = 1.5
radial = {{transform = {{kind = "identity"}}, envelope = {{kind = "x", inner = 0, outer = 2}}}}
pair = {{degree = 0}}
[friction]
weight = "none"
starts = 2
smoothness = 1e-4
[[friction.couplings]]
channels = 3
bonds = {{degree = 8, max_l = 1, cutoff = 2.5, r0 = 1.5}}
"""


def coupling(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """G and its slope."""
    s = np.where(r < CUT, 1 - (r / CUT) ** 2, 0.0)
    return s**2, -4 * r / CUT**2 * s


def pair_force(r: np.ndarray) -> np.ndarray:
    """-dV/dr of V = 4 e^(-2r) (1 - (r/2.5)²)²."""
    g, slope = coupling(r)
    return 4 * np.exp(-2 * r) * (2 * g - slope)


class Fine:
    """The Hamiltonian dynamics of all replicas at once."""

    def __init__(self, replicas: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.i, self.j = np.triu_indices(N, 1)
        spacing = (
            5 / TAU / OSCILLATORS
        )  # of frequencies, up to 5/τ, at random within: no recurrence
        jitter = self.random.uniform(size=(len(self.i), OSCILLATORS))
        self.w = (np.arange(OSCILLATORS) + jitter) * spacing + 0.01
        self.c = self.w * np.sqrt(2 * GAMMA / np.pi * spacing / (1 + (self.w * TAU) ** 2))
        self.stiffness = np.sum((self.c / self.w) ** 2, axis=1)
        grid = np.array(list(np.ndindex(2, 2, 2))) * BOX / 2
        self.x = grid + self.random.uniform(-0.3, 0.3, size=(replicas, N, 3))
        self.p = self.random.normal(size=self.x.shape) * np.sqrt(MASS * KT)
        shape = (replicas, len(self.i), OSCILLATORS)
        g = coupling(self.pairs()[1])[0]
        self.q = self.random.normal(size=shape) * np.sqrt(KT) / self.w
        self.q += (self.c / self.w**2) * g[..., None]
        self.v = self.random.normal(size=shape) * np.sqrt(KT)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Vectors and distances of all pairs, nearest images."""
        d = self.x[:, self.j] - self.x[:, self.i]
        d = d - BOX * np.round(d / BOX)
        return d, np.linalg.norm(d, axis=2)

    def forces(self) -> tuple[np.ndarray, np.ndarray]:
        """On particles and on oscillators."""
        d, r = self.pairs()
        g, slope = coupling(r)
        bath = np.einsum("rpa,pa->rp", self.q, self.c) - g * self.stiffness
        along = (pair_force(r) + slope * bath)[..., None] * d / r[..., None]
        on = np.zeros_like(self.x)
        np.add.at(on, (slice(None), self.j), along)
        np.subtract.at(on, (slice(None), self.i), along)
        return on, self.c * g[..., None] - self.w**2 * self.q

    def run(self, frames: int, every: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions and forces of every so many steps, shape (frames, replicas, N, 3)."""
        x, f = np.empty((2, frames, *self.x.shape))
        on, bath = self.forces()
        for frame in range(frames):
            for _ in range(every):
                self.p += STEP / 2 * on
                self.v += STEP / 2 * bath
                self.x = self.x + STEP * self.p / MASS
                self.q += STEP * self.v
                on, bath = self.forces()
                self.p += STEP / 2 * on
                self.v += STEP / 2 * bath
            x[frame], f[frame] = self.x, on
        return x, f


def exact_gamma(at: Structure) -> np.ndarray:
    """Γ = γ Σ ∇g ∇gᵀ in amu/fs."""
    made = np.zeros((3 * N, 3 * N))
    for i in range(N):
        for j in range(i):
            d = at.positions[i] - at.positions[j]
            d = d - BOX * np.round(d / BOX)
            r = np.linalg.norm(d)
            row = np.zeros((N, 3))
            row[i] = coupling(r)[1] * d / r
            row[j] = -row[i]
            made += GAMMA / AMU * np.outer(row.ravel(), row.ravel())
    return made


def exact_forces(at: Structure) -> np.ndarray:
    """-∂V/∂X in eV/Å."""
    made = np.zeros((N, 3))
    for i in range(N):
        for j in range(N):
            d = at.positions[i] - at.positions[j]
            d = d - BOX * np.round(d / BOX)
            if i != j:
                r = np.linalg.norm(d)
                made[i] += pair_force(r) * d / r
    return made


def vacf(velocities: np.ndarray, lags: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Normalised autocorrelation at some lags, by replica, and its standard error."""
    start = [np.mean(np.sum(v * v, axis=-1)) for v in velocities]
    each = np.array(
        [
            [np.mean(np.sum(v[: len(v) - k] * v[k:], axis=-1)) / np.mean(start) for k in lags]
            for v in velocities
        ]
    )
    return each.mean(axis=0), each.std(axis=0) / np.sqrt(len(each))


def coarse_velocities(folder: Path, starts: list[Structure], steps: int) -> np.ndarray:
    """BAOAB of the fitted model, shape (runs, steps, N, 3)."""
    potential = Potential(load((folder / "potential.acepot").read_bytes()), threads=1)
    friction = load((folder / "friction.acepot").read_bytes())
    mass = np.full(N, MASS / AMU)
    made = []
    for seed, start in enumerate(starts):
        random = np.random.default_rng(seed)
        run = Langevin(
            lambda s: potential.compute(s).forces,
            FrictionThermostat(friction), mass, 0.05, KELVIN, random,
        )  # fmt: skip
        at = run.start(start, random.normal(size=(N, 3)) * np.sqrt(MASS / AMU * KT / AMU))
        velocities = []
        for _ in range(steps):
            at = run.step(at)
            velocities.append(at.momenta / mass[:, None])
        made.append(velocities)
    return np.array(made)


def main(folder: Path, replicas: int, frames: int) -> None:
    """Make, fit, compare, print."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    fine = Fine(replicas, 1)
    fine.run(500, EVERY)  # equilibration of the particles
    x, f = fine.run(frames, EVERY)
    names = []
    for k in range(replicas):
        names.append(f"fine-{k}.npz")
        write_trajectory(folder / names[-1], np.full(N, 18), x[:, k], f[:, k], BOX * np.eye(3))
    interval = STEP * EVERY
    made = time.process_time()
    (folder / "coarse.toml").write_text(
        TOML.format(
            files=", ".join(f'"{name}"' for name in names),
            interval=interval,
            kelvin=KELVIN,
            mass=MASS / AMU,
        )  # fmt: skip
    )
    out = folder / "coarse"
    if acepot_main(["friction", "coarse", str(folder / "coarse.toml"), "--out", str(out)]):
        raise SystemExit("acepot friction coarse failed")
    fitted = time.process_time()
    beads = [read_beads(folder / name, Mapping()) for name in names]
    some = [beads[k % replicas].structure(37 * k % frames) for k in range(200)]
    evaluator = FrictionEvaluator(load((out / "friction.acepot").read_bytes()))
    potential = Potential(load((out / "potential.acepot").read_bytes()), threads=1)
    gammas = [(evaluator.gamma(s), exact_gamma(s)) for s in some]
    forces = [(potential.compute(s).forces, exact_forces(s)) for s in some]

    def off(pairs: list) -> float:
        both = sum(np.sum((a - b) ** 2) for a, b in pairs), sum(np.sum(b**2) for _, b in pairs)
        return float(np.sqrt(both[0] / both[1]))

    print(machine())
    print(f"command: python benchmarks/oscillator_bath.py DIR {replicas} {frames}")
    print(f"{replicas} replicas of {N} particles, {frames} frames of {interval:g} fs")
    print(f"CPU: fine {made - began:.0f} s, coarse-graining {fitted - made:.0f} s")
    print(f"error of the mean force {off(forces):.4f}, of the friction {off(gammas):.4f}")
    times = [1.0, 2.0, 4.0, 6.0, 8.0, 12.0]
    own = np.array([one.velocities(interval) for one in beads])
    fine_c, fine_e = vacf(own, [round(t / interval) for t in times])
    starts = [beads[k % replicas].structure(frames - 1 - k) for k in range(replicas)]
    runs = coarse_velocities(out, starts, 800)
    coarse_c, coarse_e = vacf(runs, [round(t / 0.05) for t in times])
    print("\n time (fs)   fine     coarse   difference in standard errors")
    for t, a, b, e in zip(times, fine_c, coarse_c, np.hypot(fine_e, coarse_e), strict=True):
        print(f"{t:9.1f} {a:9.4f} {b:9.4f} {(b - a) / e:9.1f}")


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[2:]]
    main(Path(sys.argv[1]), *(words or (REPLICAS, FRAMES)))
