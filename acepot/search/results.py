"""What a search leaves: a table, a page, a picture, and settings of the fits on the front."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from html import escape
from pathlib import Path

import numpy as np

from acepot.fitting.config import FitConfig, dump_config
from acepot.fitting.recipe import Recipe
from acepot.io.files import replaced
from acepot.run.chart import Curve, chart
from acepot.run.figure import logarithmic, picture
from acepot.run.page import charts, page
from acepot.run.page import table as html_table
from acepot.search.outcome import Aim, Outcome, excess, front, table

__all__ = ["FITS", "PAGE", "PICTURE", "TABLE", "draw", "fit_of", "toml_name", "write"]

TABLE, PAGE, PICTURE, FITS = "front.csv", "front.html", "front.png", "fits"
#: Titles of errors, and their units.
_TITLES = {"energy": ("Energy", "meV/atom"), "forces": ("Forces", "meV/Å")}
_SHOWN = {
    "tried": "left out",
    "front": "left out, on the front",
    "test": "test, on the front",
    "given": "default, left out",
}
_COLOURS = {"tried": "#b0b0b0", "front": "#0072b2", "test": "#009e73", "given": "#d55e00"}


def write(outcomes: Sequence[Outcome], aim: Aim, folder: Path, *, ended: bool) -> None:
    """Write the table and the page of what was tried so far.

    Args:
        outcomes: of candidates.
        aim: by what they are compared.
        folder: where to.
        ended: whether all were tried; if not, browsers load the page again.
    """
    with replaced(folder / TABLE) as file:
        file.write(table(outcomes, aim))
    with replaced(folder / PAGE) as file:
        file.write(_page(outcomes, aim, folder.resolve().name, ended))


def fit_of(config: FitConfig, recipe: Recipe) -> FitConfig:
    """The fit of a candidate: that of the search with what is the candidate's own."""
    shared = {f.name for f in fields(Recipe)} & {f.name for f in fields(FitConfig)} - {"e0"}
    return replace(config, **{name: getattr(recipe, name) for name in sorted(shared)})


def toml_name(name: str) -> str:
    """The file name for the settings of a candidate."""
    return re.sub(r"[^\w.+-]+", "-", name) + ".toml"


def write_fits(
    outcomes: Sequence[Outcome], aim: Aim, recipe_of: Callable[[str], Recipe], config: FitConfig,
    folder: Path,
) -> None:  # fmt: skip
    """Write the TOML of every fit on the front, which `acepot fit` takes."""
    home = folder / FITS
    home.mkdir(exist_ok=True)
    for one in front(outcomes, aim):
        with replaced(home / toml_name(one.name)) as file:
            file.write(dump_config(fit_of(config, recipe_of(one.name)), home))


def draw(outcomes: Sequence[Outcome], aim: Aim, path: Path) -> None:
    """Errors against cost, of all candidates and of those on the front.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    names = [name for name in _TITLES if f"{name} {aim.measure}" in outcomes[0].left_out]
    best = front(outcomes, aim)
    with picture(path, 3.4 * len(names) + 0.3, 3.2) as figure:
        for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            key = f"{name} {aim.measure}"
            for label, some, of, how in _groups(outcomes, best):
                x = [one.cost for one in some]
                y = [getattr(one, of)[key] for one in some]
                colour = _COLOURS[label]
                axis.plot(x, y, how, color=colour, label=_SHOWN[label], markersize=3.5, linewidth=1)
            logarithmic(axis)
            axis.set_xlabel("Cost (µs/atom)")
            title, unit = _TITLES[name]
            axis.set_ylabel(f"{title} {aim.measure.upper()} ({unit})")
        axis.legend()
        figure.tight_layout()


def _groups(
    outcomes: Sequence[Outcome], best: Sequence[Outcome]
) -> list[tuple[str, list[Outcome], str, str]]:
    """What is drawn: name, outcomes, which of their errors, how."""
    return [
        ("tried", list(outcomes), "left_out", "o"),
        ("front", list(best), "left_out", "o-"),
        ("test", [one for one in best if one.test], "test", "s--"),
        ("given", [one for one in outcomes if one.given], "left_out", "D"),
    ]


def _page(outcomes: Sequence[Outcome], aim: Aim, name: str, ended: bool) -> str:
    best = front(outcomes, aim)
    words = [f"<h1>{escape(name)}: errors against cost</h1>"]
    words.append(
        f"<p>{len(outcomes)} models, each fitted with every part of the training data left out in "
        f"turn; {len(best)} are better than all that cost as much or less. None was chosen by test "
        "data.</p>"
    )
    words += [f"<p>{escape(line)}</p>" for line in verdicts(outcomes, aim)]
    drawn = [
        _chart(name, aim, outcomes, best)
        for name in _TITLES
        if any(f"{name} {aim.measure}" in one.left_out for one in outcomes)
    ]
    words += [charts(drawn), "<h2>The front</h2>", _rows(best, aim)]
    words += ["<h2>All models</h2>", _rows(sorted(outcomes, key=lambda o: o.cost), aim)]
    return page(name, words, again=None if ended else 10.0)


def verdicts(outcomes: Sequence[Outcome], aim: Aim) -> list[str]:
    """For people: how what a fit takes by itself compares with the front."""
    found = []
    for one in outcomes:
        if not one.given:
            continue
        times = excess(one, outcomes, aim)
        as_good = [o for o in outcomes if aim.of(o) <= aim.of(one)]
        least = min(as_good, key=lambda o: o.cost)
        if times == 1:
            found.append(f"{one.name} ({one.functions} functions) is on the front")
        else:
            found.append(
                f"{one.name} ({one.functions} functions) is off the front: for its cost there are "
                f"errors {100 * (1 - 1 / times):.0f} % smaller, and {least.name} is as good for "
                f"{least.cost / one.cost:.2f} of its cost"
            )
    return found


def _chart(name: str, aim: Aim, outcomes: Sequence[Outcome], best: Sequence[Outcome]) -> str:
    key, (title, unit) = f"{name} {aim.measure}", _TITLES[name]
    curves = []
    for label, some, of, how in _groups(outcomes, best):
        kept = [one for one in some if key in getattr(one, of)]
        x = np.log10([one.cost for one in kept]) if kept else np.zeros(0)
        y = np.array([getattr(one, of)[key] for one in kept])
        dots = "-" not in how
        curves.append(Curve(label, x, y, dots, [one.name for one in kept] if dots else ()))
    below = "log10 of the cost in µs/atom"
    return chart(f"{title} {aim.measure.upper()} ({unit})", curves, decades=True, below=below)


def _rows(outcomes: Sequence[Outcome], aim: Aim) -> str:
    keys = [f"{name} {aim.measure}" for name in _TITLES]
    head = ["model", "degree", "functions", "µs/atom", *keys, *(f"test {k}" for k in keys)]
    rows = []
    for one in outcomes:
        errors = [one.left_out.get(k) for k in keys] + [one.test.get(k) for k in keys]
        cells = ["" if value is None else f"{value:.3g}" for value in errors]
        rows.append([one.name, one.degree, f"{one.functions:,}", f"{one.cost:.2f}", *cells])
    return html_table(head, rows)
