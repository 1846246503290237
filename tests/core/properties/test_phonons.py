"""Phonons and thermal expansion against what follows without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.properties.crystals import crystal
from acepot.properties.elasticity import elasticity
from acepot.properties.equation import over_volumes
from acepot.properties.expansion import _vibrations, expansion
from acepot.properties.force_constants import Lattice
from acepot.properties.phonons import phonons
from acepot.properties.relaxation import relaxed
from acepot.units import AMU, BOLTZMANN, GIGAPASCAL, PLANCK

pytest.importorskip("phonopy")
pytest.importorskip("seekpath")

MODEL = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"


@pytest.fixture(scope="module")
def potential() -> acepot.Potential:
    return acepot.Potential(acepot.load(MODEL), threads=1)


@pytest.fixture(scope="module")
def rest(potential: acepot.Potential) -> acepot.Structure:
    return relaxed(potential, crystal("Si:diamond", potential), cell="free", force=1e-7).structure


@pytest.fixture(scope="module")
def lattice(rest: acepot.Structure) -> Lattice:
    return Lattice(rest, 60)


def test_long_waves_travel_as_elastic_constants_say(
    potential: acepot.Potential, rest: acepot.Structure
) -> None:
    """Along [100]: ρ v² is C11 and, twice, C44."""
    lattice = Lattice(rest, 200)
    lattice.compute(potential, rest)
    q = 0.01  # of 2π/a, along Γ-X, (½, 0, ½) in units of the primitive reciprocal cell
    lattice.phonopy.run_qpoints([[q / 2, 0.0, q / 2]])
    slow, same, fast = np.sort(lattice.phonopy.qpoints.frequencies[0])[:3] * 1e-3  # 1/fs
    density = 28.0855 * AMU * len(rest) / rest.volume
    squares = np.array([slow, same, fast]) / (q / rest.cell[0, 0])
    found = density * squares**2 / GIGAPASCAL
    c = elasticity(potential, rest).constants
    assert found[2] == pytest.approx(c[0, 0], rel=0.03)
    assert found[:2] == pytest.approx([c[3, 3]] * 2, rel=0.03)


def test_phonons_of_diamond(
    potential: acepot.Potential, rest: acepot.Structure, lattice: Lattice
) -> None:
    found = phonons(potential, rest, lattice)
    assert np.abs(found.at("Γ")[:3]).max() < 1e-3
    assert np.ptp(found.at("Γ")[3:]) < 1e-6  # three optical modes
    assert found.at("X")[0] == pytest.approx(found.at("X")[1], abs=1e-6)
    assert not found.imaginary
    states = np.trapezoid(found.density, found.levels)
    assert states == pytest.approx(6, rel=0.02)
    again = phonons(potential, rest, lattice, like=found)
    assert np.allclose(again.bands.frequencies, found.bands.frequencies, atol=1e-6)


def test_a_crystal_that_is_none_has_imaginary_modes(potential: acepot.Potential) -> None:
    start = crystal("Si:sc:2.9", potential)
    found = phonons(potential, start, Lattice(start, 30))
    assert found.imaginary and found.imaginary[0][1] < -0.5
    assert found.imaginary == tuple(sorted(found.imaginary, key=lambda one: one[1]))


def test_a_strained_crystal_shares_the_lattice_of_another(
    potential: acepot.Potential, rest: acepot.Structure, lattice: Lattice
) -> None:
    wide = rest.moved(rest.positions * 1.02, rest.cell * 1.02)
    lattice.compute(potential, wide)
    own = Lattice(wide, 60)
    own.compute(potential, wide)
    points = [[0.5, 0.0, 0.5], [0.1, 0.2, 0.3]]
    found = []
    for one in (lattice, own):
        one.phonopy.run_qpoints(points)
        found.append(one.phonopy.qpoints.frequencies)
    assert np.allclose(*found, atol=2e-3)
    lattice.compute(potential, rest)
    lattice.phonopy.run_qpoints(points)
    assert np.abs(lattice.phonopy.qpoints.frequencies - found[0]).max() > 0.05


def test_vibrations_of_one_frequency_are_einsteins() -> None:
    frequency, temperatures = 10.0, np.array([0.0, 300.0, 20_000.0])
    free, heat, zero = _vibrations(np.full((1, 3), frequency), np.ones(1), temperatures)
    quantum = PLANCK * frequency * 1e-3
    x = quantum / (BOLTZMANN * 300.0)
    assert zero == pytest.approx(1.5 * quantum)
    assert free[1] == pytest.approx(zero + 3 * BOLTZMANN * 300 * np.log(1 - np.exp(-x)))
    assert heat[1] == pytest.approx(3 * x**2 * np.exp(x) / (np.exp(x) - 1) ** 2)
    assert heat[0] == 0 and heat[2] == pytest.approx(3, rel=1e-3)


def test_expansion_obeys_thermodynamics(
    potential: acepot.Potential, rest: acepot.Structure, lattice: Lattice
) -> None:
    temperatures = np.linspace(0, 800, 9)
    computed = over_volumes(potential, rest)
    found = expansion(potential, computed, lattice, temperatures, 0.99 * rest.volume / len(rest))
    assert found.volumes[0] > computed.equation.volume  # zero-point motion
    assert (found.thermal[4:] > 0).all() and found.thermal[-1] < 5e-5
    assert found.heat[0] == 0 and (np.diff(found.heat) > 0).all() and found.heat[-1] < 3
    assert np.abs(found.moduli / computed.equation.modulus - 1).max() < 0.1
