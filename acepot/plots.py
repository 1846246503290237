"""Pictures (PNG): how well a model reproduces its labels, and what it says about dimers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.figure import picture
from acepot.lowering import expansion
from acepot.potential import Potential
from acepot.structure import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["ParityData", "dimer_curves", "parity"]

Quantity = Literal["energy", "forces", "virial"]

_FAINT, _SHADE = "#8c8c8c", "#f0e6d8"
#: Colours that most colour-blind people can tell apart (Okabe and Ito, without yellow).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8a5a2b")
#: For more groups than that: matplotlib's tab20, strong colours first.
_MANY_COLOURS = tuple(
    f"#{colour}"
    for colour in """1f77b4 ff7f0e 2ca02c d62728 9467bd 8c564b e377c2 7f7f7f bcbd22 17becf
    aec7e8 ffbb78 98df8a ff9896 c5b0d5 c49c94 f7b6d2 c7c7c7 dbdb8d 9edae5""".split()
)
_TITLES = {"energy": "Energy", "forces": "Forces", "virial": "Virial"}
_UNITS = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}


# ---------------------------------------------------------------- parity


@dataclass(frozen=True, eq=False)
class ParityData:
    """Labels and predictions of one quantity for one config type.

    Args:
        quantity: "energy" (eV/atom, less E0 or a mean, so that the axis shows what was
            learned), "forces" (components in eV/Å) or "virial" (components in eV/atom).
        split: "train", "test" or any other name of a row of panels.
        config_type: the group, which gives the colour.
        reference: the labels, any shape.
        predicted: the model's values, same shape.

    Raises:
        InputError: unknown quantity, no numbers, different shapes or numbers not finite.
    """

    quantity: Quantity
    split: str
    config_type: str
    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.quantity not in _UNITS:
            raise InputError(f"quantity: expected {', '.join(_UNITS)}, got {self.quantity!r}")
        where = f"{self.quantity} of {self.config_type} ({self.split})"
        for name in ("reference", "predicted"):
            array = np.array(getattr(self, name), dtype=float)
            if array.size == 0 or not np.isfinite(array).all():
                raise InputError(f"{where}: {name}: expected at least one number, all finite")
            object.__setattr__(self, name, array)
        if self.reference.shape != self.predicted.shape:
            raise InputError(
                f"{where}: expected equal shapes, got reference {self.reference.shape} "
                f"and predicted {self.predicted.shape}"
            )

    @property
    def error(self) -> NDArray[np.float64]:
        """Predicted less reference, flat, in thousandths (meV/atom, meV/Å)."""
        return (self.predicted - self.reference).ravel() * 1000.0


#: Inches: side of a panel, height of its strip of errors, and the gaps around them.
_SIDE, _STRIP, _LEFT, _TOP, _BOTTOM, _INNER = 2.35, 0.6, 0.86, 0.3, 0.44, 0.06
#: Groups named in a panel; where there are more, the worst are named and all share one key.
_NAMED, _LONGEST = 6, 20


def parity(path: str | Path, panels: Sequence[ParityData]) -> None:
    """Draw predictions against labels: a column per quantity, a row per split.

    Colours stand for config types, legends hold root-mean-square errors (all data first) and
    the strip below each panel shows the errors themselves.

    Args:
        path: the PNG file to make or replace.
        panels: the data; entries with the same quantity and split share a panel.

    Raises:
        InputError: no data, or the file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    if not panels:
        raise InputError("panels: expected at least one ParityData, got none")
    columns = [q for q in _UNITS if any(d.quantity == q for d in panels)]
    rows = list(dict.fromkeys(d.split for d in panels))
    groups = list(dict.fromkeys(d.config_type for d in panels))
    palette = _COLOURS if len(groups) <= len(_COLOURS) else _MANY_COLOURS
    colours = {name: palette[i % len(palette)] for i, name in enumerate(groups)}
    cell_w, cell_h = _LEFT + _SIDE, _TOP + _SIDE + _INNER + _STRIP + _BOTTOM
    per_line = max(1, int(cell_w * len(columns) / 1.5))
    key = 0.1 + 0.16 * ceil(len(groups) / per_line) if len(groups) > _NAMED else 0.0
    width, height = cell_w * len(columns) + 0.18, cell_h * len(rows) + key
    with picture(path, width, height) as figure:
        for column, quantity in enumerate(columns):
            of_quantity = [d for d in panels if d.quantity == quantity]
            for row, split in enumerate(rows):
                data = [d for d in of_quantity if d.split == split]
                if not data:
                    continue
                left, top = _LEFT + column * cell_w, height - row * cell_h - _TOP
                boxes = (
                    (left, top - _SIDE, _SIDE, _SIDE),
                    (left, top - _SIDE - _INNER - _STRIP, _SIDE, _STRIP),
                )
                main, strip = (
                    figure.add_axes((x / width, y / height, w / width, h / height))
                    for x, y, w, h in boxes
                )
                main.set_title(f"{_TITLES[quantity]}, {split}")
                _draw_panel(main, strip, data, colours, _limits(of_quantity))
        if key:
            handles = [_dot(_elided(name), colours[name]) for name in groups]
            figure.legend(handles=handles, loc="lower center", ncols=per_line)


def _limits(data: Sequence[ParityData]) -> tuple[float, float]:
    values = np.concatenate([a.ravel() for d in data for a in (d.reference, d.predicted)])
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _draw_panel(
    main: Axes,
    strip: Axes,
    data: Sequence[ParityData],
    colours: Mapping[str, str],
    limits: tuple[float, float],
) -> None:
    unit = _UNITS[data[0].quantity]
    main.plot(limits, limits, color=_FAINT, lw=0.7, zorder=1)
    strip.axhline(0.0, color=_FAINT, lw=0.7, zorder=1)
    total = sum(d.reference.size for d in data)
    size, alpha = (3.4, 0.8) if total < 2000 else (2.2, 0.45)
    look: dict[str, Any] = {"ls": "none", "marker": "o", "mew": 0, "alpha": alpha, "zorder": 2}
    for d in sorted(data, key=lambda d: -d.reference.size):  # small groups stay on top
        x, colour = d.reference.ravel(), colours[d.config_type]
        main.plot(x, d.predicted.ravel(), color=colour, ms=size, **look)
        strip.plot(x, d.error, color=colour, ms=0.8 * size, **look)
    main.set(xlim=limits, ylim=limits, ylabel=f"model ({unit})")
    main.tick_params(labelbottom=False, top=True, right=True)
    largest = 1.15 * max(float(np.abs(d.error).max()) for d in data) or 1.0
    strip.set(xlim=limits, ylim=(-largest, largest), xlabel=f"reference ({unit})")
    strip.set_ylabel(f"error\n(m{unit})", fontsize=7.5)
    strip.tick_params(top=True, right=True)
    for axes in (main, strip):
        axes.locator_params(axis="x", nbins=5)
    main.locator_params(axis="y", nbins=5)
    main.yaxis.set_label_coords(-0.21, 0.5)
    strip.yaxis.set_label_coords(-0.19, 0.5)
    strip.locator_params(axis="y", nbins=3)
    main.text(
        0.97,
        0.03,
        f"{total:,} values".replace(",", "\u202f"),
        ha="right",
        va="bottom",
        fontsize=7,
        color=_FAINT,
        transform=main.transAxes,
    )
    _legend(main, data, colours, unit)


def _legend(axes: Axes, data: Sequence[ParityData], colours: Mapping[str, str], unit: str) -> None:
    """RMSE of every group, or of the worst where there are too many to name."""
    errors: dict[str, list[NDArray[np.float64]]] = {}
    for d in data:
        errors.setdefault(d.config_type, []).append(d.error)
    rmse = {name: _rms(np.concatenate(parts)) for name, parts in errors.items()}
    names = sorted(rmse, key=lambda name: -rmse[name])
    named = names if len(names) <= _NAMED else names[: _NAMED - 1]
    together = _rms(np.concatenate([d.error for d in data]))
    handles = [_dot(f"all  {_short(together)}", "none")] if len(names) > 1 else []
    handles += [_dot(f"{_elided(n)}  {_short(rmse[n])}", colours[n]) for n in named]
    title = f"RMSE (m{unit})" + (f", worst of {len(names)}" if len(named) < len(names) else "")
    axes.legend(handles=handles, title=title, loc="upper left", alignment="left")


def _dot(label: str, colour: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="none", marker="o", ms=4, mew=0, color=colour, label=label)


def _elided(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _rms(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _short(value: float) -> str:
    """Three digits, never with an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}" if value >= 0.01 else "< 0.01"


# ---------------------------------------------------------------- dimers

_START, _POINTS = 0.5, 400
#: A well deeper than this (eV) is no bond but a hole, which the picture says in words.
_DEEPEST, _LOWEST, _HIGHEST = 15.0, -5.0, 20.0


def dimer_curves(
    path: str | Path, potential: Potential, *, shortest: Mapping[str, float] | None = None
) -> None:
    """Draw E(r) - E0 - E0' of two atoms for every pair of elements the model knows.

    Curves run from 0.5 Å (or where the tables begin) to the cut-off; the axis shows the well
    and its repulsive wall, at most -15 to +20 eV. What the separate pair basis adds is dashed.

    Args:
        path: the PNG file to make or replace.
        potential: the model.
        shortest: shortest distance in the training data in Å, by pair ("Si-O" in either
            order); below it the panel is shaded.

    Raises:
        InputError: the file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    species = range(len(potential.model.numbers))
    pairs = list(combinations_with_replacement(species, 2))
    columns = len(pairs) if len(pairs) <= 3 else max(3, ceil(sqrt(len(pairs))))
    rows = ceil(len(pairs) / columns)
    only_pair = _pair_part(potential)
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
            axes.plot(r, energy, color=_COLOURS[0], lw=1.6, label="model", zorder=3)
            if only_pair is not None:
                pair = _dimer(only_pair, a, b)[1]
                axes.plot(r, pair, color=_COLOURS[1], lw=1.0, ls="--", label="pair part", zorder=4)
            _finish_dimer(axes, name, r, energy, _known(shortest or {}, name))
        # The key of the panel with most to explain; not over the line of the cut-off.
        chief = max(grid[: len(pairs)], key=lambda axes: len(axes.get_legend_handles_labels()[1]))
        chief.legend(loc="upper right", bbox_to_anchor=(0.965, 1.0), handletextpad=0.6)


def _pair_part(potential: Potential) -> Potential | None:
    """The same model without many-body functions; None if it has only one of the two."""
    model = potential.model
    is_pair = expansion(model.basis).labels.order == 0
    if not is_pair.any() or is_pair.all():
        return None
    kept = np.where(is_pair, model.coefficients, 0.0)
    return Potential(replace(model, coefficients=kept, committee=None))


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
            color=_COLOURS[1],
            transform=axes.transAxes,
        )
