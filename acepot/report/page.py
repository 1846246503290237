"""The report of a fit as one page of HTML: errors, pictures and the worst structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.observables import Observable
from acepot.io.files import replaced
from acepot.report.chemiscope import Spread
from acepot.report.drawing import balls
from acepot.report.metrics import Report
from acepot.report.parity import ParityData
from acepot.report.worst import Deviation, ranked
from acepot.run.chart import Curve, chart
from acepot.run.page import charts, page, table

__all__ = ["write"]

Floats = NDArray[np.float64]
#: Structures that are drawn, and atoms of one at most.
_DRAWN, _MOST_ATOMS = 6, 600
#: Values of a cloud of points that are taken from all over the data.
_CLOUD = 3000


def write(
    path: str | Path,
    name: str,
    report: Mapping[str, Any],
    panels: Sequence[ParityData],
    parts: Mapping[str, Sequence[Deviation]],
    sigma: Sequence[tuple[Deviation, Spread]] = (),
    interactive: str = "",
) -> None:
    """Write the page; it holds everything and loads nothing.

    Args:
        path: of the page.
        name: of the fit.
        report: of the fit, as in report.json.
        panels: labels and predictions.
        parts: how far the model is from each structure of "train" and "test".
        sigma: spreads of a committee, of some structures.
        interactive: the name of a file for chemiscope beside the page; "" for none.
    """
    body = [f"<h1>Fit: {escape(name)}</h1>", *_facts(report)]
    for part in parts:
        body += [f"<h2>Errors, {part}</h2>", _errors(report[part])]
    body += ["<h2>Predictions and labels</h2>", charts(_parity(panels))]
    if sigma:
        body += ["<h2>Errors and the spread of the committee</h2>", charts([_reliability(sigma)])]
    spread = {id(one): size for one, size in sigma}
    for part, found in parts.items():
        body += [f"<h2>Worst structures, {part}</h2>", *_worst(ranked(found), spread)]
    if interactive:
        body.append(
            f"<p>Every structure with the errors of its atoms: load {escape(interactive)}, which "
            "lies beside this page, at chemiscope.org.</p>"
        )
    with replaced(path) as file:
        file.write(page(f"Fit: {name}", body))


def _facts(report: Mapping[str, Any]) -> list[str]:
    """Warnings, size, reference energies, method."""
    lines = [f'<p class="strange">{escape(line)}</p>' for line in report["warnings"]]
    size, solver = report["basis"], report["solver"]
    e0 = ", ".join(
        f"{symbol} {one['energy']:.6g} eV ({one['origin']})" for symbol, one in report["e0"].items()
    )
    facts = [
        f"{size['total']} functions; {report['elimination']['rows']} rows of "
        f"{', '.join(report['fitted'])}; solver {solver['kind']}",
        f"E0: {e0}",
    ]
    return [*lines, *(f"<p>{escape(fact)}</p>" for fact in facts)]


def _errors(report: Report) -> str:
    """A table of errors by config type, all at the end."""
    known = [one for one in Observable.known.values() if one.letter in report["all"]]
    head = ["config_type"]
    for one in known:
        head += [f"{one.letter} number", f"MAE (m{one.unit})", f"RMSE (m{one.unit})"]
    rows = []
    for group in [name for name in report if name != "all"] + ["all"]:
        row = [group]
        for one in known:
            entry = report[group].get(one.letter)
            row += (
                ["-"] * 3
                if entry is None
                else [str(entry["count"]), f"{entry['mae']:.3f}", f"{entry['rmse']:.3f}"]
            )
        rows.append(row)
    return table(head, rows)


def _parity(panels: Sequence[ParityData]) -> list[str]:
    """A chart for every quantity and part of the data, and one of its errors."""
    drawn = []
    for quantity, split in dict.fromkeys((p.quantity, p.split) for p in panels):
        own = [p for p in panels if (p.quantity, p.split) == (quantity, split)]
        one = Observable.known[quantity]
        step = max(1, sum(p.reference.size for p in own) // _CLOUD)
        clouds = [
            Curve(p.config_type, p.reference.ravel()[::step], p.error[::step], dots=True)
            for p in own
        ]
        drawn.append(
            chart(
                f"{one.title}, {split}: error (m{one.unit})", clouds,
                below=f"Label ({one.unit})",
            )
        )  # fmt: skip
    return drawn


def _reliability(sigma: Sequence[tuple[Deviation, Spread]]) -> str:
    """Errors of forces on atoms against their spread."""
    errors, sizes = [], []
    for one, spread in sigma:
        if one.structure.forces is not None:
            errors.append(np.linalg.norm(one.result.forces - one.structure.forces, axis=1))
            sizes.append(spread.forces)
    if not errors:
        energies = np.array([one.sizes["E"] for one, _ in sigma])
        spread_of = np.array([1000 * spread.energy for _, spread in sigma])
        cloud = [Curve("structures", spread_of, energies, dots=True)]
        return chart("Error of energies (meV/atom)", cloud, below="Spread (meV/atom)")
    error, size = np.concatenate(errors), np.concatenate(sizes)
    step = max(1, len(error) // _CLOUD)
    cloud = [Curve("atoms", np.log10(np.maximum(size[::step], 1e-9)), error[::step], dots=True)]
    return chart(
        "Error of the force (eV/Å)", cloud, decades=True, below="log10 of the spread in eV/Å"
    )


def _worst(found: Sequence[Deviation], spread: Mapping[int, Spread]) -> list[str]:
    """A table, and drawings of the first few."""
    known = [o for o in Observable.known.values() if any(o.letter in d.sizes for d in found)]
    head = [
        "structure",
        "config_type",
        "atoms",
        *(f"{o.letter} (m{o.unit})" for o in known),
        "atom",
    ]
    rows = [
        [
            d.where,
            d.structure.config_type,
            str(len(d.structure)),
            *(f"{d.sizes[o.letter]:.1f}" if o.letter in d.sizes else "-" for o in known),
            "-" if d.atom is None else str(d.atom),
        ]
        for d in found
    ]
    drawn: list[str] = []
    for d in found:
        if d.structure.forces is None or len(d.structure) > _MOST_ATOMS or len(drawn) >= _DRAWN:
            continue
        errors = np.linalg.norm(d.result.forces - d.structure.forces, axis=1)
        caption = f"{d.where}: force errors up to {errors.max():.3g} eV/Å"
        if id(d) in spread:
            caption += f", sigma up to {spread[id(d)].forces.max():.3g} eV/Å"
        drawn.append(f'{balls(d.structure, errors, "eV/Å")}<p class="faint">{escape(caption)}</p>')
    return [table(head, rows), charts(drawn)]
