"""The compiled extension: whether it is there, what it was built for, and how many threads."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot import lattice
from acepot.errors import InputError, MissingDependency
from acepot.structure import Structure

__all__ = [
    "VARIABLE", "available_threads", "built_instruction_sets", "chosen_instruction_set", "edges",
    "extension", "extension_file", "instruction_sets", "keep_apart", "most_l", "processors",
]  # fmt: skip

Floats = NDArray[np.float64]
#: Forces an instruction set: avx512, avx2, baseline or neon (the default is the best there is).
VARIABLE = "ACEPOT_INSTRUCTION_SET"


def instruction_sets() -> list[str]:
    """Instruction sets this machine and this build have, the best last.

    Raises:
        MissingDependency: the extension was not built.
    """
    return list(extension().instruction_sets())


def built_instruction_sets() -> list[str]:
    """Instruction sets this build has, whether this machine has them or not.

    Raises:
        MissingDependency: the extension was not built.
    """
    return list(extension().built_instruction_sets())


def chosen_instruction_set() -> str:
    """What is used unless a caller says otherwise: as `VARIABLE` forces it, else the best."""
    return os.environ.get(VARIABLE) or instruction_sets()[-1]


def extension_file() -> Path:
    """The compiled extension; what the installation holds for other compiled code is beside it.

    Raises:
        MissingDependency: the extension was not built.
    """
    return Path(extension().__file__)


def most_l() -> int:
    """The largest l of the harmonics that the compiled evaluator and row builder take.

    Raises:
        MissingDependency: the extension was not built.
    """
    return int(extension().most_l)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # only Linux tells
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_threads() -> int:
    """OMP_NUM_THREADS if it is set, else the processors this process may use."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(text) if text.isdigit() and int(text) > 0 else processors()


def keep_apart(
    chosen: NDArray[np.bool_],
    numbers: NDArray[np.int64],
    positions: Floats,
    cells: Floats,
    periodic: bool,
    least: Floats,
) -> None:
    """Take out of a choice of structures those in which atoms, or images, are too close.

    All pairs are tried, in structures of a size, without a neighbour list.

    Args:
        chosen: is changed, shape (S,); those that are false are not looked at.
        numbers: kinds of the atoms, rows of `least`, shape (S, n).
        positions: in Å, shape (S, n, 3).
        cells: lattice vectors as rows in Å, shape (S, 3, 3).
        periodic: whether cells repeat along all three directions or along none.
        least: shortest distances by both kinds in Å, symmetric, 0 where there is none, shape
            (kinds, kinds).

    Raises:
        InputError: arrays that do not fit together, numbers beyond `least`, positions that are not
            finite, or vectors that span no volume.
        MissingDependency: the extension was not built.
    """
    try:
        extension().keep_apart(chosen, numbers, positions, cells, periodic, least)
    except ValueError as error:
        raise InputError(str(error)) from None


def edges(
    structure: Structure, species: NDArray[np.int64], cutoff: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """All directed edges of a structure, sorted by centre, neighbour and shift.

    Whether an edge is short enough is decided once for its two directions, whose vectors are
    opposite to the last bit.

    Args:
        structure: atoms and cell.
        species: index of every atom, shape (n,).
        cutoff: in Å for both species, symmetric, 0: none; shape (species, species).

    Returns:
        Centre, neighbour and number of the reverse of every edge, shape (3, E); periodic images
        of the neighbours, shape (E, 3); vectors in Å, shape (E, 3).

    Raises:
        InputError: coinciding atoms, or more neighbours than memory is for.
        MissingDependency: the extension was not built.
    """
    if not (len(structure) and np.any(cutoff > 0)):
        return np.zeros((3, 0), np.int64), np.zeros((0, 3), np.int64), np.zeros((0, 3))
    inverse = np.linalg.inv(lattice.complete(structure.cell, structure.pbc))
    try:
        found = extension().edges(
            structure.positions, species.astype(np.int32), structure.cell, structure.pbc,
            inverse, np.ascontiguousarray(cutoff),
        )  # fmt: skip
    except ValueError as error:
        where = f"{structure.name}: " if structure.name else ""
        raise InputError(f"{where}{error}") from None
    ends, shift, vector = found
    return ends, shift, vector


@cache
def extension() -> Any:
    """The module itself.

    Raises:
        MissingDependency: the extension was not built.
    """
    try:
        from acepot import _native
    except ImportError as error:
        raise MissingDependency(
            "acepot's compiled evaluator is not there; build it with `pip install .` in the "
            "source folder (needs a C++17 compiler), or ask for evaluator='reference', "
            f"which is much slower ({error})"
        ) from error
    return _native
