"""Small structures of silicon, labelled by the shipped model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure

ROOT = Path(__file__).parents[3]
_SITES = [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]


@pytest.fixture(scope="session")
def silicon() -> list[Structure]:
    """Fourteen strained and rattled cells of eight atoms, with energies and forces."""
    rng = np.random.default_rng(8)
    potential = Potential(acepot.load(ROOT / "models" / "Si-mlearn" / "model.acepot"), threads=1)
    found = []
    for _ in range(14):
        cell = 5.46 * (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = (np.array(_SITES) / 4) @ cell + rng.normal(scale=0.12, size=(8, 3))
        plain = Structure(np.full(8, 14), positions, cell, True)
        result = potential.compute(plain)
        labels = {"energy": result.energy, "forces": result.forces}
        found.append(Structure(plain.numbers, positions, cell, True, **labels))
    return found
