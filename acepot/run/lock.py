"""The lock of a folder: one process at a time, whatever ends it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from acepot.errors import InputError

__all__ = ["NAME", "acquired"]

#: Of the file that is locked.
NAME = "lock"
#: Seconds to wait for a process that ends, and to wait before saying so.
_PATIENCE, _SILENT = 20.0, 0.5


def acquired(path: Path, say: Callable[[str], None] | None = None) -> int:
    """Lock a folder, which is made where there is none.

    Args:
        path: of the folder.
        say: told when there is another process to wait for.

    Returns:
        The descriptor of the lock. Processes that are started inherit it; the folder is free when
        all of them have closed it or ended.

    Raises:
        InputError: it cannot be made, or another process runs in it.
    """
    begin = time.monotonic()
    while True:
        lock = _held(path)
        if lock is not None:
            return lock
        waited = time.monotonic() - begin
        if waited > _PATIENCE:
            raise InputError(
                f"{path}: another process runs in this folder; wait for it, or stop it"
            )
        if say is not None and waited > _SILENT:
            say(f"{path}: waits up to {_PATIENCE:g} s for another process that runs in this folder")
            say = None
        time.sleep(0.1)


def _held(path: Path) -> int | None:
    """The lock; None: another process has it, or removed it with its folder between two lines."""
    lock = _opened(path)
    if lock is None:
        return None
    try:
        os.set_inheritable(lock, True)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path / NAME)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _opened(path: Path) -> int | None:
    """The file of a folder's lock; None: who held it removed the folder between two lines."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path / NAME, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            return None
    except OSError as error:
        if isinstance(error, FileExistsError) and not os.path.lexists(path):
            return None
        raise InputError(f"{path}: cannot be used as a folder: {error.strerror}") from error
