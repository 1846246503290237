"""The folder of a run: one process at a time, and checkpoints, to which files are cut back.

Whatever runs long keeps these files in it:

- the settings, as TOML, every default written out
- run.json: what else makes the run what it is, and digests of the data it depends on
- files that grow, such as a log
- state.N: everything that the run needs to go on, as its owner writes it, at checkpoint N
- checkpoint.json: the last checkpoint: its step, its state.N, and size and first bytes of the
  files that grow
- lock: held by the process that runs here

Files of other names are somebody else's and stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.run.checkpoint import CannotGoOnError, Checkpoint, cut, flushed, read
from acepot.schema import to_mapping

__all__ = ["RunFolder", "digest", "run_folder"]

#: Seconds to wait for a process that ends.
_PATIENCE = 20.0
_RECORD, _ABOUT, _LOCK = "checkpoint.json", "run.json", "lock"
_STATE = re.compile(r"state\.[0-9]+")


class RunFolder:
    """The folder of a run, while it is locked.

    Args:
        path: of the folder.
        settings: name of the file with the settings.
        grows: names of the files that grow. Only their end and their first 64 bytes may change.
    """

    def __init__(self, path: Path, settings: str, grows: tuple[str, ...]) -> None:
        self.path, self._settings, self._grows = path, settings, grows

    def begin(
        self,
        settings: str,
        about: Mapping[str, str],
        contents: Mapping[str, str],
        *,
        anew: Callable[[str], None] | None = None,
    ) -> Checkpoint | None:
        """Make the folder ready: for a new run, or for one that goes on.

        Args:
            settings: TOML, every default written out.
            about: what else makes the run what it is, such as the engine, by what it is called.
            contents: digests of the data that the run depends on, by what they are called.
            anew: what happens with a run that is another one, or whose files are damaged. None:
                it is refused. A function: it is told the reason, and the run begins anew.

        Returns:
            The last checkpoint; files that grew after it are as they were then. None: there is
            none, files that grow are removed, and the run begins.

        Raises:
            InputError: files of the names this run would write are there, and no run has made them.
            CannotGoOnError: the folder belongs to another run, or its files are damaged.
        """
        ours = (self.path / _ABOUT).exists()  # it is written before any other file is
        if not ours and not (self.path / _RECORD).exists():
            self._require_free()
        try:
            self._compare(settings, about, contents)
            last = read(self.path / _RECORD)
            for name, grown in last.files.items() if last else ():
                cut(self.path / name, grown)
        except CannotGoOnError as error:
            if anew is None:
                raise
            anew(error.reason)
            (self.path / _RECORD).unlink(missing_ok=True)
            last = None
        with replaced(self.path / _ABOUT) as file:
            json.dump({**about, **contents}, file, indent=1)
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
        checkpoint = Checkpoint(step, state.name, 1 if last is None else last.count + 1, grown)
        with replaced(self.path / _RECORD) as file:
            json.dump(to_mapping(checkpoint), file, indent=1)
        if last is not None:
            (self.path / last.state).unlink(missing_ok=True)
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

    def _require_free(self) -> None:
        for name in (self._settings, *self._grows):
            if (self.path / name).exists():
                raise InputError(
                    f"{self.path}: expected a folder without {name}, which the run would "
                    f"overwrite, got one with a {name} that no run has made; choose another folder"
                )

    def _states(self) -> list[Path]:
        return [path for path in self.path.glob("state.*") if _STATE.fullmatch(path.name)]

    def _unfinished(self) -> Iterator[Path]:
        """What `replaced` had begun when the process was killed."""
        for name in (_RECORD, _ABOUT, self._settings):
            yield from self.path.glob(f".{name}.????????.tmp")

    def _compare(
        self, settings: str, about: Mapping[str, str], contents: Mapping[str, str]
    ) -> None:
        if not (self.path / _ABOUT).exists():
            if (self.path / _RECORD).exists():
                raise CannotGoOnError(
                    f"{self.path}: {_ABOUT} is missing", "use another folder, with --out"
                )
            return
        try:
            old = dict(json.loads((self.path / _ABOUT).read_text()))
            before = _flat(tomllib.loads((self.path / self._settings).read_text()))
        except FileNotFoundError as error:
            if old.keys() == {*about, *contents}:
                return  # killed before the first checkpoint
            raise CannotGoOnError(f"{self.path}: its {_ABOUT} is not of such a run") from error
        except (ValueError, TypeError) as error:
            raise CannotGoOnError(
                f"{self.path}: {_ABOUT} or {self._settings} is damaged: {error}"
            ) from error
        now = _flat(tomllib.loads(settings))
        changes = [
            f"{key} was {before.get(key)!r} and is now {now.get(key)!r}"
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        ]
        changes += [
            f"the {key} was {old.get(key)} and is now {value}"
            for key, value in about.items()
            if old.get(key) != value
        ]
        changes += [
            f"the contents of the {key} have changed"
            for key, value in contents.items()
            if old.get(key) != value
        ]
        if changes:
            raise CannotGoOnError(
                f"{self.path} belongs to another run: {'; '.join(changes)}",
                "choose another folder with --out, or undo the change to go on",
            )


@contextmanager
def run_folder(
    path: str | Path,
    settings: str,
    grows: tuple[str, ...] = (),
    *,
    mark: Mapping[str, str] | None = None,
) -> Iterator[RunFolder]:
    """Make and lock a folder.

    The lock is inherited by the processes that a run starts: where the parent was killed, the
    folder is free when they have ended too.

    Args:
        path: of the folder.
        settings: name of the file with the settings.
        grows: names of the files that grow. Only their end and their first 64 bytes may change.
        mark: what run.json says in folders of such runs, which hold nothing else: a folder with
            files in it that does not say so is refused, and stays as it is. None: it is not.

    Raises:
        InputError: it cannot be made, or another process runs in it, or it is not such a run's.
    """
    path = Path(path)
    locked_before = (path / _LOCK).exists()
    lock = _acquired(path)
    try:
        home = RunFolder(path, settings, grows)
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


def digest(name: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def _acquired(path: Path) -> int:
    """The lock of a folder, held."""
    end = time.monotonic() + _PATIENCE
    while True:
        lock = _opened(path)
        if lock is not None:
            try:
                os.set_inheritable(lock, True)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock), os.stat(path / _LOCK)):
                    return lock
            except (BlockingIOError, FileNotFoundError):
                pass  # held, or removed with its folder between two lines
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)
        if time.monotonic() > end:
            raise InputError(
                f"{path}: another process runs in this folder; wait for it, or stop it"
            )
        time.sleep(0.1)


def _opened(path: Path) -> int | None:
    """The file of a folder's lock; None: who held it removed the folder between two lines."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            return None
    except OSError as error:
        if isinstance(error, FileExistsError) and not os.path.lexists(path):
            return None
        raise InputError(f"{path}: cannot be used as a folder: {error.strerror}") from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Values by dotted key."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
