"""PythonForce on the torch evaluator: the numbers of the native one, and what it refuses."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("openmm")
pytest.importorskip("torch")

import openmm
from openmm import unit

import acepot
from acepot import Potential, Structure
from acepot.errors import InputError
from acepot.units import OPENMM
from openmm_ace import create_force
from openmm_ace.force import ACEComputation, _reopened


def _context(structure: Structure, force: openmm.Force) -> openmm.Context:
    system = openmm.System()
    for _ in structure.numbers:
        system.addParticle(20.0)
    if structure.pbc.all():
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in 0.1 * structure.cell))
    system.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(300, 1.0, 0.0005)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(0.1 * structure.positions)
    return context


def _structure(periodic: bool) -> Structure:
    """Asymmetric, two atoms far outside the box, in OpenMM's reduced triclinic form."""
    cell = np.array([[6.1, 0.0, 0.0], [1.3, 5.7, 0.0], [-0.9, 1.1, 6.4]])
    fractions = np.array(
        [[0, 0, 0], [0.5, 0.1, 3.3], [0.1, -2.5, 0.6], [0.5, 0.5, 0.9], [0.9, 0.4, 0.5]]
    )
    places = (fractions if periodic else fractions % 1) @ cell
    return Structure([8, 14, 8, 14, 14], places, cell if periodic else None, periodic)


@pytest.mark.parametrize("periodic", [True, False])
def test_numbers_are_those_of_the_native_evaluator(case_named: Callable, periodic: bool) -> None:
    case, structure = case_named("two-elements"), _structure(periodic)
    force = create_force(case.model, structure.numbers, periodic=periodic, backend="torch")
    copy = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(force))
    expected = Potential(case.model, threads=1).compute(structure)
    for one in (force, copy):
        context = _context(structure, one)
        state = context.getState(getEnergy=True, getForces=True)
        energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        forces = state.getForces(asNumpy=True)._value
        assert energy * OPENMM.energy == pytest.approx(expected.energy, rel=1e-10)
        assert np.abs(forces * OPENMM.force - expected.forces).max() < 1e-9
        context.getIntegrator().step(5)


def test_a_copy_keeps_its_backend_and_older_copies_are_native(case_named: Callable) -> None:
    file = io.BytesIO()
    acepot.save(case_named("two-elements").model, file)
    computation = ACEComputation(file.getvalue(), [8], False, None, "torch")
    again = pickle.loads(pickle.dumps(computation))
    assert again._state[5:] == ("torch", "cpu", "double", 0.0)
    assert _reopened(*again._state[:5])._state[5:] == ("native", "cpu", "double", 0.0)


def test_what_a_backend_lacks_is_refused(case_named: Callable) -> None:
    def refused(message: str, **options: object) -> None:
        with pytest.raises(InputError, match=message):
            create_force(case_named("two-elements").model, ["O"], periodic=False, **options)

    refused("backend: expected native or torch, got 'cuda'", backend="cuda")
    refused("threads: of the native evaluator alone", backend="torch", threads=1)
    refused("device: only the torch evaluator knows 'cuda'", device="cuda")
    with pytest.raises(InputError, match="backend: expected native or torch"):
        ACEComputation(b"", [8], False, 1, "fast")
