"""Friction that depends on where the atoms are, and Langevin dynamics with it.

    python examples/10_friction.py [--steps 2000]

Pairs of argon atoms rub against each other with g(r), as in dissipative particle dynamics. A model
learns this from tensors of six random cells, tells it for cells that it has not seen, and drives
atoms of the same kind to 90 K: momentum is conserved, and the temperature is the one that was asked
for, whatever the model. It takes a minute.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.lj import LennardJones

import acepot
from acepot.cli.main import main
from acepot.friction.data import FrictionData
from acepot.friction.readers import write_friction
from acepot.friction.thermostat import FrictionThermostat
from ase_ace import FrictionLangevin

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=2000, help="of 5 fs")
options = parser.parse_args()
rng = np.random.default_rng(3)
SIDE, CUTOFF = 14.0, 6.0


def places(count: int = 32) -> np.ndarray:
    """Random, but not nearer than 3 Å."""
    found = [rng.uniform(0, SIDE, 3)]
    while len(found) < count:
        one = rng.uniform(0, SIDE, 3)
        apart = np.array(found) - one
        if np.linalg.norm(apart - SIDE * np.round(apart / SIDE), axis=1).min() > 3.0:
            found.append(one)
    return np.array(found)


def tensor(positions: np.ndarray) -> np.ndarray:
    """Γ in amu/fs: blocks -g(r) e eᵀ of pairs; those of atoms make columns add up to zero."""
    n = len(positions)
    gamma = np.zeros((n, 3, n, 3))
    for i in range(n):
        for j in range(i):
            apart = positions[i] - positions[j]
            apart -= SIDE * np.round(apart / SIDE)
            r = np.linalg.norm(apart)
            if r < CUTOFF:
                block = 0.2 * (1 - r / CUTOFF) ** 2 * np.outer(apart, apart) / r**2
                gamma[i, :, j] = gamma[j, :, i] = -block
                gamma[i, :, i] += block
                gamma[j, :, j] += block
    return gamma.reshape(3 * n, 3 * n)


def data(count: int) -> list[FrictionData]:
    """So many cells with their tensors."""
    cells = [places() for _ in range(count)]
    return [
        FrictionData(
            acepot.Structure(np.full(32, 18), r, SIDE * np.eye(3), True), tensor(r), np.arange(32)
        )
        for r in cells
    ]


write_friction("train.npz", data(6))
write_friction("test.npz", data(2))
Path("friction.toml").write_text(
    """[data]
train = ["train.npz"]
test = ["test.npz"]
[[fit.couplings]]
coupling = "pair-wise"
block = "vector"
momentum = "conserved"
channels = 1
[fit.couplings.basis]
degree = 0
[fit.couplings.bonds]
degree = 8
max_l = 1
cutoff = 6.0
r0 = 4.0
""",
    encoding="utf-8",
)
if main(["friction", "fit", "friction.toml", "--out", "friction"]):
    raise SystemExit(1)

thermostat = FrictionThermostat(acepot.load("friction/model.acepot", acepot.FrictionModel))
atoms = Atoms("Ar32", places(), cell=3 * [SIDE], pbc=True)
atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.9, smooth=True)
dynamics = FrictionLangevin(atoms, 5 * units.fs, thermostat, 90.0, np.random.default_rng(1))
temperatures = []
dynamics.attach(lambda: temperatures.append(atoms.get_temperature()), interval=10)
dynamics.run(options.steps)
half = temperatures[len(temperatures) // 2 :]
print(f"temperature {np.mean(half):.0f} K of 90 K")
print(f"momentum {np.abs(atoms.get_momenta().sum(axis=0)).max():.1e}")
