"""Structures and models of friction that several tests share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from acepot.basis.spec import BasisSpec
from acepot.friction.evaluator import shapes_of
from acepot.friction.fit import filled
from acepot.friction.settings import CouplingSettings, empty_part
from acepot.model import FrictionModel
from acepot.structure import Structure

#: Every form of Σ: coupling, block, momentum.
FORMS = [
    ("on-site", "vector", "free"),
    ("on-site", "matrix", "free"),
    ("column-wise", "invariant", "free"),
    ("column-wise", "vector", "free"),
    ("column-wise", "matrix", "conserved"),
    ("pair-wise", "invariant", "free"),
    ("pair-wise", "vector", "conserved"),
    ("pair-wise", "matrix", "free"),
    ("pair-wise", "matrix", "conserved"),
]


def structure(seed: int = 0, atoms: int = 6, size: float = 4.0, *, pbc: bool = True) -> Structure:
    """Copper and hydrogen at random in a triclinic cell, smaller than twice the cut-off."""
    random = np.random.default_rng(seed)
    cell = size * (np.eye(3) + 0.1 * random.normal(size=(3, 3)))
    positions = []
    while len(positions) < atoms:
        new = random.uniform(size=3) @ cell
        shifts = [new - old + np.array(s) @ cell for old in positions for s in np.ndindex(2, 2, 2)]
        shifts += [s - np.array(t) @ cell for s in shifts for t in np.ndindex(2, 2, 2)]
        if all(np.linalg.norm(s) > 0.9 for s in shifts):
            positions.append(new)
    numbers = np.where(np.arange(atoms) % 3 == 0, 1, 29)
    return Structure(numbers, np.array(positions), cell if pbc else None, pbc)


def settings(coupling: str, block: str, momentum: str, order: int = 2) -> CouplingSettings:
    """Functions of an environment, up to l = 2."""
    basis = BasisSpec(order=order, degree=3.0 if order > 1 else 0.0, wl=1.0, cutoff=3.0, r0=2.0)
    bonds = replace(CouplingSettings().bonds, degree=2, max_l=2, cutoff=3.0, r0=2.0)
    return CouplingSettings(coupling, block, momentum, 2, basis=basis, bonds=bonds)


def model(*forms: tuple[str, str, str], seed: int = 1, order: int = 2) -> FrictionModel:
    """Couplings with random coefficients."""
    random, parts = np.random.default_rng(seed), []
    for form in forms:
        part = empty_part(settings(*form, order=order), ["H", "Cu"])
        size = sum(shapes_of(part))
        parts.append(filled(part, random.normal(size=(size, 2)) / np.sqrt(size)))
    return FrictionModel(tuple(parts), {"made by": "a test"})


def pairs_only(seed: int = 1) -> FrictionModel:
    """A pair-wise vector coupling of bonds alone, as dissipative particle dynamics has it."""
    return model(("pair-wise", "vector", "conserved"), seed=seed, order=1)


__all__ = ["FORMS", "model", "pairs_only", "settings", "structure"]
