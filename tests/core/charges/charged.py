"""Models with charges for tests, with random coefficients of a sensible size."""

from __future__ import annotations

from typing import Literal

import numpy as np

from acepot import BasisSpec, ChargeModel, Structure, TensorModel, resolve

ELEMENTS = ("Na", "Cl")


def model(
    kind: Literal["equilibrated", "latent"] = "equilibrated",
    members: int = 1,
    seed: int = 3,
    elements: tuple[str, ...] = ELEMENTS,
    degree: float = 5,
) -> ChargeModel:
    """A small model of two elements."""
    spec = resolve(
        BasisSpec(elements=elements, order=2, degree=degree, cutoff=5.0, r0=2.6, constant=True)
    )
    rng = np.random.default_rng(seed)
    size = spec.expansion().size
    c = rng.normal(scale=0.3, size=(members, 2, size))
    outputs = ("energy", "electronegativity" if kind == "equilibrated" else "charge")
    sites = TensorModel(spec, (c,), (outputs,), "eV")
    count = len(elements)
    widths = np.linspace(0.9, 1.2, count)
    hardness = np.linspace(6.0, 9.0, count) if kind == "equilibrated" else np.zeros(count)
    return ChargeModel(sites, kind, widths, hardness)


def structure(
    n: int = 12, pbc: bool = True, charge: float = 0.0, seed: int = 0, spacing: float = 2.5
) -> Structure:
    """Atoms of a shaken, sheared lattice."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:n]
    shear = spacing * np.array([[1.0, 0.1, 0.02], [-0.05, 1.05, 0.1], [0.1, 0.03, 0.95]])
    positions = (grid + rng.uniform(-0.15, 0.15, size=(n, 3))) @ shear
    numbers = rng.choice([11, 17], n)
    numbers[:2] = 11, 17
    return Structure(numbers, positions, side * shear if pbc else None, pbc, charge=charge)
