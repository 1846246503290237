"""Files: text that may be compressed, and writing that is complete or did not happen."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import os
import secrets
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from acepot.budget import MORE, allowed
from acepot.errors import InputError

_OPENERS: tuple[tuple[bytes, Callable[..., IO[Any]]], ...] = (
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
)
#: Bytes that a compressed file of structures may hold, and for each of its own bytes so many more:
#: text of positions shrinks to a third, what is all the same to a thousandth.
_INSIDE, _PER_BYTE = 20_000_000, 40
#: Bytes taken out of a compressed file at once.
_BLOCK = 2**18
_DAMAGE = (EOFError, lzma.LZMAError, zlib.error, OSError)


@contextmanager
def opened(path: str | Path) -> Iterator[IO[str]]:
    r"""Open a text file for reading; xz, gzip and bzip2 are known by their first bytes.

    Bytes that are not UTF-8 become U+FFFD, so that a stray accent in a comment is no error.

    Args:
        path: the file, compressed or not, whatever its suffix.

    Yields:
        The text, line ends as "\n".

    Raises:
        InputError: no such file, not a file, no permission, damaged compressed data (also
            when it shows only while reading).
    """
    with _opened(path, "rt", encoding="utf-8-sig", errors="replace") as text:
        yield text


@contextmanager
def opened_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for reading as bytes; xz, gzip and bzip2 are known by their first bytes.

    Args:
        path: the file, compressed or not, whatever its suffix.

    Yields:
        The bytes, uncompressed.

    Raises:
        InputError: as `opened`.
    """
    with _opened(path, "rb") as file:
        yield file


@contextmanager
def _opened(path: str | Path, mode: str, **how: Any) -> Iterator[IO[Any]]:
    """The file is opened once, so that a pipe can be read."""
    path = Path(path)
    with _opened_raw(path) as raw:
        magic = raw.peek(6)[:6]
        opener = next((use for start, use in _OPENERS if magic.startswith(start)), None)
        file: IO[bytes] = raw
        if opener is not None:
            limit = allowed(_INSIDE + _PER_BYTE * os.fstat(raw.fileno()).st_size)
            file = io.BufferedReader(_Bounded(opener(raw, "rb"), limit, path), _BLOCK)
        with io.TextIOWrapper(file, **how) if mode == "rt" else file as text:
            yield text


@contextmanager
def _opened_raw(path: Path) -> Iterator[io.BufferedReader]:
    """The file as it is, and what reading it may raise as InputErrors."""
    try:
        with _regular(path) as raw:
            yield raw
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: expected a file, got a folder") from error
    except _DAMAGE as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _regular(path: Path) -> io.BufferedReader:
    """The open file; devices are refused, as /dev/zero never ends."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
        raise InputError(f"{path}: expected a file, got a device or socket")
    return path.open("rb")


class _Bounded(io.RawIOBase):
    """Reads what is in a compressed file, but not without end."""

    def __init__(self, file: IO[bytes], limit: int, path: Path) -> None:
        self._file, self._limit, self._path, self._count = file, limit, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._count += len(data)
        if self._count > self._limit:
            raise InputError(
                f"{self._path}: expected at most {self._limit} bytes inside a compressed file of "
                f"this size, got more; {MORE}"
            )
        buffer[: len(data)] = data
        return len(data)


def content(path: str | Path, most: int, per_byte: float) -> bytes:
    """All bytes of a file, taken out of its compression; it is read once, so it may be a pipe.

    Args:
        path: the file.
        most: bytes it may have, unless it has them without compression.
        per_byte: bytes it may have beyond five million for each byte on disk, if compressed.

    Raises:
        InputError: as `opened`, or it holds more.
    """
    path = Path(path)
    with _opened_raw(path) as file:
        size = os.fstat(file.fileno()).st_size
        most = allowed(most)
        raw = _at_most(file, max(most, size) + 1)
    opener = next((use for start, use in _OPENERS if raw.startswith(start)), None)
    limit = max(most, size)
    if opener is not None:
        limit = min(most, allowed(5_000_000 + per_byte * len(raw)))
        try:
            with opener(io.BytesIO(raw), "rb") as inside:
                raw = _at_most(inside, limit + 1)
        except _DAMAGE as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
    if len(raw) > limit:
        raise InputError(
            f"{path}: expected at most {limit} bytes"
            f"{' inside a compressed file of this size' if opener else ''}, got more; {MORE}"
        )
    return raw


def _at_most(file: IO[bytes], count: int) -> bytes:
    """So many bytes or all there are; `read` would take the memory of all at once."""
    parts = []
    while count > 0 and (part := file.read(min(count, _BLOCK))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def matching(name: str, folder: str | Path = "") -> tuple[str, ...]:
    """The files that a name means: itself, or those that match it if it is a pattern.

    Args:
        name: of a file, or a pattern with `*`, `?`, `[...]` or `**`.
        folder: to which the name is relative.

    Returns:
        Names joined to the folder, those of a pattern in alphabetical order.

    Raises:
        InputError: a pattern that no file matches.
    """
    whole = str(Path(folder) / name)
    if not glob.has_magic(name) or Path(whole).exists():
        return (whole,)
    found = sorted(glob.glob(name, root_dir=folder or None, recursive=True))
    if not found:
        raise InputError(f"{whole}: no file matches this pattern")
    return tuple(str(Path(folder) / one) for one in found)


def is_pipe(path: str | Path) -> bool:
    """Whether a path is a pipe, which can be read only once."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put the name of a file into errors of the system that lack one, such as that of a full disk.

    Args:
        path: of the file that is read or written meanwhile.

    Raises:
        OSError: as it came, with the name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def about(path: str | Path) -> Iterator[None]:
    """Put the name of a file into errors about what is in it.

    Args:
        path: of the file whose contents are used meanwhile.

    Raises:
        InputError: as it came, with the name.
    """
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error


@contextmanager
def replaced(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    r"""Write a file that replaces `path` only when the block ends without an exception.

    The text goes to a temporary name in the same folder, is forced to disk and then moved
    over `path` in one step. On any exception (KeyboardInterrupt too) the temporary is
    removed and an older file stays as it was. A symbolic link stays a link: the file it
    points to is replaced.

    Args:
        path: the file to make or replace.
        mode: "w" for text (UTF-8, "\n" line ends) or "wb" for bytes.

    Yields:
        The open temporary file.

    Raises:
        InputError: another mode, no such folder, no permission, `path` is no regular file.
    """
    if mode not in ("w", "wb"):
        raise InputError(f'mode: expected "w" or "wb", got {mode!r}')
    target = Path(os.path.realpath(path))
    if os.path.exists(target) and not os.path.isfile(target):  # unlike Path's, never raise
        raise InputError(f"{path}: cannot be written: it is not a regular file")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    how: dict[str, str] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        handle: IO[Any] = open(temporary, mode.replace("w", "x"), **how)  # type: ignore[call-overload]
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with naming(path), handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
