"""Artificial squeezed cells: their energies, their weights, and what they do to holes."""

from __future__ import annotations

import numpy as np
import pytest

from acepot import Structure
from acepot.errors import InputError
from acepot.fitting.fit import fit
from acepot.fitting.squeezed import squeezed
from acepot.fitting.weighting import FACTORS
from acepot.holes.scan import scan

SHORTEST = {"O-Si": 1.5, "Si-Si": 2.2}
E0 = {"O": -5.0, "Si": -3.0}
CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])


def distances(structure: Structure) -> list[tuple[int, int, float]]:
    """Of all pairs of atoms and images, each once, by brute force over images."""
    found, n = [], len(structure)
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    for i in range(n):
        for j in range(n):
            for image in images if structure.pbc.all() else np.zeros((1, 3)):
                if i == j and not image.any():
                    continue
                r = structure.positions[j] + image @ structure.cell - structure.positions[i]
                a, b = sorted((int(structure.numbers[i]), int(structure.numbers[j])))
                found.append((a, b, float(np.linalg.norm(r))))
    return found


def zbl(a: int, b: int, r: float) -> float:
    """The universal screened potential in eV."""
    x = r * (a**0.23 + b**0.23) / 0.4685
    terms = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    phi = sum(c * np.exp(-d * x) for c, d in terms)
    return float(14.399645 * a * b * phi / r)


def test_cells_are_closer_than_the_data_and_have_the_energies_of_nuclei():
    least = {(8, 14): 1.5, (14, 14): 2.2, (8, 8): 0.7 * 1.7}
    found = squeezed(("O", "Si"), SHORTEST, E0, 40, seed=1)
    assert len(found) == 40 and {len(one) for one in found} >= {2, 4, 8}
    assert {bool(one.pbc.all()) for one in found} == {True, False}
    for one in found:
        pairs = distances(one)
        near = min(r / least[a, b] for a, b, r in pairs)
        assert 0.45 < near < 0.95
        # Each pair is there twice.
        repulsion = sum(zbl(a, b, r) for a, b, r in pairs if r < least[a, b]) / 2
        wanted = repulsion + sum({8: -5.0, 14: -3.0}[z] for z in one.numbers.tolist())
        assert one.energy == pytest.approx(wanted, abs=0.05 * len(pairs), rel=1e-2)
        n, (factor, *others) = len(one), one.labels[FACTORS]
        repelled = one.energy - sum({8: -5.0, 14: -3.0}[z] for z in one.numbers.tolist())
        assert factor == pytest.approx(0.004 * n / (0.5 * repelled + n)) and others == [0.0, 0.0]
    again = squeezed(("O", "Si"), SHORTEST, E0, 40, seed=1)
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(found, again, strict=True))


def crystal(count: int) -> list[Structure]:
    """Silicon near its distances, with labels of a Lennard-Jones-like pair potential."""
    rng, made = np.random.default_rng(3), []
    for _ in range(count):
        positions = SITES @ CELL + rng.normal(scale=0.15, size=(4, 3))
        one = Structure([14] * 4, positions, CELL, True)
        energy = sum((2.1 / r) ** 8 - 2 * (2.1 / r) ** 4 for *_, r in distances(one) if r < 8) / 2
        made.append(Structure([14] * 4, positions, CELL, True, energy=energy))
    return made


def test_a_model_with_holes_has_none_with_them():
    """Many functions of order 4 and few labels attract at short distance; squeezed cells repel."""
    how = {
        "observables": ["energy"], "e0": {"Si": 0.0}, "threads": 1, "accept_labels": True,
        "basis": {"order": 4, "degree": [6, 7, 8, 8], "wl": 1.0, "cutoff": 4.0},
        "restraint": {"cells": 0},
    }  # fmt: skip
    train = crystal(30)
    plain = fit(train, **how)
    held = fit(train, **how | {"restraint": {"cells": 60}})
    before, after = (scan(f.potential, short=True).holes for f in (plain, held))
    assert len(after) < 0.3 * len(before)
    assert any("deeper" in hole.what for hole in before)
    assert not any("deeper" in hole.what for hole in after)
    assert len(held.train) == 30 and len(held.assembled.artificial) == 60
    assert held.solution.report["rows"] == plain.solution.report["rows"] + 60
    mine, theirs = (f.report["train"]["all"]["E"]["rmse"] for f in (held, plain))
    assert mine < 2 * theirs + 1.0  # meV per atom


def test_energies_must_be_fitted():
    one = crystal(1)[0].labelled(forces=np.zeros((4, 3)))
    with pytest.raises(InputError, match="restraint.cells: squeezed cells have energies alone"):
        fit([one], {"order": 1, "degree": 3}, observables=["forces"], restraint={"cells": 5})
