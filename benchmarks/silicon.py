"""Elastic constants of a silicon model, and whether its liquid stays together.

    OMP_NUM_THREADS=1 python benchmarks/silicon.py [MODEL] [--length 50] [--folder FOLDER]

The lattice constant of diamond with no stress; C11, C12 and C44 from the stresses at strains of
±0.5 %, atoms relaxed; then 64 atoms at 3,000 K and constant volume for so many ps, by `acepot md`
in ASE. The exit status is 1 if a constant is more than 8 % from DFT (CASTEP, PW91; Bartók et al.,
Phys. Rev. X 8, 041048 (2018)) or an atom comes nearer than 1.5 Å to another or farther than 4 Å
from all others.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.optimize import BFGS
from ase.units import GPa
from scipy.optimize import brentq

import acepot
from ase_ace import ACECalculator

ROOT = Path(__file__).parents[1]
DFT = {"C11": 153.3, "C12": 56.3, "C44": 72.2}
#: Largest part by which a constant may differ from DFT's.
ALLOWED = 0.08
STRAIN = 0.005
#: Distances in Å between which the nearest neighbour of an atom in the liquid is.
NEAREST = (1.5, 4.0)
CONFIG = """\
model = "{model}"

[structure]
file = "{root}/examples/ipi/Si8.extxyz"
repeat = [2, 2, 2]

[ensemble]
temperature = 3000
friction = 10

[run]
steps = {steps}
seed = 1

[output]
every = 50
checkpoint = 5000
"""


def elastic(calculator: ACECalculator) -> dict[str, float]:
    """Lattice constant in Å and elastic constants in GPa of diamond."""

    def pressure(a: float) -> float:
        atoms = bulk("Si", "diamond", a, cubic=True)
        atoms.calc = calculator
        return float(atoms.get_stress()[:3].mean())

    a = brentq(pressure, 5.2, 5.7, xtol=1e-8)

    def stress(strain: np.ndarray) -> np.ndarray:
        atoms = bulk("Si", "diamond", a, cubic=True)
        atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
        atoms.set_constraint(FixAtoms([0]))
        atoms.calc = calculator
        if not BFGS(atoms, logfile=None).run(fmax=1e-5, steps=200):
            raise SystemExit("silicon.py: atoms of a strained cell did not relax in 200 steps")
        return atoms.get_stress() / GPa

    stretch, shear = np.zeros((3, 3)), np.zeros((3, 3))
    stretch[0, 0] = STRAIN
    shear[1, 2] = shear[2, 1] = STRAIN / 2
    stretched = (stress(stretch) - stress(-stretch)) / (2 * STRAIN)
    sheared = (stress(shear) - stress(-shear)) / (2 * STRAIN)
    return {"a": a, "C11": stretched[0], "C12": stretched[1:3].mean(), "C44": sheared[3]}


def liquid(model: Path, picoseconds: float, folder: Path) -> tuple[float, float]:
    """The shortest and the longest distance to a nearest neighbour, in Å, in all frames."""
    config = folder / "liquid.toml"
    config.write_text(
        CONFIG.format(model=model, root=ROOT, steps=50 * round(picoseconds * 1000 / 50))
    )
    out = folder / "liquid"
    command = [sys.executable, "-m", "acepot.cli", "md", config, "--engine", "ase", "--out", out]
    done = subprocess.run([*command, "--no-plots"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"liquid: {(done.stdout + done.stderr)[-3000:]}")
    nearest = []
    for structure in acepot.read_structures(out / "trajectory.traj")[0]:
        cell = structure.cell
        apart = structure.positions[:, None] - structure.positions[None]
        apart -= np.round(apart @ np.linalg.inv(cell)) @ cell
        distance = np.linalg.norm(apart, axis=-1)
        np.fill_diagonal(distance, np.inf)
        nearest.append(distance.min(0))
    return float(np.min(nearest)), float(np.max(nearest))


def main() -> int:
    """Print both tables; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "model", nargs="?", type=Path, default=ROOT / "models/Si-mlearn/model.acepot"
    )
    parser.add_argument("--length", type=float, default=50.0, help="of the liquid, in ps")
    parser.add_argument("--folder", type=Path, help="where the run is kept")
    options = parser.parse_args()
    found = elastic(ACECalculator(options.model, threads=1))
    bad = False
    print(f"lattice constant {found['a']:.4f} Å\n")
    print("| GPa | model | DFT | difference |\n|---|---|---|---|")
    for name, value in DFT.items():
        part = found[name] / value - 1
        bad |= abs(part) > ALLOWED
        print(f"| {name} | {found[name]:.1f} | {value:.1f} | {100 * part:+.1f} % |")
    bulk_modulus = (found["C11"] + 2 * found["C12"]) / 3
    print(f"| B | {bulk_modulus:.1f} | 88.6 | {100 * (bulk_modulus / 88.6 - 1):+.1f} % |\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        least, most = liquid(options.model.resolve(), options.length, folder)
    bad |= least < NEAREST[0] or most > NEAREST[1]
    print(
        f"64 atoms at 3,000 K for {options.length:g} ps: distances to the nearest neighbour from "
        f"{least:.2f} to {most:.2f} Å"
    )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
