"""E - τσ through ASE, OpenMM and i-PI is what acepot computes, in their units."""

import pickle

import numpy as np
import pytest

import acepot
from acepot.errors import InputError
from acepot.structure import Structure
from acepot.uncertainty.biased import BiasedPotential
from acepot.uncertainty.posterior_file import save_posterior
from acepot.units import IPI, OPENMM

TAU = 3.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, its posterior and the structure that it is asked for, in files."""
    folder, random = tmp_path_factory.mktemp("biased"), np.random.default_rng(4)
    # Lower triangular, as OpenMM wants it, and asymmetric.
    cell = np.array([[6.1, 0, 0], [0.7, 5.6, 0], [-0.4, 0.5, 6.4]])
    places = np.array([[0, 0, 0], [2.1, 0.4, 0.3], [0.3, 2.6, 2.2], [3.0, 3.3, 4.1]])
    data = [
        Structure(
            [14, 14, 8, 8], places + 0.1 * random.normal(size=(4, 3)), cell, True,
            energy=random.normal(), forces=random.normal(size=(4, 3)),
        )
        for _ in range(8)
    ]  # fmt: skip
    basis = {"order": 2, "degree": 5, "cutoff": 4.0}
    fit = acepot.fit(data, basis, threads=1, e0={"Si": 0.0, "O": 0.0}, accept_labels=True)
    acepot.save(fit.model, folder / "model.acepot")
    save_posterior(fit.posterior, folder / "posterior.acepot")
    acepot.write_structures(folder / "start.extxyz", [data[0]])
    return folder / "model.acepot", folder / "posterior.acepot", data[0]


@pytest.fixture(scope="module")
def expected(files):
    model, posterior, structure = files
    found = BiasedPotential(model, posterior, TAU, 1).compute(structure)
    plain = BiasedPotential(model, posterior, 0.0, 1).compute(structure)
    assert np.abs(found.forces - plain.forces).max() > 1e-3
    return found


def test_ase(files, expected):
    ase = pytest.importorskip("ase")
    from ase_ace import BiasedCalculator

    model, posterior, structure = files
    atoms = ase.Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=True)
    atoms.calc = BiasedCalculator(model, posterior, TAU, threads=1)
    assert atoms.get_potential_energy() == expected.biased
    assert np.array_equal(atoms.get_forces(), expected.forces)
    stress = -expected.virial / structure.volume
    assert atoms.get_stress(voigt=False) == pytest.approx(stress, abs=1e-12)
    assert atoms.calc.results["sigma"] == expected.sigma
    step, strained = 1e-5, []
    for sign in (1, -1):  # the stress is the derivative of the energy by a strain
        stretch = np.eye(3) + sign * step * np.array([[0.3, 0.1, 0], [0.1, -0.2, 0], [0, 0, 0.4]])
        moved = atoms.copy()
        moved.set_cell(structure.cell @ stretch, scale_atoms=True)
        moved.calc = atoms.calc
        strained.append(moved.get_potential_energy())
    slope = (strained[0] - strained[1]) / (2 * step)
    strain = np.array([[0.3, 0.1, 0], [0.1, -0.2, 0], [0, 0, 0.4]])
    assert slope == pytest.approx(structure.volume * (stress * strain).sum(), rel=1e-6, abs=1e-6)


def test_openmm(files, expected):
    openmm = pytest.importorskip("openmm")
    from openmm_ace.biased import create_biased_force

    model, posterior, structure = files
    force = create_biased_force(
        model, posterior, TAU, structure.numbers.tolist(), periodic=True, threads=1
    )
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*(structure.cell / OPENMM.length))
    for _ in structure.numbers:
        system.addParticle(10.0)
    system.addForce(pickle.loads(pickle.dumps(force)))
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(structure.positions / OPENMM.length)
    state = context.getState(energy=True, forces=True)
    assert state.getPotentialEnergy()._value * OPENMM.energy == pytest.approx(expected.biased)
    found = state.getForces(asNumpy=True)._value * OPENMM.force
    assert found == pytest.approx(expected.forces, abs=1e-8)
    with pytest.raises(InputError, match="does not know atomic number 6"):
        create_biased_force(model, posterior, TAU, [6], periodic=True)


def test_ipi(files, expected):
    from ipi_driver.forcefield import open_forcefield

    model, posterior, structure = files
    start = model.with_name("start.extxyz")
    field = open_forcefield(model, start, threads=1, posterior=posterior, tau=TAU)
    (answer,) = field.compute([structure.cell.T / IPI.length], [structure.positions / IPI.length])
    assert answer.energy * IPI.energy == pytest.approx(expected.biased, rel=1e-9)
    assert answer.forces * IPI.force == pytest.approx(expected.forces, abs=1e-7)
    assert answer.virial.T * IPI.energy == pytest.approx(expected.virial, abs=1e-7)
    with pytest.raises(InputError, match="tau: expected a posterior beside it"):
        open_forcefield(model, start, tau=1.0)
    with pytest.raises(InputError, match="posterior: expected no energies of atoms"):
        open_forcefield(model, start, posterior=posterior, energies=True)
