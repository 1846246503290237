"""Ethanol in water in OpenMM: the molecule by an ACE model, the water by a force field.

    pip install ".[openmm,plot]" openmmml
    python examples/11_openmm_water.py [--picoseconds 2]

OpenMM-ML replaces the bonded terms of the molecule by the model `ethanol` of the package; charges
and Lennard-Jones spheres between molecule and water stay those of the force field. Prints how the
molecule fares and writes torsion.png, the angle C-C-O-H in time.
"""

import argparse
import io
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from openmm import LangevinMiddleIntegrator, Vec3, app, unit
from openmmml import MLPotential

from acepot import shelf

#: Charges in e, spheres in nm and kJ/mol of OPLS-AA (Jorgensen et al., 1996). Bonded terms are
#: the model's; so there are none.
FORCE_FIELD = """<ForceField>
<AtomTypes>
 <Type name="e-C1" class="e-C" element="C" mass="12.011"/>
 <Type name="e-C2" class="e-C" element="C" mass="12.011"/>
 <Type name="e-O" class="e-O" element="O" mass="15.999"/>
 <Type name="e-H" class="e-H" element="H" mass="1.008"/>
 <Type name="e-HO" class="e-HO" element="H" mass="1.008"/>
</AtomTypes>
<Residues><Residue name="ETH">
 <Atom name="C1" type="e-C1"/><Atom name="C2" type="e-C2"/><Atom name="O" type="e-O"/>
 <Atom name="H1" type="e-H"/><Atom name="H2" type="e-H"/><Atom name="H3" type="e-H"/>
 <Atom name="H4" type="e-H"/><Atom name="H5" type="e-H"/><Atom name="HO" type="e-HO"/>
 <Bond atomName1="C1" atomName2="C2"/><Bond atomName1="C2" atomName2="O"/>
 <Bond atomName1="C1" atomName2="H1"/><Bond atomName1="C1" atomName2="H2"/>
 <Bond atomName1="C1" atomName2="H3"/><Bond atomName1="C2" atomName2="H4"/>
 <Bond atomName1="C2" atomName2="H5"/><Bond atomName1="O" atomName2="HO"/>
</Residue></Residues>
<NonbondedForce coulomb14scale="0.833333" lj14scale="0.5">
 <Atom type="e-C1" charge="-0.18" sigma="0.35" epsilon="0.276144"/>
 <Atom type="e-C2" charge="0.145" sigma="0.35" epsilon="0.276144"/>
 <Atom type="e-O" charge="-0.683" sigma="0.312" epsilon="0.71128"/>
 <Atom type="e-H" charge="0.06" sigma="0.25" epsilon="0.12552"/>
 <Atom type="e-HO" charge="0.418" sigma="1.0" epsilon="0.0"/>
</NonbondedForce>
</ForceField>"""
#: Atoms and their places in Å: carbons, oxygen, hydrogens, that of the hydroxyl last.
NAMES = ("C1", "C2", "O", "H1", "H2", "H3", "H4", "H5", "HO")
PLACES = np.array(
    [
        [1.168, -0.398, 0.0], [0.0, 0.553, 0.0], [-1.19, -0.215, 0.0], [2.106, 0.161, 0.0],
        [1.13, -1.036, 0.886], [1.13, -1.036, -0.886], [0.035, 1.203, 0.886],
        [0.035, 1.203, -0.886], [-1.943, 0.381, 0.0],
    ]
)  # fmt: skip
BONDS = ((0, 1), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (2, 8))


def ethanol() -> tuple[app.Topology, unit.Quantity]:
    """The molecule alone."""
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    atoms = [topology.addAtom(n, app.Element.getBySymbol(n[0]), residue) for n in NAMES]
    for i, j in BONDS:
        topology.addBond(atoms[i], atoms[j])
    return topology, [Vec3(*(0.1 * place)) for place in PLACES] * unit.nanometer


def torsion(places: np.ndarray) -> float:
    """C-C-O-H in degrees."""
    a, b, c = (places[j] - places[i] for i, j in ((0, 1), (1, 2), (2, 8)))
    across, along = np.cross(a, b), np.cross(b, c)
    return np.degrees(np.arctan2(np.linalg.norm(b) * a @ along, across @ along))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--picoseconds", type=float, default=2.0)
    chosen = options.parse_args()

    field = app.ForceField("tip3p.xml", io.StringIO(FORCE_FIELD))
    solvated = app.Modeller(*ethanol())
    solvated.addSolvent(field, model="tip3p", boxSize=Vec3(2, 2, 2) * unit.nanometer)
    classical = field.createSystem(
        solvated.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9 * unit.nanometer
    )
    potential = MLPotential("acepot", modelPath=str(shelf.path("ethanol")))
    system = potential.createMixedSystem(solvated.topology, classical, list(range(9)))

    step = 1 * unit.femtosecond
    integrator = LangevinMiddleIntegrator(300 * unit.kelvin, 5 / unit.picosecond, step)
    integrator.setRandomNumberSeed(1)
    simulation = app.Simulation(solvated.topology, system, integrator)
    simulation.context.setPositions(solvated.positions)
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    waters = sum(residue.name == "HOH" for residue in solvated.topology.residues())
    print(f"ethanol and {waters} molecules of water, {chosen.picoseconds:g} ps at 300 K")
    total = max(round(chosen.picoseconds * unit.picosecond / step), 20)
    simulation.reporters.append(
        app.StateDataReporter(
            sys.stdout, max(total // 5, 1), time=True, temperature=True, speed=True
        )
    )
    angles, bonds = [], []
    for _ in range(total // 10):
        simulation.step(10)
        state = simulation.context.getState(getPositions=True)
        places = state.getPositions(asNumpy=True)[:9].value_in_unit(unit.angstrom)
        angles.append(torsion(places))
        bonds.append([np.linalg.norm(places[i] - places[j]) for i, j in BONDS])
    mean = np.mean(bonds, axis=0)
    print(f"mean bonds: C-C {mean[0]:.3f} Å, C-O {mean[1]:.3f} Å, O-H {mean[7]:.3f} Å")

    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.plot(0.01 * np.arange(1, len(angles) + 1), angles, ".")
    axes.set(xlabel="time (ps)", ylabel="torsion C-C-O-H (degrees)", ylim=(-180, 180))
    figure.savefig("torsion.png", dpi=150)


if __name__ == "__main__":
    main()
