"""Curves and points as SVG, in the colours of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve", "chart", "colour"]

Floats = NDArray[np.float64]
#: Points of a curve, and of a cloud of points, at most.
_POINTS, _DOTS = 400, 1500
#: Of a chart in pixels: width, height, and room for numbers on the left and below.
_WIDTH, _HEIGHT, _LEFT, _BELOW, _ABOVE, _KEY = 460, 220, 62, 34, 22, 90
#: Lines of the key, and letters of one.
_NAMED, _LONGEST = 11, 14
#: Colours of a page: `var(--c0)` to `var(--c7)`.
_COLOURS = 8


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of a chart, or a cloud of points.

    Args:
        label: of it.
        x: shape (points,).
        y: shape (points,); what is not finite is left out.
        dots: draw points instead of a line.
        names: of the points, which are shown where the pointer is; () for none.
    """

    label: str
    x: Floats
    y: Floats
    dots: bool = False
    names: Sequence[str] = ()


def colour(number: int) -> str:
    """The colour of a curve, by its number."""
    return f"var(--c{number % _COLOURS})"


def chart(
    label: str,
    curves: Sequence[Curve],
    *,
    decades: bool = False,
    below: str = "Iteration",
    marks: Sequence[tuple[str, float]] = (),
) -> str:
    """Curves as SVG.

    Args:
        label: of the quantity, above the chart.
        curves: of common axes.
        decades: whether the vertical axis is logarithmic.
        below: of the common axis.
        marks: names of places on the common axis, which then stand instead of numbers.
    """
    kept = [_sound(curve, decades) for curve in curves]
    x, y = (np.concatenate([getattr(c, of) for c in kept] or [[]]) for of in "xy")
    lines = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">',
        f'<text x="{_LEFT}" y="14" font-weight="bold">{escape(label)}</text>',
    ]
    if len(x):
        across, up = _Axis.around(x), _Axis.around(y)
        lines += _frame(across, up, decades, below, marks)
        for number, curve in enumerate(kept):
            lines.append(_drawn(curve, across, up, colour(number)))
        lines += _key([curve.label for curve in kept])
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
        if not high - low > 1e-12 * max(abs(high), abs(low)):
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
    good = np.isfinite(curve.y) & np.isfinite(curve.x) & ((curve.y > 0.0) | (not decades))
    chosen = np.flatnonzero(good)
    chosen = chosen[:: max(1, -(-len(chosen) // (_DOTS if curve.dots else _POINTS)))]
    x, y = curve.x[chosen], curve.y[chosen]
    names = [curve.names[int(i)] for i in chosen] if curve.names else ()
    return Curve(curve.label, x, np.log10(y) if decades else y, curve.dots, names)


def _drawn(curve: Curve, across: _Axis, up: _Axis, ink: str) -> str:
    """A line, or points with their names."""
    places = [
        (
            _LEFT + across.part(a) * (_WIDTH - _KEY - _LEFT),
            _ABOVE + (1 - up.part(b)) * (_HEIGHT - _ABOVE - _BELOW),
        )
        for a, b in zip(curve.x.tolist(), curve.y.tolist(), strict=True)
    ]
    if not curve.dots:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        style = f"fill:none;stroke:{ink};stroke-width:1.3"
        return f'<polyline points="{points}" style="{style}"/>'
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in places]
    if curve.names:
        dots = [
            f"{dot[:-2]}><title>{escape(name)}</title></circle>"
            for dot, name in zip(dots, curve.names, strict=True)
        ]
    return f'<g style="fill:{ink};fill-opacity:.6">{"".join(dots)}</g>'


def _key(labels: Sequence[str]) -> list[str]:
    """What the colours mean."""
    if not any(labels):
        return []
    shown = list(enumerate(labels))
    more = len(shown) - _NAMED
    lines = []
    for place, (number, label) in enumerate(shown if more <= 0 else shown[: _NAMED - 1]):
        short = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
        lines.append(
            f'<text x="{_WIDTH - _KEY + 6}" y="{_ABOVE + 12 + 14 * place}" '
            f'style="fill:{colour(number)}">{escape(short)}</text>'
        )
    if more > 0:
        at = _ABOVE + 12 + 14 * (_NAMED - 1)
        lines.append(f'<text x="{_WIDTH - _KEY + 6}" y="{at}">and {more + 1} more</text>')
    return lines


def _frame(
    across: _Axis, up: _Axis, decades: bool, below: str, marks: Sequence[tuple[str, float]]
) -> list[str]:
    """The axes of a chart with their numbers."""
    right, bottom = _WIDTH - _KEY, _HEIGHT - _BELOW
    lines = [
        f'<rect x="{_LEFT}" y="{_ABOVE}" width="{right - _LEFT}" height="{bottom - _ABOVE}" '
        'style="fill:none;stroke:var(--line)"/>',
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">'
        f"{escape(below)}</text>",
    ]
    names: dict[float, str] = {}
    for name, place in marks:
        names[place] = f"{names[place]}|{name}" if place in names else name
    for place in names:
        at = _LEFT + across.part(place) * (right - _LEFT)
        lines.append(
            f'<line x1="{at:.1f}" y1="{_ABOVE}" x2="{at:.1f}" y2="{bottom}" '
            'style="stroke:var(--line)"/>'
        )
    shown = names or {tick: f"{tick:g}" for tick in across.ticks}
    for place, name in shown.items():
        at = _LEFT + across.part(place) * (right - _LEFT)
        lines.append(
            f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{escape(name)}</text>'
        )
    for tick in up.ticks:
        at = _ABOVE + (1 - up.part(tick)) * (bottom - _ABOVE)
        text = f"{10**tick:.3g}" if decades else f"{tick:g}"
        lines.append(f'<text x="{_LEFT - 5}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    return lines
