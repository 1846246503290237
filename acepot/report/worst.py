"""Where a model errs most: the structures that somebody looks at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.evaluate.protocol import Result
from acepot.fitting.observables import Evaluate, Observable
from acepot.io.structures.extxyz import write_structures
from acepot.structure import Structure

__all__ = ["Deviation", "deviations", "largest", "ranked", "write", "worst"]

#: Structures that are listed, at most.
_LISTED = 10


@dataclass(frozen=True, eq=False)
class Deviation:
    """How far a model is from the labels of one structure.

    Args:
        structure: with its labels.
        result: what the model says.
        sizes: largest absolute error of each observable by its letter, in thousandths of its unit
            (E in meV/atom, F in meV/Å per component, V in meV/atom per component).
        atom: with the largest error of a force component; None: there are no forces.
        where: its name, or which of the structures it is.
    """

    structure: Structure
    result: Result
    sizes: Mapping[str, float]
    atom: int | None
    where: str

    def report(self) -> dict[str, Any]:
        """Name, group and errors, for report.json."""
        found: dict[str, Any] = {
            "structure": self.where,
            "config_type": self.structure.config_type,
            **self.sizes,
        }
        return found if self.atom is None else {**found, "atom": self.atom}


def deviations(
    structures: Sequence[Structure], results: Sequence[Result], evaluate: Evaluate
) -> list[Deviation]:
    """Compare predictions with all labels that are there.

    Args:
        structures: with labels, which predictions can be compared with.
        results: predictions in the same order.
        evaluate: the model that made them, for what it says about further structures.
    """
    found = []
    for k, (structure, result) in enumerate(zip(structures, results, strict=True)):
        sizes: dict[str, float] = {}
        atom = None
        for one in Observable.known.values():
            size = _sizes(one, structure, result, evaluate)
            if size.size:
                sizes[one.letter] = 1000 * float(size.max())
                atom = int(size.argmax()) // 3 if one.name == "forces" else atom
        found.append(Deviation(structure, result, sizes, atom, structure.name or f"structure {k}"))
    return found


def ranked(found: Sequence[Deviation], most: int = _LISTED) -> list[Deviation]:
    """The structures with the largest errors: the worst of each observable in turn.

    Args:
        found: all.
        most: as many at most.
    """
    letters = [
        o.letter for o in Observable.known.values() if any(o.letter in d.sizes for d in found)
    ]
    orders = [
        sorted((d for d in found if letter in d.sizes), key=lambda d: -d.sizes[letter])[:most]
        for letter in letters
    ]
    chosen: dict[int, Deviation] = {}
    for rank in range(most):
        for order in orders:
            if rank < len(order) and len(chosen) < most:
                chosen.setdefault(id(order[rank]), order[rank])
    return list(chosen.values())


def largest(found: Sequence[Deviation]) -> str:
    """Name the structure with the largest error of each kind of label.

    One wrong label among thousands hardly shows in a mean, but nearly always here.

    Returns:
        A line such as "largest errors: E 169 meV/atom (train.xyz frame 4), F 1234 meV/Å (train.xyz
        frame 6, atom 3)"; "" if fewer than two structures have labels.
    """
    parts = []
    for one in Observable.known.values():
        labelled = [d for d in found if one.letter in d.sizes]
        if len(labelled) < 2:
            continue
        top = max(labelled, key=lambda d: d.sizes[one.letter])
        atom = f", atom {top.atom}" if one.name == "forces" else ""
        parts.append(f"{one.letter} {top.sizes[one.letter]:.4g} m{one.unit} ({top.where}{atom})")
    return f"largest errors: {', '.join(parts)}" if parts else ""


def worst(structures: Sequence[Structure], results: Sequence[Result], evaluate: Evaluate) -> str:
    """`largest` of `deviations`: the line below a table of errors."""
    return largest(deviations(structures, results, evaluate))


def write(path: str | Path, found: Sequence[Deviation]) -> None:
    """Write structures with labels and predictions as extended XYZ, in their order.

    Args:
        path: the file to make or replace.
        found: what to write.
    """
    write_structures(
        path,
        [d.structure for d in found],
        energies=[d.result.energy for d in found],
        forces=[d.result.forces for d in found],
        virials=[d.result.virial for d in found],
    )


def _sizes(
    one: Observable, structure: Structure, result: Result, evaluate: Evaluate
) -> NDArray[np.float64]:
    """Sizes of the errors of a structure as tables give them; none without a label."""
    label = one.label(structure)
    if label is None:
        return np.zeros(0)
    error = np.asarray(one.predicted(structure, result, evaluate) - label)
    flat = one.flat(error) if error.shape == one.shape(len(structure)) else error
    return np.abs(one.per_unit(flat, len(structure))).ravel()
