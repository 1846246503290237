"""Quantum nuclei: ethanol at 300 K by path integrals in i-PI, beside classical nuclei.

    pip install ".[ipi,plot]"
    python examples/12_path_integrals.py [--steps 2000] [--beads 16]

i-PI calls the model `ethanol` of the package inside its own process. Each run prints the kinetic
energy of an atom, which is 3/2 kT for classical nuclei, and three times as much for quantum ones:
hydrogens vibrate in their ground state. Writes bond.png, how long the bond O-H is. It takes a
minute.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from acepot import shelf

NUMBERS = ["C", "C", "O", "H", "H", "H", "H", "H", "H"]
#: Å; the hydrogen of the hydroxyl last.
PLACES = [
    [1.168, -0.398, 0.0], [0.0, 0.553, 0.0], [-1.19, -0.215, 0.0], [2.106, 0.161, 0.0],
    [1.13, -1.036, 0.886], [1.13, -1.036, -0.886], [0.035, 1.203, 0.886],
    [0.035, 1.203, -0.886], [-1.943, 0.381, 0.0],
]  # fmt: skip
OXYGEN, HYDROGEN = 2, 8
KELVIN, BOX = 300.0, 30.0
INPUT = """<simulation verbosity='quiet'>
  <output prefix='run'/>
  <prng> <seed> 4 </seed> </prng>
  <ffdirect name='acepot' pbc='false'>
    <pes> custom </pes> <pes_path> {pes} </pes_path>
    <parameters> {{template: start.extxyz, model: {model}}} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'> start.extxyz </file>
      <velocities mode='thermal' units='kelvin'> {kelvin} </velocities>
    </initialize>
    <forces> <force forcefield='acepot'/> </forces>
    <ensemble> <temperature units='kelvin'> {kelvin} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.25 </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 20 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>"""


def run(beads: int, steps: int) -> None:
    """One run in the current folder: found.npz has kinetic energies and bonds."""
    from ipi.scripting import InteractiveSimulation
    from ipi.utils.units import unit_to_user

    import ipi_driver

    box = f"{BOX} 0 0 0 {BOX} 0 0 0 {BOX}"
    head = f'Lattice="{box}" Properties=species:S:1:pos:R:3 pbc="F F F" ipi="CELL(H): {box} '
    head += 'cell{angstrom} positions{angstrom}"'
    rows = [f"{s} {x} {y} {z}" for s, (x, y, z) in zip(NUMBERS, PLACES, strict=True)]
    Path("start.extxyz").write_text("\n".join([str(len(rows)), head, *rows, ""]))
    pes = Path(ipi_driver.__file__).with_name("pes.py")
    text = INPUT.format(pes=pes, model=shelf.path("ethanol"), beads=beads, kelvin=KELVIN)
    simulation = InteractiveSimulation(text)
    kinetic, bonds = [], []
    for done in range(0, steps, 10):
        simulation.run(10, write_outputs=False)
        if done < steps // 4:
            continue  # it warms up
        kinetic.append(simulation.properties("kinetic_cv") / len(rows))  # eV
        places = simulation.syslist[0].beads.q.reshape(beads, -1, 3)
        places = unit_to_user("length", "angstrom", places)
        bonds.append(np.linalg.norm(places[:, HYDROGEN] - places[:, OXYGEN], axis=1))
    np.savez("found.npz", kinetic=kinetic, bonds=np.ravel(bonds))


def in_own_process(beads: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--one"]
        command += ["--beads", str(beads), "--steps", str(steps)]
        subprocess.run(command, check=True, cwd=folder)
        with np.load(Path(folder) / "found.npz") as found:
            return found["kinetic"], found["bonds"]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=2000, help="of 0.25 fs")
    options.add_argument("--beads", type=int, default=16)
    options.add_argument("--one", action="store_true", help="one run in this process")
    chosen = options.parse_args()
    if chosen.one:
        run(chosen.beads, chosen.steps)
        sys.stdout.flush()
        os._exit(0)  # i-PI's threads would wait
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for beads, steps in ((1, 10 * chosen.steps), (chosen.beads, chosen.steps)):
        kinetic, bonds = in_own_process(beads, steps)
        classical = 1.5 * 8.617333e-5 * KELVIN
        print(
            f"{beads:3d} beads: kinetic energy {1000 * kinetic.mean():.0f} meV an atom, "
            f"{kinetic.mean() / classical:.2f} times 3/2 kT; O-H {bonds.mean():.3f} ± "
            f"{bonds.std():.3f} Å",
            flush=True,
        )
        axes.hist(bonds, np.linspace(0.75, 1.3, 56), density=True, alpha=0.6,
                  label="classical" if beads == 1 else f"{beads} beads")  # fmt: skip
    axes.set(xlabel="O-H (Å)", ylabel="probability (1/Å)")
    axes.legend()
    figure.savefig("bond.png", dpi=150)


if __name__ == "__main__":
    main()
