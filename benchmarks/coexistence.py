r"""A melting point by coexistence: crystal and liquid of one model in one cell, at constant energy.

    OMP_NUM_THREADS=1 python benchmarks/coexistence.py MODEL --element Si --crystal diamond \
        --edge 5.46 --cells 3 --pressure 0 --temperature 1500 --folder FOLDER

All steps are runs of `acepot md` in ASE and go on when the command is given again. A cube of
crystal at the pressure and the temperature gives the lattice constant. Of a crystal of twice as
many cells along z one half is held, while the other is melted at 2.5 times the temperature and
cooled. Then all atoms move, at the pressure (the edges change one by one) and then at constant
energy: where the temperature is too high, crystal melts and takes up the heat, until both phases
are in equilibrium (Morris et al., Phys. Rev. B 49, 3109 (1994)). What is given are the temperature
and the pressure of the second half of that run, with errors by blocks of 1 ps, and the part of the
cell that is crystalline, which must be neither all nor nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read, write

#: fs; a vibration of silicon takes 60 at least.
TIMESTEP = 2.0
#: Steps from one row of a log and one frame to the next.
EVERY = 50
#: Rows of a block, 1 ps.
BLOCK = 10
#: How much hotter than it should the half is that melts.
HOT = 2.5
#: A layer is crystalline if its Bragg reflections have more than this part of their amplitude.
ORDERED = 0.5
#: The first reflection (h00) of each kind of crystal.
REFLECTION = {"fcc": 2, "diamond": 4}
CONFIG = """\
model = "{model}"

[structure]
file = "{start}"

[ensemble]
kind = "{kind}"
temperature = {temperature}
pressure = {pressure}
friction = {friction}
cell = "{cell}"

[run]
steps = {steps}
timestep = {timestep}
equilibration = {equilibration}
initial_temperature = {initial}
seed = {seed}

[output]
every = {every}
checkpoint = 1000
"""
SETTINGS = {
    "kind": "npt", "pressure": 0.0, "friction": 5.0, "cell": "isotropic", "equilibration": 0,
    "timestep": TIMESTEP, "seed": 1, "every": EVERY,
}  # fmt: skip


class Crystal(NamedTuple):
    """A crystal: element, "fcc" or "diamond", and a guess of its lattice constant in Å."""

    element: str
    kind: str
    edge: float

    def atoms(self) -> Atoms:
        """Its cubic cell."""
        return bulk(self.element, self.kind, self.edge, cubic=True)


class Coexistence(NamedTuple):
    """Where crystal and liquid were in equilibrium: T in K, P in GPa, with their errors."""

    temperature: tuple[float, float]
    pressure: tuple[float, float]
    crystalline: float


def dynamics(folder: Path, name: str, model: Path, start: Atoms, **given: object) -> np.ndarray:
    """The log of a run of `acepot md`, from step 0, as a structured array."""
    folder.mkdir(parents=True, exist_ok=True)
    file, config, out = (folder / f"{name}{end}" for end in (".extxyz", ".toml", ""))
    if not file.exists():
        write(file, start, format="extxyz")
    settings = {"initial": given["temperature"]} | SETTINGS | given
    config.write_text(CONFIG.format(model=model.resolve(), start=file.resolve(), **settings))
    command = [sys.executable, "-m", "acepot", "md", config, "--engine", "ase", "--out", out]
    done = subprocess.run([*command, "--no-plots"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{config}: {(done.stdout + done.stderr)[-3000:]}")
    head = (out / "log.csv").read_text().splitlines()[0].split(",")
    names = [one.strip().split("_")[0] for one in head]
    log = np.genfromtxt(out / "log.csv", delimiter=",", names=names, skip_header=1)
    return log[log["step"] >= 0]


def blocked(values: np.ndarray) -> tuple[float, float]:
    """Mean and its error from blocks."""
    count = len(values) // BLOCK
    blocks = values[len(values) - count * BLOCK :].reshape(count, BLOCK).mean(axis=1)
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(count))


def crystalline(frames: list[Atoms], order: int, layers: int) -> float:
    """Part of the layers along z whose reflections along x and y are those of a crystal.

    Args:
        frames: of the cell.
        order: waves along an edge of the cell.
        layers: how many.
    """
    ordered = []
    for atoms in frames:
        x, y, z = atoms.get_scaled_positions().T
        waves = [order * x, order * y]
        which = (z * layers).astype(int) % layers
        amplitudes = np.zeros((2, layers), dtype=complex)
        for row, wave in zip(amplitudes, waves, strict=True):
            np.add.at(row, which, np.exp(2j * np.pi * wave))
        counts = np.maximum(np.bincount(which, minlength=layers), 1)
        ordered.append((abs(amplitudes).mean(axis=0) / counts > ORDERED).mean())
    return float(np.mean(ordered))


def coexistence(
    folder: Path,
    model: Path,
    crystal: Crystal,
    pressure: float,
    temperature: float,
    cells: int,
    steps: int = 16_000,
) -> Coexistence:
    """Where crystal and liquid are in equilibrium.

    Args:
        folder: of all runs.
        model: of the element.
        crystal: that melts.
        pressure: GPa.
        temperature: a guess of the melting point, K.
        cells: along x and y, and half of those along z.
        steps: at constant energy.
    """
    at = {"temperature": temperature, "pressure": pressure}
    cube = crystal.atoms().repeat(cells)
    double = {"initial": 2 * temperature}
    log = dynamics(folder, "crystal", model, cube, steps=2000, equilibration=1000, **at, **double)
    both = crystal.atoms().repeat((cells, cells, 2 * cells))
    both.set_cell(both.cell * np.cbrt(log["volume"].mean() / cube.get_volume()), scale_atoms=True)
    both.set_constraint(FixAtoms(mask=both.get_scaled_positions()[:, 2] < 0.499))
    hot = {"temperature": HOT * temperature, "initial": 2 * HOT * temperature}
    dynamics(folder, "melted", model, both, kind="nvt", steps=2000, **hot)
    both = read(folder / "melted" / "last.extxyz")  # one half is still held
    dynamics(folder, "cooled", model, both, kind="nvt", steps=1500, temperature=temperature)
    both = free(folder / "cooled")
    dynamics(folder, "relaxed", model, both, cell="anisotropic", steps=1500, **at)
    both = free(folder / "relaxed")
    kept = {"temperature": temperature, "initial": '"keep"'}
    log = dynamics(folder, "both", model, both, kind="nve", steps=steps, **kept)
    log = log[len(log) // 2 :]
    frames = read(folder / "both" / "trajectory.traj", index=":")
    order = cells * REFLECTION[crystal.kind]
    part = crystalline(frames[len(frames) // 2 :], order, 4 * cells)
    return Coexistence(blocked(log["temperature"]), blocked(log["pressure"]), part)


def free(run: Path) -> Atoms:
    """The last state of a run, no atom held, with its momenta."""
    atoms = read(run / "last.extxyz")
    atoms.set_constraint()
    return atoms


def main() -> int:
    """Print where both phases were in equilibrium; 1 if one of them was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--element", required=True)
    parser.add_argument("--crystal", choices=REFLECTION, required=True)
    parser.add_argument("--edge", type=float, required=True, help="lattice constant, a guess, Å")
    parser.add_argument("--cells", type=int, required=True, help="along x and y")
    parser.add_argument("--pressure", type=float, required=True, help="GPa")
    parser.add_argument("--temperature", type=float, required=True, help="guess, K")
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    crystal = Crystal(given.element, given.crystal, given.edge)
    found = coexistence(
        given.folder, given.model, crystal, given.pressure, given.temperature, given.cells
    )
    (t, dt), (p, dp) = found.temperature, found.pressure
    print(f"{t:.0f} ± {dt:.0f} K at {p:.2f} ± {dp:.2f} GPa, {found.crystalline:.0%} crystalline")
    return int(not 0.1 < found.crystalline < 0.9)


if __name__ == "__main__":
    sys.exit(main())
