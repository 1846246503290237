"""One HTML page of a run: what was found, how the errors fell, and what triggered."""

from __future__ import annotations

import time
from collections import Counter
from html import escape
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.hal.columns import LABELLED, TRIGGERS, USES, WALKS
from acepot.hal.config import HalConfig
from acepot.hal.influence import influence
from acepot.hal.learner import Learner
from acepot.hal.state import State
from acepot.io.files import replaced
from acepot.potential import Potential
from acepot.run import log
from acepot.run.chart import Curve, chart
from acepot.run.page import charts, page, table
from acepot.structure import Structure

__all__ = ["AGAIN", "PAGE", "draw"]

Floats = NDArray[np.float64]
PAGE = "hal.html"
#: Seconds after which a browser shows the page of a run anew that goes on.
AGAIN = 10.0
#: Å and eV: where curves of two atoms begin and end, and what of them is shown.
_NEAR, _POINTS, _HIGHEST = 0.5, 200, 20.0


def draw(folder: Path, config: HalConfig, state: State, learner: Learner) -> None:
    """Write the page anew.

    Args:
        folder: of the run.
        config: of the run.
        state: of the run.
        learner: with the fit as it is.
    """
    labels = log.read(folder / "labelled.csv", LABELLED)
    walks = log.read(folder / "walks.csv", WALKS)
    name = folder.resolve().name
    words = state.finished or f"cycle {state.cycle} comes next"
    body = [
        f"<h1>Hyperactive learning: {escape(name)}</h1>",
        f"<p>{state.begun} reference calculations, {escape(words)}</p>",
        f'<p class="faint">{time.strftime("%Y-%m-%d %H:%M:%S")}</p>',
        charts([*_errors(labels), *_visited(walks, config), *_dimers(learner.potential)]),
        "<h2>What was labelled</h2>",
        _triggers(labels),
        "<h2>Errors of the fit</h2>",
        _fit_table(learner),
    ]
    if state.finished:  # it takes the rows of all structures once more
        trained = labels["use"] == USES.index("train")
        numbers = labels["calculation"][trained].astype(int).tolist()
        body += ["<h2>Leverage</h2>", influence(learner.fit.left_out, numbers)]
    with replaced(folder / PAGE) as file:
        file.write(page(name, body, again=None if state.finished else AGAIN))


def _errors(labels: dict[str, Floats]) -> list[str]:
    """What the model erred on structures before they were fitted."""
    count, wrong = labels["calculation"], labels["force_error_eV_A"]
    expected = labels["force_spread_eV_A"]
    names = [f"calculation {k:.0f}" for k in count]
    line = np.array([0.0, float(np.nanmax(expected, initial=0.0))])
    return [
        chart(
            "Force error on new structures (eV/Å)",
            [
                Curve("found", count, wrong, dots=True, names=names),
                Curve("expected", count, expected, dots=True, names=names),
            ],
            decades=True,
            below="Reference calculations",
        ),
        chart(
            "Force error found (eV/Å)",
            [Curve("", expected, wrong, dots=True, names=names), Curve("equal", line, line)],
            below="Force error expected (eV/Å)",
        ),
        chart(
            "Energy error on new structures (meV/atom)",
            [
                Curve(
                    "found", count, 1e3 * np.abs(labels["energy_error_eV"]), dots=True, names=names
                )
            ],
            decades=True,
            below="Reference calculations",
        ),
    ]


def _visited(walks: dict[str, Floats], config: HalConfig) -> list[str]:
    """Energies, volumes, bias and uncertainty along all walks, one after the other."""
    row = np.arange(len(walks["cycle"]), dtype=float)
    tolerance = np.full(len(row), config.criterion.tolerance)
    found = [
        chart(
            "Energy of walkers (eV/atom)",
            [Curve("", row, walks["energy_eV"], dots=True)],
            below="Row of walks.csv",
        ),
        chart(
            "Largest uncertainty of an atom",
            [
                Curve("largest", row, walks["grade"], dots=True),
                Curve("90 %", row, walks["quantile"], dots=True),
                Curve("tolerance", row, tolerance),
            ],
            below="Row of walks.csv",
        ),
        chart(
            "Strength of the bias τ",
            [Curve("", row, walks["tau"], dots=True)],
            below="Row of walks.csv",
        ),
    ]
    if (walks["volume_A3"] > 0).any():
        found.insert(
            1,
            chart(
                "Volume of walkers (Å³/atom)",
                [Curve("", row, walks["volume_A3"], dots=True)],
                below="Row of walks.csv",
            ),
        )
    return found


def _dimers(potential: Potential) -> list[str]:
    """Energies of two atoms, of every pair of elements."""
    numbers, e0 = [int(z) for z in potential.model.numbers], potential.model.e0
    cutoff = float(max(t.end.max() for t in potential.tables.radial))
    lengths = np.linspace(_NEAR, cutoff, _POINTS)
    curves = []
    for a, b in combinations_with_replacement(range(len(numbers)), 2):
        pairs = [
            Structure([numbers[a], numbers[b]], [[0.0, 0.0, 0.0], [x, 0.0, 0.0]]) for x in lengths
        ]
        found = potential.compute_all(pairs, failures="keep")
        energies = np.array([one.energy for one in found]) - e0[a] - e0[b]
        label = f"{SYMBOLS[numbers[a]]}-{SYMBOLS[numbers[b]]}"
        shown = np.abs(energies) < _HIGHEST
        curves.append(Curve(label, lengths, np.where(shown, energies, np.nan)))
    return [chart("Energy of two atoms (eV)", curves, below="Distance (Å)")]


def _triggers(labels: dict[str, Floats]) -> str:
    """How many structures each trigger brought, and what the model erred on them."""
    rows = []
    counts = Counter(labels["trigger"].astype(int).tolist())
    for number, name in enumerate(TRIGGERS):
        if not counts[number]:
            continue
        mine = labels["trigger"] == number
        wrong = labels["force_error_eV_A"][mine]
        known = np.isfinite(wrong)
        error = f"{np.sqrt(np.mean(wrong[known] ** 2)):.3f}" if known.any() else "-"
        last = f"{int(labels['calculation'][mine].max())}"
        rows.append([name, str(counts[number]), error, last])
    return table(["trigger", "structures", "force error before (eV/Å)", "last calculation"], rows)


def _fit_table(learner: Learner) -> str:
    """Errors of the last fit on its own data."""
    rows = []
    for kind, errors in learner.fit.report["train"].items():
        found = [f"{errors[key]['rmse']:.4g}" if key in errors else "-" for key in ("E", "F", "V")]
        rows.append([kind, *found])
    head = ["why labelled", "energy (meV/atom)", "forces (meV/Å)", "virials (meV/atom)"]
    return table(head, rows)
