"""One HTML page with the curves of a run so far: SVG inside, nothing from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from acepot.io.files import replaced
from acepot.run import log
from acepot.sampling import cells as many
from acepot.sampling.analysis.samples import read_energies
from acepot.sampling.analysis.temperatures import spread
from acepot.sampling.analysis.thermodynamics import curves as functions
from acepot.sampling.cells import Floats
from acepot.sampling.columns import columns
from acepot.sampling.files import energies_name
from acepot.sampling.picture import PANELS
from acepot.sampling.preparation import Prepared
from acepot.sampling.status import Status
from acepot.sampling.walkers import State

__all__ = ["PAGE", "Curve", "Page", "chart"]

PAGE = "ns.html"
#: Seconds between two pages, also of a browser that shows one; a page takes at most one part in so
#: many of the time.
_PAUSE, _SHARE = 10.0, 50
#: Temperatures of the heat capacity: how many, and up to how many times that of now.
_TEMPERATURES, _RANGE = 80, 50.0
#: Points of a curve at most.
_POINTS = 400
#: Of a chart in pixels: width, height, and room for numbers on the left and below.
_WIDTH, _HEIGHT, _LEFT, _BELOW, _ABOVE = 460, 220, 62, 34, 22
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c", "#333333")
_STYLE = (
    "body{font:15px sans-serif;color:#333;margin:1.5em;max-width:1000px}"
    "svg{margin:0 1em 1em 0}text{font:11px sans-serif;fill:#333}"
    "td{padding:.1em 1.2em .1em 0}h1{font-size:1.3em}"
)


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of a chart.

    Args:
        label: of it.
        x: shape (points,).
        y: shape (points,); what is not finite is left out.
    """

    label: str
    x: Floats
    y: Floats


class Page:
    """The page of a run.

    Args:
        folder: of the run.
        prepared: the run.
        names: of the kinds of moves.
    """

    def __init__(self, folder: Path, prepared: Prepared, names: Sequence[str]) -> None:
        self._folder, self._prepared, self._names = folder, prepared, tuple(names)
        self._next = -np.inf

    def is_due(self) -> bool:
        """Whether it is time for another one."""
        return time.monotonic() >= self._next

    def draw(self, state: State, status: Status, *, ended: bool = False) -> None:
        """Write the page anew, from files that are written up to the state.

        Args:
            state: of the sampler.
            status: of the run.
            ended: whether it is at its end, and browsers need not look again.
        """
        begin = time.monotonic()
        ensemble = self._prepared.ensemble
        table = log.read(self._folder / "log.csv", columns(ensemble.replicas, self._names))
        charts = [*self._histories(table), *self._acceptance(table)]
        charts += self._thermodynamics(state, status)
        with replaced(self._folder / PAGE) as file:
            file.write(_html(self._folder.resolve().name, status, charts, ended))
        now = time.monotonic()
        self._next = now + max(_PAUSE, _SHARE * (now - begin))

    def _histories(self, table: dict[str, Floats]) -> list[str]:
        """Enthalpy, volume and temperature of each replica."""
        atoms, pressures = self._prepared.ensemble.atoms, self._prepared.config.ensemble.pressures
        found = []
        for label, column, each, decades in PANELS:
            curves = [
                Curve(
                    f"{pressure:g} GPa",
                    table["iteration"],
                    table[f"P{k}_{column}"] / (atoms if each else 1),
                )
                for k, pressure in enumerate(pressures)
            ]
            if column.startswith("enthalpy"):  # the first ones are those of overlapping atoms
                low = min((float(c.y.min()) for c in curves if len(c.y)), default=0.0)
                curves = [
                    Curve(c.label, c.x, np.where(c.y < low + 12.0, c.y, np.nan)) for c in curves
                ]
            found.append(chart(label, curves, decades=decades))
        return found

    def _acceptance(self, table: dict[str, Floats]) -> list[str]:
        """Moves that are accepted, on average over the replicas."""
        replicas = range(self._prepared.ensemble.replicas)
        curves = [
            Curve(
                name,
                table["iteration"],
                np.mean([100.0 * table[f"P{k}_{name}_accepted"] for k in replicas], axis=0),
            )
            for name in self._names
        ]
        return [chart("Accepted (%)", curves)]

    def _thermodynamics(self, state: State, status: Status) -> list[str]:
        """Heat capacity and volume over temperature, as far as the run is."""
        prepared, now = self._prepared, status.temperatures
        atoms, capacity, volume = prepared.ensemble.atoms, list[Curve](), list[Curve]()
        if state.iteration <= prepared.settings.walkers or not (now > 0.0).all():
            return []
        live = many.volumes(state.walkers.cells)
        kelvin = spread(float(now.min()), _RANGE * float(now.max()), _TEMPERATURES)
        for k, pressure in enumerate(prepared.config.ensemble.pressures):
            samples = read_energies(self._folder / energies_name(k))
            found = functions(samples.with_live(state.walkers.total[k], live[k]), kelvin)
            above = kelvin >= now[k]
            label, t = f"{pressure:g} GPa", np.log10(kelvin[above])
            capacity.append(Curve(label, t, found.heat_capacity[above] / atoms))
            volume.append(Curve(label, t, found.volume[above] / atoms))
        return [
            chart("Heat capacity (k/atom)", capacity, below="log10 of the temperature in K"),
            chart(
                "Mean volume (Å³/atom)", volume, decades=True, below="log10 of the temperature in K"
            ),
        ]


def _html(name: str, status: Status, charts: Sequence[str], ended: bool) -> str:
    """The page."""
    again = "" if ended else f'<meta http-equiv="refresh" content="{_PAUSE:.0f}">'
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    state = escape(f"finished: {status}" if ended else str(status))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        f"<title>{escape(name)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Nested sampling: {escape(name)}</h1><p>{state}</p><p>{now}</p>"
        f"{''.join(charts)}</body></html>\n"
    )


def chart(
    label: str, curves: Sequence[Curve], *, decades: bool = False, below: str = "Iteration"
) -> str:
    """Curves as SVG.

    Args:
        label: of the quantity, above the chart.
        curves: of common axes.
        decades: whether the vertical axis is logarithmic.
        below: of the common axis.
    """
    kept = [_sound(curve, decades) for curve in curves]
    x, y = (np.concatenate([getattr(c, of) for c in kept] or [[]]) for of in "xy")
    lines = [
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(label)}">',
        f'<text x="{_LEFT}" y="14" font-weight="bold">{escape(label)}</text>',
    ]
    if len(x):
        across, up = _Axis.around(x), _Axis.around(y)
        lines += _frame(across, up, decades, below)
        for curve, colour in zip(kept, _COLOURS * 9, strict=False):
            points = " ".join(
                f"{_LEFT + across.part(a) * (_WIDTH - 90 - _LEFT):.1f},"
                f"{_ABOVE + (1 - up.part(b)) * (_HEIGHT - _ABOVE - _BELOW):.1f}"
                for a, b in zip(curve.x.tolist(), curve.y.tolist(), strict=True)
            )
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
            )
        for place, (curve, colour) in enumerate(zip(kept, _COLOURS * 9, strict=False)):
            lines.append(
                f'<text x="{_WIDTH - 84}" y="{_ABOVE + 12 + 14 * place}" style="fill:{colour}">'
                f"{escape(curve.label)}</text>"
            )
    return "".join([*lines, "</svg>"])


@dataclass(frozen=True)
class _Axis:
    """From where to where, and where numbers stand."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def around(cls, values: Floats) -> _Axis:
        low, high = float(values.min()), float(values.max())
        if not high > low:
            low, high = low - 0.5, high + 0.5
        step = 10.0 ** np.floor(np.log10((high - low) / 4))
        step *= next((f for f in (1, 2, 5, 10) if (high - low) / (f * step) <= 5), 10)
        first = np.ceil(low / step)
        ticks = [float((first + k) * step) for k in range(12) if (first + k) * step <= high]
        return cls(low, high, tuple(ticks))

    def part(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def _sound(curve: Curve, decades: bool) -> Curve:
    """A curve of few points that can be drawn, logarithms where decades are."""
    good = np.isfinite(curve.y) & ((curve.y > 0.0) | (not decades))
    x, y = curve.x[good], curve.y[good]
    step = max(1, -(-len(x) // _POINTS))
    x, y = x[::step], y[::step]
    return Curve(curve.label, x, np.log10(y) if decades else y)


def _frame(across: _Axis, up: _Axis, decades: bool, below: str) -> list[str]:
    """The axes of a chart with their numbers."""
    right, bottom = _WIDTH - 90, _HEIGHT - _BELOW
    lines = [
        f'<rect x="{_LEFT}" y="{_ABOVE}" width="{right - _LEFT}" height="{bottom - _ABOVE}" '
        'fill="none" stroke="#bbb"/>',
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">'
        f"{escape(below)}</text>",
    ]
    for tick in across.ticks:
        at = _LEFT + across.part(tick) * (right - _LEFT)
        lines.append(f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    for tick in up.ticks:
        at = _ABOVE + (1 - up.part(tick)) * (bottom - _ABOVE)
        text = f"{10**tick:.3g}" if decades else f"{tick:g}"
        lines.append(f'<text x="{_LEFT - 5}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    return lines
