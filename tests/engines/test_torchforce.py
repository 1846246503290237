"""TorchForce, in an environment with an openmm-torch: `make test-torchforce` makes one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure
from acepot.errors import InputError
from acepot.units import OPENMM

torch = pytest.importorskip("torch")
pytest.importorskip("openmmtorch")

import openmm  # noqa: E402

from openmm_ace import check_torchforce, create_torch_force  # noqa: E402

ROOT = Path(__file__).parents[2]
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
BACKENDS = ("native", "torch")


@pytest.fixture(scope="module", autouse=True)
def operator_cache() -> Iterator[None]:
    """Operators for every run of the tests, named after their sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "torch-tests"))
        yield


def bulk() -> Structure:
    """64 atoms of silicon, displaced."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    cells = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    places = 5.43 * (cells + basis).reshape(-1, 3)
    places += np.random.default_rng(4).normal(scale=0.1, size=places.shape)
    return Structure([14] * 64, places, 10.86 * np.eye(3), True)


def triclinic() -> Structure:
    """Five atoms in a cell of OpenMM's form, some far outside of it."""
    cell = np.array([[6.1, 0.0, 0.0], [1.3, 5.7, 0.0], [-0.9, 1.1, 6.4]])
    fractions = np.random.default_rng(5).uniform(-0.06, 0.06, (5, 3))
    fractions += [[0, 0, 0], [0.5, 0.1, 30.3], [0.1, -0.5, 0.6], [1.5, 0.5, 0.9], [0.9, 0.4, 0.5]]
    return Structure([14] * 5, fractions @ cell, cell, True)


def molecule() -> Structure:
    whole = triclinic()
    places = np.random.default_rng(6).normal(scale=0.1, size=(5, 3))
    places += [[0, 0, 0], [2.3, 0, 0.2], [0.4, 2.2, 0], [-0.5, 0.6, 2.3], [2.0, 2.1, 1.9]]
    return Structure(whole.numbers, places)


STRUCTURES = {"bulk": bulk, "triclinic": triclinic, "molecule": molecule}


def context(force: openmm.Force, structure: Structure, platform: str) -> openmm.Context:
    system = openmm.System()
    for _ in structure.numbers:
        system.addParticle(28.085)
    if structure.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(structure.cell / OPENMM.length))
    system.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 5.0, 0.001)
    integrator.setRandomNumberSeed(7)
    made = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    made.setPositions(structure.positions / OPENMM.length)
    return made


def values(made: openmm.Context) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Å."""
    state = made.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy()._value * OPENMM.energy
    return energy, state.getForces(asNumpy=True)._value * OPENMM.force


def agree(made: openmm.Context, energy: float, forces: np.ndarray) -> None:
    found = values(made)
    assert found[0] == pytest.approx(energy, rel=1e-10)
    assert np.abs(found[1] - forces).max() < 1e-9


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_are_those_of_the_core_and_the_oracle(
    backend: str, kind: str, platform: str, tmp_path: Path
) -> None:
    structure, model = STRUCTURES[kind](), acepot.load(SILICON)
    right = Potential(model, threads=1).compute(structure)
    oracle = Potential(model, evaluator="reference").compute(structure)
    force = create_torch_force(
        SILICON,
        ["Si"] * len(structure),
        tmp_path / "ace.pt",
        periodic=bool(structure.pbc.all()),
        backend=backend,
    )
    made = context(force, structure, platform)
    agree(made, right.energy, right.forces)
    agree(made, oracle.energy, oracle.forces)


@pytest.mark.parametrize("backend", BACKENDS)
def test_copies_and_xml_give_the_same_numbers(backend: str, tmp_path: Path) -> None:
    structure = triclinic()
    path = tmp_path / "ace.pt"
    force = create_torch_force(SILICON, ["Si"] * 5, path, periodic=True, backend=backend)
    copied = copy.deepcopy(force)
    text = openmm.XmlSerializer.serialize(force)
    energy, forces = values(context(force, structure, "Reference"))
    agree(context(copied, structure, "Reference"), energy, forces)
    path.unlink()  # the XML holds the module
    agree(context(openmm.XmlSerializer.deserialize(text), structure, "Reference"), energy, forces)


@pytest.mark.parametrize("backend", BACKENDS)
def test_some_particles_and_a_scale(backend: str, tmp_path: Path) -> None:
    structure, chosen = bulk(), [40, 3, 41, 7, 9]
    part = Structure([14] * 5, structure.positions[chosen], structure.cell, True)
    right = Potential(acepot.load(SILICON), threads=1).compute(part)
    forces = np.zeros((64, 3))
    forces[chosen] = right.forces
    force = create_torch_force(
        SILICON,
        ["Si"] * 64,
        tmp_path / "ace.pt",
        periodic=True,
        atoms=chosen,
        backend=backend,
        scale="strength",
    )
    made = context(force, structure, "Reference")
    agree(made, right.energy, forces)
    made.setParameter("strength", 0.25)
    agree(made, 0.25 * right.energy, 0.25 * forces)


@pytest.mark.parametrize("backend", BACKENDS)
def test_langevin_dynamics_stay_on_the_core(backend: str, tmp_path: Path) -> None:
    structure = bulk()
    path = tmp_path / "ace.pt"
    force = create_torch_force(SILICON, ["Si"] * 64, path, periodic=True, backend=backend)
    made = context(force, structure, "CPU")
    made.setVelocitiesToTemperature(300.0, 3)
    made.getIntegrator().step(50 if backend == "native" else 10)
    places = made.getState(positions=True).getPositions(asNumpy=True)._value * OPENMM.length
    assert np.abs(places - structure.positions).max() > 0.01
    right = Potential(acepot.load(SILICON), threads=1).compute(
        Structure(structure.numbers, places, structure.cell, True)
    )
    agree(made, right.energy, right.forces)


def test_single_precision_of_the_torch_backend(tmp_path: Path) -> None:
    structure = bulk()
    right = Potential(acepot.load(SILICON), threads=1).compute(structure)
    force = create_torch_force(
        SILICON,
        ["Si"] * 64,
        tmp_path / "ace.pt",
        periodic=True,
        backend="torch",
        precision="single",
    )
    energy, forces = values(context(force, structure, "CPU"))
    assert abs(energy - right.energy) < 1e-4 * 64
    assert 1e-12 < np.abs(forces - right.forces).max() < 1e-2


def test_mistakes_are_errors(tmp_path: Path) -> None:
    make: Callable = create_torch_force
    path = tmp_path / "ace.pt"
    with pytest.raises(InputError, match="backend: expected native or torch, got 'gpu'"):
        make(SILICON, ["Si"], path, periodic=False, backend="gpu")
    with pytest.raises(InputError, match="got 'mixed'; mixed is of openmm_ace.create_force"):
        make(SILICON, ["Si"], path, periodic=False, precision="mixed")
    with pytest.raises(InputError, match="precision: the native backend"):
        make(SILICON, ["Si"], path, periodic=False, precision="single")
    with pytest.raises(InputError, match="O"):
        make(SILICON, ["Si", "O"], path, periodic=False)
    with pytest.raises(InputError, match="periodic: expected True or False"):
        make(SILICON, ["Si"], path)
    assert not path.exists()
    structure = molecule()
    force = make(SILICON, ["Si"] * 5, path, periodic=False)
    made = context(force, structure, "Reference")
    places = structure.positions.copy()
    places[1] = places[0]
    made.setPositions(places / OPENMM.length)
    with pytest.raises(openmm.OpenMMException, match="atoms 0 and 1"):
        made.getState(energy=True)


def test_the_self_test_passes_here() -> None:
    found = check_torchforce()
    assert found.works, str(found)
