"""The data base of a run as one of ASE, made from `data.extxyz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acepot.errors import MissingDependency
from acepot.hal.database import Record

try:
    from ase import Atoms
    from ase.calculators import singlepoint
    from ase.db import core
except ImportError as error:
    raise MissingDependency("output.database needs ASE: pip install acepot[ase]") from error

__all__ = ["write"]


#: ASE's functions have no types.
_connect: Any = core.connect
_made: Any = singlepoint.SinglePointCalculator


def write(path: Path, records: Sequence[Record]) -> None:
    """Write what is not there yet; a data base with more than there is, is made anew.

    Args:
        path: of the file, `data.db`.
        records: in the order in which they came.
    """
    if path.exists():
        with _connect(path) as there:
            count = there.count()
        if count > len(records):
            path.unlink()
            count = 0
    else:
        count = 0
    with _connect(path) as there:
        for record in records[count:]:
            there.write(_atoms(record), **asdict(record.origin))


def _atoms(record: Record) -> Atoms:
    structure = record.structure
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    labels = {"energy": structure.energy, "forces": structure.forces}
    if structure.virial is not None and structure.volume > 0:
        labels["stress"] = -structure.virial / structure.volume
    atoms.calc = _made(atoms, **labels)
    return atoms
