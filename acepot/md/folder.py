"""The folder of a run: one process at a time, checkpoints, files that go back to them.

- md.toml: the configuration, every default written out
- log.csv: rows of the log
- the trajectory, in the engine's format
- checkpoint.json: the last checkpoint: its step, the file with the engine's state, and size and
  first bytes of the files that grow
- state.N: the engine's state after N checkpoints
- run.json: the engine, and digests of the files that the run depends on
- md.png: the picture
- lock: held by the process that runs here
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.schema import from_mapping, to_mapping

#: Formats keep the number of their frames within this many bytes.
_HEAD = 64
#: Seconds to wait for a process that ends.
_PATIENCE = 20.0
_RECORD = "checkpoint.json"


@dataclass(frozen=True)
class Grown:
    """A file that grows, at a checkpoint.

    Args:
        size: in bytes; 0: it was not there.
        head: its first bytes, in hexadecimal digits.
    """

    size: int
    head: str


@dataclass(frozen=True)
class Checkpoint:
    """Where a run can go on.

    Args:
        step: of the run; negative in the equilibration.
        state: name of the file with the engine's state.
        count: checkpoints so far.
        files: those that grow, by name.
    """

    step: int
    state: str
    count: int
    files: dict[str, Grown] = field(default_factory=dict)


class RunFolder:
    """The folder of a run, while it is locked.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, toml: str, engine: str, inputs: Mapping[str, str]) -> Checkpoint | None:
        """Make the folder ready: for a new run, or for one that goes on.

        Args:
            toml: the configuration, every default written out.
            engine: its name.
            inputs: files that the run depends on, by the key in the configuration.

        Returns:
            The last checkpoint; files that grew after it are as they were then. None: there is
            none, and the run begins.

        Raises:
            InputError: the folder belongs to another run, or its files are damaged.
        """
        about = {"engine": engine} | {key: _digest(name) for key, name in inputs.items()}
        self._compare(toml, about)
        with replaced(self.path / "run.json") as file:
            json.dump(about, file, indent=1)
        with replaced(self.path / "md.toml") as file:
            file.write(toml)
        checkpoint = self._read()
        if checkpoint is not None:
            for name, grown in checkpoint.files.items():
                _cut(self.path / name, grown)
        for state in self.path.glob("state.*"):
            if checkpoint is None or state.name != checkpoint.state:
                state.unlink()
        return checkpoint

    def new_state(self, last: Checkpoint | None) -> Path:
        """Where the engine's next state goes."""
        return self.path / f"state.{1 if last is None else last.count + 1}"

    def record(self, step: int, last: Checkpoint | None, files: tuple[str, ...]) -> Checkpoint:
        """Make the state that was saved last the one to go on from.

        Args:
            step: of the run.
            last: the checkpoint before.
            files: names of those that grow.
        """
        state = self.new_state(last)
        grown = {name: _flushed(self.path / name) for name in files}
        _flushed(state)
        count = 1 if last is None else last.count + 1
        checkpoint = Checkpoint(step, state.name, count, grown)
        with replaced(self.path / _RECORD) as file:
            json.dump(to_mapping(checkpoint), file, indent=1)
        if last is not None:
            (self.path / last.state).unlink(missing_ok=True)
        return checkpoint

    def _read(self) -> Checkpoint | None:
        path = self.path / _RECORD
        if not path.exists():
            return None
        try:
            read = from_mapping(Checkpoint, json.loads(path.read_text()), str(path))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: damaged ({error}); begin again in another folder, with --out"
            ) from error
        names = [read.state, *read.files]
        needed = [read.state, *(name for name, grown in read.files.items() if grown.size)]
        if bad := [name for name in names if Path(name).name != name]:
            raise InputError(f"{path}: expected names of files in its folder, got {bad[0]!r}")
        if missing := [name for name in needed if not (self.path / name).is_file()]:
            raise InputError(
                f"{self.path}: {missing[0]} is missing, without which this run cannot go on; put "
                "it back, or begin again in another folder, with --out"
            )
        return read

    def _compare(self, toml: str, about: Mapping[str, str]) -> None:
        if not (self.path / "run.json").exists():
            if (self.path / _RECORD).exists():
                raise InputError(
                    f"{self.path}: run.json is missing; use another folder, with --out"
                )
            return
        try:
            old = json.loads((self.path / "run.json").read_text())
            old_settings = _flat(tomllib.loads((self.path / "md.toml").read_text()))
        except FileNotFoundError:
            return  # killed before the first checkpoint
        except ValueError as error:
            raise InputError(f"{self.path}: run.json or md.toml is damaged: {error}") from error
        new_settings = _flat(tomllib.loads(toml))
        changes = [
            f"{key} was {old_settings.get(key)!r} and is now {new_settings.get(key)!r}"
            for key in {**old_settings, **new_settings}
            if old_settings.get(key) != new_settings.get(key)
        ]
        if old.get("engine") != about["engine"]:
            changes.append(f"the engine was {old.get('engine')} and is now {about['engine']}")
        changes += [
            f"the contents of the {key} have changed"
            for key in about.keys() - {"engine"}
            if old.get(key) != about[key]
        ]
        if changes:
            raise InputError(
                f"{self.path} belongs to another run: {'; '.join(changes)}. Choose another folder "
                "with --out, or undo the change to go on"
            )


@contextmanager
def run_folder(path: str | Path) -> Iterator[RunFolder]:
    """Make and lock a folder.

    The lock is inherited by the processes that an engine starts: where the parent was killed, the
    folder is free when they have ended too.

    Raises:
        InputError: it cannot be made, or another process runs in it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be used as a folder: {error.strerror}") from error
    try:
        os.set_inheritable(lock, True)
        _acquire(lock, path)
        yield RunFolder(path)
    finally:
        os.close(lock)


def _acquire(lock: int, path: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise InputError(
                    f"{path}: another process runs in this folder; wait for it, or stop it"
                ) from None
            time.sleep(0.1)


def _flushed(path: Path) -> Grown:
    """Force a file to disk."""
    if not path.exists():
        return Grown(0, "")
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return Grown(os.fstat(file.fileno()).st_size, file.read(_HEAD).hex())


def _cut(path: Path, grown: Grown) -> None:
    """Take a file back to what it was."""
    if grown.size == 0:
        path.unlink(missing_ok=True)
        return
    if path.stat().st_size < grown.size:
        raise InputError(
            f"{path}: expected {grown.size} bytes or more, got {path.stat().st_size}: it has lost "
            "what was in it at the last checkpoint; begin again in another folder, with --out"
        )
    if _flushed(path) == grown:
        return
    with path.open("r+b") as file:
        file.write(bytes.fromhex(grown.head))
        file.truncate(grown.size)
        os.fsync(file.fileno())


def _digest(name: str) -> str:
    try:
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
