"""Structures in a file with what the program that wrote it made of them."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.io.ace1.objects import Floats, JuliaObject, load
from acepot.structure import Structure


@dataclass(frozen=True, eq=False)
class ReferenceValues:
    """A structure in a file with what the program that wrote the file made of it.

    Args:
        structure: atoms and cell.
        energy: energy in eV, shape (1,), or the values of all basis functions, shape (K,).
        forces: in eV/Å, shape (n, 3), if stored.
    """

    structure: Structure
    energy: Floats
    forces: Floats | None


def read_ace1_references(path: str | Path) -> tuple[ReferenceValues, ...]:
    """The test structures that a file holds beside its potential or basis.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged.
    """
    return references_of(load(path))


def references_of(root: JuliaObject) -> tuple[ReferenceValues, ...]:
    """Those of a whole file."""
    stored = root.get("_tests")
    return () if stored is None else tuple(_test(node) for node in stored.items())


def _test(node: JuliaObject) -> ReferenceValues:
    """One structure with its values; the file's cell holds the lattice vectors as columns."""
    atoms, values = node.at("at"), node.at("tests")
    numbers = [item.integer(1, len(SYMBOLS) - 1) for item in atoms.at("Z").items(1)]
    positions = np.array([item.numbers(3, 3) for item in atoms.at("X").items()])
    cell = np.array([item.numbers(3, 3) for item in atoms.at("cell").items(3, 3)]).T
    pbc = [item.value for item in atoms.at("pbc").items(3, 3)]
    if any(type(flag) is not bool for flag in pbc):
        atoms.at("pbc").fail(f"expected true or false, got {reprlib.repr(pbc)}")
    energy = values.at("E")
    found = energy.numbers() if isinstance(energy.value, list) else np.array([energy.number()])
    forces = None
    if (stored := values.get("F")) is not None:
        count = len(numbers)
        forces = np.array([item.numbers(3, 3) for item in stored.items(count, count)])
    try:
        structure = Structure(np.array(numbers), positions, cell, np.array(pbc))
    except InputError as error:
        atoms.fail(str(error))
    return ReferenceValues(structure, found, forces)
