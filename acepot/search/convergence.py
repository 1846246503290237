"""Errors against one setting at a time: a study of convergence in its folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import inf
from pathlib import Path

import numpy as np

from acepot.evaluate.native import processors
from acepot.fitting.choice import choose
from acepot.fitting.config import FitConfig, dump_config
from acepot.fitting.labels.examination import trusted
from acepot.fitting.pipeline import read
from acepot.fitting.resume import digest
from acepot.io.files import replaced
from acepot.run.chart import Curve, chart
from acepot.run.figure import logarithmic, picture, require_matplotlib
from acepot.run.folder import run_folder
from acepot.run.page import charts, page, table
from acepot.schema import to_toml
from acepot.search.fits import Data
from acepot.search.outcome import Outcome
from acepot.search.search import Search
from acepot.search.settings import SearchSettings
from acepot.search.sweeps import Sweep, candidates, usual

__all__ = ["PAGE", "PICTURE", "SETTINGS", "TABLE", "Swept", "converge"]

SETTINGS, TABLE = "converge.toml", "convergence.csv"
PAGE, PICTURE = "convergence.html", "convergence.png"
#: What settings are called on axes.
_AXES = {
    "cutoff": "Cut-off (Å)",
    "reach": "Cut-off (r0)",
    "order": "Correlation order",
    "degree": "Largest degree",
    "prior": "Exponent of the prior",
}
_TITLES = {"energy": ("Energy", "meV/atom"), "forces": ("Forces", "meV/Å")}
#: Errors within this factor of the least count as converged.
_NEARLY = 1.05
_COLOURS = ("#0072b2", "#009e73")


@dataclass(frozen=True)
class Swept:
    """What one sweep found.

    Args:
        sweep: setting and values.
        outcomes: of each value, None where the fit failed.
    """

    sweep: Sweep
    outcomes: tuple[Outcome | None, ...]

    @property
    def rows(self) -> list[tuple[float, Outcome]]:
        """Values with outcomes."""
        pairs = zip(self.sweep.values, self.outcomes, strict=True)
        return [(value, one) for value, one in pairs if one is not None]

    def verdict(self, aim: SearchSettings) -> str:
        """In a line: where errors are least, and the cheapest value that is nearly as good."""
        if not self.rows:
            return f"{self.sweep.setting}: no fit succeeded"
        scores = {value: aim.of(one) for value, one in self.rows}
        least = min(scores, key=lambda value: scores[value])
        nearly = [v for v, one in self.rows if scores[v] <= _NEARLY * scores[least]]
        costs = {value: one.cost for value, one in self.rows}
        cheap = min(nearly, key=lambda value: costs[value])
        line = f"{self.sweep.setting}: errors are least at {least:g} ({costs[least]:.2f} µs/atom)"
        if cheap == least:
            return line
        more = 100 * (scores[cheap] / scores[least] - 1)
        return f"{line}; {cheap:g} has {more:.0f} % larger ones for {costs[cheap]:.2f} µs/atom"


def converge(
    config: FitConfig,
    folder: str | Path,
    sweeps: Sequence[Sweep] = (),
    settings: SearchSettings | None = None,
    *,
    say: Callable[[str], None],
    threads: int | None = None,
    plots: bool = True,
) -> list[Swept]:
    """Fit with one setting changed at a time, every part of the data left out in turn.

    Leaves `convergence.csv`, `convergence.html`, `convergence.png` and `converge.toml`. However the
    process ends, the same call goes on from the last fit.

    Args:
        config: of the fit that the settings are varied around.
        folder: for the results.
        sweeps: settings and their values; (): reach, order, degree and prior.
        settings: of these folds, by and measure count; None: the defaults.
        say: called with lines for people.
        threads: structures handled at once; None: one per processor.
        plots: draw the picture, which needs matplotlib.

    Raises:
        InputError: data, configuration or folder are wrong.
        MissingDependency: plots without matplotlib.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    threads, aim = threads or processors(), settings or SearchSettings()
    train, test, notes = read(config, say)
    recipe = replace(config.recipe, tried=())
    choice = choose(recipe, train, test, "data.fit", threads=threads)
    accept = config.data.accept_labels
    trusted(choice, train, test, notes, say, accept=accept, threads=threads)
    say(f"around: {choice.basis_line or 'the basis as given'}")
    chosen = tuple(sweeps) or usual(choice)
    each = list(candidates(recipe, choice, chosen))
    data = Data(train, test, aim.folds, threads)
    contents = {"training data": digest(train), "test data": digest(test)}
    with run_folder(folder, SETTINGS, writes=(TABLE, PAGE, PICTURE), say=say) as home:
        text = dump_config(config, home.path.resolve())
        own = {one.setting: list(one.values) for one in chosen}
        about = {"kind": "convergence"}
        tables = to_toml({"sweep": own, "folds": {"count": aim.folds}})
        last = home.begin(f"{text}\n{tables}", about, contents)
        every = tuple({one.name: one for _, _, one in each}.values())
        search = Search(every, data, aim, inf, home, last, say)

        def found() -> list[Swept]:
            return [
                Swept(s, tuple(search.outcomes.get(c.name) for t, _, c in each if t is s))
                for s in chosen
            ]

        search.run(lambda: _write(found(), aim, home.path, ended=False))
        _write(found(), aim, home.path, ended=True)
        if plots:
            _draw(found(), aim, home.path / PICTURE)
        for swept in found():
            say(swept.verdict(aim))
    return found()


def _write(found: Sequence[Swept], aim: SearchSettings, folder: Path, *, ended: bool) -> None:
    keys = [f"{name} {measure}" for name in _TITLES for measure in ("mae", "rmse")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["sweep", "value", "functions", "cost", *keys, *(f"test {key}" for key in keys)]
    writer.writerow(head)
    rows = []
    for swept in found:
        for value, one in swept.rows:
            errors = [one.left_out.get(key) for key in keys] + [one.test.get(key) for key in keys]
            numbers = [value, one.functions, one.cost, *errors]
            rows.append([swept.sweep.setting, *("" if n is None else f"{n:.5g}" for n in numbers)])
    writer.writerows(rows)
    with replaced(folder / TABLE) as file:
        file.write(text.getvalue())
    name = folder.resolve().name
    words = [f"<h1>{escape(name)}: convergence</h1>"]
    words += [f"<p>{escape(swept.verdict(aim))}</p>" for swept in found if swept.rows]
    drawn = [_chart(swept, quantity, aim) for swept in found for quantity in _TITLES if swept.rows]
    words += [charts(drawn), table(head, rows)]
    with replaced(folder / PAGE) as file:
        file.write(page(f"{name}: convergence", words, again=None if ended else 10.0))


def _lines(
    swept: Swept, quantity: str, aim: SearchSettings
) -> list[tuple[str, list[float], list[float]]]:
    """Errors for what was left out, and for test structures if there are any."""
    key, lines = f"{quantity} {aim.measure}", []
    for label, of in (("left out", "left_out"), ("test", "test")):
        kept = [(value, getattr(one, of)) for value, one in swept.rows]
        pairs = [(value, errors[key]) for value, errors in kept if key in errors]
        if pairs:
            lines.append((label, [v for v, _ in pairs], [e for _, e in pairs]))
    return lines


def _chart(swept: Swept, quantity: str, aim: SearchSettings) -> str:
    title, unit = _TITLES[quantity]
    curves = [Curve(n, np.array(x), np.array(y)) for n, x, y in _lines(swept, quantity, aim)]
    label = f"{title} {aim.measure.upper()} ({unit})"
    return chart(label, curves, decades=True, below=_AXES[swept.sweep.setting])


def _draw(found: Sequence[Swept], aim: SearchSettings, path: Path) -> None:
    """A row of panels for each sweep."""
    with picture(path, 6.6, 2.4 * len(found) + 0.2) as figure:
        grid = figure.subplots(len(found), len(_TITLES), squeeze=False)
        for row, swept in zip(grid, found, strict=True):
            for axis, (quantity, (title, unit)) in zip(row, _TITLES.items(), strict=True):
                lines = _lines(swept, quantity, aim)
                for (label, x, y), colour in zip(lines, _COLOURS, strict=False):
                    axis.plot(x, y, "o-", color=colour, label=label, markersize=3.5, linewidth=1)
                logarithmic(axis, across=False)
                axis.set_xlabel(_AXES[swept.sweep.setting])
                axis.set_ylabel(f"{title} {aim.measure.upper()} ({unit})")
        grid[0, 0].legend()
        figure.tight_layout()
