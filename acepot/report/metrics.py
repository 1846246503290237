"""Errors of a model on labelled structures, by config type: one table for train and test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError
from acepot.evaluate.protocol import Result, named
from acepot.fitting.observables import Evaluate, Observable
from acepot.structure import Structure

__all__ = ["Errors", "Report", "errors", "table"]

#: report[config type or "all"]["E", "F", "V", ...]["mae", "rmse" (in thousandths) or "count"].
Report = dict[str, dict[str, dict[str, float]]]

_ALL = "all"
_MILLI = 1000.0


@dataclass
class _Sums:
    count: int = 0
    absolute: float = 0.0
    squares: float = 0.0

    def add(self, errors: NDArray[np.float64]) -> None:
        self.count += errors.size
        self.absolute += float(np.abs(errors).sum())
        self.squares += float(np.square(errors).sum())

    def summary(self) -> dict[str, float]:
        return {
            "mae": _MILLI * self.absolute / self.count,
            "rmse": _MILLI * math.sqrt(self.squares / self.count),
            "count": self.count,
        }


class Errors:
    """Errors (predicted minus label) gathered structure by structure."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, _Sums]] = {_ALL: {}}

    def add(
        self,
        config_type: str,
        atoms: int,
        energy: ArrayLike | None = None,
        forces: ArrayLike | None = None,
        virial: ArrayLike | None = None,
        **others: ArrayLike,
    ) -> None:
        """Add one structure; what has no label stays None.

        Args:
            config_type: its group; "all" is taken by the sum over groups.
            atoms: n, the number of atoms.
            energy: error of the total energy in eV.
            forces: errors in eV/Å, shape (n, 3).
            virial: errors in eV, shape (3, 3); xx, yy, zz, yz, xz, xy are counted.
            others: errors of further observables. All may also be flat, in the order of rows.

        Raises:
            InputError: the config type is "all", or an error has a wrong shape or is not finite.
        """
        if config_type == _ALL:
            raise InputError(
                'config_type: expected any name but "all", which stands for the sum over groups; '
                "rename it in the data"
            )
        if atoms < 1:
            raise InputError(f"atoms: expected 1 or more, got {atoms}")
        given = {"energy": energy, "forces": forces, "virial": virial, **others}
        observables = [Observable.named(name, "errors") for name in given]
        found = {
            one.letter: one.per_unit(_checked(one, value, atoms), atoms)
            for one in observables
            if (value := given[one.name]) is not None
        }
        for group in (_ALL, config_type):
            sums = self._sums.setdefault(group, {})
            for name, errors in found.items():
                sums.setdefault(name, _Sums()).add(errors)

    def report(self) -> Report:
        """Mean absolute and root-mean-square errors.

        Returns:
            By group ("all" first, then config types as they came), then by the letter of the
            observable: "E" in meV/atom, "F" in meV/Å per component, "V" in meV/atom per
            component, then "mae", "rmse" and "count" (of numbers). What has no label is left out.
        """
        return {
            group: {name: sums[name].summary() for name in _units() if name in sums}
            for group, sums in self._sums.items()
        }


def errors(
    structures: Sequence[Structure], results: Sequence[Result], evaluate: Evaluate
) -> Report:
    """Errors by config type of predictions against all labels that are there.

    Args:
        structures: with labels.
        results: predictions in the same order.
        evaluate: the model that made them, for what it says about further structures.

    Raises:
        InputError: a label, prediction or config type that cannot be; the structure is named.
    """
    sums = Errors()
    for number, (structure, result) in enumerate(zip(structures, results, strict=True)):
        try:
            labels = {name: one.label(structure) for name, one in Observable.known.items()}
            found = {
                name: Observable.known[name].predicted(structure, result, evaluate) - label
                for name, label in labels.items()
                if label is not None
            }
            sums.add(structure.config_type, len(structure), **found)
        except InputError as error:
            raise named(structure, error, number) from None
    return sums.report()


def _units() -> dict[str, str]:
    """Letters of all observables, and the units of their errors."""
    return {one.letter: f"m{one.unit}" for one in Observable.known.values()}


def _checked(observable: Observable, errors: ArrayLike, atoms: int) -> NDArray[np.float64]:
    name, shape = observable.name, observable.shape(atoms)
    array = np.asarray(errors, dtype=float)
    if array.shape not in (shape, (observable.size(atoms),)):
        raise InputError(f"{name}: expected errors of shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite errors, got {array[~np.isfinite(array)][0]}")
    return observable.flat(array) if array.shape == shape else array


def table(report: Report) -> str:
    """Write a report as fixed-width text, one line per config type and one for all.

    Args:
        report: of `Errors.report`.

    Returns:
        Lines without a final newline; "-" stands where there is no label.
    """
    units = _units()
    names = [name for name in units if name in report.get(_ALL, {})]
    groups = [group for group in report if group != _ALL] + [_ALL]
    width = max(len("config_type"), *(len(group) for group in groups))
    heads = [f"{name} ({units[name]})" for name in names]
    lines = [
        " " * width + "".join(f"  {head:>29}" for head in heads),
        f"{'config_type':<{width}}" + f"  {'count':>9}{'MAE':>10}{'RMSE':>10}" * len(names),
    ]
    rule = "-" * len(lines[1])
    for group in groups:
        cells = []
        for name in names:
            entry = report.get(group, {}).get(name)
            if entry is None:
                cells.append(f"  {'-':>9}{'-':>10}{'-':>10}")
            else:
                mae, rmse = entry["mae"], entry["rmse"]
                cells.append(f"  {int(entry['count']):>9d} {_cell(mae)} {_cell(rmse)}")
        lines.append(f"{group:<{width}}" + "".join(cells))
    lines = [*lines[:2], rule, *lines[2:-1], rule, lines[-1]]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: float) -> str:
    """Nine characters: three decimals, or an exponent where those do not fit or are all zero."""
    text = f"{value:9.3f}"
    return text if len(text) == 9 and (value == 0 or value >= 0.01) else f"{value:9.2e}"
