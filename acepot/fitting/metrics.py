"""Errors of a model on labelled structures, by config type: one table for train and test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError

__all__ = ["Errors", "Report", "table"]

#: report[config type or "all"]["E", "F" or "V"]["mae", "rmse" (meV based) or "count"].
Report = dict[str, dict[str, dict[str, float]]]

_UNITS = {"E": "meV/atom", "F": "meV/Å", "V": "meV/atom"}
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
        energy: float | None = None,
        forces: ArrayLike | None = None,
        virial: ArrayLike | None = None,
    ) -> None:
        """Add one structure; what has no label stays None.

        Args:
            config_type: its group; "all" is taken by the sum over groups.
            atoms: n, the number of atoms.
            energy: error of the total energy in eV.
            forces: errors in eV/Å, shape (n, 3).
            virial: errors in eV, shape (3, 3); xx, yy, zz, yz, xz, xy are counted.

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
        found = {}
        if energy is not None:
            found["E"] = _checked("energy", energy, ()).reshape(1) / atoms
        if forces is not None:
            found["F"] = _checked("forces", forces, (atoms, 3)).ravel()
        if virial is not None:
            w = _checked("virial", virial, (3, 3))
            found["V"] = w[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / atoms
        for group in (_ALL, config_type):
            sums = self._sums.setdefault(group, {})
            for name, errors in found.items():
                sums.setdefault(name, _Sums()).add(errors)

    def report(self) -> Report:
        """Mean absolute and root-mean-square errors.

        Returns:
            By group ("all" first, then config types as they came), then by quantity: "E" in
            meV/atom, "F" in meV/Å per component, "V" in meV/atom per component, then "mae",
            "rmse" and "count" (of numbers). Quantities without a label are left out.
        """
        return {
            group: {name: sums[name].summary() for name in _UNITS if name in sums}
            for group, sums in self._sums.items()
        }


def _checked(name: str, errors: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.asarray(errors, dtype=float)
    if array.shape != shape:
        raise InputError(f"{name}: expected errors of shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite errors, got {array[~np.isfinite(array)][0]}")
    return array


def table(report: Report) -> str:
    """Write a report as fixed-width text, one line per config type and one for all.

    Args:
        report: of `Errors.report`.

    Returns:
        Lines without a final newline; "-" stands where there is no label.
    """
    names = [name for name in _UNITS if name in report.get(_ALL, {})]
    groups = [group for group in report if group != _ALL] + [_ALL]
    width = max(len("config_type"), *(len(group) for group in groups))
    heads = [f"{name} ({_UNITS[name]})" for name in names]
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
