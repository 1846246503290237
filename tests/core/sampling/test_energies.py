"""Energies of many configurations: of a potential, of functions and of ASE's calculators."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.sampling.energies import Energies, FunctionEnergies, NotFiniteError, PotentialEnergies
from acepot.structure import Structure
from ase_ace import ACECalculator
from ase_ace.energies import CalculatorEnergies

MODEL = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"
COUNT, ATOMS = 12, 4


@pytest.fixture(scope="module")
def potential() -> acepot.Potential:
    return acepot.Potential(acepot.load(MODEL), threads=1)


def configurations() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(6)
    cells = 4.6 * np.eye(3) + 0.3 * random.standard_normal((COUNT, 3, 3))
    places = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) + 0.9
    positions = places @ cells + 0.2 * random.standard_normal((COUNT, ATOMS, 3))
    return np.full((COUNT, ATOMS), 14), positions, cells


def test_energies_do_not_depend_on_what_else_is_in_the_call(potential: acepot.Potential) -> None:
    """Bit for bit: walks can be cut anywhere."""
    numbers, positions, cells = configurations()
    model, whole = PotentialEnergies(potential), Energies.empty(COUNT, ATOMS)
    model.compute(numbers, positions, cells, whole)
    random = np.random.default_rng(1)
    for size in (1, 2, 3, 5, 7, COUNT):
        rows = random.permutation(COUNT)[:size]
        part = Energies.empty(size, ATOMS)
        model.compute(numbers[rows], positions[rows], cells[rows], part)
        assert (part.energy == whole.energy[rows]).all()
        assert (part.forces == whole.forces[rows]).all()


@pytest.mark.parametrize("periodic", [True, False])
def test_energies_are_those_of_the_potential(potential: acepot.Potential, periodic: bool) -> None:
    numbers, positions, cells = configurations()
    found = Energies.empty(COUNT, ATOMS)
    PotentialEnergies(potential, periodic).compute(numbers, positions, cells, found)
    other = Energies.empty(COUNT, ATOMS)
    CalculatorEnergies(ACECalculator(potential), periodic).compute(numbers, positions, cells, other)
    for k in range(COUNT):
        result = potential.compute(acepot.Structure(numbers[k], positions[k], cells[k], periodic))
        np.testing.assert_allclose(found.energy[k], result.energy, rtol=1e-12)
        np.testing.assert_allclose(found.forces[k], result.forces, atol=1e-10)
    np.testing.assert_allclose(other.energy, found.energy, rtol=1e-12)
    np.testing.assert_allclose(other.forces, found.forces, atol=1e-10)


def test_atoms_closer_than_the_tables_begin_have_infinite_energy(
    potential: acepot.Potential,
) -> None:
    numbers, positions, cells = configurations()
    whole, found = Energies.empty(COUNT, ATOMS), Energies.empty(COUNT, ATOMS)
    model = PotentialEnergies(potential)
    model.compute(numbers, positions, cells, whole)
    positions[3, 1] = positions[3, 0] + cells[3, 2] + 1e-4  # close to an image
    positions[8, 2] = positions[8, 0]
    model.compute(numbers, positions, cells, found)
    others = np.setdiff1d(np.arange(COUNT), [3, 8])
    assert found.energy[[3, 8]].tolist() == [np.inf, np.inf]
    assert (found.energy[others] == whole.energy[others]).all()


def test_anything_else_that_the_model_refuses_is_an_error(potential: acepot.Potential) -> None:
    numbers, positions, cells = configurations()
    positions[5, 0, 1] = np.nan
    with pytest.raises((NotFiniteError, acepot.errors.InputError), match="finite"):
        PotentialEnergies(potential).compute(
            numbers, positions, cells, Energies.empty(COUNT, ATOMS)
        )


def test_plain_functions_of_one_configuration_or_of_many() -> None:
    numbers, positions, cells = configurations()

    def one(x: np.ndarray, h: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray]:
        return float((x**2).sum() * z[0] + np.linalg.det(h)), -2 * x * z[0]

    def many(x: np.ndarray, h: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        energy = (x**2).sum(axis=(1, 2)) * z[:, 0] + np.linalg.det(h)
        return energy, -2 * x * z[:, :1, None]

    single, batched = Energies.empty(COUNT, ATOMS), Energies.empty(COUNT, ATOMS)
    FunctionEnergies(one).compute(numbers, positions, cells, single)
    FunctionEnergies(many, batched=True).compute(numbers, positions, cells, batched)
    np.testing.assert_allclose(single.energy, batched.energy, rtol=1e-12)
    np.testing.assert_allclose(single.forces, batched.forces, rtol=1e-12)


def test_a_model_that_gives_no_number_says_so_from_another_process():
    structure = Structure([14], [[0.1, 0.2, 0.3]], 3 * np.eye(3), True)
    error = copy.deepcopy(NotFiniteError("no number", structure))  # as pickle does it
    assert str(error) == "no number"
    np.testing.assert_array_equal(error.structure.positions, structure.positions)
