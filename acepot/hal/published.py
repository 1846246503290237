"""What a run shows of itself after every cycle: models, reports, the data base of ASE, the page."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from acepot.hal.config import HalConfig
from acepot.hal.database import Record
from acepot.hal.learner import Learner
from acepot.hal.page import AGAIN, PAGE, draw
from acepot.hal.state import State
from acepot.io import modelfile
from acepot.io.files import replaced
from acepot.uncertainty.posterior_file import save_posterior

__all__ = ["MODEL", "MODELS", "POSTERIOR", "REPORT", "Published", "WRITES"]

#: The model as it is, its posterior, and what its fit says; the folder with those of all cycles.
MODEL, POSTERIOR, REPORT, MODELS = "model.acepot", "posterior.acepot", "report.json", "models"
_DATABASE = "data.db"
WRITES = (MODEL, POSTERIOR, REPORT, _DATABASE, PAGE)


class Published:
    """Files that others read; the run itself does not.

    Args:
        folder: of the run.
        config: of the run.
    """

    def __init__(self, folder: Path, config: HalConfig) -> None:
        self._folder, self._config = folder, config
        self._shown, self._behind = -np.inf, False

    def cycle(self, records: list[Record], state: State, learner: Learner) -> None:
        """After a fit. The data base of ASE and the page, which are made anew, now and then.

        Args:
            records: the data base.
            state: of the run, at the beginning of the next cycle.
            learner: with the fit.
        """
        places = [self._folder]
        if self._config.output.models:
            places.append(self._folder / MODELS / f"{state.cycle - 1:04d}")
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
            modelfile.save(learner.fit.model, place / MODEL)
            with replaced(place / REPORT) as file:
                json.dump(_plain(learner.fit.report), file, indent=1)
        save_posterior(learner.posterior, self._folder / POSTERIOR)
        self._behind = True
        if time.monotonic() - self._shown >= AGAIN and not state.finished:
            self._show(records, state, learner)

    def catch_up(self, records: list[Record], state: State, learner: Learner | None) -> None:
        """What was left out after cycles, where a run is stopped."""
        if self._behind:
            self._show(records, state, learner)

    def end(self, records: list[Record], state: State, learner: Learner | None) -> None:
        """At the end of a run, also of one that had ended before."""
        self._show(records, state, learner)

    def _show(self, records: list[Record], state: State, learner: Learner | None) -> None:
        self._database(records)
        if learner is not None:
            draw(self._folder, self._config, state, learner)
        self._shown, self._behind = time.monotonic(), False

    def _database(self, records: list[Record]) -> None:
        if self._config.output.database and records:
            from acepot.hal.asedb import write

            write(self._folder / _DATABASE, records)


def _plain(value: Any) -> Any:
    """What JSON can hold of a report."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value
