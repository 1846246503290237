"""The report of the chain as a page, as JSON and as lines of text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from acepot.chain.level import Level, Quantity
from acepot.io.files import replaced
from acepot.run.page import page, table

__all__ = ["JSON", "PAGE", "lines", "written"]

PAGE, JSON = "chain.html", "chain.json"
#: Widths of normal intervals.
_WIDTHS = {"68": 0.99446, "90": 1.64485, "95": 1.95996}


def written(
    levels: Sequence[Level], quantities: Sequence[Quantity], name: str, structure: str, folder: Path
) -> None:
    """Write page and JSON.

    Args:
        levels: of the chain, the lowest first.
        quantities: with the contributions of all of them.
        name: of the reference.
        structure: as it was named.
        folder: for the files.
    """
    told = {
        "structure": structure,
        "reference": name,
        "levels": [
            {"name": one.name, "files": dict(one.files), "errors": [asdict(e) for e in one.errors]}
            for one in levels
        ],
        "quantities": [
            {
                **asdict(one),
                "sigma": one.sigma if one.contributions else None,
                "largest": None if one.largest is None else one.largest.level,
            }
            for one in quantities
        ],
        "reference values inside": _inside(quantities),
    }
    with replaced(folder / JSON) as file:
        file.write(json.dumps(told, indent=1, allow_nan=False) + "\n")
    with replaced(folder / PAGE) as file:
        file.write(page(f"Errors: {structure}", _body(levels, quantities, name, structure)))


def _inside(quantities: Sequence[Quantity]) -> dict[str, list[int]]:
    """How many reference values lie within stated intervals, and of how many."""
    known = [(one, one.reference) for one in quantities if one.contributions]
    both = [(abs(one.value - r), one.sigma) for one, r in known if r is not None]
    return {
        level: [sum(off <= width * sigma for off, sigma in both), len(both)]
        for level, width in _WIDTHS.items()
    }


def _held_out(level: Level) -> list[list[str]]:
    rows = []
    for one in level.errors:
        held = " / ".join(f"{one.holds[key]:.1f}" for key in _WIDTHS)
        rows.append(
            [level.name, one.what, f"{one.count}", f"{one.rmse:.3g} {one.unit}", held,
             f"{one.scale:.2f}"]
        )  # fmt: skip
    return rows


_ERRORS = ("level", "held out", "numbers", "RMSE", "68 / 90 / 95 % hold for", "factor of σ")


def _rows(quantities: Sequence[Quantity], names: Sequence[str]) -> list[list[str]]:
    """A line for each quantity: value, error, that of every level, reference."""
    rows = []
    for one in quantities:
        digits = 4 if abs(one.value) < 1 else 3 if abs(one.value) < 100 else 1
        if one.contributions and one.sigma < 10**-digits:
            digits = 6
        parts = []
        for name in names:
            mine = [c.sigma for c in one.contributions if c.level == name]
            parts.append(f"{sum(s**2 for s in mine) ** 0.5:.2g}" if mine else "")
        error = f"{one.sigma:.{digits}f}" if one.contributions else ""
        known = "" if one.reference is None else f"{one.reference:.{digits}f}"
        off = ""
        if one.reference is not None and one.contributions and one.sigma > 0:
            off = f"{(one.value - one.reference) / one.sigma:+.1f}"
        largest = "" if one.largest is None else one.largest.level
        rows.append(
            [one.name, f"{one.value:.{digits}f}", error, one.unit, *parts, largest, known, off]
        )
    return rows


def _head(names: Sequence[str]) -> list[str]:
    parts = [f"σ {name}" for name in names]
    return ["quantity", "value", "σ", "unit", *parts, "largest", "reference", "off, σ"]


def lines(levels: Sequence[Level], quantities: Sequence[Quantity]) -> list[str]:
    """The two tables as text."""
    names = [one.name for one in levels]
    first = [list(_ERRORS), *(row for one in levels for row in _held_out(one))]
    second = [_head(names), *_rows(quantities, names)]
    made = []
    for rows in (first, second):
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        for row in rows:
            cells = [
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            made.append("  ".join(cells).rstrip())
        made.append("")
    return [*made, _said(quantities)]


def _said(quantities: Sequence[Quantity]) -> str:
    found = _inside(quantities)
    if not found["68"][1]:
        return "The reference has no values of its own to compare with."
    held = ", ".join(f"{n} within {level} %" for level, (n, _) in found.items())
    return f"Of {found['68'][1]} values of the reference {held} of their intervals."


def _body(
    levels: Sequence[Level], quantities: Sequence[Quantity], name: str, structure: str
) -> list[str]:
    names = [one.name for one in levels]
    words = [
        f"<h1>From the reference to {escape(structure)}</h1>",
        f"<p>Reference: {escape(name)}. Each level was judged on structures that it was not "
        "fitted to; its own deviations are multiplied by the factor with which they are as large "
        "as errors there. Intervals of a structure are as wide as |error|/σ of other ones is.</p>",
        table(_ERRORS, [row for one in levels for row in _held_out(one)]),
        "<h2>Quantities</h2><p>Contributions of levels are independent and add up by squares."
        f" {escape(_said(quantities))}</p>",
        table(_head(names), _rows(quantities, names)),
        "<h2>Where each number is</h2>",
        table(
            ("number", "level", "value", "file", "key", "how"),
            [row for one in quantities for row in _sources(one)],
        ),
        "<h2>Files</h2>",
        table(
            ("level", "file", "SHA-256"),
            [[one.name, path, digest] for one in levels for path, digest in one.files.items()],
        ),
    ]
    notes = [note for one in levels for note in one.notes]
    return [*words, *(f"<p>{escape(note)}</p>" for note in notes)]


def _sources(one: Quantity) -> list[list[str]]:
    rows = [[one.name, one.level, f"{one.value:.8g}", one.file, one.key, ""]]
    for part in one.contributions:
        rows.append(
            [f"σ of {one.name}", part.level, f"{part.sigma:.3g}", part.file, part.key, part.how]
        )
    return rows
