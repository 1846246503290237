"""The front as table, picture and text: who is where, and what ours cost at the same error."""

from __future__ import annotations

import csv
from pathlib import Path

from acepot.run.figure import logarithmic, picture

COLUMNS = ("element", "kind", "name", "coefficients", "energy", "forces", "cost", "seconds")
UNITS = {"energy": "Energy MAE (meV/atom)", "forces": "Force MAE (meV/Å)"}
COLOURS = {"acepot": "#0072b2", "POD": "#d55e00", "SNAP": "#009e73", "qSNAP": "#cc79a7",
           "MTP": "#e69f00"}  # fmt: skip


def write(rows: list[dict], out: Path, head: str) -> str:
    """Write front.csv, front.png and front.txt; the text."""
    with (out / "front.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows([{k: _short(v) for k, v in row.items()} for row in rows])
    _draw(rows, out / "front.png")
    text = "\n\n".join(
        [head, *(_table(rows, e) for e in dict.fromkeys(r["element"] for r in rows))]
    )
    (out / "front.txt").write_text(text + "\n")
    return text


def at_error(rows: list[dict], peer: dict, of: str) -> dict | None:
    """Our cheapest model that is at least as good as a peer; None: there is none."""
    ours = [r for r in rows if r["kind"] == "acepot" and r["element"] == peer["element"]]
    good = [r for r in ours if r[of] <= peer[of]]
    return min(good, key=lambda r: r["cost"]) if good else None


def _table(rows: list[dict], element: str) -> str:
    mine = sorted((r for r in rows if r["element"] == element), key=lambda r: r["cost"])
    lines = [f"{element}: test MAE, CPU time of one core; × at: how many times as much as our "
             "cheapest model that is as good"]  # fmt: skip
    lines.append(f"{'':42} {'coeff.':>7} {'meV/atom':>9} {'meV/Å':>7} {'µs/atom':>8} "
                 f"{'× at E':>7} {'× at F':>7}")  # fmt: skip
    for row in mine:
        cells = ["", ""]
        if row["kind"] != "acepot":
            found = [at_error(rows, row, of) for of in UNITS]
            cells = ["none" if f is None else f"{row['cost'] / f['cost']:.1f}" for f in found]
        lines.append(
            f"{row['name']:42} {row['coefficients'] or '':>7} {row['energy']:9.3f} "
            f"{row['forces']:7.2f} {row['cost']:8.2f} {cells[0]:>7} {cells[1]:>7}"
        )
    return "\n".join(lines)


def _draw(rows: list[dict], path: Path) -> None:
    elements = list(dict.fromkeys(row["element"] for row in rows))
    with picture(path, 6.8, 3.0 * len(elements)) as figure:
        grid = figure.subplots(len(elements), 2, squeeze=False)
        for line, element in zip(grid, elements, strict=True):
            for axis, (of, label) in zip(line, UNITS.items(), strict=True):
                for kind, colour in COLOURS.items():
                    some = [r for r in rows if r["element"] == element and r["kind"] == kind]
                    some.sort(key=lambda r: r["cost"])
                    how = "o-" if kind in ("acepot", "POD") else "s"
                    x, y = [r["cost"] for r in some], [r[of] for r in some]
                    axis.plot(x, y, how, color=colour, label=kind, markersize=3.5, linewidth=1)
                logarithmic(axis)
                axis.set(xlabel="CPU time (µs/atom)", ylabel=label)
                axis.set_title(element)
        grid[0, 0].legend()
        figure.tight_layout()


def _short(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value
