"""What goes to a route and what comes back: plain arrays in a folder, needing numpy alone.

The folder holds the model files and `cases.npz`; a route writes one `.npz` of its own. Å, eV, eV/Å.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Case:
    """One structure and the file of its model.

    Args:
        name: of the structure.
        model: path of a model file of any kind that acepot reads.
        numbers: atomic numbers, shape (n,).
        positions: shape (n, 3).
        cell: lattice vectors as rows, those of open directions zero, shape (3, 3).
        pbc: periodic directions, shape (3,).
    """

    name: str
    model: Path
    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a route found: energy, forces (n, 3), and the virial -∂E/∂ε (3, 3) where it has one."""

    energy: float
    forces: np.ndarray
    virial: np.ndarray | None


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write `cases.npz`; the models are there already."""
    arrays: dict[str, np.ndarray] = {
        "names": np.array([case.name for case in cases]),
        "models": np.array([case.model.name for case in cases]),
    }
    for k, case in enumerate(cases):
        for field in ("numbers", "positions", "cell", "pbc"):
            arrays[f"{field}_{k}"] = getattr(case, field)
    np.savez(folder / "cases.npz", **arrays)


def read_cases(folder: Path) -> list[Case]:
    """The cases in their order."""
    with np.load(folder / "cases.npz", allow_pickle=False) as found:
        fields = ("numbers", "positions", "cell", "pbc")
        return [
            Case(str(name), folder / str(model), *(found[f"{field}_{k}"] for field in fields))
            for k, (name, model) in enumerate(zip(found["names"], found["models"], strict=True))
        ]


def write_numbers(path: Path, found: Sequence[Numbers]) -> None:
    """What a route found, in the order of the cases."""
    arrays = {"energies": np.array([one.energy for one in found])}
    for k, one in enumerate(found):
        arrays[f"forces_{k}"] = one.forces
        if one.virial is not None:
            arrays[f"virial_{k}"] = one.virial
    np.savez(path, **arrays)


def read_numbers(path: Path) -> list[Numbers]:
    """The other way round."""
    with np.load(path, allow_pickle=False) as found:
        return [
            Numbers(
                float(energy),
                found[f"forces_{k}"],
                found[f"virial_{k}"] if f"virial_{k}" in found else None,
            )
            for k, energy in enumerate(found["energies"])
        ]


def route_options(about: str) -> argparse.ArgumentParser:
    """The arguments of every route: the folder of the cases and the file for the numbers."""
    options = argparse.ArgumentParser(description=about)
    options.add_argument("folder", type=Path)
    options.add_argument("numbers", type=Path)
    return options
