"""Levels and what is made of them, against closed forms and sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from acepot.errors import ConvergenceError, InputError
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.matrices import OrbitalMatrix
from acepot.hamiltonian.spectrum import (
    Mesh,
    densities,
    density_of_states,
    fermi_level,
    filled,
    levels,
    levels_near,
    mesh,
)
from acepot.orbitals import Orbitals
from acepot.structure import Structure
from acepot.units import BOLTZMANN


def chain(hopping: float, overlap: float) -> tuple[OrbitalMatrix, OrbitalMatrix]:
    """An s orbital each 2.5 Å: ε(k) = (1 + 2 t cos 2πk)/(1 + 2 s cos 2πk)."""
    structure = Structure([14], [[0.1, 0.2, 0.3]], np.diag([2.5, 20.0, 20.0]), True)
    index = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, -1, 0, 0]])
    orbitals = Orbitals({"Si": "s"})
    made = []
    for own, next_ in ((1.0, hopping), (1.0, overlap)):
        blocks = [np.full((1, 1), v) for v in (own, next_, next_)]
        made.append(OrbitalMatrix.of(structure, orbitals, index, blocks))
    return made[0], made[1]


def test_levels_of_a_chain():
    h, s = chain(-0.7, 0.1)
    points = mesh((12, 1, 1))
    found = levels(h, s, points)
    turn = np.cos(2 * np.pi * points.points[:, 0])
    np.testing.assert_allclose(
        found.energies[:, 0], (1 - 1.4 * turn) / (1 + 0.2 * turn), atol=1e-14
    )
    half = filled(found, 1.0, 300.0)
    assert half.occupations.T @ points.weights == pytest.approx(0.5, abs=1e-12)
    assert half.gap >= 0 and half.free_energy < half.band_energy


@pytest.mark.parametrize("divisions", [(1, 1, 1), (2, 3, 4), (5, 4, 1)])
@pytest.mark.parametrize("shifted", [False, True])
def test_a_mesh_is_every_k_or_its_reverse(divisions, shifted):
    found = mesh(divisions, shifted=shifted)
    assert found.weights.sum() == pytest.approx(1, abs=1e-14)
    # Σ_k w_k cos 2πk·T is that of the whole mesh: 1 for its own lattice, 0 else.
    for t in np.ndindex(3, 3, 3):
        total = found.weights @ np.cos(2 * np.pi * found.points @ np.array(t))
        own = all(x % n == 0 for x, n in zip(t, divisions, strict=True))
        sign = (-1) ** sum(x // n for x, n in zip(t, divisions, strict=True)) if shifted else 1
        assert total == pytest.approx(sign if own else 0, abs=1e-13)
    assert len(found.points) <= (np.prod(divisions) + 8) / 2 + 1


def test_electrons_are_counted(hamiltonian_model, structures_of):
    model = hamiltonian_model({"O": "sp", "Si": "spd"}, 4)
    structure = structures_of((8, 14))["triclinic"]
    made = HamiltonianEvaluator(model, threads=1).matrices(structure)
    h, s = made.hamiltonian[0], made.overlap
    found = levels(h, s, mesh((3, 2, 2)), orbitals=True)
    for electrons, temperature in ((7.0, 100.0), (16.0, 3000.0), (16.0, 1e5)):
        fermi = fermi_level(found, electrons, temperature)
        away = (found.energies - fermi) / (2 * BOLTZMANN * temperature)
        f = (1 - np.tanh(away)) / 2
        assert 2 * (found.mesh.weights @ f).sum() == pytest.approx(electrons, abs=1e-10)
    at = np.arange(found.energies.min() - 3, found.energies.max() + 3, 0.01)
    states = density_of_states(found, at, 0.2).sum() * 0.01
    assert states == pytest.approx(2 * h.size, abs=1e-9)
    electrons = filled(found, 16.0, 3000.0)
    given = densities(h, s, found, electrons)
    # Σ ρ H = E_band and Σ ρ S = N, with blocks of both directions; W likewise.
    energy = sum((given.density[p] * one.values).sum() for p, one in h.pairs.items())
    assert energy == pytest.approx(electrons.band_energy, abs=1e-9)
    number = sum((given.energy_density[p] * one.values).sum() for p, one in s.pairs.items())
    assert number == pytest.approx(electrons.band_energy, abs=1e-9)
    assert given.populations.sum() == pytest.approx(16.0, abs=1e-10)


def test_levels_near_an_energy(hamiltonian_model, structures_of):
    model = hamiltonian_model({"Si": "spd"}, 6)
    cell = structures_of((14,))["triclinic"]
    made = HamiltonianEvaluator(model, threads=1).matrices(cell)
    h, s = made.hamiltonian[0], made.overlap
    k = np.array([0.2, -0.1, 0.35])
    every = levels(h, s, Mesh(k[None], np.ones(1))).energies[0]
    middle = float(every[len(every) // 2]) + 0.01
    found = levels_near(h, s, k, middle, 6)
    expected = np.sort(every[np.argsort(np.abs(every - middle))[:6]])
    np.testing.assert_allclose(found, expected, atol=1e-9)
    with pytest.raises(InputError, match="count: expected 1 to"):
        levels_near(h, s, k, middle, h.size)


def test_an_overlap_that_cannot_be_is_named():
    h, s = chain(-0.7, 0.6)
    points = Mesh(np.array([[0.5, 0.0, 0.0]]), np.ones(1))
    with pytest.raises(
        ConvergenceError, match=r"k = \[0.5, 0.0, 0.0\]: .* smallest eigenvalue is -0.2"
    ):
        levels(h, s, points)


def test_more_electrons_than_levels_hold_are_refused():
    found = levels(*chain(-0.7, 0.1), mesh((4, 1, 1)))
    with pytest.raises(InputError, match="fewer than 2 at a temperature"):
        fermi_level(found, 2.0, 300.0)
    with pytest.raises(InputError, match="at -1 K"):
        fermi_level(found, 1.0, -1.0)


def test_matrices_that_cannot_be_are_refused():
    structure = Structure([14, 14], [[0, 0, 0], [2.3, 0, 0]], np.eye(3) * 5, [True, True, False])
    orbitals, one = Orbitals({"Si": "sp"}), np.eye(4)
    for index, blocks, message in (
        ([[0, 2, 0, 0, 0]], [one], "expected atoms 0 to 1, got 0 to 2; are they counted from 1"),
        ([[0, 1, 0, 0, 1]], [one], "directions that are not periodic"),
        ([[0, 1, 0, 0, 0]] * 2, [one, one], "each block once, got"),
        ([[0, 1, 0, 0, 0]], [np.eye(3)], r"expected shape \(4, 4\) for these orbitals"),
        ([[0, 1, 0, 0, 0]], [one * np.nan], "expected finite numbers"),
        ([[0, 1, 0, 0]], [one], r"shape \(N, 5\)"),
        ([[0, 1, 0, 0, 0]], [], "expected a block for each"),
    ):
        with pytest.raises(InputError, match=message):
            OrbitalMatrix.of(structure, orbitals, np.array(index), blocks)
    for shells, message in (
        ({"Si": "sx"}, "orbitals.Si: expected 1 to 32 letters out of spdfg"),
        ({"Si": ""}, "orbitals.Si"),
        ({}, "expected shells of at least one element"),
    ):
        with pytest.raises(InputError, match=message):
            Orbitals(shells)
