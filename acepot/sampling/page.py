"""One HTML page with the curves of a run so far: SVG inside, nothing from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from acepot.io.files import replaced
from acepot.run import log
from acepot.run.chart import Curve, chart
from acepot.run.page import charts, page
from acepot.sampling import cells as many
from acepot.sampling.analysis.samples import read_energies
from acepot.sampling.analysis.temperatures import spread
from acepot.sampling.analysis.thermodynamics import curves as functions
from acepot.sampling.cells import Floats
from acepot.sampling.columns import columns
from acepot.sampling.files import energies_name
from acepot.sampling.picture import PANELS
from acepot.sampling.preparation import Prepared
from acepot.sampling.status import Status
from acepot.sampling.walkers import State

__all__ = ["PAGE", "Page"]

PAGE = "ns.html"
#: Seconds between two pages, also of a browser that shows one; a page takes at most one part in so
#: many of the time.
_PAUSE, _SHARE = 10.0, 50
#: Temperatures of the heat capacity: how many, and up to how many times that of now.
_TEMPERATURES, _RANGE = 80, 50.0


class Page:
    """The page of a run.

    Args:
        folder: of the run.
        prepared: the run.
        names: of the kinds of moves.
    """

    def __init__(self, folder: Path, prepared: Prepared, names: Sequence[str]) -> None:
        self._folder, self._prepared, self._names = folder, prepared, tuple(names)
        self._next = -np.inf

    def is_due(self) -> bool:
        """Whether it is time for another one."""
        return time.monotonic() >= self._next

    def draw(self, state: State, status: Status, *, ended: bool = False) -> None:
        """Write the page anew, from files that are written up to the state.

        Args:
            state: of the sampler.
            status: of the run.
            ended: whether it is at its end, and browsers need not look again.
        """
        begin = time.monotonic()
        ensemble = self._prepared.ensemble
        table = log.read(self._folder / "log.csv", columns(ensemble.replicas, self._names))
        drawn = [*self._histories(table), *self._acceptance(table)]
        drawn += self._thermodynamics(state, status)
        with replaced(self._folder / PAGE) as file:
            file.write(_html(self._folder.resolve().name, status, drawn, ended))
        now = time.monotonic()
        self._next = now + max(_PAUSE, _SHARE * (now - begin))

    def _histories(self, table: dict[str, Floats]) -> list[str]:
        """Enthalpy, volume and temperature of each replica."""
        atoms, pressures = self._prepared.ensemble.atoms, self._prepared.config.ensemble.pressures
        found = []
        for label, column, each, decades in PANELS:
            curves = [
                Curve(
                    f"{pressure:g} GPa",
                    table["iteration"],
                    table[f"P{k}_{column}"] / (atoms if each else 1),
                )
                for k, pressure in enumerate(pressures)
            ]
            if column.startswith("enthalpy"):  # the first ones are those of overlapping atoms
                low = min((float(c.y.min()) for c in curves if len(c.y)), default=0.0)
                curves = [
                    Curve(c.label, c.x, np.where(c.y < low + 12.0, c.y, np.nan)) for c in curves
                ]
            found.append(chart(label, curves, decades=decades))
        return found

    def _acceptance(self, table: dict[str, Floats]) -> list[str]:
        """Moves that are accepted, on average over the replicas."""
        replicas = range(self._prepared.ensemble.replicas)
        curves = [
            Curve(
                name,
                table["iteration"],
                np.mean([100.0 * table[f"P{k}_{name}_accepted"] for k in replicas], axis=0),
            )
            for name in self._names
        ]
        return [chart("Accepted (%)", curves)]

    def _thermodynamics(self, state: State, status: Status) -> list[str]:
        """Heat capacity and volume over temperature, as far as the run is."""
        prepared, now = self._prepared, status.temperatures
        atoms, capacity, volume = prepared.ensemble.atoms, list[Curve](), list[Curve]()
        if state.iteration <= prepared.settings.walkers or not (now > 0.0).all():
            return []
        live = many.volumes(state.walkers.cells)
        kelvin = spread(float(now.min()), _RANGE * float(now.max()), _TEMPERATURES)
        for k, pressure in enumerate(prepared.config.ensemble.pressures):
            samples = read_energies(self._folder / energies_name(k))
            found = functions(samples.with_live(state.walkers.total[k], live[k]), kelvin)
            above = kelvin >= now[k]
            label, t = f"{pressure:g} GPa", np.log10(kelvin[above])
            capacity.append(Curve(label, t, found.heat_capacity[above] / atoms))
            volume.append(Curve(label, t, found.volume[above] / atoms))
        return [
            chart("Heat capacity (k/atom)", capacity, below="log10 of the temperature in K"),
            chart(
                "Mean volume (Å³/atom)", volume, decades=True, below="log10 of the temperature in K"
            ),
        ]


def _html(name: str, status: Status, drawn: Sequence[str], ended: bool) -> str:
    """The page."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    state = escape(f"finished: {status}" if ended else str(status))
    body = [f"<h1>Nested sampling: {escape(name)}</h1><p>{state}</p><p>{now}</p>", charts(drawn)]
    return page(name, body, again=None if ended else _PAUSE)
