"""A force on OpenMM's Reference platform, converted by OpenMM's own constants.

Periodic cells are turned and reduced. OpenMM is periodic in all directions or in none: slabs and
wires stand in vacuum. It has no virial.
"""

from __future__ import annotations

from collections.abc import Callable

import openmm
from boxes import Box, boxed, reduced
from cases import Case, Numbers
from openmm import app, unit

#: Å of vacuum, more than any cut-off here.
ROOM = 12.0
PER_EV = (1 * unit.ev * unit.AVOGADRO_CONSTANT_NA).value_in_unit(unit.kilojoule_per_mole)
PER_NM = (1 * unit.nanometer).value_in_unit(unit.angstrom)


#: Makes a force of a model file, the elements and whether they repeat.
Make = Callable[..., openmm.Force]


def evaluate(case: Case, make: Make) -> Numbers:
    """Numbers of one case.

    Args:
        case: a structure and its model.
        make: called with the model file, the atomic numbers and `periodic`.
    """
    periodic, box = bool(case.pbc.any()), boxed(case, ROOM)
    context = _context(case, box, periodic, make)
    state = context.getState(getEnergy=True, getForces=True)
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return Numbers(energy / PER_EV, box.vectors_back(forces / PER_EV / PER_NM), None)


def _context(case: Case, box: Box, periodic: bool, make: Make) -> openmm.Context:
    system = openmm.System()
    for z in case.numbers:
        system.addParticle(app.Element.getByAtomicNumber(int(z)).mass)
    if periodic:
        system.setDefaultPeriodicBoxVectors(*reduced(box.cell) / PER_NM)
    system.addForce(make(case.model, case.numbers.tolist(), periodic=periodic))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(box.positions / PER_NM)
    return context
