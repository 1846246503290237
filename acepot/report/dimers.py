"""A picture (PNG) of what a model says about two atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations_with_replacement
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acepot.basis.expansion import Expansion
from acepot.basis.species import SYMBOLS
from acepot.lowering import lower
from acepot.potential import Potential
from acepot.run.figure import picture
from acepot.structure import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["dimer_curves"]

_FAINT, _SHADE = "#8c8c8c", "#f0e6d8"
_MODEL, _PAIR = "#0072b2", "#d55e00"
_START, _POINTS = 0.5, 400
#: A well deeper than this (eV) is no bond but a hole, which the picture says in words.
_DEEPEST, _LOWEST, _HIGHEST = 15.0, -5.0, 20.0


def dimer_curves(
    path: str | Path,
    potential: Potential,
    *,
    shortest: Mapping[str, float] | None = None,
    expanded: Expansion | None = None,
) -> None:
    """Draw E(r) - E0 - E0' of two atoms for every pair of elements the model knows.

    Curves run from 0.5 Å (or where the tables begin) to the cut-off; the axis shows the well
    and its repulsive wall, at most -15 to +20 eV. What the separate pair basis adds is dashed.

    Args:
        path: the PNG file to make or replace.
        potential: the model.
        shortest: shortest distance in the training data in Å, by pair ("Si-O" in either
            order); below it the panel is shaded.
        expanded: `expansion` of the model's basis, where a caller has it.

    Raises:
        InputError: the file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    species = range(len(potential.model.numbers))
    pairs = list(combinations_with_replacement(species, 2))
    columns = len(pairs) if len(pairs) <= 3 else max(3, ceil(sqrt(len(pairs))))
    rows = ceil(len(pairs) / columns)
    only_pair = _pair_part(potential, expanded or potential.model.basis.expansion())
    side = 1.5 if len(pairs) == 1 else 1.0
    with picture(path, 3.0 * columns * side, 2.4 * rows * side) as figure:
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(pairs) :]:
            axes.set_axis_off()
        figure.supxlabel("distance (Å)", fontsize=9)
        figure.supylabel("energy less free atoms (eV)", fontsize=9)
        for axes, (a, b) in zip(grid, pairs, strict=False):
            name = "-".join(SYMBOLS[potential.model.numbers[s]] for s in (a, b))
            r, energy = _dimer(potential, a, b)
            axes.axhline(0.0, color=_FAINT, lw=0.6)
            axes.plot(r, energy, color=_MODEL, lw=1.6, label="model", zorder=3)
            if only_pair is not None:
                pair = _dimer(only_pair, a, b)[1]
                axes.plot(r, pair, color=_PAIR, lw=1.0, ls="--", label="pair part", zorder=4)
            _finish_dimer(axes, name, r, energy, _known(shortest or {}, name))
        # The key of the panel with most to explain; not over the line of the cut-off.
        chief = max(grid[: len(pairs)], key=lambda axes: len(axes.get_legend_handles_labels()[1]))
        chief.legend(loc="upper right", bbox_to_anchor=(0.965, 1.0), handletextpad=0.6)


def _pair_part(potential: Potential, expanded: Expansion) -> Potential | None:
    """The same model without many-body functions; None if it has only one of the two."""
    model, is_pair = potential.model, expanded.labels.order == 0
    if not is_pair.any() or is_pair.all():
        return None
    part = replace(model, coefficients=np.where(is_pair, model.coefficients[:1], 0.0))
    return Potential(part, tables=lower(part, basis=potential.tables))


def _dimer(potential: Potential, a: int, b: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in Å and energies in eV less E0: all dimers at once, out of each other's sight."""
    tables = potential.tables
    cutoff = float(max(tables.cutoff[a, b], tables.cutoff[b, a]))
    begins = [t.begin[p] for t in tables.radial for p in ((a, b), (b, a)) if not t.zero_inside[p]]
    r = np.linspace(max(min(_START, 0.5 * cutoff), *begins, 0.0), cutoff, _POINTS)
    positions = np.zeros((len(r), 2, 3))
    positions[:, 1, 0] = r
    positions[:, :, 1] = 2.0 * float(tables.cutoff.max()) * np.arange(len(r))[:, None]
    numbers = np.tile([potential.model.numbers[s] for s in (a, b)], len(r))
    energies = potential.compute(Structure(numbers, positions.reshape(-1, 3))).energies
    return r, energies.reshape(-1, 2).sum(axis=1) - tables.e0[a] - tables.e0[b]


def _known(shortest: Mapping[str, float], name: str) -> float | None:
    first, second = name.split("-")
    return shortest.get(name, shortest.get(f"{second}-{first}"))


def _finish_dimer(
    axes: Axes,
    name: str,
    r: NDArray[np.float64],
    energy: NDArray[np.float64],
    shortest: float | None,
) -> None:
    deepest = int(energy.argmin())
    well = max(-float(energy[deepest]), 0.0)
    high = min(_HIGHEST, max(4.0 * well, 5.0)) if well > 0.02 else _HIGHEST
    high = min(high, max(1.05 * float(energy.max()), 0.02))
    low = _LOWEST if well > _DEEPEST else -max(1.25 * well, 0.1 * high)
    axes.set(xlim=(0.0, float(r[-1]) * 1.03), ylim=(low, high))
    axes.set_title(name)
    axes.tick_params(top=True, right=True)
    axes.axvline(float(r[-1]), color=_FAINT, lw=0.8, ls=":", label="cut-off")
    if shortest is not None:
        axes.axvspan(0.0, shortest, color=_SHADE, lw=0, zorder=0, label="no training data")
    if well > _DEEPEST:
        words = f"hole: −{well:.3g} eV at {r[deepest]:.2f} Å"
        axes.text(
            0.93,
            0.04,
            words,
            ha="right",
            va="bottom",
            fontsize=7.5,
            color=_PAIR,
            transform=axes.transAxes,
        )
