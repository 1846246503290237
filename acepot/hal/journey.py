"""The cycles of a run between its checkpoints: walks, labels, fits, and what is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event
from typing import Any, NoReturn

import numpy as np

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.evaluate.protocol import Result
from acepot.hal.chance import Use, chance
from acepot.hal.columns import LABELLED, TRIGGERS, USES, WALKS, labelled_row, walk_row
from acepot.hal.config import HalConfig
from acepot.hal.database import DATA, FAILED, Origin, Record, frame_of, read
from acepot.hal.guards import least_distances
from acepot.hal.learner import Learner
from acepot.hal.published import Published
from acepot.hal.reference.job import Labelled, ReferenceError
from acepot.hal.reference.pool import Reference
from acepot.hal.reference.queue import Files, WaitingError
from acepot.hal.start import first_structures, perturbed
from acepot.hal.state import Job, State, read_state, write_state
from acepot.hal.surface import Measured, Surface
from acepot.hal.walk import CRITERION, END, Walks, begun, go_on
from acepot.hal.walker import Walker
from acepot.run.checkpoint import Checkpoint
from acepot.run.folder import RunFolder, going_on_from
from acepot.run.log import Log
from acepot.run.progress import Line
from acepot.run.signals import stop_request
from acepot.sampling.files import Grower
from acepot.structure import Structure

__all__ = ["GROWS", "Journey"]

#: Files that grow.
_WALKS, _LABELLED = "walks.csv", "labelled.csv"
GROWS = (DATA, FAILED, _WALKS, _LABELLED)
#: Seconds between looks at calculations, where there is nothing else to do.
_LOOK = 0.02


class Journey:
    """A run in progress.

    Args:
        config: of the run.
        home: the folder.
        last: the checkpoint to go on from; None: the run begins.
        reference: labels structures.
        say: takes lines for people.

    Attributes:
        state: of the run.
        records: the data base.
        spent: seconds in evaluations, fits and everything, for measurements.
    """

    def __init__(
        self,
        config: HalConfig,
        home: RunFolder,
        last: Checkpoint | None,
        reference: Reference,
        say: Callable[[str], None],
    ) -> None:
        self._config, self._home, self._last = config, home, last
        self._reference, self._say = reference, say
        self._starts = first_structures(config.start, config.run.seed)
        self._numbers = sorted({int(z) for s in self._starts for z in s.numbers})
        self._distances = least_distances(config.guards, self._numbers)
        self._published = Published(home.path, config)
        self.records: list[Record] = []
        self.state = State(e0=dict(config.fit.e0 or {}))
        self.spent = {"walks": 0.0, "fits": 0.0, "references": 0.0}
        if last is not None:
            self.state = read_state(home.path / last.state)
            if (home.path / DATA).exists():
                self.records = read(home.path / DATA)
        self._learner = Learner(config, self.state.e0, say)
        if self.state.lessons.first and not self.state.finished:
            self._learner.repeat(self.state.lessons, self._train())

    def travel(self) -> None:
        """Go to the end.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
            WaitingError: labels that somebody else makes are not there yet; after a checkpoint.
            ReferenceError: no calculation of a cycle gave labels; after a checkpoint.
            OSError: files cannot be written; the last checkpoint is as it was.
        """
        with self._written(), stop_request() as stopped:
            self._line, self._saved = Line(), time.monotonic()
            if self._last is None:
                self._checkpoint()
            try:
                if self.state.cycle == 0:
                    self._begin(stopped)
                while not self.state.finished:
                    self._cycle(stopped)
            except (KeyboardInterrupt, WaitingError):
                self._published.catch_up(self.records, self.state, self._learner_if_any())
                raise
            self._line.end()
            self._published.end(self.records, self.state, self._learner_if_any())

    def goes_on(self) -> str:
        """Take up a run that had ended, if its settings now let it go on; in words, whether."""
        state = self.state
        before, state.finished = state.finished, self._why_finished()
        if state.finished:
            return f"this run of {state.cycle - 1} cycles is finished"
        self._learner.repeat(state.lessons, self._train())
        return f"this run had ended ({before}) and goes on"

    # ------------------------------------------------------------------ beginning

    def _begin(self, stopped: Event) -> None:
        """Label isolated atoms and first structures, and make the first fit."""
        state, start = self.state, self._config.start
        if not state.jobs:
            for z in self._numbers:
                if SYMBOLS[z] not in state.e0:
                    alone = Structure([z], np.zeros((1, 3)), name=SYMBOLS[z])
                    self._order(alone, Origin(0, trigger="atom"))
            for k, structure in enumerate(self._starts):
                self._order(structure, Origin(0, parent=k))
                for copy in range(start.copies):
                    random = chance(self._config.run.seed, Use.START, 0, k, 1 + copy)
                    moved = perturbed(structure, start, random)
                    self._order(moved, Origin(0, parent=k))
        self._say(f"labels {len(state.jobs)} structures of the beginning")
        self._await(stopped)
        for job in state.jobs:
            found = job.found
            if job.origin.trigger != "atom" or found is None:
                continue
            symbol = SYMBOLS[int(job.structure.numbers[0])]
            if found.error or found.structure.energy is None:
                self._fail(f"the isolated {symbol} atom: {found.error}; or give fit.e0.{symbol}")
            state.e0[symbol] = float(found.structure.energy or 0.0)
        self._learner = Learner(
            self._config, dict(sorted(state.e0.items(), key=_by_number)), self._say
        )
        self._settle()

    # ------------------------------------------------------------------ a cycle

    def _cycle(self, stopped: Event) -> None:
        state, config = self.state, self._config
        surface = self._learner.surface(state.cycle)
        begin = time.perf_counter()
        if not state.jobs and all(w.ended == CRITERION for w in state.walkers):
            self._set_out(surface)
        walks = Walks(config, state.cycle, state.walkers, surface, self._distances)
        for job in state.jobs:
            self._submit(job)
        for walker in state.walkers:  # those that could not even begin
            self._ended(walker)
        while walks.running:
            for walker in walks.step():
                self._ended(walker)
            self._note(walks)
            self._collect()
            self._pause(stopped, self._words(walks))
        self.spent["walks"] += time.perf_counter() - begin
        begin = time.perf_counter()
        self._await(stopped)
        self.spent["references"] += time.perf_counter() - begin
        ended = [w.ended for w in state.walkers]
        state.quiet = state.quiet + 1 if all(one == END for one in ended) else 0
        self._settle()

    def _set_out(self, surface: Surface) -> None:
        """The walkers of a new cycle: those that go on, then new ones."""
        state, config = self.state, self._config
        count = min(config.motion.walkers, config.stop.references - state.begun)
        state.walkers = [w for w in state.walkers if w.step < config.motion.steps][:count]
        go_on(config, state.walkers, surface)
        numbers = range(len(state.walkers), count)
        state.walkers += begun(config, self._starts, state.next_start, state.cycle, numbers)
        state.next_start = (state.next_start + len(numbers)) % len(self._starts)

    def _ended(self, walker: Walker) -> None:
        """Order the labels of where a walk ended, unless it never left or nobody wants them."""
        if not walker.ended or walker.step == 0:
            return
        number = next(k for k, one in enumerate(self.state.walkers) if one is walker)
        if any(job.origin.walker == number for job in self.state.jobs):
            return
        if walker.ended == END and not self._config.run.label_ends:
            return
        origin = Origin(
            self.state.cycle, number, walker.step, walker.ended, walker.start, walker.tau,
            walker.grade, walker.sigma,
        )  # fmt: skip
        self._submit(self._order(walker.structure, origin))

    def _note(self, walks: Walks) -> None:
        """Rows of the log, where they are due."""
        for number, walker in enumerate(walks.walkers):
            due = walker.step % self._config.output.every == 0 or walker.ended
            if due and walker.step == self._step(walks):
                self._walks.write(walk_row(walks.cycle, number, walker))

    @staticmethod
    def _step(walks: Walks) -> int:
        """The step that was made last."""
        return max(w.step for w in walks.walkers)

    def _words(self, walks: Walks) -> str:
        running = walks.running
        grade = max((w.grade for w in running), default=0.0)
        return (
            f"hal: cycle {walks.cycle}, step {self._step(walks)} of {self._config.motion.steps}, "
            f"{len(running)} of {len(walks.walkers)} walkers, largest uncertainty {grade:.3f}, "
            f"{self.state.begun} calculations"
        )

    # ------------------------------------------------------------------ calculations

    def _order(self, structure: Structure, origin: Origin) -> Job:
        """A new job of this cycle."""
        self.state.begun += 1
        job = Job(self.state.begun, structure, origin)
        self.state.jobs.append(job)
        return job

    def _submit(self, job: Job) -> None:
        """Begin a calculation that has not begun in this process and is not done."""
        if job.found is None and job.future is None:
            e0 = self.state.e0
            alone = [e0.get(SYMBOLS[int(z)], np.nan) for z in job.structure.numbers]
            free = np.nan if job.origin.trigger == "atom" else float(np.sum(alone))
            job.future = self._reference.submit(job.number, job.structure, free)

    def _collect(self) -> bool:
        """Take what is done; whether something was."""
        new = False
        for job in self.state.jobs:
            if job.found is None and job.future is not None and job.future.done():
                job.found, new = job.future.result(), True
        return new

    def _await(self, stopped: Event) -> None:
        """Wait until every calculation of this cycle is done."""
        for job in self.state.jobs:
            self._submit(job)
        while any(job.found is None for job in self.state.jobs):
            new = self._collect()
            left = [job for job in self.state.jobs if job.found is None]
            if isinstance(self._reference, Files) and left and not new:
                self._checkpoint()
                self._reference.require()
            self._pause(stopped, f"hal: waits for {len(left)} calculations")
            if left and not new:
                time.sleep(_LOOK)

    def _fail(self, text: str) -> NoReturn:
        """Stop so that the same command makes the calculations of this cycle again.

        Raises:
            ReferenceError: always.
        """
        for job in self.state.jobs:
            if job.found is not None and job.found.error:
                job.found = job.future = None
        self._checkpoint()
        raise ReferenceError(f"{self._home.path}: {text}; the same command tries again")

    # ------------------------------------------------------------------ learning

    def _settle(self) -> None:
        """Take labels into the data base, fit, publish, and begin the next cycle."""
        state = self.state
        done = [(job, job.found) for job in state.jobs if job.found is not None]
        good = [(job, found) for job, found in done if not found.error]
        if done and not good:
            self._fail(f"no calculation of cycle {state.cycle} gave labels: {done[0][1].error}")
        for job, found in done:
            self._enter(job, found)
        begin = time.perf_counter()
        train = self._train()
        if not train:
            self._fail("none of the structures of the beginning can be fitted: see " + DATA)
        if good:
            self._learner.teach(train)
        state.lessons = self._learner.lessons
        self.spent["fits"] += time.perf_counter() - begin
        onward = [w for w in state.walkers if w.ended == CRITERION and self._config.motion.onward]
        state.cycle, state.walkers, state.jobs = state.cycle + 1, onward, []
        state.finished = self._why_finished()
        self._flush()
        self._published.cycle(self.records, state, self._learner)
        self._checkpoint()
        errors = self._learner.fit.report["train"]
        self._line.end()
        self._say(f"cycle {state.cycle - 1}: {self._summary(len(done), len(train), errors)}")

    def _summary(self, done: int, train: int, errors: dict[str, Any]) -> str:
        of_all, units = errors["all"], {"E": "meV/atom", "F": "meV/Å", "V": "meV/atom"}
        words = ", ".join(
            f"{k} {of_all[k]['rmse']:.4g} {unit}" for k, unit in units.items() if k in of_all
        )
        size = self._learner.fit.assembled.basis.size["total"]
        return f"{done} labelled, {train} fitted by {size} functions ({words})"

    def _enter(self, job: Job, found: Labelled) -> None:
        """One labelled structure into the files, with what the model had expected."""
        if found.error:
            said = frame_of(Record(job.structure, job.origin), hal_error=found.error)
            self._failed.write(said)
            self._say(f"calculation {job.number} gave no labels: {found.error}")
            return
        origin = replace(job.origin, use=self._use(job, found.structure))
        structure = found.structure
        expected = self._expected(structure, origin)
        virial = structure.virial
        if virial is not None:  # as it is when it is read again
            virial = 0.5 * (virial + virial.T)
        named = Structure(
            structure.numbers, structure.positions, structure.cell, structure.pbc,
            structure.energy, structure.forces, virial, config_type=origin.trigger,
        )  # fmt: skip
        record = Record(named, origin)
        self.records.append(record)
        self._data.write(frame_of(record))
        about = [
            job.number, origin.cycle, origin.walker, origin.step, TRIGGERS.index(origin.trigger),
            USES.index(origin.use), origin.tau, origin.uncertainty,
        ]  # fmt: skip
        self._labelled.write([*about, *labelled_row(named, expected)])

    def _expected(self, structure: Structure, origin: Origin) -> tuple[Result, Measured] | None:
        """What the model said about a structure before it was told."""
        if origin.cycle == 0:
            return None
        result = self._learner.potential.compute_all([structure], failures="keep")[0]
        if result.error is not None:
            return None
        return result, self._learner.surface(origin.cycle).measure([structure])[0]

    def _use(self, job: Job, structure: Structure) -> str:
        """What a structure is for."""
        settings = self._config.fit
        if job.origin.trigger == "atom":
            return "aside"
        largest = 0.0
        if structure.forces is not None:
            largest = float(np.linalg.norm(structure.forces, axis=1).max())
        if largest > settings.max_force:
            return "aside"
        random = chance(self._config.run.seed, Use.TEST, job.origin.cycle, job.number)
        drawn = random.random() < settings.test_fraction
        return "test" if drawn and job.origin.cycle > 0 else "train"

    def _train(self) -> list[Structure]:
        return [one.structure for one in self.records if one.origin.use == "train"]

    def _why_finished(self) -> str:
        state, stop = self.state, self._config.stop
        if state.begun >= stop.references:
            return f"{state.begun} calculations were made"
        if stop.quiet and state.quiet >= stop.quiet:
            return f"no walk was ended in {state.quiet} cycles"
        if stop.cycles is not None and state.cycle > stop.cycles:
            return f"{stop.cycles} cycles were made"
        return ""

    def _learner_if_any(self) -> Learner | None:
        return self._learner if self._learner.lessons.first else None

    # ------------------------------------------------------------------ files

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Files that grow, open meanwhile; a full disk is explained."""
        path = self._home.path
        self._data, self._failed = Grower(path / DATA), Grower(path / FAILED)
        self._walks = Log(path / _WALKS, WALKS)
        self._labelled = Log(path / _LABELLED, LABELLED)

        def last() -> str:
            return "its beginning" if self._last is None else f"checkpoint {self._last.count}"

        try:
            with going_on_from(last):
                yield
        finally:
            closing: list[Grower | Log] = [self._data, self._failed, self._walks, self._labelled]
            for file in closing:
                with suppress(OSError):  # what was flushed is there, and what was not is cut off
                    file.close()

    def _pause(self, stopped: Event, words: str) -> None:
        """A word about where the run is, and a checkpoint, where they are due.

        Raises:
            KeyboardInterrupt: the run is to stop; after a checkpoint.
        """
        if self._line.is_due():
            self._line.show(words)
        stop = stopped.is_set()
        if stop or time.monotonic() - self._saved >= self._config.output.checkpoint:
            self._checkpoint()
        if stop:
            self._line.end()
            self._say(f"stopped in cycle {self.state.cycle}; the same command goes on from there")
            raise KeyboardInterrupt

    def _flush(self) -> None:
        self._data.flush()
        self._failed.flush()

    def _checkpoint(self) -> None:
        self._flush()
        write_state(self._home.new_state(self._last), self.state)
        self._last = self._home.record(self.state.cycle, self._last)
        self._saved = time.monotonic()


def _by_number(item: tuple[str, float]) -> int:
    return atomic_number(item[0])
