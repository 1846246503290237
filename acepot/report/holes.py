"""What a look for holes leaves: a picture, the structures and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.holes.judgement import Curve
from acepot.holes.scan import Scan, scan
from acepot.io.files import about
from acepot.io.registry import load
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.extxyz import write_structures
from acepot.neighbours import nearest
from acepot.potential import Potential
from acepot.report.evaluation import made, write_json
from acepot.run.figure import picture, require_matplotlib
from acepot.run.progress import Progress
from acepot.run.publication import publishing
from acepot.structure import Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_holes", "look_for_holes"]

_FAINT, _GOOD, _BAD = "#8c8c8c", "#0072b2", "#d55e00"
_STRUCTURES, _PICTURE = "holes.extxyz", "holes.png"
#: Shortest distances of data are looked for below this, in Å.
_REACH = 4.0
#: Panels for pairs of elements, those with holes first.
_MOST_PANELS = 24


def look_for_holes(
    model: str | Path,
    data: str | Path | None = None,
    *,
    folder: str | Path | None = None,
    report: str | Path | None = None,
    seed: int = 0,
    plots: bool = True,
    say: Callable[[str], None],
) -> Scan:
    """Look for holes in the potential-energy surface of a model file.

    Args:
        model: the file.
        data: structures whose shortest distances it is judged by; None: those that the model
            says it was fitted to.
        folder: gets `holes.extxyz`, the structures, if there are any, and `holes.png`.
        report: a JSON file to write.
        seed: of the random cells.
        plots: draw the picture, which needs matplotlib.
        say: called with lines for people.

    Raises:
        MissingDependency: plots without matplotlib.
        InputError: files that cannot be read or written.
    """
    if folder is not None and plots:
        require_matplotlib(", or do without: --no-plots")
    shortest = None if data is None else _shortest(read_structures(data)[0])
    with about(model):
        potential = Potential(load(model))
    progress: list[Progress] = []

    def watch(done: int, total: int) -> None:
        if not progress:
            progress.append(Progress("looking for holes", total))
        progress[0].update(done)

    found = scan(potential, shortest=shortest, seed=seed, watch=watch)
    if report is not None:
        write_json(report, {"model": str(model), **found.report()})
    if folder is not None:
        folder = made(folder)
        with publishing(folder, (_STRUCTURES, _PICTURE), say, what="holes") as files:
            if found.holes:
                structures = [hole.structure for hole in found.holes]
                energies = [r.energy for r in potential.compute_all(structures)]
                write_structures(files.file(_STRUCTURES), structures, energies=energies)
            else:
                (folder / _STRUCTURES).unlink(missing_ok=True)  # of an earlier look
            if plots:
                draw_holes(files.file(_PICTURE), found)
        if found.holes:
            say(f"structures: {folder / _STRUCTURES}")
        if plots:
            say(f"picture: {folder / _PICTURE}")
    return found


def _shortest(structures: Sequence[Structure]) -> dict[str, float]:
    """Shortest distance of every pair of elements in structures, in Å."""
    found: dict[str, float] = {}
    for structure in structures:
        for (a, b), length in nearest(structure, _REACH).items():
            name = f"{SYMBOLS[a]}-{SYMBOLS[b]}"
            found[name] = min(length, found.get(name, length))
    return found


def draw_holes(path: str | Path, found: Scan) -> None:
    """Draw energy per atom against the shortest distance: dimers, trimers and squeezed cells.

    A panel for every pair of elements, at most 24, and one each for all trimers and all cells.
    Where something is wrong the curve is orange, and a cross is at the place.

    Args:
        path: the PNG file to make or replace.
        found: what to draw.

    Raises:
        InputError: the file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    panels: dict[str, list[Curve]] = {}
    for curve in sorted(found.curves, key=lambda one: one.hole is None):
        kind = curve.path.kind
        if kind == "dimer" and len(panels) < _MOST_PANELS:
            panels[curve.path.name] = [curve]
    for kind in ("trimer", "squeezed cell"):
        panels[f"{kind}s"] = [curve for curve in found.curves if curve.path.kind == kind]
    columns = max(3, ceil(sqrt(len(panels))))
    rows = ceil(len(panels) / columns)
    with picture(path, 3.0 * columns, 2.4 * rows) as figure:
        figure.set_layout_engine("constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.supxlabel("shortest distance (Å)", fontsize=9)
        figure.supylabel("energy less free atoms (eV per atom)", fontsize=9)
        for axes, (name, curves) in zip(grid, panels.items(), strict=False):
            _draw_panel(axes, name, curves)


def _draw_panel(axes: Axes, name: str, curves: Sequence[Curve]) -> None:
    many = len(curves) > 1
    axes.axhline(0.0, color=_FAINT, lw=0.6)
    for curve in sorted(curves, key=lambda one: one.hole is not None):
        each = curve.energies / len(curve.path.numbers)
        color = _GOOD if curve.hole is None else _BAD
        axes.plot(curve.distances, each, color=color, lw=0.6 if many else 1.4)
        if curve.hole is not None:
            atoms = len(curve.path.numbers)
            axes.plot(curve.hole.distance, curve.hole.energy / atoms, "x", color=_BAD, ms=4)
    if not many and curves:
        path = curves[0].path
        if path.unseen > path.overlap:
            where = path.unseen * path.distance
            axes.axvline(where, color=_FAINT, ls="--", lw=0.8, label="shortest in the data")
        where = path.overlap * path.distance
        axes.axvline(where, color=_FAINT, ls=":", lw=0.8, label="atoms overlap")
        axes.legend(loc="upper right")
    holes = sum(curve.hole is not None for curve in curves)
    of = f", {holes} of {len(curves)} with a hole" if many and holes else ""
    axes.set_title(name + (" (hole)" if holes and not many else of))
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_xlim(left=0.0)
    low = min((float(np.min(c.energies)) / len(c.path.numbers) for c in curves), default=-1.0)
    axes.set_ylim(min(1.5 * low, -1.0), 60.0)
    axes.tick_params(top=True, right=True)
