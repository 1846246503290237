"""A model on the structures of a file: predictions, errors and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acepot.errors import InputError
from acepot.evaluate.native import processors
from acepot.evaluate.precision import Precision
from acepot.evaluate.protocol import Result
from acepot.io.files import about, replaced
from acepot.io.registry import load
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import LabelKeys, require_labels
from acepot.model import known_shortest
from acepot.potential import Potential
from acepot.report.dimers import dimer_curves
from acepot.report.metrics import errors
from acepot.report.parity import parity, parity_data
from acepot.run.figure import require_matplotlib
from acepot.run.publication import publishing
from acepot.structure import Structure

__all__ = ["Evaluation", "draw", "evaluate_file", "made", "write_json"]

_DIMERS, _PARITY = "dimers.png", "parity.png"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model on the structures of a file.

    Args:
        structures: with labels.
        results: predictions in the same order.
        report: errors by config type under "data".
        potential: the model.
    """

    structures: list[Structure]
    results: list[Result]
    report: dict[str, Any]
    potential: Potential


def evaluate_file(
    model: str | Path,
    data: str | Path,
    keys: LabelKeys,
    *,
    need_labels: bool,
    say: Callable[[str], None],
    threads: int | None = None,
    precision: Precision = "double",
) -> Evaluation:
    """Evaluate a model on a file of structures.

    Args:
        model: model file.
        data: structures.
        keys: names of the labels.
        need_labels: refuse a file without any.
        say: called with lines for people.
        threads: structures handled at once; None: one per processor.
        precision: double, mixed or single.

    Raises:
        InputError: no labels where they are needed, or structures the model cannot evaluate.
    """
    with about(model):
        potential = Potential(load(model), threads=threads or processors(), precision=precision)
    if potential.precision_loss is not None:
        say(str(potential.precision_loss))
    return _evaluated(potential, data, keys, need_labels, say)


def _evaluated(
    potential: Potential,
    data: str | Path,
    keys: LabelKeys,
    need_labels: bool,
    say: Callable[[str], None],
) -> Evaluation:
    structures, count = read_structures(data, keys)
    say(str(count))
    if need_labels:
        require_labels(count)
    results = potential.compute_all(structures)
    report = {"data": errors(structures, results, potential.compute_all)}
    return Evaluation(structures, results, report, potential)


def draw(
    model: str | Path,
    folder: str | Path,
    data: str | Path | None,
    keys: LabelKeys,
    *,
    say: Callable[[str], None],
) -> list[Path]:
    """Draw dimer curves and, with data, parity plots.

    Args:
        model: model file.
        folder: made if it is not there.
        data: labelled structures, or None.
        keys: names of the labels.
        say: called with lines for people.

    Returns:
        The pictures.
    """
    require_matplotlib()
    folder = made(folder)
    with about(model):
        potential = Potential(load(model))
    names = [_DIMERS] if data is None else [_DIMERS, _PARITY]
    with publishing(folder, (_DIMERS, _PARITY), say, what="plot") as files:
        dimer_curves(files.file(_DIMERS), potential, shortest=known_shortest(potential.model))
        if data is not None:
            done = _evaluated(potential, data, keys, True, say)
            panels = parity_data(potential, "data", done.structures, done.results)
            parity(files.file(_PARITY), panels)
    return [folder / name for name in names]


def made(folder: str | Path) -> Path:
    """A folder, made if it is not there.

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "a file has this name" if folder.exists() else error.strerror
        raise InputError(f"{folder}: cannot make this folder: {why}") from None
    return folder


def write_json(path: str | Path, report: Mapping[str, Any]) -> None:
    """Write a report so that an earlier one stays until this one is complete."""
    with replaced(path) as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
        file.write("\n")
