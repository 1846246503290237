"""Files that only this user can have written: a digest with a key of the user's own.

The key lies beside the files and is made when it is first needed. Files without the right digest,
of other users, and links and what is no regular file at all, are not opened.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path

#: Bytes of key and digest.
_LENGTH = 32
#: Most bytes of a file.
_MOST = 2**31


def sealed(content: bytes, name: str, folder: Path) -> bytes:
    """A digest of some content, followed by it.

    Args:
        content: what the file shall hold.
        name: of the file; under another one it will not be accepted.
        folder: where the key is.

    Raises:
        OSError: no key can be made there.
    """
    return _digest(content, name, _key(folder, make=True)) + content


def opened(path: Path) -> bytes:
    """The content of a file that `sealed` made.

    Args:
        path: the file; the key is beside it.

    Raises:
        OSError: no such file, or not a regular file of this user's.
        ValueError: its digest is wrong.
    """
    key, raw = _key(path.parent, make=False), _read(path, _MOST)
    if not hmac.compare_digest(_digest(raw[_LENGTH:], path.name, key), raw[:_LENGTH]):
        raise ValueError(f"{path}: damaged, or written by somebody else")
    return raw[_LENGTH:]


def _digest(content: bytes, name: str, key: bytes) -> bytes:
    made = hmac.new(key, name.encode() + b"\0", hashlib.sha256)
    made.update(content)
    return made.digest()


def _key(folder: Path, make: bool) -> bytes:
    path = folder / "key"
    try:
        key = _read(path, _LENGTH)
    except FileNotFoundError:
        if not make:
            raise
        handle, name = tempfile.mkstemp(dir=folder, prefix=".key-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_LENGTH))
            try:
                os.link(name, path)  # unlike a replacement, the first of two processes wins
            except FileExistsError:
                pass
        finally:
            Path(name).unlink(missing_ok=True)
        key = _read(path, _LENGTH)
    if len(key) != _LENGTH:
        raise OSError(f"{path}: no key")
    return key


def _read(path: Path, most: int) -> bytes:
    """A regular file of this user, or of root, that nobody else can write to."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0)  # a link is an OSError
    with open(os.open(path, flags), "rb") as file:  # a FIFO is not waited for
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise OSError(f"{path}: not a file of the kind that is kept here")
        if hasattr(os, "geteuid"):
            mine = status.st_uid in (os.geteuid(), 0)
            if not mine or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise OSError(f"{path}: others can write to it")
        return file.read()
