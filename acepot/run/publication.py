"""Files of one result are put in place all together, also if the process ends between two of them.

They are written into a folder of their own first. When all are there a list of them is written, and
from then on they are on their way: they are moved one after the other, the model last, and whoever
comes next moves what is left. Without the list they are those of a result that was not complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.run.lock import acquired

__all__ = ["COMPLETE", "UNFINISHED", "Publication", "publishing"]

#: Folder in that of a result, while it is not complete; and in that one for its files.
UNFINISHED, COMPLETE = "unfinished", "complete"
_LIST = "list.json"


class Publication:
    """Files on their way into a folder, which is locked.

    Args:
        folder: where they will be.
        waiting: a folder of the same file system, where they are until all are there.
        names: of the files that there may be, in the order in which they are moved: the model last.
        say: called with lines for people.
    """

    def __init__(
        self, folder: Path, waiting: Path, names: tuple[str, ...], say: Callable[[str], None]
    ) -> None:
        self._folder, self._waiting, self._names = folder, waiting, names
        if (listed := self._listed()) is not None:
            say(f"{folder}: the files of a run that was ended meanwhile are put in place")
            self._move(listed)
        shutil.rmtree(waiting, ignore_errors=True)
        for name in names:  # what was being written when a process of an earlier version ended
            for left in folder.glob(f".{name}.????????.tmp"):
                left.unlink(missing_ok=True)

    def __enter__(self) -> Publication:
        return self

    def __exit__(self, *_error: object) -> None:
        """Files that are not complete are of no use."""
        if self._listed() is None:
            shutil.rmtree(self._waiting, ignore_errors=True)

    def file(self, name: str) -> Path:
        """Where to write the file of a name; earlier ones of this name stay as they are.

        Raises:
            InputError: what has this name is no file.
        """
        target = self._folder / name
        if target.exists() and not target.is_file():
            raise InputError(f"{target}: cannot be written: it is not a regular file")
        self._waiting.mkdir(exist_ok=True)
        return self._waiting / name

    def complete(self) -> None:
        """All files are there: put them in place."""
        names = [name for name in self._names if (self._waiting / name).is_file()]
        if not names:
            return
        with replaced(self._waiting / _LIST) as file:
            json.dump(names, file)
        self._move(names)
        shutil.rmtree(self._waiting, ignore_errors=True)

    def _listed(self) -> list[str] | None:
        """What an earlier process had on its way; None: nothing."""
        try:
            names = json.loads((self._waiting / _LIST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return [name for name in self._names if isinstance(names, list) and name in names]

    def _move(self, names: list[str]) -> None:
        for name in names:
            source, target = self._waiting / name, self._folder / name
            if not source.is_file():
                continue  # it is there already
            if target.is_symlink():  # the file it points to is replaced
                with replaced(target, "wb") as file:
                    file.write(source.read_bytes())
                source.unlink()
                continue
            if target.exists():
                source.chmod(target.stat().st_mode & 0o7777)
            os.replace(source, target)


@contextmanager
def publishing(
    folder: str | Path, names: tuple[str, ...], say: Callable[[str], None], *, what: str
) -> Iterator[Publication]:
    """Lock a folder, and put the files of a result in place when the block has ended.

    Args:
        folder: made if it is not there.
        names: of the files that there may be, the model last.
        say: called with lines for people.
        what: kind of result. Each waits in a folder of its own, so that none of them takes what
            another one, which was stopped, has left to go on with.

    Yields:
        Where the files are until then.

    Raises:
        InputError: the folder cannot be made, or another process runs in it.
    """
    home = Path(folder)
    unfinished = home / f"{UNFINISHED}-{what}"
    lock = acquired(unfinished, say)
    try:
        with Publication(home, unfinished / COMPLETE, names, say) as files:
            yield files
            files.complete()
        shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        os.close(lock)
