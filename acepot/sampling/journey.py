"""The iterations of a run between its checkpoints: what is written, watched and guarded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

from acepot.errors import AceError
from acepot.io.structures import extxyz
from acepot.run.checkpoint import Checkpoint
from acepot.run.folder import RunFolder, going_on_from
from acepot.run.log import Log
from acepot.run.progress import Line
from acepot.run.signals import stop_request
from acepot.sampling import files
from acepot.sampling.cells import Floats
from acepot.sampling.columns import columns, row, spread_columns
from acepot.sampling.energies import NotFiniteError
from acepot.sampling.hdf5 import Saved, read_state, write_state
from acepot.sampling.mixture import names
from acepot.sampling.nested import NestedSampling
from acepot.sampling.outlook import Outlook
from acepot.sampling.page import Page
from acepot.sampling.preparation import Prepared
from acepot.sampling.status import Watched
from acepot.sampling.walk import Task, Walked

__all__ = ["LOG", "SPREADS", "Journey"]

LOG, SPREADS = "log.csv", "committee.csv"


class Journey:
    """A run in progress.

    Args:
        prepared: what is sampled, and how.
        home: the folder.
        last: the checkpoint to go on from; None: the run begins.

    Attributes:
        state: of the sampler.
    """

    def __init__(self, prepared: Prepared, home: RunFolder, last: Checkpoint | None) -> None:
        self._prepared, self._home, self._last = prepared, home, last
        self._periodic = prepared.ensemble.prior.periodic
        self._names = names(prepared.settings.moves)
        self._outlook = Outlook(prepared, home.path)
        energies = prepared.source.open(prepared.config.run.threads)
        self._sampling = NestedSampling(prepared.ensemble, prepared.settings, energies)
        if last is None:
            with self._saving("before the first iteration"):
                self.state = self._sampling.begin()
            self._recent: Floats = np.empty((0, prepared.ensemble.replicas))
        else:
            saved = read_state(home.path / last.state)
            self.state, self._recent = saved.state, saved.recent
            self._weigh()

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self._last is not None and self._sampling.finished(self.state)

    def travel(
        self,
        execute: Callable[[Task], Walked] | None,
        say: Callable[[str], None],
        *,
        watch: bool,
    ) -> None:
        """Go to the end.

        Args:
            execute: makes walks; None: this process does.
            say: takes lines for people.
            watch: keep a page with the curves so far.
        """
        prepared, path = self._prepared, self._home.path
        if execute is not None:
            self._sampling = NestedSampling(
                prepared.ensemble, prepared.settings, self._sampling.energies, execute
            )
        page = Page(path, prepared, self._names) if watch else None
        with self._written():
            if self._last is None:
                self._checkpoint()
            self._go(say, page)

    # ------------------------------------------------------------------ its parts

    def _go(self, say: Callable[[str], None], page: Page | None) -> None:
        line, watched = Line(), Watched(self._prepared, self._names)
        watched.note(self.state, self._recent)
        saved = time.monotonic()
        with stop_request() as stopped:
            while not self._sampling.finished(self.state):
                self._iterate()
                watched.note(self.state, self._recent)
                if line.is_due():
                    line.show(f"ns: {watched.status(self.state, self._recent)}")
                if page is not None and page.is_due():
                    self._flush()
                    page.draw(self.state, watched.status(self.state, self._recent))
                stop = stopped.is_set()  # once: it may change between two looks
                pause = self._prepared.config.output.checkpoint
                if stop or time.monotonic() - saved >= pause:
                    self._checkpoint()
                    saved = time.monotonic()
                if stop and not self._sampling.finished(self.state):
                    line.end()
                    at = self.state.iteration
                    say(f"stopped after iteration {at}; the same command goes on from there")
                    raise KeyboardInterrupt
            self._checkpoint()
            status = watched.status(self.state, self._recent)
            line.show(f"ns: {status}")
            line.end()
            if page is not None:
                page.draw(self.state, status, ended=True)

    def _iterate(self) -> None:
        """One iteration, and what is written about it."""
        with self._saving(f"after iteration {self.state.iteration}"):
            seen = self._outlook.look(self.state)
            culled = self._sampling.step(self.state)
        if self._spreads is not None and seen.spreads:
            numbers = [value for one in seen.spreads for value in (one.energy, one.force)]
            self._spreads.write([culled[0].iteration, *numbers])
        if self._uncertain is not None:
            for replica in seen.uncertain:
                self._uncertain.write(files.frame(culled[replica], self._periodic))
        most, config = self._prepared.settings.walkers + 1, self._prepared.config
        totals = np.array([[one.total for one in culled]])
        self._recent = np.concatenate((self._recent, totals))[-most:]
        for one in culled:
            self._energies[one.replica].write(files.energies_row(one))
            if one.iteration % config.output.culled == 0:
                self._frames[one.replica].write(files.frame(one, self._periodic))
        if self.state.iteration % config.output.every == 0:
            self._log.write(row(self.state, culled, self._recent))

    def _weigh(self) -> None:
        """The largest weight of what was culled, at the temperature of now."""
        state, settings = self.state, self._prepared.settings
        if settings.stop.kt is None or state.iteration == 0:
            return
        count = settings.walkers
        for k in range(self._prepared.ensemble.replicas):
            totals = files.read_totals(self._home.path / files.energies_name(k))
            n = np.arange(len(totals))
            weights = (
                n * np.log(count / (count + 1)) - np.log(count + 1) - totals / settings.stop.kt
            )
            state.peak[k] = weights.max()

    # ------------------------------------------------------------------ its files

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Files that grow, open meanwhile; a full disk is explained."""
        path, prepared = self._home.path, self._prepared
        replicas = range(prepared.ensemble.replicas)
        header = files.energies_header(prepared.ensemble, prepared.settings.walkers)
        self._log = Log(path / LOG, columns(len(replicas), self._names))
        self._spreads: Log | None = None
        if self._outlook.has_committee:
            self._spreads = Log(path / SPREADS, spread_columns(len(replicas)))
        self._energies = [files.Grower(path / files.energies_name(k), header) for k in replicas]
        self._frames = [files.Grower(path / files.culled_name(k)) for k in replicas]
        self._uncertain: files.Grower | None = None
        if self._outlook.has_committee and prepared.config.committee.beyond == "write":
            self._uncertain = files.Grower(path / files.UNCERTAIN)

        def last() -> str:
            return "its beginning" if self._last is None else f"iteration {self._last.step}"

        try:
            with going_on_from(last):
                yield
        finally:
            closing: list[files.Grower | Log] = [self._log, *self._growers()]
            closing += [self._spreads] if self._spreads is not None else []
            for file in closing:
                with suppress(OSError):  # what was flushed is there, and what was not is cut off
                    file.close()

    def _growers(self) -> list[files.Grower]:
        more = [] if self._uncertain is None else [self._uncertain]
        return [*self._energies, *self._frames, *more]

    @contextmanager
    def _saving(self, when: str) -> Iterator[None]:
        """Keep what there is when the model gives up, and say where and when it was."""
        try:
            yield
        except AceError as error:
            where = f"{self._home.path}: {when}: {error}"
            if isinstance(error, NotFiniteError):
                number = self.state.iteration if hasattr(self, "state") else 0
                path = self._home.path / f"not_finite.{number}.extxyz"
                extxyz.write_structures(path, [error.structure])
                raise NotFiniteError(
                    f"{where}; the structure is in {path}; {self._kept()}", error.structure
                ) from error
            self._kept()
            raise type(error)(where) from error

    def _kept(self) -> str:
        """Make a checkpoint if the run has begun; in words, what there is."""
        if not hasattr(self, "_log"):
            return "nothing is lost, for the run had not begun"
        self._checkpoint()
        return f"the run is kept as it was before, at iteration {self.state.iteration}"

    def _flush(self) -> None:
        for file in self._growers():
            file.flush()

    def _checkpoint(self) -> None:
        self._flush()
        toml = (self._home.path / "ns.toml").read_text(encoding="utf-8")
        saved = Saved(self.state, self._recent, toml, tuple(self._names))
        write_state(self._home.new_state(self._last), saved)
        self._last = self._home.record(self.state.iteration, self._last)
