"""The last state of a run in a form that every engine starts from: extended XYZ with momenta.

Momenta have the name and unit that ASE gives them, so that ASE reads the velocities too, and a
trajectory of ASE is read here: amu times Å per ASE's unit of time, √(amu/eV) Å.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.io.structures.constraints import column_of
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import LabelKeys
from acepot.md.engine import Atoms, Floats, Phase
from acepot.structure import Structure
from acepot.units import AMU

__all__ = ["LAST", "MOMENTA", "moving", "snapshot", "step_of", "velocities", "write"]

#: Name of the snapshot of the last checkpoint in the folder of a run.
LAST = "last.extxyz"
MOMENTA = "momenta"


def write(path: Path, atoms: Atoms, phase: Phase, step: int) -> None:
    """Write where atoms are and how they move, with every digit.

    Args:
        path: of the file.
        atoms: what moves.
        phase: where it is.
        step: of the run.
    """
    momenta = phase.velocities * (atoms.masses[:, None] * np.sqrt(AMU))
    sides = " ".join("FT"[int(one)] for one in atoms.pbc)
    cell = " ".join(map(repr, phase.cell.ravel().tolist()))
    comment = [f'Lattice="{cell}"'] if any(atoms.pbc) else []
    properties, held = f"species:S:1:pos:R:3:{MOMENTA}:R:3", [""] * len(atoms.numbers)
    if atoms.fixed.any():
        mask, held = column_of(np.repeat(atoms.fixed[:, None], 3, axis=1))
        properties += f":{mask}"
    comment += [f"Properties={properties}", f'pbc="{sides}"']
    rows = np.hstack((phase.positions, momenta)).tolist()
    with replaced(path) as file:
        file.write(f"{len(rows)}\n{' '.join(comment)} step={step}\n")
        for number, row, move in zip(atoms.numbers.tolist(), rows, held, strict=True):
            file.write(f"{SYMBOLS[number]} {' '.join(map(repr, row))} {move}".rstrip() + "\n")


def snapshot(folder: Path) -> Path:
    """The snapshot in the folder of a run.

    Raises:
        InputError: there is none.
    """
    path = folder / LAST
    if not path.is_file():
        raise InputError(
            f"structure.run: expected the folder of a run of acepot md, got {folder}, which has no "
            f"{LAST}: a run makes it at its first checkpoint; one of an earlier version has none "
            "until it is made longer (run.steps)"
        )
    return path


def step_of(path: Path) -> int | None:
    """The step of the run that a snapshot was taken at; None: it does not say."""
    with path.open(encoding="utf-8", errors="replace") as file:
        next(file, "")
        found = re.search(r" step=(-?[0-9]+)$", next(file, "").rstrip())
    return int(found[1]) if found else None


def moving(path: Path) -> list[Structure]:
    """Structures with their momenta, as the label `momenta` where they have them.

    Raises:
        InputError: not a file of structures, or none of them has momenta.
    """
    _, count = read_structures(path)
    if MOMENTA not in count.columns:
        raise InputError(
            f'{path}: run.initial_temperature = "keep" needs velocities, in a column {MOMENTA} as '
            f"ASE writes it; its columns are {', '.join(count.columns) or 'none'}; take "
            f"{LAST} of a run, or a trajectory of ASE, or let velocities be drawn"
        )
    return read_structures(path, LabelKeys(others={MOMENTA: MOMENTA}))[0]


def velocities(structure: Structure, mass: Floats) -> Floats:
    """Velocities of a structure in Å/fs, shape (n, 3).

    Args:
        structure: with momenta.
        mass: in amu, shape (n,).

    Raises:
        InputError: it has none.
    """
    momenta = structure.labels.get(MOMENTA)
    if momenta is None or momenta.shape != (len(structure), 3):
        raise InputError(
            f'{structure.name}: run.initial_temperature = "keep" needs {MOMENTA}, which this '
            "frame has not"
        )
    return np.asarray(momenta / (mass[:, None] * np.sqrt(AMU)))
