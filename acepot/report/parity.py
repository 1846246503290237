"""A picture (PNG) of how well a model reproduces its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.fitting.observables import Observable
from acepot.potential import Potential
from acepot.run.figure import picture
from acepot.structure import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["ParityData", "parity", "parity_data"]

_FAINT = "#8c8c8c"
#: Colours that most colour-blind people can tell apart (Okabe and Ito, without yellow).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8a5a2b")
#: For more groups than that: matplotlib's tab20, strong colours first.
_MANY_COLOURS = tuple(
    f"#{colour}"
    for colour in """1f77b4 ff7f0e 2ca02c d62728 9467bd 8c564b e377c2 7f7f7f bcbd22 17becf
    aec7e8 ffbb78 98df8a ff9896 c5b0d5 c49c94 f7b6d2 c7c7c7 dbdb8d 9edae5""".split()
)


@dataclass(frozen=True, eq=False)
class ParityData:
    """Labels and predictions of one observable for one config type.

    Args:
        quantity: its name: "energy" (eV/atom, less E0 or a mean, so that the axis shows what was
            learned), "forces" (components in eV/Å), "virial" (components in eV/atom), ...
        split: "train", "test" or any other name of a row of panels.
        config_type: the group, which gives the colour.
        reference: the labels, any shape.
        predicted: the model's values, same shape.

    Raises:
        InputError: unknown quantity, no numbers, different shapes or numbers not finite.
    """

    quantity: str
    split: str
    config_type: str
    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]

    def __post_init__(self) -> None:
        Observable.named(self.quantity, "quantity")
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


def parity_data(
    potential: Potential, split: str, structures: Sequence[Structure], results: Sequence[Result]
) -> list[ParityData]:
    """Labels and predictions by observable and config type, ready to draw.

    Args:
        potential: what predicted them; its E0 is taken off the energies.
        split: "train", "test" or another name for a row of panels.
        structures: with labels.
        results: predictions in the same order.
    """
    model, evaluate = potential.model, potential.compute_all
    gathered: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
    for structure, result in zip(structures, results, strict=True):
        n = len(structure)
        e0 = float(model.e0[species_indices(model.numbers, structure.numbers)].sum())
        for one in Observable.known.values():
            if (label := one.label(structure, e0)) is None:
                continue
            found = one.less_e0(one.predicted(structure, result, evaluate), e0)
            pair = one.per_unit(label, n), one.per_unit(found, n)
            gathered.setdefault((one.name, structure.config_type), []).append(pair)
    return [
        ParityData(
            quantity,
            split,
            group,
            np.concatenate([p[0] for p in pairs]),
            np.concatenate([p[1] for p in pairs]),
        )
        for (quantity, group), pairs in gathered.items()
    ]


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
    columns = [q for q in Observable.known if any(d.quantity == q for d in panels)]
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
                main.set_title(f"{Observable.known[quantity].title}, {split}")
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
    unit = Observable.known[data[0].quantity].unit
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
