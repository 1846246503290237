"""The Coulomb matrix: closed forms, two ways to sum, and derivatives."""

from __future__ import annotations

import math

import charged
import numpy as np
import pytest

from acepot import Structure
from acepot.charges.ewald import Ewald
from acepot.charges.interaction import Isolated, interaction
from acepot.charges.mesh import Mesh
from acepot.errors import InputError
from acepot.units import COULOMB

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
#: Cell, place of the second ion, nearest distance, constant, splittings.
MADELUNG = {
    "NaCl": (FCC, [0.5, 0.5, 0.5], 0.5, 1.747564594633, (0.1, 0.15, 0.2)),
    "CsCl": (np.eye(3), [0.5, 0.5, 0.5], np.sqrt(0.75), 1.762674773071, (0.15, 0.2, 0.3)),
    "ZnS": (FCC, [0.25, 0.25, 0.25], np.sqrt(3) / 4, 1.638055053389, (0.1, 0.15, 0.2)),
}


def widths(n: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).choice([0.7, 1.0, 1.3], n)


def weights(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("crystal", MADELUNG)
def test_madelung_constants_whatever_the_splitting(crystal):
    cell, place, nearest, expected, splits = MADELUNG[crystal]
    structure = Structure([11, 17], np.array([[0, 0, 0], place]) @ cell, cell, True)
    q = np.array([1.0, -1.0])
    for split in splits:
        a = Ewald(structure, np.zeros(2), split, 1e-16).matrix
        assert -q @ a @ q / 2 * nearest / COULOMB == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("split", [0.5, 0.8, 1.0, 1.4, "auto"])
def test_splitting_gives_the_sum_over_reciprocal_vectors(split):
    structure = charged.structure(11)
    s = widths(11)
    whole = Ewald(structure, s, None).matrix
    assert np.abs(Ewald(structure, s, split).matrix - whole).max() < 1e-12 * np.abs(whole).max()


def test_a_doubled_cell_has_twice_the_energy():
    structure = charged.structure(9)
    s, q = widths(9), weights(9, 1) + 0.2  # a total charge, too
    twice = Structure(
        np.tile(structure.numbers, 2),
        np.concatenate((structure.positions, structure.positions + structure.cell[1])),
        structure.cell * np.array([[1], [2], [1]]),
        True,
    )
    once = q @ Ewald(structure, s).matrix @ q
    both = np.tile(q, 2) @ Ewald(twice, np.tile(s, 2)).matrix @ np.tile(q, 2)
    assert both == pytest.approx(2 * once, rel=1e-12)


def test_isolated_gaussians_are_the_limit_of_a_large_cell():
    structure = charged.structure(6, pbc=False)
    s, q = widths(6), weights(6, 2)
    q -= q.mean()
    alone = q @ Isolated(structure.positions, s).matrix @ q
    found = []
    for side in (40.0, 80.0):
        boxed = Structure(structure.numbers, structure.positions, side * np.eye(3), True)
        dipole = q @ structure.positions
        # Tin-foil: a cube of dipoles has 2π/(3V) D² less.
        term = 4 * np.pi / (3 * side**3) * COULOMB * float(dipole @ dipole)
        found.append(q @ Ewald(boxed, s, 1.0).matrix @ q + term)
    assert found[1] == pytest.approx(alone, abs=1e-4)
    assert abs(found[1] - alone) < abs(found[0] - alone) / 8


def test_near_and_far_the_formula_is_a_limit_of_itself():
    for r in (1e-5, 1e-3, 9e-3, 1.1e-2, 1.0, 30.0):
        gamma = float(np.sqrt(2 * (0.8**2 + 1.1**2)))
        found = Isolated(np.array([[0, 0, 0], [0, 0, r]]), np.array([0.8, 1.1])).matrix[0, 1]
        assert found == pytest.approx(math.erf(r / gamma) / r * COULOMB, rel=1e-13)


@pytest.mark.parametrize("kind", ["isolated", "reciprocal", "split"])
def test_derivatives_are_those_of_differences(kind):
    structure = charged.structure(7, pbc=kind != "isolated")
    s, q, p = widths(7), weights(7, 3), weights(7, 4)

    def sums(positions, cell):
        if kind == "isolated":
            return Isolated(positions, s)
        place = Structure(structure.numbers, positions, cell, True)
        return Ewald(place, s, None if kind == "reciprocal" else 0.8)

    def energy(u, strain):
        deform = np.eye(3) + strain
        moved = (structure.positions + u) @ deform
        return q @ sums(moved, structure.cell @ deform).matrix @ p

    found = sums(structure.positions, structure.cell)
    forces, virial = found.pull(q, p)
    rng, h = np.random.default_rng(6), 1e-3
    for _ in range(3):
        u, strain = rng.normal(size=(7, 3)), 0.1 * rng.normal(size=(3, 3))
        v = [energy(t * h * u, t * h * strain) for t in (1, -1, 2, -2)]
        slope = (8 * (v[0] - v[1]) - (v[2] - v[3])) / (12 * h)
        assert slope == pytest.approx(-np.sum(forces * u) - np.sum(virial * strain), abs=1e-8)
    g, e = found.gradient(), found.strain()
    again = -np.einsum("i,ixj,j->ix", q, g, p) - np.einsum("i,ixj,j->ix", p, g, q)
    assert np.abs(again - forces).max() < 1e-12
    assert np.abs(-np.einsum("abij,i,j->ab", e, q, p) - virial).max() < 1e-11


@pytest.mark.parametrize(
    ("order", "spacing", "most"), [(8, 0.5, 2e-6), (8, 0.7, 3e-5), (10, 0.5, 1e-7)]
)
def test_a_mesh_gives_the_exact_sums(order, spacing, most):
    structure = charged.structure(60)
    s, q = widths(60), weights(60, 7)
    exact = Ewald(structure, s)
    mesh = Mesh(structure, s, spacing=spacing, order=order)
    potential = exact.matrix @ q
    assert np.abs(mesh.product(q) - potential).max() < most * np.abs(potential).max()
    forces, virial = exact.pull(0.5 * q, q)
    found, of_strain = mesh.pull(q)
    assert np.abs(found - forces).max() < most * np.abs(forces).max()
    assert np.abs(of_strain - virial).max() < most * np.abs(virial).max()


def test_forces_of_a_mesh_are_the_derivatives_of_its_energy():
    structure = charged.structure(20)
    s, q = widths(20), weights(20, 8)

    def energy(positions):
        place = Structure(structure.numbers, positions, structure.cell, True)
        return 0.5 * q @ Mesh(place, s, spacing=1.0).product(q)

    forces, _ = Mesh(structure, s, spacing=1.0).pull(q)
    rng, h = np.random.default_rng(9), 1e-3
    u = rng.normal(size=(20, 3))
    v = [energy(structure.positions + t * h * u) for t in (1, -1, 2, -2)]
    slope = (8 * (v[0] - v[1]) - (v[2] - v[3])) / (12 * h)
    assert slope == pytest.approx(-np.sum(forces * u), abs=1e-7)


def test_torchpme_finds_the_same():
    pme = pytest.importorskip("torchpme")
    import torch

    structure = charged.structure(14)
    q, sigma = weights(14, 10), 0.9
    q -= q.mean()
    calculator = pme.EwaldCalculator(
        pme.CoulombPotential(smearing=sigma), lr_wavelength=0.35, full_neighbor_list=False
    ).to(torch.float64)
    # Gaussians alone: its reciprocal part is that of Gaussians of this smearing.
    given = (torch.tensor(x, dtype=torch.float64) for x in (q[:, None], structure.cell))
    charges, cell = given
    positions = torch.tensor(structure.positions, dtype=torch.float64)
    far = calculator._compute_kspace(charges, cell, positions)[:, 0].numpy()
    own = np.sqrt(2 / np.pi) / sigma
    potential = Ewald(structure, np.full(14, sigma / np.sqrt(2))).matrix @ q / COULOMB
    assert 2 * far + own * q == pytest.approx(potential, abs=1e-6)


def test_slabs_and_coinciding_points_are_refused():
    slab = Structure([11, 17], [[0, 0, 0], [0, 0, 2.0]], 9 * np.eye(3), [True, True, False])
    with pytest.raises(InputError, match="none or in all three"):
        interaction(slab, np.ones(2))
    with pytest.raises(InputError, match="different places"):
        Isolated(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(InputError, match="splitting"):
        Ewald(charged.structure(3), np.zeros(3), None)
    with pytest.raises(InputError, match="reciprocal vectors"):
        Ewald(charged.structure(3), np.full(3, 0.005), None)


def test_more_atoms_than_memory_are_refused_beforehand(monkeypatch):
    monkeypatch.setattr("acepot.charges.mesh.free_memory", lambda: 10**4)
    structure = charged.structure(60)
    with pytest.raises(InputError, match=r"charges of 60 atoms: expected 0.0 GB of free memory"):
        Mesh(structure, widths(60))
