"""Langevin dynamics of 64 silicon atoms at 300 K in OpenMM, with a trajectory and a checkpoint.

    pip install ".[openmm]"
    python examples/04_openmm.py [MODEL.acepot] [--picoseconds 2] [--platform CPU]

Writes silicon.dcd and silicon.chk into the current folder; run it again and it continues. Without
silicon.dcd, a new one begins at the checkpoint.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from openmm import LangevinMiddleIntegrator, Platform, System, app, unit

from openmm_ace import create_force

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
EDGE = 0.543  # nm


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("model", nargs="?", default=MODEL, type=Path)
    options.add_argument("--picoseconds", type=float, default=2.0)
    options.add_argument("--platform", default="CPU", choices=("Reference", "CPU"))
    chosen = options.parse_args()

    topology, positions = silicon(2)
    system = System()
    system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    system.addForce(create_force(chosen.model, topology))

    step = 2 * unit.femtosecond
    integrator = LangevinMiddleIntegrator(300 * unit.kelvin, 10 / unit.picosecond, step)
    integrator.setRandomNumberSeed(1)
    simulation = app.Simulation(
        topology, system, integrator, Platform.getPlatformByName(chosen.platform)
    )
    checkpoint, trajectory = Path("silicon.chk"), Path("silicon.dcd")
    continues = checkpoint.exists()
    if continues:
        simulation.loadCheckpoint(str(checkpoint))
    else:
        simulation.context.setPositions(positions)
        simulation.context.setVelocitiesToTemperature(300 * unit.kelvin, 1)

    total = round(chosen.picoseconds * unit.picosecond / step)
    every = max(total // 10, 1)
    appends = continues and trajectory.exists()
    simulation.reporters.append(app.DCDReporter(str(trajectory), every, append=appends))
    simulation.reporters.append(
        app.StateDataReporter(
            sys.stdout, every, time=True, temperature=True, potentialEnergy=True, speed=True
        )
    )
    simulation.step(total)
    simulation.saveCheckpoint(str(checkpoint))
    state = simulation.context.getState(getEnergy=True)
    done = state.getTime().value_in_unit(unit.picosecond)
    energy = state.getPotentialEnergy() / unit.AVOGADRO_CONSTANT_NA / unit.ev / 64
    print(f"{done:5.2f} ps  {energy:.5f} eV/atom; speed is in ns/day")


def silicon(repeat: int) -> tuple[app.Topology, unit.Quantity]:
    """Diamond silicon, 8 repeat³ atoms."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = EDGE * (cells + basis).reshape(-1, 3)
    topology = app.Topology()
    residue = topology.addResidue("Si", topology.addChain())
    for _ in positions:
        topology.addAtom("Si", app.element.silicon, residue)
    topology.setPeriodicBoxVectors(EDGE * repeat * np.eye(3) * unit.nanometer)
    return topology, positions * unit.nanometer


if __name__ == "__main__":
    main()
