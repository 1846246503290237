"""Files: text that may be compressed, and writing that is complete or did not happen."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from acepot.errors import InputError

_OPENERS: tuple[tuple[bytes, Callable[..., IO[Any]]], ...] = (
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
)
#: How a file that is not compressed is opened.
_plain: Callable[..., IO[Any]] = open
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
def _opened(path: str | Path, mode: str, **how: str) -> Iterator[IO[Any]]:
    path = Path(path)
    try:
        with path.open("rb") as raw:
            magic = raw.read(6)
        opener = next((use for start, use in _OPENERS if magic.startswith(start)), _plain)
        with opener(path, mode, **how) as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: expected a file, got a folder") from error
    except _DAMAGE as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


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
