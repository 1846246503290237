"""What was found as a page, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from acepot.io.files import replaced
from acepot.properties.equation import birch_murnaghan
from acepot.properties.values import Finding, References, Value
from acepot.run.chart import Curve, chart
from acepot.run.page import charts, page, table

__all__ = ["FILES", "lines", "written"]

PAGE, JSON, CSV = "properties.html", "properties.json", "properties.csv"
FILES = (PAGE, JSON, CSV)
Findings = Mapping[str, Mapping[str, Finding]]


def written(
    findings: Findings, source: str, references: References, folder: Path, model: str
) -> None:
    """Write page, JSON and CSV, each complete or as it was.

    Args:
        findings: by structure and property.
        source: of the errors, in words; empty: there are none.
        references: to compare with.
        folder: for the files.
        model: name of its file.
    """
    said = {
        "model": model,
        "errors": source or "none: the model has neither committee nor posterior",
        "reference": references.name if references.structures else "",
        "structures": {
            name: {
                kind: {
                    **asdict(one),
                    "values": [
                        {**asdict(v), "reference": references.of(name, v.name)} for v in one.values
                    ],
                }
                for kind, one in found.items()
            }
            for name, found in findings.items()
        },
    }
    with replaced(folder / JSON) as file:
        json.dump(said, file, indent=1)
    with replaced(folder / CSV) as file:
        file.write(_csv(findings, references))
    with replaced(folder / PAGE) as file:
        file.write(page(f"Potential: {model}", _body(findings, source, references, model)))


def _csv(findings: Findings, references: References) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["structure", "property", "value", "error", "unit", "reference", "how"])
    for name, found in findings.items():
        for value in (v for one in found.values() for v in one.values):
            known = references.of(name, value.name)
            numbers = [value.value, value.error, known]
            a, b, c = ("" if n is None else f"{n:.8g}" for n in numbers)
            writer.writerow([name, value.name, a, b, value.unit, c, value.how])
    return text.getvalue()


def _row(value: Value, known: float | None) -> list[str]:
    """Cells of a table: name, value with error, unit, reference, deviation, how."""
    digits = 4 if abs(value.value) < 1 else 3 if abs(value.value) < 100 else 1
    shown = f"{value.value:.{digits}f}"
    if value.error is not None:
        shown += f" ± {value.error:.{digits}f}"
    cells = [value.name, shown, value.unit]
    if known is None:
        return [*cells, "", "", value.how]
    off = value.value - known
    part = f" ({off / abs(known):+.1%})" if known else ""
    return [*cells, f"{known:.{digits}f}", f"{off:+.{digits}f}{part}", value.how]


_HEAD = ("property", "model ± error", "unit", "reference", "deviation", "error by")


def lines(findings: Findings, references: References) -> list[str]:
    """What was found as lines of text."""
    found: list[str] = []
    for name, table_ in findings.items():
        found.append(name)
        for value in (v for one in table_.values() for v in one.values):
            cells = _row(value, references.of(name, value.name))
            text = f"  {cells[0]:<28} {cells[1]:>20} {cells[2]:<9}"
            found.append(f"{text} {cells[3]:>10} {cells[4]}".rstrip())
        found += [f"  {note}" for one in table_.values() for note in one.notes]
    return found


def _body(findings: Findings, source: str, references: References, model: str) -> list[str]:
    words = [f"<h1>Potential: {escape(model)}</h1>"]
    errors = (
        f"Errors are root-mean-square deviations of {source} from the model; the last column says "
        "how each was found."
        if source
        else "The model has neither a committee nor a posterior: no errors are stated."
    )
    words.append(f"<p>{escape(errors)}</p>")
    if references.structures:
        words.append(f"<p>Reference: {escape(references.name)}</p>")
    for name, found in findings.items():
        words.append(f"<h2>{escape(name)}</h2>")
        rows = [
            _row(value, references.of(name, value.name))
            for one in found.values()
            for value in one.values
        ]
        words.append(table(_HEAD, rows))
        if matrix := found.get("elastic", Finding()).curves.get("constants"):
            words.append("<h3>Elastic constants (GPa)</h3>")
            names = [f"{i + 1}" for i in range(6)]
            cells = [[names[i], *(f"{value:.1f}" for value in row)] for i, row in enumerate(matrix)]
            words.append(table(["", *names], cells))
        words.append(charts(_charts(found)))
        notes = [note for one in found.values() for note in one.notes]
        names_ = [value.name for one in found.values() for value in one.values]
        if unused := references.unused(name, names_):
            notes.append(f"Reference values of what was not computed: {', '.join(unused)}.")
        words += [f"<p{_style(note)}>{escape(note)}</p>" for note in notes]
    return words


def _style(note: str) -> str:
    bad = any(
        word in note
        for word in (
            "IMAGINARY",
            "NOT at rest",
            "NO coexistence",
            "unstable",
            "fell into",
            "NEGATIVE",
        )
    )
    return ' class="wrong"' if bad else ' class="faint"'


def _charts(found: Mapping[str, Finding]) -> list[str]:
    curves: dict[str, Any] = {}
    for one in found.values():
        curves |= one.curves
    drawn = []
    if "volumes" in curves:
        v, e = np.array(curves["volumes"]), np.array(curves["energies"])
        dense = np.linspace(v.min(), v.max(), 100)
        fitted = birch_murnaghan(v, e)
        low = fitted.energy
        parts = [
            Curve("Birch-Murnaghan", dense, (fitted(dense) - low) * 1e3),
            Curve("model", v, (e - low) * 1e3, dots=True),
        ]
        drawn.append(chart("E - E0 (meV/atom)", parts, below="Volume (Å³/atom)"))
    if "bands" in curves:
        x = np.array(curves["distances"])
        bands = np.array(curves["bands"])
        lines_ = [Curve("", x, band) for band in bands]
        marks = [(str(name), float(place)) for name, place in curves["labels"]]
        drawn.append(chart("Phonons (THz)", lines_, below="", marks=marks))
        level, density = np.array(curves["levels"]), np.array(curves["density"])
        drawn.append(chart("Density of states (1/THz)", [Curve("", level, density)], below="THz"))
    if "thermal" in curves:
        t = np.array(curves["temperatures"])
        alpha = np.array(curves["thermal"])
        parts = [Curve("α", t, alpha)]
        if all(error is not None for error in curves["thermal errors"]):
            error = np.array(curves["thermal errors"])
            parts += [Curve("+ error", t, alpha + error), Curve("- error", t, alpha - error)]
        label = "Linear thermal expansion (1e-6/K)"
        drawn.append(chart(label, parts, below="Temperature (K)"))
    return drawn
