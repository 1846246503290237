"""Structures as SVG: balls in the colour of a number, seen from one side."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import SYMBOLS
from acepot.structure import Structure

__all__ = ["balls"]

Floats = NDArray[np.float64]
#: Pixels across, and of the margin.
_SIZE, _MARGIN = 300, 26
#: Atoms that are drawn, the ones in front.
_MOST = 600
#: Radii of balls in bond lengths.
_BALL = 0.28
#: From where one looks: a turn by 25 degrees about z and one by 15 degrees about x.
_TURN, _TILT = np.radians(25.0), np.radians(75.0)


def balls(structure: Structure, values: Floats, unit: str) -> str:
    """Draw a structure.

    Args:
        structure: atoms and cell.
        values: of the atoms, shape (n,), which give the colours from 0 (pale) to the largest.
        unit: of the values.
    """
    view = _view()
    flat = structure.positions @ view
    corners = _corners(structure) @ view
    seen = np.vstack([flat, corners]) if len(corners) else flat
    low, high = seen[:, :2].min(axis=0), seen[:, :2].max(axis=0)
    scale = (_SIZE - 2 * _MARGIN) / max(float((high - low).max()), 3.0)
    middle = 0.5 * (low + high)

    def place(point: Floats) -> tuple[float, float]:
        x, y = (point[:2] - middle) * scale
        return _SIZE / 2 + float(x), _SIZE / 2 - float(y)

    lines = [f'<svg viewBox="0 0 {_SIZE} {_SIZE}" role="img" style="max-width:{_SIZE}px">']
    for a, b in _edges(corners):
        (x, y), (u, v) = place(a), place(b)
        lines.append(
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}" '
            'style="stroke:var(--line)"/>'
        )
    most = max(float(values.max(initial=0.0)), 1e-12)
    for atom in np.argsort(flat[:, 2], kind="stable")[-_MOST:].tolist():
        x, y = place(flat[atom])
        symbol = SYMBOLS[int(structure.numbers[atom])]
        radius = max(_BALL * BOND_LENGTHS.get(int(structure.numbers[atom]), 2.5) * scale, 2.0)
        part = float(values[atom]) / most
        lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
            f'style="fill:hsl(8 85% {92 - 47 * part:.0f}%);stroke:#5558">'
            f"<title>{escape(symbol)}, atom {atom}: {values[atom]:.3g} {escape(unit)}</title>"
            "</circle>"
        )
    return "".join([*lines, "</svg>"])


def _view() -> Floats:
    """Columns: to the right, up, and towards the eye."""
    c, s = np.cos(_TURN), np.sin(_TURN)
    about_z = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    c, s = np.cos(_TILT), np.sin(_TILT)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
    return np.asarray(about_z @ about_x)


def _corners(structure: Structure) -> Floats:
    """The eight corners of the cell in Å; none without one."""
    if not structure.pbc.any() or structure.volume == 0:
        return np.zeros((0, 3))
    steps = np.array(np.meshgrid(*3 * [(0, 1)], indexing="ij")).reshape(3, -1).T
    return np.asarray(steps @ structure.cell)


def _edges(corners: Floats) -> list[tuple[Floats, Floats]]:
    """Pairs of corners that an edge joins: those whose numbers differ in one binary digit."""
    return [
        (corners[i], corners[i | 1 << k])
        for i in range(len(corners))
        for k in range(3)
        if not i >> k & 1
    ]
