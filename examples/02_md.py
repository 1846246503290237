"""Langevin dynamics of 64 silicon atoms at 300 K with a fitted model, in ASE.

    pip install ".[ase]"
    python examples/02_md.py [MODEL.acepot] [--picoseconds 2]

Prints temperature and energy on the way, and the speed.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin

from ase_ace import ACECalculator

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("model", nargs="?", default=MODEL, type=Path)
    options.add_argument("--picoseconds", type=float, default=2.0)
    chosen = options.parse_args()

    atoms = bulk("Si", cubic=True).repeat(2)  # 64 atoms
    atoms.calc = ACECalculator(chosen.model)
    rng = np.random.default_rng(1)
    velocity = np.sqrt(300 * units.kB / atoms.get_masses())[:, None]
    atoms.set_velocities(velocity * rng.standard_normal((len(atoms), 3)))

    step = 2 * units.fs
    dynamics = Langevin(
        atoms, step, temperature_K=300, friction=0.01 / units.fs, fixcm=False, rng=rng
    )
    total = round(chosen.picoseconds * 1000 / 2)
    begin = time.monotonic()
    temperatures = []

    def report() -> None:
        done = dynamics.get_number_of_steps()
        temperatures.append(atoms.get_temperature())
        left = (time.monotonic() - begin) / max(done, 1) * (total - done)
        print(
            f"{done * 0.002:5.2f} ps  {atoms.get_temperature():6.1f} K  "
            f"{atoms.get_potential_energy() / len(atoms):9.5f} eV/atom  {left:4.0f} s left",
            flush=True,
        )

    dynamics.attach(report, interval=max(total // 10, 1))
    dynamics.run(total)
    elapsed = time.monotonic() - begin
    print(
        f"{1e6 * elapsed / total / len(atoms):.1f} µs per atom and step, "
        f"{chosen.picoseconds * 1e-3 / (elapsed / 86400):.2f} ns/day"
    )
    second_half = temperatures[len(temperatures) // 2 :]
    print(f"mean temperature of the second half: {np.mean(second_half):.0f} K")


if __name__ == "__main__":
    main()
