"""A search in its folder: candidates are tried one after another, and it goes on where it was."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import takewhile
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
from acepot.search.candidate import Candidate, Family, families, shares_rows
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
#: The sizes of a chain up to this one are tried together.
_SMALL = 2


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
        self._seconds = self._weighed = 0.0  # of trials in this process

    def run(self, after_family: Callable[[], None]) -> None:
        """Try what is left to try.

        Args:
            after_family: called when something new is there to look at.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
        """
        with stop_request() as stop:
            for family in (f for stage in self._stages() for f in families(stage)):
                if pending := [one for one in family.members if self._is_open(one)]:
                    self._try_all(pending, stop.is_set)
                    after_family()

    def _try_all(self, pending: list[Candidate], stopped: Callable[[], bool]) -> None:
        """Try candidates that share their rows, or the one that makes its own."""
        rows = self._rows(families(pending)[0]) if shares_rows(pending[0].recipe) else None
        for one in pending:
            if stopped():
                count = f"{len(self.outcomes)} of {len(self._candidates)} models"
                self._say(f"stopped after {count}; the same command goes on from there")
                raise KeyboardInterrupt
            if self._is_open(one):
                self._try(one, rows)

    def _stages(self) -> Iterator[list[Candidate]]:
        """Small models, then larger ones size by size, then those that are not linear.

        What one size tells decides whether rows of the next are made.
        """
        linear = [one for one in self._candidates if shares_rows(one.recipe)]
        ranked = [(max(_SMALL, self._ranks[one.name]), one) for one in linear if one.chain]
        stages = [
            [one for rank, one in ranked if rank == wanted]
            for wanted in sorted({rank for rank, _ in ranked})
        ] or [[]]
        for one in linear:
            if not one.chain:  # with those of its size, whose rows it may share
                sizes = [max((c.functions for c in stage), default=0) for stage in stages]
                fits = [k for k, size in enumerate(sizes) if size >= one.functions]
                stages[min(fits, default=-1)].append(one)
        yield from stages
        yield [one for one in self._candidates if not shares_rows(one.recipe)]

    @cached_property
    def _ranks(self) -> dict[str, int]:
        """How many smaller ones the chain of each has."""
        seen = Counter[str]()
        found = {}
        for one in self._candidates:
            found[one.name] = seen[one.chain] if one.chain else 0
            seen[one.chain] += 1
        return found

    def _is_known(self, candidate: Candidate) -> bool:
        return candidate.name in self.outcomes or candidate.name in self.failed

    def _is_open(self, candidate: Candidate) -> bool:
        return not self._is_known(candidate) and not self._is_dropped(candidate)

    def _is_dropped(self, candidate: Candidate) -> bool:
        """Whether a smaller one of its chain, or its linear twin, is too far above the front."""
        if candidate.given:
            return False
        until = takewhile(lambda one: one.name != candidate.name, self._candidates)
        smaller = [one for one in until if one.chain == candidate.chain != ""]
        twins = [one for one in self._candidates if one.name == candidate.twin]
        if any(map(self._is_dead_end, [*smaller[-1:], *twins])):
            return True
        telling = [one for one in smaller[-1:] if self._ranks[one.name] >= _SMALL]
        return any(map(self._is_far_off, [*telling, *twins]))

    def _is_dead_end(self, candidate: Candidate) -> bool:
        """Whether it was not tried and will not be, failed, or costs too much."""
        outcome = self.outcomes.get(candidate.name)
        if outcome is None:
            return candidate.name in self.failed or self._is_dropped(candidate)
        return outcome.cost > self._budget

    def _is_far_off(self, candidate: Candidate) -> bool:
        """Whether its peers are much better.

        Those are as far in their chains or less far: long cut-offs pay in large models alone, and
        a small one is no match for a larger one of a shorter cut-off.
        """
        outcome, ranks = self.outcomes.get(candidate.name), self._ranks
        if outcome is None:
            return False
        rank = ranks[candidate.name]
        peers = [one for one in self.outcomes.values() if ranks.get(one.name, 0) <= rank]
        above = excess(outcome, [one for one in peers if not one.given], self._aim)
        return above > self._slack

    def _rows(self, family: Family) -> Rows:
        with memory_in(self._home.path / _ROWS) as memory:
            rows = rows_of(family, self._data, self._say, memory)
            memory.remove()
        return rows

    def _try(self, candidate: Candidate, rows: Rows | None) -> None:
        began = time.monotonic()
        try:
            outcome = tried(candidate, rows, self._data, self._meter)
        except ConvergenceError as error:
            self.failed[candidate.name] = str(error)
            self._say(f"{candidate.name}: left out: {error}")
        else:
            self.outcomes[candidate.name] = outcome
            self._seconds += time.monotonic() - began
            self._weighed += _weight(candidate)
            self._say(self._line(outcome))
        self._save()

    def _line(self, one: Outcome) -> str:
        """An outcome, and how far the search is."""
        errors = ", ".join(
            f"{name} {one.left_out[key]:.3g} {unit}"
            for name, unit in (("energy", "meV/atom"), ("forces", "meV/Å"))
            if (key := f"{name} {self._aim.measure}") in one.left_out
        )
        left = [c for c in self._candidates if self._is_open(c)]
        clocked = clock(self._seconds / self._weighed * sum(map(_weight, left)))
        count = f"{len(self.outcomes)} tried, {len(left)} more in {clocked} at most"
        return f"[{count}] {one.name}: {one.cost:.2f} µs/atom, left out: {errors}"

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


def _weight(candidate: Candidate) -> float:
    """About how long a trial takes, beside others."""
    return _FIXED + (candidate.functions / 100) ** 2


def _reference(candidate: Candidate) -> Tables:
    """A model of the functions of a candidate; its coefficients are of no importance."""
    recipe = candidate.recipe
    basis = LoweredBasis.of(recipe.basis, recipe.e0 or {}, silent)
    coefficients = np.random.default_rng(0).normal(size=(1, 1, basis.expanded.size))
    model = Model(recipe.basis, coefficients, basis.blank.e0)
    return lower(model, basis=basis.tables)
