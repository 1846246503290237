"""A survey as one page of HTML with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.io.files import replaced
from acepot.run.chart import Curve, chart
from acepot.run.page import charts, page, table
from acepot.survey.survey import Survey
from acepot.survey.words import GROUPS, extremes, groups, remarks

__all__ = ["write"]

Floats = NDArray[np.float64]
#: Groups with a colour of their own.
_COLOURED = 7
#: Bins of a histogram.
_BINS = 40


def write(found: Survey, path: str | Path) -> None:
    """Write the page of a survey; it holds everything and loads nothing.

    Args:
        found: the survey.
        path: of the page.
    """
    names = ", ".join(Path(count.path).name for count in found.counts)
    body = [f"<h1>Data: {escape(names)}</h1>", *_findings(found), "<h2>Files</h2>"]
    body += [f"<p>{escape(str(count))}</p>" for count in found.counts]
    body += ["<h2>Groups</h2>", table(GROUPS, groups(found)), "<h2>What was found out</h2><ul>"]
    body += [f"<li>{escape(line)}</li>" for line in remarks(found)]
    body += ["</ul><h2>Pictures</h2>", charts(_charts(found)), "<h2>Extremes</h2>"]
    head = ("extreme", "value", "structure", "config_type", "atoms")
    body.append(table(head, extremes(found)))
    with replaced(path) as file:
        file.write(page(f"Data: {names}", body))


def _findings(found: Survey) -> list[str]:
    if not found.findings:
        return ["<p>Nothing strange was found.</p>"]
    return [
        f'<p class="{"wrong" if one.wrong else "strange"}">'
        f"{'Cannot be right' if one.wrong else 'Strange'}: {escape(one.text)}</p>"
        for one in found.findings
    ]


def _charts(found: Survey) -> list[str]:
    numbers = np.arange(len(found.structures), dtype=float)
    periodic = bool(np.isfinite(found.volumes).any())
    along, below = (found.volumes, "Volume (Å³/atom)") if periodic else (numbers, "Structure")
    drawn = [chart("Energy less E0 (eV/atom)", _clouds(found, along, found.excess), below=below)]
    if np.isfinite(found.pressures).any():
        drawn.append(chart("Pressure (GPa)", _clouds(found, along, found.pressures), below=below))
    if np.isfinite(found.forces).any():
        drawn.append(
            chart(
                "Largest force (eV/Å)",
                _clouds(found, found.contacts, found.forces),
                decades=True,
                below="Shortest distance (sums of covalent radii)",
            )
        )
        drawn.append(_histogram(found))
    made = found.steps
    if len(made.energies):
        done = made.forces + made.virials
        pair = [f"{a.name}, {b.name}" for a, b in made.frames]
        ends = np.array([done.min(), done.max()])
        drawn.append(
            chart(
                "Energy difference of neighbours (eV/atom)",
                [Curve("pairs", done, made.energies, True, pair), Curve("equal", ends, ends)],
                below="Work of forces and stresses (eV/atom)",
            )
        )
    return drawn


def _clouds(found: Survey, x: Floats, y: Floats) -> list[Curve]:
    """Points by config type, the largest groups with colours of their own."""
    members: dict[str, list[int]] = {}
    for index, one in enumerate(found.structures):
        members.setdefault(one.config_type, []).append(index)
    ordered = sorted(members.items(), key=lambda pair: -len(pair[1]))
    parts: list[tuple[str, Sequence[int]]] = list(ordered[:_COLOURED])
    if rest := [i for _, own in ordered[_COLOURED:] for i in own]:
        parts.append(("others", rest))
    return [
        Curve(name, x[list(own)], y[list(own)], True, [found.name(i) for i in own])
        for name, own in parts
    ]


def _histogram(found: Survey) -> str:
    """How often components of forces have a size."""
    parts = [np.abs(s.forces).ravel() for s in found.structures if s.forces is not None]
    sizes = np.concatenate(parts)
    sizes = np.log10(sizes[sizes > 1e-4]) if (sizes > 1e-4).any() else np.zeros(1)
    counts, edges = np.histogram(sizes, bins=_BINS)
    middle = 0.5 * (edges[1:] + edges[:-1])
    curve = Curve("", middle, counts.astype(float))
    return chart("Components of forces", [curve], below="log10 of the size in eV/Å")
