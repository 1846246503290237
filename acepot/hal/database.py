"""The data base of a run: every labelled structure with where it came from.

`data.extxyz` grows by a frame a structure; its comment line says what a frame is for and how it
came about. `data.db` is the same as an ASE data base, for those who query.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.io.structures.comment import parse
from acepot.io.structures.datasets import read_structures
from acepot.structure import Structure

__all__ = ["DATA", "FAILED", "Origin", "Record", "frame_of", "read"]

#: Of the files: labelled structures, and those that the reference could not label.
DATA, FAILED = "data.extxyz", "failed.extxyz"


@dataclass(frozen=True)
class Origin:
    """How a structure came about.

    Args:
        cycle: of the run; 0: the beginning.
        walker: that brought it.
        step: of the walk.
        trigger: why the walk ended there.
        parent: number of the structure from which the walk began; -1: none.
        tau: τ then.
        uncertainty: the largest number of an atom that the criterion compares.
        sigma: of the energy in eV.
        use: train, test, or aside: forces are too large to be fitted.
    """

    cycle: int
    walker: int = 0
    step: int = 0
    trigger: str = "start"
    parent: int = -1
    tau: float = 0.0
    uncertainty: float = 0.0
    sigma: float = 0.0
    use: str = "train"


@dataclass(frozen=True, eq=False)
class Record:
    """A structure of the data base.

    Args:
        structure: with labels.
        origin: how it came about.
    """

    structure: Structure
    origin: Origin


def frame_of(record: Record, **more: str | float | int) -> str:
    """The text of a frame."""
    info = {f"hal_{one.name}": getattr(record.origin, one.name) for one in fields(Origin)}
    return extxyz.frame(record.structure, {**info, **more})


def read(path: Path) -> list[Record]:
    """The structures of a data base, in the order in which they came.

    Args:
        path: of `data.extxyz`.

    Raises:
        InputError: no such file, or one of something else.
    """
    structures = read_structures(path)[0]
    found, kinds = [], {one.name: one.type for one in fields(Origin)}
    with path.open(encoding="utf-8") as file:
        for structure in structures:
            count = int(file.readline())
            info = parse(file.readline(), str(path)).info
            for _ in range(count):
                file.readline()
            try:
                values = {name: info[f"hal_{name}"] for name in kinds}
                found.append(Record(structure, Origin(**_typed(values))))
            except (KeyError, ValueError, TypeError) as error:
                raise InputError(f"{path}: a frame does not say where it came from") from error
    return found


def _typed(values: dict[str, object]) -> dict[str, Any]:
    """The values of a comment line in the types of `Origin`."""
    kinds: dict[str, Any] = {"trigger": str, "use": str}
    kinds |= dict.fromkeys(("tau", "uncertainty", "sigma"), float)
    return {name: kinds.get(name, int)(str(value)) for name, value in values.items()}
