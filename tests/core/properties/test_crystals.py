"""Crystals at rest: cells, minima, equations of state, elastic constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import ConvergenceError, InputError
from acepot.properties.crystals import crystal, repeated, supercell
from acepot.properties.elasticity import elasticity, moduli, strained
from acepot.properties.equation import Equation, birch_murnaghan, over_volumes
from acepot.properties.relaxation import minimised, relaxed
from acepot.units import GIGAPASCAL
from acepot.voigt import to_voigt

MODEL = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"


@pytest.fixture(scope="module")
def potential() -> acepot.Potential:
    return acepot.Potential(acepot.load(MODEL), threads=1)


@pytest.fixture(scope="module")
def rest(potential: acepot.Potential) -> acepot.Structure:
    return relaxed(potential, crystal("Si:diamond", potential), cell="free").structure


@pytest.mark.parametrize(
    ("name", "atoms", "neighbours"),
    [("Si:sc:2.5", 1, 6), ("Si:bcc:3.1", 2, 8), ("Si:fcc:3.9", 4, 12), ("Si:hcp:2.7", 2, 12),
     ("Si:diamond:5.4", 8, 4)],
)  # fmt: skip
def test_crystals_have_their_neighbours(
    name: str, atoms: int, neighbours: int, potential: acepot.Potential
) -> None:
    unit = crystal(name, potential)
    whole = repeated(unit, np.array([4, 4, 4]))
    middle = np.argmin(np.linalg.norm(whole.positions - whole.cell.sum(axis=0) / 2, axis=1))
    lengths = np.linalg.norm(whole.positions - whole.positions[middle], axis=1)
    shortest = np.sort(lengths)[1]
    assert len(unit) == atoms
    assert (np.abs(lengths - shortest) < 1e-6).sum() == neighbours


def test_a_matrix_that_is_not_diagonal_repeats_the_same_crystal(
    potential: acepot.Potential, rest: acepot.Structure
) -> None:
    skewed = repeated(rest, np.array([[1, 1, 0], [-1, 1, 0], [0, 1, 1]]))
    energies = [potential.compute(one).energy / len(one) for one in (rest, skewed)]
    assert len(skewed) == 2 * len(rest)
    assert energies[1] == pytest.approx(energies[0], abs=1e-10)


def test_supercells_are_nearly_cubes(rest: acepot.Structure) -> None:
    assert supercell(rest, 200) == (3, 3, 3)
    flat = rest.moved(rest.positions, np.diag([5.0, 5.0, 20.0]))
    assert supercell(flat, 100) == (4, 4, 1)


@pytest.mark.parametrize("name", ["Si:quartz", "Sj:fcc", "SiO:diamond", "no such file"])
def test_a_name_that_is_no_crystal_is_refused(name: str, potential: acepot.Potential) -> None:
    with pytest.raises(InputError):
        crystal(name, potential)


def test_a_distorted_crystal_comes_back(
    potential: acepot.Potential, rest: acepot.Structure
) -> None:
    rng = np.random.default_rng(3)
    deform = np.eye(3) + rng.normal(scale=0.02, size=(3, 3))
    moved = rest.positions + rng.normal(scale=0.08, size=rest.positions.shape)
    found = relaxed(potential, rest.moved(moved @ deform, rest.cell @ deform), cell="free")
    assert found.is_at_rest
    assert found.energy == pytest.approx(potential.compute(rest).energy, abs=1e-7)
    assert found.structure.volume == pytest.approx(rest.volume, rel=1e-5)


def test_at_constant_volume_only_pressure_is_left(
    potential: acepot.Potential, rest: acepot.Structure
) -> None:
    sheared = strained(strained(rest, 5, 0.03), 0, 0.02)
    found = relaxed(potential, sheared, cell="volume").structure
    stress = -potential.compute(found).virial / found.volume
    assert found.volume == pytest.approx(sheared.volume, rel=1e-12)
    assert np.abs(stress - np.eye(3) * np.trace(stress) / 3).max() < 2e-7
    assert abs(np.trace(stress)) > 1e-3


def test_the_minimum_of_a_narrow_valley_is_found() -> None:
    def banana(x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = x
        slope = np.array([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)])
        return float((1 - a) ** 2 + 100 * (b - a * a) ** 2), slope

    found, value, _, _ = minimised(
        banana, np.array([-1.2, 1.0]), lambda g: bool(np.abs(g).max() < 1e-9), 500
    )
    assert np.allclose(found, 1, atol=1e-8) and value < 1e-16


def test_an_energy_without_number_ends_the_search() -> None:
    with pytest.raises(ConvergenceError, match="not a number"):
        minimised(lambda x: (np.nan, x), np.ones(2), lambda g: False, 5)


def test_an_equation_of_state_is_found_again() -> None:
    known = Equation(-5.4, 20.4, 0.55, 4.3, 0.0)
    volumes = np.linspace(18.0, 23.0, 9)
    found = birch_murnaghan(volumes, known(volumes))
    for name in ("energy", "volume", "modulus", "slope"):
        assert getattr(found, name) == pytest.approx(getattr(known, name), rel=1e-7)
    assert found.residual < 1e-10


def test_energies_without_minimum_have_no_equation() -> None:
    with pytest.raises(ConvergenceError, match="no minimum"):
        birch_murnaghan(np.linspace(10, 12, 6), np.linspace(0, 1, 6))


def test_both_ways_to_the_bulk_modulus_agree(
    potential: acepot.Potential, rest: acepot.Structure
) -> None:
    narrow = over_volumes(potential, rest, np.linspace(0.997, 1.003, 7)).equation
    constants = elasticity(potential, rest).constants
    assert moduli(constants).bulk == pytest.approx(narrow.modulus / GIGAPASCAL, rel=5e-3)


def test_elastic_constants_are_slopes_of_stresses_of_crystals_at_rest(
    potential: acepot.Potential, rest: acepot.Structure
) -> None:
    found = elasticity(potential, rest)
    size = 2e-4
    for component in (0, 3):
        stress = []
        for sign in (1, -1):
            one = relaxed(potential, strained(rest, component, sign * size), force=1e-7).structure
            stress.append(to_voigt(-potential.compute(one).virial) / one.volume)
        slope = (stress[0] - stress[1]) / (2 * size) / GIGAPASCAL
        assert np.allclose(slope, found.constants[:, component], atol=0.05)
    assert found.clamped[3, 3] > found.constants[3, 3] + 10  # ions move under shear


def test_moduli_of_an_isotropic_material() -> None:
    bulk, shear = 90.0, 40.0
    c = np.zeros((6, 6))
    c[:3, :3] = bulk - 2 * shear / 3
    c[range(3), range(3)] = bulk + 4 * shear / 3
    c[range(3, 6), range(3, 6)] = shear
    found = moduli(c)
    assert found.bulk == pytest.approx(bulk) and found.shear == pytest.approx(shear)
    assert found.young == pytest.approx(9 * bulk * shear / (3 * bulk + shear))
    assert found.anisotropy == pytest.approx(0, abs=1e-9)
    assert found.softest == pytest.approx(shear * 1.0)
