"""A search in its folder: candidates are tried one after another, and it goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import ConvergenceError, InputError
from acepot.fitting.fitted import silent
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.resume import memory_in
from acepot.lowering import lower
from acepot.model import Model
from acepot.run.checkpoint import CannotGoOnError, Checkpoint
from acepot.run.folder import RunFolder
from acepot.run.progress import clock
from acepot.run.signals import stop_request
from acepot.schema import from_mapping, to_mapping
from acepot.search.candidate import Candidate, Family, families, is_linear
from acepot.search.cost import Meter, sample
from acepot.search.fits import Data, Rows
from acepot.search.outcome import Aim, Outcome, excess
from acepot.search.rows import rows_of
from acepot.search.trial import tried
from acepot.tables import Tables

__all__ = ["Search"]

#: Folder for the rows that are being made.
_ROWS = "rows"
#: What a candidate takes beside the square of its hundreds of functions.
_FIXED = 4.0


class Search:
    """Candidates, and what has become of them so far.

    Args:
        candidates: in the order in which they are tried.
        data: structures.
        aim: by what models are compared.
        slack: as of `SearchSettings`; infinite: nothing is left out.
        home: the folder, ready.
        last: its checkpoint; None: there is none.
        say: called with lines for people.
        budget: µs for an atom beyond which nothing grows.

    Attributes:
        outcomes: of those that were tried, by name.
        failed: why others could not be, by name.
    """

    def __init__(
        self,
        candidates: tuple[Candidate, ...],
        data: Data,
        aim: Aim,
        slack: float,
        home: RunFolder,
        last: Checkpoint | None,
        say: Callable[[str], None],
        budget: float = np.inf,
    ) -> None:
        self._candidates, self._data, self._aim = candidates, data, aim
        self._slack, self._budget = slack, budget
        self._home, self._last, self._say = home, last, say
        self.outcomes: dict[str, Outcome] = {}
        self.failed: dict[str, str] = {}
        known = None if last is None else self._restored(home.path / last.state)
        self._meter = Meter(sample(data.train), _reference(candidates[0]), known)
        self._began, self._before = time.monotonic(), self._weight(self._decided())

    def run(self, after_family: Callable[[], None]) -> None:
        """Try what is left to try.

        Args:
            after_family: called when something new is there to look at.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
        """
        with stop_request() as stop:
            for stage in self._stages():
                for family in families(stage):
                    if not (pending := list(self._pending(family))):
                        continue
                    rows = (
                        self._rows(families(pending)[0]) if is_linear(pending[0].recipe) else None
                    )
                    for one in pending:
                        if stop.is_set():
                            count = f"{len(self.outcomes)} of {len(self._candidates)} models"
                            self._say(f"stopped after {count}; the same command goes on from there")
                            raise KeyboardInterrupt
                        if self._is_worth(one):
                            self._try(one, rows)
                    after_family()

    def _stages(self) -> Iterator[list[Candidate]]:
        """Small models, then larger ones, then those that are not linear.

        What small ones of a cut-off tell decides whether rows of large ones are made.
        """
        linear = [one for one in self._candidates if is_linear(one.recipe)]
        ranks = [self._rank(one) for one in linear]
        middle = (max(ranks, default=0) + 1) // 2
        for wanted in (False, True):
            yield [c for c, rank in zip(linear, ranks, strict=True) if (rank >= middle) == wanted]
        yield [one for one in self._candidates if not is_linear(one.recipe)]

    def _rank(self, candidate: Candidate) -> int:
        """How many smaller ones its chain has; what a fit would take by itself is large."""
        if not candidate.chain:
            return len(self._candidates)
        return [one.name for one in self._chain(candidate)].index(candidate.name)

    def _chain(self, candidate: Candidate) -> list[Candidate]:
        return [one for one in self._candidates if one.chain == candidate.chain]

    def _pending(self, family: Family) -> Iterator[Candidate]:
        for one in family.members:
            if not self._is_known(one) and self._may_be_worth(one, family):
                yield one

    def _is_known(self, candidate: Candidate) -> bool:
        return candidate.name in self.outcomes or candidate.name in self.failed

    def _may_be_worth(self, candidate: Candidate, family: Family) -> bool:
        """Whether it can still become worth a trial while the family is tried."""
        if candidate.chain:
            for one in self._chain(candidate):
                if one.name == candidate.name:
                    break
                if not self._is_known(one) and one in family.members:
                    return self._may_be_worth(one, family)
        return self._is_worth(candidate)

    def _is_worth(self, candidate: Candidate) -> bool:
        """Whether what is known of smaller ones, or of its linear twin, speaks for it."""
        if candidate.given:
            return True
        before = [candidate.twin] if candidate.twin else []
        chain = (
            [one.name for one in self._chain(candidate)] if candidate.chain else [candidate.name]
        )
        if place := chain.index(candidate.name):
            before.append(chain[place - 1])
        for name in before:
            if (smaller := self.outcomes.get(name)) is None or smaller.cost > self._budget:
                return False
            if excess(smaller, self.outcomes.values(), self._aim) > self._slack:
                return False
        return True

    def _rows(self, family: Family) -> Rows:
        with memory_in(self._home.path / _ROWS) as memory:
            rows = rows_of(family, self._data, self._say, memory)
            memory.remove()
        return rows

    def _try(self, candidate: Candidate, rows: Rows | None) -> None:
        try:
            outcome = tried(candidate, rows, self._data, self._meter)
        except ConvergenceError as error:
            self.failed[candidate.name] = str(error)
            self._say(f"{candidate.name}: left out: {error}")
        else:
            self.outcomes[candidate.name] = outcome
            self._say(self._line(outcome))
        self._save()

    def _line(self, one: Outcome) -> str:
        """An outcome, and how far the search is."""
        errors = ", ".join(
            f"{name} {one.left_out[key]:.3g} {unit}"
            for name, unit in (("energy", "meV/atom"), ("forces", "meV/Å"))
            if (key := f"{name} {self._aim.measure}") in one.left_out
        )
        decided = self._decided()
        done, total = self._weight(decided), self._weight(list(self._candidates))
        spent = time.monotonic() - self._began
        left = spent * (total - done) / max(done - self._before, 1.0)
        return (
            f"[{len(decided)}/{len(self._candidates)}, up to {clock(left)} left] {one.name}: "
            f"{one.cost:.2f} µs/atom, left out: {errors}"
        )

    def _decided(self) -> list[Candidate]:
        return [one for one in self._candidates if self._is_known(one)]

    def _weight(self, candidates: list[Candidate]) -> float:
        """About how long candidates take, beside each other."""
        return float(sum(_FIXED + (one.functions / 100) ** 2 for one in candidates))

    def _save(self) -> None:
        state = {
            "reference": self._meter.reference,
            "outcomes": [to_mapping(one) for one in self.outcomes.values()],
            "failed": self.failed,
        }
        self._home.new_state(self._last).write_text(json.dumps(state), encoding="utf-8")
        self._last = self._home.record(len(self.outcomes), self._last)

    def _restored(self, path: Path) -> float:
        """Take outcomes from a state; what the reference costs."""
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            made = [from_mapping(Outcome, one) for one in state["outcomes"]]
            self.failed, known = dict(state["failed"]), float(state["reference"])
        except (ValueError, KeyError, TypeError, InputError) as error:
            raise CannotGoOnError(f"{path}: damaged ({error})") from error
        self.outcomes = {one.name: one for one in made}
        count = f"{len(self.outcomes)} of {len(self._candidates)} models"
        self._say(f"{self._home.path}: goes on after {count}")
        return known


def _reference(candidate: Candidate) -> Tables:
    """A model of the functions of a candidate; its coefficients are of no importance."""
    recipe = candidate.recipe
    basis = LoweredBasis.of(recipe.basis, recipe.e0 or {}, silent)
    coefficients = np.random.default_rng(0).normal(size=(1, 1, basis.expanded.size))
    model = Model(recipe.basis, coefficients, basis.blank.e0)
    return lower(model, basis=basis.tables)
