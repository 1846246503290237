"""The folder of a run: one process at a time, checkpoints, files that go back to them.

Whatever runs long keeps these files in it:

- the settings, as TOML, every default written out
- run.json: what else makes the run what it is, and digests of the data it depends on
- files that grow, such as a log
- state.N: everything that the run needs to go on, as its owner writes it, at checkpoint N
- checkpoint.json: the last checkpoint: its step, its state.N, and size and first bytes of the
  files that grow
- lock: held by the process that runs here
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
            none, files that grow are gone, and the run begins.

        Raises:
            CannotGoOnError: the folder belongs to another run, or its files are damaged.
        """
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
        for state in (*self.path.glob("state.*"), *self._unfinished()):
            if last is None or state.name != last.state:
                state.unlink()
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
        """Remove everything, for runs whose results lie elsewhere; files of others stay."""
        (self.path / _RECORD).unlink(missing_ok=True)  # first: without it nothing goes on
        for path in (*self.path.glob("state.*"), *self._unfinished()):
            path.unlink()
        for name in (*self._grows, self._settings, _ABOUT, _LOCK):
            (self.path / name).unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

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
        except FileNotFoundError:
            return  # killed before the first checkpoint
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
def run_folder(path: str | Path, settings: str, grows: tuple[str, ...] = ()) -> Iterator[RunFolder]:
    """Make and lock a folder.

    The lock is inherited by the processes that a run starts: where the parent was killed, the
    folder is free when they have ended too.

    Args:
        path: of the folder.
        settings: name of the file with the settings.
        grows: names of the files that grow. Only their end and their first 64 bytes may change.

    Raises:
        InputError: it cannot be made, or another process runs in it.
    """
    path = Path(path)
    lock = _acquired(path)
    try:
        yield RunFolder(path, settings, grows)
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
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"{path}: cannot be used as a folder: {error.strerror}") from error
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


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Values by dotted key."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
