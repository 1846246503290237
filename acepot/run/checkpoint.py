"""Checkpoints: where a run can go on, and files that grow and are cut back to their size then."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from acepot.errors import InputError
from acepot.io.files import naming
from acepot.schema import from_mapping

__all__ = [
    "ANOTHER_FOLDER", "CannotGoOnError", "Checkpoint", "Grown", "cut", "digest", "flushed", "read",
]  # fmt: skip

#: Formats keep the number of their frames within this many bytes.
_HEAD = 64
#: What to do where nothing else helps.
ANOTHER_FOLDER = "begin again in another folder, with --out"


class CannotGoOnError(InputError):
    """A folder holds a run that this one cannot go on with.

    Args:
        reason: what is the matter.
        advice: what to do.
    """

    def __init__(self, reason: str, advice: str = ANOTHER_FOLDER) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason


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
        step: of the run, as its owner counts; md's are negative in the equilibration.
        state: name of the file with the state of the run.
        count: checkpoints so far.
        files: those that grow, by name.
        digest: of the state; empty: an earlier version made the checkpoint.
    """

    step: int
    state: str
    count: int
    files: dict[str, Grown] = field(default_factory=dict)
    digest: str = ""


def read(path: Path) -> Checkpoint | None:
    """The checkpoint that a JSON file describes; None: there is no such file.

    Raises:
        CannotGoOnError: it is damaged, or names files that are missing or lie elsewhere.
    """
    if not path.exists():
        return None
    try:
        checkpoint = from_mapping(Checkpoint, json.loads(path.read_text()), str(path))
    except (ValueError, RecursionError) as error:
        raise CannotGoOnError(f"{path}: damaged ({error})") from error
    grown = checkpoint.files
    names = [checkpoint.state, *grown]
    if bad := [name for name in names if Path(name).name != name]:
        raise CannotGoOnError(f"{path}: expected names of files in its folder, got {bad[0]!r}")
    needed = [checkpoint.state, *(name for name in grown if grown[name].size)]
    if missing := [name for name in needed if not (path.parent / name).is_file()]:
        raise CannotGoOnError(
            f"{path.parent}: {missing[0]} is missing, without which this run cannot go on",
            f"put it back, or {ANOTHER_FOLDER}",
        )
    state = path.parent / checkpoint.state
    if checkpoint.digest and digest(state) != checkpoint.digest:
        raise CannotGoOnError(
            f"{state}: damaged: it is not what the run wrote at its last checkpoint",
            f"put it back, or {ANOTHER_FOLDER}",
        )
    return checkpoint


def digest(name: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def flushed(path: Path) -> Grown:
    """Force a file to disk, and note how far it has grown."""
    if not path.exists():
        return Grown(0, "")
    with naming(path), path.open("rb") as file:
        os.fsync(file.fileno())
        return Grown(os.fstat(file.fileno()).st_size, file.read(_HEAD).hex())


def cut(path: Path, grown: Grown) -> None:
    """Take a file back to what it was.

    Raises:
        CannotGoOnError: it is shorter than it was.
    """
    if grown.size == 0:
        path.unlink(missing_ok=True)
        return
    if (size := path.stat().st_size) < grown.size:
        raise CannotGoOnError(
            f"{path}: expected {grown.size} bytes or more, got {size}: it has lost what was in it "
            "at the last checkpoint"
        )
    if flushed(path) == grown:
        return
    with path.open("r+b") as file:
        file.write(bytes.fromhex(grown.head))
        file.truncate(grown.size)
        os.fsync(file.fileno())
