"""The folder of a run: one process at a time, and checkpoints, to which files are cut back.

Whatever runs long keeps these files in it:

- the settings, as TOML, every default written out
- run.json: what else makes the run what it is, digests of the data it depends on, and the changes
  with which it has gone on
- files that grow, such as a log
- state.N: everything that the run needs to go on, as its owner writes it, at checkpoint N
- checkpoint.json: the last checkpoint: its step, its state.N and the digest of that, and size and
  first bytes of the files that grow
- lock: held by the process that runs here

Files of other names are somebody else's and stay.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.run import about as identity
from acepot.run import lock as locks
from acepot.run.about import About, Change, MayChange, never
from acepot.run.checkpoint import CannotGoOnError, Checkpoint, cut, digest, flushed, read
from acepot.schema import to_mapping

__all__ = ["RunFolder", "digest", "going_on_from", "run_folder"]

_RECORD, _ABOUT, _LOCK = "checkpoint.json", "run.json", locks.NAME
_STATE = re.compile(r"state\.[0-9]+")


class RunFolder:
    """The folder of a run, while it is locked.

    Args:
        path: of the folder.
        settings: name of the file with the settings.
        grows: names of the files that grow. Only their end and their first 64 bytes may change.
        writes: names of other files that the run writes.

    Attributes:
        changes: settings that have changed since the last checkpoint and may.
    """

    def __init__(
        self, path: Path, settings: str, grows: tuple[str, ...], writes: tuple[str, ...] = ()
    ) -> None:
        self.path, self._settings, self._grows, self._writes = path, settings, grows, writes
        self.changes: list[Change] = []
        self._about = About({})

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is one to go on from, or its remains."""
        return (self.path / _RECORD).exists()

    def begin(
        self,
        settings: str,
        about: Mapping[str, str],
        contents: Mapping[str, str],
        *,
        anew: Callable[[str], None] | None = None,
        may_change: MayChange = never,
    ) -> Checkpoint | None:
        """Make the folder ready: for a new run, or for one that goes on.

        Args:
            settings: TOML, every default written out.
            about: what else makes the run what it is, such as the engine, by what it is called.
            contents: digests of the data that the run depends on, by what they are called.
            anew: what happens with a run that is another one, or whose files are damaged. None:
                it is refused. A function: it is told the reason, and the run begins anew.
            may_change: which changes of settings are none of another run; those are in `changes`
                afterwards. It may raise CannotGoOnError itself.

        Returns:
            The last checkpoint; files that grew after it are as they were then. None: there is
            none, files that grow are removed, and the run begins.

        Raises:
            InputError: files of the names this run would write are there, and no run has made them.
            CannotGoOnError: the folder belongs to another run, or its files are damaged.
        """
        ours = (self.path / _ABOUT).exists()  # it is written before any other file is
        if not ours and not self.has_checkpoint:
            identity.require_free(self.path, (self._settings, *self._grows, *self._writes))
        self.changes, self._about = [], About({**about, **contents})
        try:
            last = read(self.path / _RECORD)
            self._compare(settings, about, contents, last, may_change)
            for name, grown in last.files.items() if last else ():
                cut(self.path / name, grown)
        except CannotGoOnError as error:
            if anew is None:
                raise
            anew(error.reason)
            (self.path / _RECORD).unlink(missing_ok=True)
            last, self.changes, self._about = None, [], About({**about, **contents})
        if last is not None:
            self._about = self._about.gone_on(last, self.changes)
        self._write_about()
        with replaced(self.path / self._settings) as file:
            file.write(settings)
        if last is None:
            for name in self._grows:
                (self.path / name).unlink(missing_ok=True)
        states = [] if not ours else self._states()
        for path in (*states, *self._unfinished()):
            if last is None or path.name != last.state:
                path.unlink()
        return last

    def new_state(self, last: Checkpoint | None) -> Path:
        """Where the next state goes: the owner of the run writes it, then calls `record`.

        Args:
            last: the checkpoint before.
        """
        return self.path / f"state.{1 if last is None else last.count + 1}"

    def record(self, step: int, last: Checkpoint | None) -> Checkpoint:
        """Make the state that was saved at `new_state(last)` the one to go on from.

        Args:
            step: of the run.
            last: the checkpoint before, whose state is removed.
        """
        state = self.new_state(last)
        grown = {name: flushed(self.path / name) for name in self._grows}
        flushed(state)
        count = 1 if last is None else last.count + 1
        checkpoint = Checkpoint(step, state.name, count, grown, digest(state))
        with replaced(self.path / _RECORD) as file:
            json.dump(to_mapping(checkpoint), file, indent=1)
        if last is not None:
            (self.path / last.state).unlink(missing_ok=True)
        else:
            self._about = self._about.gone_on(checkpoint, [])
            self._write_about()
        return checkpoint

    def remove(self) -> None:
        """Remove everything, for runs whose results lie elsewhere; files of others stay.

        Afterwards the folder may be another process's, so this is the last thing to do with it.
        """
        (self.path / _RECORD).unlink(missing_ok=True)  # first: without it nothing goes on
        for path in (*self._states(), *self._unfinished()):
            path.unlink()
        for name in (*self._grows, self._settings, _ABOUT, _LOCK):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # it holds files of others, or of who has locked it just now
            self.path.rmdir()

    def require_own(self, mark: Mapping[str, str]) -> None:
        """Refuse a folder with files in it that no such run has made.

        Args:
            mark: what run.json says in folders of such runs.

        Raises:
            InputError: it is not empty, and its run.json is missing or says something else.
        """
        known = {self.path / _LOCK, *self._unfinished()}
        others = sorted(path.name for path in self.path.iterdir() if path not in known)
        if not others:
            return
        try:
            said = dict(json.loads((self.path / _ABOUT).read_text()))
        except (OSError, ValueError, TypeError):
            said = {}
        if any(said.get(key) != value for key, value in mark.items()):
            raise InputError(
                f"{self.path}: expected a new or empty folder, or one with a checkpoint of a "
                f"{' '.join(mark.values())}, got one with {others[0]}; choose another folder"
            )

    def _write_about(self) -> None:
        with replaced(self.path / _ABOUT) as file:
            file.write(self._about.text())

    def _states(self) -> list[Path]:
        return [path for path in self.path.glob("state.*") if _STATE.fullmatch(path.name)]

    def _unfinished(self) -> Iterator[Path]:
        """What `replaced` had begun when the process was killed."""
        for name in (_RECORD, _ABOUT, self._settings, *self._writes):
            yield from self.path.glob(f".{name}.????????.tmp")

    def _compare(
        self,
        settings: str,
        about: Mapping[str, str],
        contents: Mapping[str, str],
        last: Checkpoint | None,
        may_change: MayChange,
    ) -> None:
        path, toml = self.path / _ABOUT, self.path / self._settings
        if not path.exists():
            if last is not None:
                raise identity.missing(path)
            return
        old = identity.read(path)
        if last is None and (old.has_checkpoint or any(self._count(p) > 1 for p in self._states())):
            raise identity.missing(self.path / _RECORD)
        if not toml.exists():
            if last is not None:
                raise identity.missing(toml)
            if old.what.keys() != self._about.what.keys():
                raise CannotGoOnError(f"{self.path}: its {_ABOUT} is not of such a run")
            return  # killed before the first checkpoint
        fixed: list[Change] = []
        too_far: CannotGoOnError | None = None
        for change in identity.changed(toml, settings):
            try:
                (self.changes if may_change(change, last) else fixed).append(change)
            except CannotGoOnError as error:
                too_far = error
        identity.require_same(self.path, fixed, old, about, contents)
        if too_far is not None:
            raise too_far
        self._about = About(self._about.what, old.has_checkpoint, old.changes)

    @staticmethod
    def _count(state: Path) -> int:
        """The number of the checkpoint that a state is of."""
        return int(state.suffix[1:])


@contextmanager
def run_folder(
    path: str | Path,
    settings: str,
    grows: tuple[str, ...] = (),
    *,
    writes: tuple[str, ...] = (),
    mark: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> Iterator[RunFolder]:
    """Make and lock a folder.

    The lock is inherited by the processes that a run starts: where the parent was killed, the
    folder is free when they have ended too.

    Args:
        path: of the folder.
        settings: name of the file with the settings.
        grows: names of the files that grow. Only their end and their first 64 bytes may change.
        writes: names of other files that the run writes: a new run is refused where they are.
        mark: what run.json says in folders of such runs, which hold nothing else: a folder with
            files in it that does not say so is refused, and stays as it is. None: it is not.
        say: told when there is another process to wait for.

    Raises:
        InputError: it cannot be made, or another process runs in it, or it is not such a run's.
    """
    path = Path(path)
    locked_before = (path / _LOCK).exists()
    lock = locks.acquired(path, say)
    try:
        home = RunFolder(path, settings, grows, writes)
        if mark is not None:
            try:
                home.require_own(mark)
            except InputError:
                if not locked_before:
                    (path / _LOCK).unlink()
                raise
        yield home
    finally:
        os.close(lock)


@contextmanager
def going_on_from(place: Callable[[], str]) -> Iterator[None]:
    """While this lasts, errors of files say that nothing is lost, and where the run goes on.

    Args:
        place: what the last checkpoint is called, when it is asked for.

    Raises:
        OSError: as it came, with these words.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(
            error.errno,
            f"{error.strerror}; nothing up to the last checkpoint is lost: when there is room, "
            f"the same command goes on from {place()}",
            error.filename,
        ) from error
