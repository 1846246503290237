"""Cost of friction beside forces on one core: python benchmarks/friction_cost.py.

Pair-wise vector friction of silicon, cut off like the many-body functions of the potential, in
crystals of 500 to 4,000 atoms: energy and forces, Σ, a draw of its noise, Cayley's step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import machine

from acepot.basis.spec import BasisSpec
from acepot.friction import ou
from acepot.friction.evaluator import FrictionEvaluator, shapes_of
from acepot.friction.fit import filled
from acepot.friction.settings import CouplingSettings, empty_part
from acepot.io.modelfile import load
from acepot.model import FrictionModel
from acepot.potential import Potential
from acepot.structure import Structure

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
REPEATS = 9


def friction(order: int) -> FrictionModel:
    """Three channels; of bonds alone (order 1), or with environments."""
    basis = BasisSpec(order=1, degree=0.0 if order == 1 else 4.0, wl=1.0, cutoff=5.0, r0=2.4)
    bonds = replace(CouplingSettings().bonds, degree=8, max_l=2, cutoff=5.0, r0=2.4)
    part = empty_part(CouplingSettings(channels=3, basis=basis, bonds=bonds), ["Si"])
    c = np.random.default_rng(1).normal(size=(sum(shapes_of(part)), 3))
    return FrictionModel((filled(part, 0.02 * c),))


def least(run: Callable[[], object]) -> float:
    """The shortest of several calls in s of CPU time."""
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return min(found)


def silicon(side: int) -> Structure:
    """A crystal of 8 side³ atoms at about 600 K."""
    base = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    atoms = np.concatenate((base, base + 1)) / 4
    cells = np.array(list(np.ndindex(side, side, side)))
    places = (cells[:, None] + atoms[None]).reshape(-1, 3) * 5.43
    places = places + np.random.default_rng(2).normal(scale=0.08, size=places.shape)
    return Structure(np.full(len(places), 14), places, side * 5.43 * np.eye(3), True)


def rows(potential: Potential, evaluator: FrictionEvaluator, side: int) -> None:
    """Print one row."""
    at, random = silicon(side), np.random.default_rng(3)
    sigma = evaluator.sigma(at)
    p = random.normal(size=(len(at), 3))
    scaled = sigma.scaled(np.full(len(at), 1 / np.sqrt(28.0)))
    force = least(lambda: potential.compute(at))
    made = least(lambda: evaluator.sigma(at))
    noise = least(lambda: sigma.noise(random))
    step = least(lambda: ou.cayley_sparse(scaled, p, 1.0, 1e-6, random))
    print(
        f"{len(at):6d} {len(sigma.factors[0].rows):7d} {1e3 * force:7.1f} "
        f"{1e3 * made:7.1f} {1e3 * noise:7.1f} {(made + noise) / force:15.2f} "
        f"{1e3 * step:16.1f}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    potential = Potential(load(MODEL.read_bytes()), threads=1)
    print(machine())
    print("command: OMP_NUM_THREADS=1 python benchmarks/friction_cost.py")
    for order, name in ((1, "bonds alone"), (2, "bonds with environments")):
        evaluator = FrictionEvaluator(friction(order), threads=1)
        print(f"\npair-wise vectors, 3 channels, {name}; ms, CPU time, least of {REPEATS}")
        print(" atoms   bonds  forces       Σ   noise  Σ+noise/forces  O-step (Cayley)")
        for side in (4, 5, 6, 8):
            rows(potential, evaluator, side)


if __name__ == "__main__":
    main()
