"""The OpenMM force: the numbers of Potential in OpenMM's units, and its manners."""

from __future__ import annotations

import copy
import hashlib
import importlib
import io
import logging
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import acepot
from acepot import Model, Potential, Structure
from acepot.errors import InputError, MissingDependency, ModelFileError
from acepot.units import OPENMM

openmm = pytest.importorskip("openmm")

from openmm import app, unit  # noqa: E402
from openmm.mtsintegrator import MTSIntegrator  # noqa: E402

from openmm_ace import create_force  # noqa: E402
from openmm_ace.force import ACEComputation  # noqa: E402

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
PLATFORMS = ("Reference", "CPU")
PERIODIC = ("triclinic", "tiny cell", "one periodic atom", "outside the cell")
NAMES = (*PERIODIC, "molecule", "one atom")

#: eV and Å in OpenMM's own unit system.
EV = (1 * unit.ev * unit.AVOGADRO_CONSTANT_NA).value_in_unit(unit.kilojoule_per_mole)
FORCE = EV / (1 * unit.angstrom).value_in_unit(unit.nanometer)

# ------------------------------------------------------------------ systems


@pytest.fixture(scope="module")
def model(case_named: Callable) -> Model:
    return case_named("two-elements").model


@pytest.fixture(scope="module")
def structures(case_named: Callable) -> dict[str, Structure]:
    """Structures in OpenMM's reduced form, rotated there."""
    drawn = case_named("two-elements").structures
    return {name: _reduced(drawn[name]) for name in NAMES}


def _reduced(structure: Structure) -> Structure:
    """The structure rotated so that OpenMM accepts its cell; atoms keep their places."""
    if not structure.pbc.any():
        return structure
    q, r = np.linalg.qr(structure.cell.T)
    q = q * np.sign(np.diag(r))
    a, b, c = np.tril(structure.cell @ q)
    c = c - b * np.round(c[1] / b[1])
    c = c - a * np.round(c[0] / a[0])
    b = b - a * np.round(b[0] / a[0])
    cell = np.array((a, b, c))
    return replace(structure, cell=cell, positions=structure.positions @ q)


def _system(numbers: np.ndarray, cell: np.ndarray | None, *forces: openmm.Force) -> openmm.System:
    system = openmm.System()
    for z in numbers:
        system.addParticle(app.Element.getByAtomicNumber(int(z)).mass)
    if cell is not None:
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in 0.1 * cell))
    for force in forces:
        system.addForce(force)
    return system


def _context(
    system: openmm.System,
    positions: np.ndarray,
    integrator: openmm.Integrator | None = None,
    platform: str = "Reference",
) -> openmm.Context:
    """A context at positions in Å."""
    integrator = integrator or openmm.VerletIntegrator(0.0005)
    properties = {"Threads": "1"} if platform == "CPU" else {}
    context = openmm.Context(
        system, integrator, openmm.Platform.getPlatformByName(platform), properties
    )
    context.setPositions(0.1 * positions)
    return context


def _numbers(context: openmm.Context) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Å, by OpenMM's own constants."""
    state = context.getState(getEnergy=True, getForces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return energy / EV, forces / FORCE


def _whole(model: Model, structure: Structure, platform: str = "Reference") -> openmm.Context:
    """A context in which the model is the only force."""
    periodic = bool(structure.pbc.all())
    force = create_force(model, structure.numbers, periodic=periodic, threads=1)
    system = _system(structure.numbers, structure.cell if periodic else None, force)
    return _context(system, structure.positions, platform=platform)


def _silicon(repeat: int) -> tuple[app.Topology, np.ndarray]:
    """Diamond silicon, 8 repeat³ atoms, positions in Å."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    shifts = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = 5.43 * (shifts[:, None] + basis).reshape(-1, 3)
    topology = app.Topology()
    residue = topology.addResidue("Si", topology.addChain())
    for _ in positions:
        topology.addAtom("Si", app.element.silicon, residue)
    topology.setPeriodicBoxVectors(np.eye(3) * 0.543 * repeat * unit.nanometer)
    return topology, positions


def _silicon_system(repeat: int) -> tuple[openmm.System, np.ndarray]:
    topology, positions = _silicon(repeat)
    force = create_force(SILICON, topology, threads=1)
    return _system([14] * len(positions), np.eye(3) * 5.43 * repeat, force), positions


# ------------------------------------------------------------------ numbers


def test_units_are_those_of_openmm() -> None:
    assert pytest.approx(1 / EV, rel=1e-14) == OPENMM.energy
    assert pytest.approx(1 / FORCE, rel=1e-14) == OPENMM.force


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_the_potential(
    model: Model, structures: dict[str, Structure], name: str, platform: str
) -> None:
    structure = structures[name]
    expected = Potential(model, threads=1).compute(structure)
    energy, forces = _numbers(_whole(model, structure, platform))
    assert energy == pytest.approx(expected.energy, rel=1e-10)
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-9)


def test_a_rotation_into_reduced_form_leads_back_to_the_same_forces(
    model: Model, case_named: Callable
) -> None:
    original = case_named("two-elements").structures["triclinic"]
    q = np.linalg.qr(original.cell.T)[0]
    q = q * np.sign(np.diag(np.linalg.qr(original.cell.T)[1]))
    energy, forces = _numbers(_whole(model, _reduced(original)))
    expected = Potential(model).compute(original)
    assert energy == pytest.approx(expected.energy, rel=1e-10)
    np.testing.assert_allclose(forces @ q.T, expected.forces, rtol=0, atol=1e-9)


def test_atoms_a_thousand_cells_away_keep_their_forces(
    model: Model, structures: dict[str, Structure]
) -> None:
    structure = structures["triclinic"]
    shifts = np.random.default_rng(4).integers(-1000, 1001, (len(structure), 3))
    context = _whole(model, structure)
    energy, forces = _numbers(context)
    context.setPositions(0.1 * (structure.positions + shifts @ structure.cell))
    far_energy, far_forces = _numbers(context)
    assert far_energy == pytest.approx(energy, rel=1e-10)
    np.testing.assert_allclose(far_forces, forces, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["triclinic", "molecule"])
def test_forces_are_the_slope_of_the_energy(
    model: Model, structures: dict[str, Structure], name: str
) -> None:
    structure = structures[name]
    context = _whole(model, structure)
    forces = _numbers(context)[1]
    step = 1e-4
    for atom, axis in np.ndindex(forces.shape):
        energies = []
        for factor in (-2, -1, 1, 2):
            moved = np.array(structure.positions)
            moved[atom, axis] += factor * step
            context.setPositions(0.1 * moved)
            energies.append(_numbers(context)[0])
        a, b, c, d = energies
        slope = (8 * (c - b) - (d - a)) / (12 * step)
        assert -slope == pytest.approx(forces[atom, axis], abs=1e-6 * np.abs(forces).max())


def test_a_subset_in_any_order_is_the_whole_world_of_the_model(
    model: Model, structures: dict[str, Structure]
) -> None:
    structure = structures["molecule"]
    chosen = [4, 0, 3]
    numbers = [*structure.numbers]
    numbers[1] = 79  # not known, not chosen
    force = create_force(model, numbers, periodic=False, atoms=chosen)
    energy, forces = _numbers(_context(_system(numbers, None, force), structure.positions))
    expected = Potential(model).compute(
        Structure(structure.numbers[chosen], structure.positions[chosen])
    )
    assert energy == pytest.approx(expected.energy, rel=1e-10)
    np.testing.assert_allclose(forces[chosen], expected.forces, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(forces[[1, 2, 5]], 0.0)


@pytest.mark.parametrize("kind", ["symbols", "numbers", "topology"])
def test_elements_may_be_given_in_three_ways(
    model: Model, structures: dict[str, Structure], kind: str
) -> None:
    structure = structures["triclinic"]
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    elements = [app.Element.getByAtomicNumber(int(z)) for z in structure.numbers]
    for element in elements:
        topology.addAtom(element.symbol, element, residue)
    topology.setPeriodicBoxVectors(0.1 * structure.cell * unit.nanometer)
    given = {
        "symbols": [e.symbol for e in elements],
        "numbers": structure.numbers,
        "topology": topology,
    }[kind]
    force = create_force(model, given, periodic=None if kind == "topology" else True)
    assert force.usesPeriodicBoundaryConditions()
    context = _context(_system(structure.numbers, structure.cell, force), structure.positions)
    assert _numbers(context)[0] == _numbers(_whole(model, structure))[0]


# ------------------------------------------------------------------ copies


def _through_xml(system: openmm.System) -> openmm.System:
    return openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))


@pytest.mark.parametrize(
    "duplicate",
    [_through_xml, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],
    ids=["xml", "deepcopy", "pickle"],
)
def test_copies_give_the_same_numbers_and_run(
    model: Model, structures: dict[str, Structure], duplicate: Callable
) -> None:
    structure = structures["triclinic"]
    force = create_force(model, structure.numbers, periodic=True, atoms=[3, 1, 0, 2], threads=1)
    system = _system(structure.numbers, structure.cell, force)
    first = _context(system, structure.positions)
    twin = duplicate(duplicate(system))
    again = _context(twin, structure.positions)
    assert list(twin.getForce(0).getParticles()) == [3, 1, 0, 2]
    for _ in range(2):
        (energy, forces), (twin_energy, twin_forces) = _numbers(first), _numbers(again)
        assert twin_energy == energy
        np.testing.assert_array_equal(twin_forces, forces)
        for context in (first, again):
            context.getIntegrator().step(5)


def test_a_copy_in_another_process_needs_no_model_file(
    model: Model, structures: dict[str, Structure], tmp_path: Path
) -> None:
    structure = structures["molecule"]
    acepot.save(model, tmp_path / "gone.acepot")
    force = create_force(tmp_path / "gone.acepot", structure.numbers, periodic=False)
    (tmp_path / "gone.acepot").unlink()
    system = _system(structure.numbers, None, force)
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", 0.1 * structure.positions)
    code = (
        "import numpy, openmm\n"
        "system = openmm.XmlSerializer.deserialize(open('system.xml').read())\n"
        "platform = openmm.Platform.getPlatformByName('Reference')\n"
        "context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)\n"
        "context.setPositions(numpy.load('positions.npy'))\n"
        "print(repr(context.getState(getEnergy=True).getPotentialEnergy()._value))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = Potential(model).compute(structure).energy * EV
    assert float(done.stdout) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_checkpoint_continues_bit_by_bit(platform: str) -> None:
    system, positions = _silicon_system(1)
    integrator = openmm.LangevinMiddleIntegrator(600, 5, 0.001)
    integrator.setRandomNumberSeed(3)
    context = _context(system, positions, integrator, platform)
    context.setVelocitiesToTemperature(600, 1)
    integrator.step(5)
    checkpoint = context.createCheckpoint()
    ends = []
    for _ in range(2):
        context.loadCheckpoint(checkpoint)
        integrator.step(10)
        ends.append(context.getState(getPositions=True).getPositions(asNumpy=True)._value)
    np.testing.assert_array_equal(*ends)


def test_a_pickle_is_plain_data_and_opens_the_kernel_late(model: Model) -> None:
    computation = ACEComputation(_bytes(model), [8, 14], False, 2)
    computation.open()
    twin = pickle.loads(pickle.dumps(computation))
    assert twin._compute is None and computation._compute is not None
    assert twin._state == computation._state
    assert twin.digest == hashlib.sha256(_bytes(model)).hexdigest()
    function, state = computation.__reduce__()
    assert function.__module__ == "openmm_ace.force"
    assert {type(part) for part in state} == {bytes, str, tuple, bool, int, float}


def test_the_shipped_model_keeps_the_hash_of_its_file() -> None:
    force = create_force(SILICON, ["Si"], periodic=False)
    (text,) = re.findall('function="([0-9a-fA-F]*)"', openmm.XmlSerializer.serialize(force))
    held = pickle.loads(bytes.fromhex(text))
    assert held.digest == hashlib.sha256(SILICON.read_bytes()).hexdigest()


# ------------------------------------------------------------------ dynamics


def _mts() -> openmm.Integrator:
    return MTSIntegrator(1.0 * unit.femtosecond, [(0, 2), (1, 1)])


def _rpmd(contractions: dict[int, int]) -> openmm.Integrator:
    return openmm.RPMDIntegrator(4, 300, 5, 0.0005, contractions)


INTEGRATORS = {
    "Verlet": lambda: openmm.VerletIntegrator(0.001),
    "LangevinMiddle": lambda: openmm.LangevinMiddleIntegrator(300, 5, 0.001),
    "NoseHoover": lambda: openmm.NoseHooverIntegrator(300, 10, 0.001),
    "MTS": _mts,
    "RPMD": lambda: _rpmd({}),
    "RPMD, contracted": lambda: _rpmd({0: 2}),
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", INTEGRATORS)
def test_every_integrator_runs(name: str, platform: str) -> None:
    system, positions = _silicon_system(1)
    tether = openmm.CustomExternalForce("10 * (x^2 + y^2 + z^2)")
    tether.addParticle(0)
    tether.setForceGroup(1)
    system.addForce(tether)
    integrator = INTEGRATORS[name]()
    context = _context(system, positions, integrator, platform)
    beads = name.startswith("RPMD")
    if beads:
        for bead in range(4):
            integrator.setPositions(bead, 0.1 * positions)
    else:
        context.setVelocitiesToTemperature(300, 2)
    integrator.step(20)
    if beads:
        state = integrator.getState(2, getPositions=True)
    else:
        state = context.getState(getPositions=True)
    moved = state.getPositions(asNumpy=True)._value * 10 - positions
    moved -= 5.43 * np.round(moved / 5.43)
    assert 1e-3 < np.abs(moved).max() < 0.7


def test_dynamics_at_constant_energy_conserve_it() -> None:
    """216 atoms at 600 K, 0.5 ps after a little equilibration."""
    system, positions = _silicon_system(3)
    context = _context(system, positions)
    integrator = context.getIntegrator()
    integrator.setStepSize(0.001)
    context.setVelocitiesToTemperature(1200, 6)
    integrator.step(50)
    kinetic, total = [], []
    for _ in range(100):
        integrator.step(5)
        state = context.getState(getEnergy=True)
        kinetic.append(state.getKineticEnergy()._value * OPENMM.energy / 216)
        total.append(kinetic[-1] + state.getPotentialEnergy()._value * OPENMM.energy / 216)
    drift = np.polyfit(np.arange(100) * 0.005, total, 1)[0] * 0.5
    assert np.ptp(kinetic) > 2e-3
    assert np.ptp(total) < 2e-4 and abs(drift) < 2e-5, (np.ptp(total), drift)


@pytest.mark.parametrize(
    "barostat",
    [
        lambda: openmm.MonteCarloBarostat(50_000.0, 300, 2),
        lambda: openmm.MonteCarloAnisotropicBarostat(
            openmm.Vec3(50_000, 0, 50_000), 300, True, False, True, 2
        ),
        lambda: openmm.MonteCarloFlexibleBarostat(50_000.0, 300, 2),
    ],
    ids=["isotropic", "anisotropic", "flexible"],
)
def test_a_barostat_compresses_a_crystal_under_pressure(barostat: Callable) -> None:
    system, positions = _silicon_system(2)
    force = barostat()
    force.setRandomNumberSeed(4)
    system.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.001)
    integrator.setRandomNumberSeed(5)
    context = _context(system, positions, integrator)
    before = context.getState().getPeriodicBoxVolume()._value
    integrator.step(200)
    state = context.getState(getEnergy=True, getPositions=True)
    assert 0.9 < state.getPeriodicBoxVolume()._value / before < 0.995
    box = 10 * np.array(state.getPeriodicBoxVectors()._value)
    places = 10 * state.getPositions(asNumpy=True)._value
    expected = Potential(acepot.load(SILICON)).compute(Structure([14] * 64, places, box, True))
    energy = state.getPotentialEnergy()._value / EV
    assert energy == pytest.approx(expected.energy, rel=1e-10)


# ------------------------------------------------------------------ OpenMM-ML


@pytest.fixture
def water(case_named: Callable, tmp_path: Path) -> SimpleNamespace:
    """A box of classical water and the path of a model of hydrogen, oxygen and silicon."""
    mlpotential = pytest.importorskip("openmmml.mlpotential")
    field = app.ForceField("tip3p.xml")
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(field, boxSize=openmm.Vec3(1.5, 1.6, 1.7) * unit.nanometer)
    acepot.save(case_named("three-elements").model, tmp_path / "water.acepot")
    return SimpleNamespace(
        topology=modeller.topology,
        positions=10 * np.array(modeller.positions.value_in_unit(unit.nanometer)),
        classical=field.createSystem(
            modeller.topology, app.PME, nonbondedCutoff=0.7 * unit.nanometer
        ),
        path=str(tmp_path / "water.acepot"),
        potential=mlpotential.MLPotential("acepot", modelPath=str(tmp_path / "water.acepot")),
    )


def _subset(water: SimpleNamespace, atoms: list[int]) -> Structure:
    elements = [atom.element.atomic_number for atom in water.topology.atoms()]
    box = np.array(water.topology.getPeriodicBoxVectors().value_in_unit(unit.angstrom))
    return Structure([elements[i] for i in atoms], water.positions[atoms], box, True)


def test_openmmml_makes_a_system(water: SimpleNamespace) -> None:
    system = _through_xml(water.potential.createSystem(water.topology))
    energy, forces = _numbers(_context(system, water.positions))
    whole = _subset(water, list(range(len(water.positions))))
    expected = Potential(acepot.load(water.path)).compute(whole)
    assert energy == pytest.approx(expected.energy, rel=1e-10)
    scale = np.abs(expected.forces).max()  # a random model: far above those of real water
    np.testing.assert_allclose(forces, expected.forces, rtol=0, atol=1e-12 * scale)


def test_mixed_precision_is_kept_by_copies_and_xml(water: SimpleNamespace) -> None:
    numbers = {}
    for precision in ("double", "mixed"):
        system = openmm.System()
        for _ in range(water.topology.getNumAtoms()):
            system.addParticle(1.0)
        system.addForce(create_force(water.path, water.topology, threads=1, precision=precision))
        numbers[precision] = _numbers(_context(system, water.positions))[1]
        again = _numbers(_context(_through_xml(system), water.positions))[1]
        np.testing.assert_array_equal(again, numbers[precision])
    gap = np.abs(numbers["mixed"] - numbers["double"]).max()
    assert 0 < gap < 1e-4 * np.abs(numbers["double"]).max()
    with pytest.raises(InputError, match="precision: mixed is of the native evaluator alone"):
        create_force(water.path, water.topology, backend="torch", precision="mixed")


def test_openmmml_says_where_its_arguments_go(water: SimpleNamespace) -> None:
    openmmml = pytest.importorskip("openmmml")
    with pytest.raises(InputError, match=r"expected modelPath.*modelPath=\"model.acepot\""):
        openmmml.MLPotential("acepot")
    potential = openmmml.MLPotential("acepot", modelPath=water.path, threads=1)
    with pytest.raises(TypeError, match=r"got threads; modelPath, threads and precision go to"):
        potential.createSystem(water.topology, threads=2)
    assert np.isfinite(
        _numbers(_context(potential.createSystem(water.topology), water.positions))[0]
    )


def test_openmmml_mixes_a_molecule_into_a_classical_box(water: SimpleNamespace) -> None:
    chosen = [3, 4, 5]
    expected = Potential(acepot.load(water.path)).compute(_subset(water, chosen))
    mixed = _through_xml(
        water.potential.createMixedSystem(water.topology, water.classical, chosen, forceGroup=7)
    )
    context = _context(mixed, water.positions)
    part = context.getState(getEnergy=True, groups={7}).getPotentialEnergy()._value / EV
    assert part == pytest.approx(expected.energy, rel=1e-10)
    total = _numbers(context)[0]
    context.getIntegrator().step(3)
    assert np.isfinite(_numbers(context)[0])

    blend = _through_xml(
        water.potential.createMixedSystem(water.topology, water.classical, chosen, interpolate=True)
    )
    context = _context(blend, water.positions)
    free = copy.deepcopy(water.classical)
    classical = _numbers(_context(free, water.positions))[0]
    energies = {}
    for share in (0.0, 0.25, 1.0):
        context.setParameter("lambda_interpolate", share)
        energies[share] = _numbers(context)[0]
    assert energies[0.0] == pytest.approx(classical, rel=1e-6)
    assert energies[1.0] == pytest.approx(total, rel=1e-6)
    between = 0.75 * energies[0.0] + 0.25 * energies[1.0]
    assert energies[0.25] == pytest.approx(between, rel=1e-9)


def test_openmmml_refuses_unknown_arguments(water: SimpleNamespace) -> None:
    with pytest.raises(TypeError, match="expected no further arguments, got precision"):
        water.potential.createSystem(water.topology, precision="double")


def test_the_entry_point_is_light() -> None:
    pytest.importorskip("openmmml")
    code = (
        "import sys\nfrom openmmml.mlpotential import MLPotential\n"
        "import openmm_ace.mlpotential\nprint('acepot' in sys.modules)\n"
        "print('acepot' in MLPotential._implFactories)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_code_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openmmml")
    monkeypatch.chdir(tmp_path)
    topology, positions = _silicon(2)
    shutil.copy(SILICON, "model.acepot")
    readme = Path(__file__).parents[2] / "openmm_ace" / "README.md"
    names = {
        "topology": topology,
        "classical_system": _system([14] * 64, 10.86 * np.eye(3)),
        "atoms": [0, 1, 2],
    }
    first, second = re.findall("```python\n(.*?)```", readme.read_text(), re.DOTALL)
    exec(first, names)
    single = _numbers(_context(names["system"], positions))[0]
    exec(second, names)
    expected = Potential(acepot.load(SILICON)).compute(
        Structure([14] * 64, positions, 10.86 * np.eye(3), True)
    )
    for energy in (single, _numbers(_context(names["system"], positions))[0]):
        assert energy == pytest.approx(expected.energy, rel=1e-10)


# ------------------------------------------------------------------ errors


def _bytes(model: Model) -> bytes:
    file = io.BytesIO()
    acepot.save(model, file)
    return file.getvalue()


def test_wrong_elements_and_indices_are_refused(model: Model) -> None:
    def refused(message: str, elements: object, **options: object) -> None:
        with pytest.raises(InputError, match=message):
            create_force(model, elements, **{"periodic": False} | options)

    refused("atom 1 is Au, which this model does not know; it was made for O, Si", ["Si", "Au"])
    refused("particle 1: expected a chemical symbol such as Si, got 'Sj'", ["Si", "Sj"])
    refused("expected atomic numbers 1 to 118, got 0", [14, 0])
    refused("at least one particle, got none", [])
    refused("at least one particle, got none", ["Si"], atoms=[])
    refused("expected indices 0 to 1, got 2", ["Si", "O"], atoms=[0, 2])
    refused("expected indices 0 to 1, got -1", ["Si", "O"], atoms=[-1])
    refused("expected every index once", ["Si", "O"], atoms=[1, 1])
    refused("periodic: expected True or False", ["Si", "O"], periodic=None)
    refused("threads: expected 1 or more, got 0", ["Si"], threads=0)
    topology = app.Topology()
    topology.addAtom("M", None, topology.addResidue("X", topology.addChain()))
    refused("particle 0 has no element", topology)


def test_a_missing_or_skewed_box_is_refused() -> None:
    topology, _ = _silicon(1)
    topology.setPeriodicBoxVectors(None)
    with pytest.raises(InputError, match="expected a Topology with box vectors"):
        create_force(SILICON, topology, periodic=True)
    assert not create_force(SILICON, topology).usesPeriodicBoundaryConditions()
    skewed = np.array([[0.5, 0, 0], [0.3, 0.5, 0], [0, 0, 0.5]])
    with pytest.raises(ValueError, match="must be in reduced form"):
        topology.setPeriodicBoxVectors(skewed * unit.nanometer)
    with pytest.raises(openmm.OpenMMException, match="must be in reduced form"):
        _silicon_system(1)[0].setDefaultPeriodicBoxVectors(*skewed)


def test_a_force_that_loses_its_box_says_so() -> None:
    system, positions = _silicon_system(1)
    system.getForce(0).setUsesPeriodicBoundaryConditions(False)
    with pytest.raises(openmm.OpenMMException, match="box: this force is periodic, but OpenMM"):
        _numbers(_context(system, positions))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_positions_that_are_not_finite_stop_the_run_and_are_logged(
    platform: str, caplog: pytest.LogCaptureFixture
) -> None:
    system, positions = _silicon_system(1)
    context = _context(system, positions, platform=platform)
    good = _numbers(context)[0]
    bad = positions.copy()
    bad[2, 1] = np.nan
    message = "atom 2 is not at a finite position" if platform == "Reference" else "is NaN"
    context.setPositions(0.1 * bad)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(openmm.OpenMMException, match=message),
    ):
        context.getIntegrator().step(1)
    if platform == "Reference":
        assert "Traceback" in caplog.text and "InputError" in caplog.text
    context.setPositions(0.1 * positions)
    assert _numbers(context)[0] == good


def test_coinciding_atoms_are_an_error() -> None:
    system, positions = _silicon_system(1)
    positions[3] = positions[0]
    with pytest.raises(openmm.OpenMMException, match="same point"):
        _numbers(_context(system, positions))


def test_numbers_that_are_not_finite_are_an_error(
    model: Model, structures: dict[str, Structure]
) -> None:
    largest = np.abs(model.coefficients).max()
    huge = replace(model, coefficients=model.coefficients / largest * 1e308)
    tight = replace(structures["molecule"], positions=0.3 * structures["molecule"].positions)
    with pytest.raises(openmm.OpenMMException, match="is not a finite number"):
        _numbers(_whole(huge, tight))


def test_another_number_of_particles_is_an_error() -> None:
    force = create_force(SILICON, ["Si"] * 3, periodic=False)
    system = _system([14] * 4, None, force)
    with pytest.raises(openmm.OpenMMException, match=r"those of the 3 atoms .* got shape \(4, 3\)"):
        _numbers(_context(system, 2.0 * np.random.default_rng(0).normal(size=(4, 3))))


def test_wrong_model_files_are_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.acepot"):
        create_force(tmp_path / "nowhere.acepot", ["Si"], periodic=False)
    (tmp_path / "text.acepot").write_text("no model")
    with pytest.raises(ModelFileError, match="no model file"):
        create_force(tmp_path / "text.acepot", ["Si"], periodic=False)
    with pytest.raises(ModelFileError, match="version"):
        create_force(_newer(model, tmp_path), ["Si"], periodic=False)


def _newer(model: Model, folder: Path) -> Path:
    """A model file that says it is from a version to come."""
    path = folder / "newer.acepot"
    with zipfile.ZipFile(io.BytesIO(_bytes(model))) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"version": 1', b'"version": 99'))
    return path


def test_a_saved_force_with_a_newer_model_fails_at_its_first_step(
    model: Model, tmp_path: Path
) -> None:
    computation = ACEComputation(_newer(model, tmp_path).read_bytes(), [8, 14], False, 1)
    system = _through_xml(_system([8, 14], None, openmm.PythonForce(computation)))
    with pytest.raises(openmm.OpenMMException, match="version"):
        _numbers(_context(system, np.eye(3)[:2]))


def test_a_damaged_pickle_is_refused(model: Model) -> None:
    data = _bytes(model)
    spoilt = pickle.dumps(ACEComputation(data, [8, 14], False, 1))
    place = spoilt.index(data) + len(data) // 2
    spoilt = spoilt[:place] + bytes([spoilt[place] ^ 1]) + spoilt[place + 1 :]
    with pytest.raises(ModelFileError, match="damaged: expected SHA-256"):
        pickle.loads(spoilt)


def test_without_openmm_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in ("openmm", "openmm_ace")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(MissingDependency, match=r"pip install acepot\[openmm\]"):
        importlib.import_module("openmm_ace").create_force  # noqa: B018


def test_an_openmm_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "openmm_ace.force")
    monkeypatch.delattr(openmm.PythonForce, "setParticles")
    with pytest.raises(MissingDependency, match=r"OpenMM 8\.6 or newer"):
        importlib.import_module("openmm_ace.force")
