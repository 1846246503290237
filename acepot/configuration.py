"""TOML files of settings that name other files, relative to their own folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from acepot.schema import from_toml, to_mapping, to_toml

__all__ = ["dumped", "loaded"]

T = TypeVar("T")
#: The same settings with the names of their files passed through a function.
Renamed = Callable[[T, Callable[[str], str]], T]


def loaded(cls: type[T], path: str | Path, renamed: Renamed[T]) -> T:
    """Settings from a TOML file; names of files are joined to its folder.

    Args:
        cls: a dataclass.
        path: of the file.
        renamed: for the names of files.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    path = Path(path)
    return renamed(from_toml(cls, path), lambda name: str(path.parent / name))


def dumped(settings: T, folder: str | Path, renamed: Renamed[T]) -> str:
    """The TOML text of settings, every default written out.

    Args:
        settings: a dataclass.
        folder: where the file will lie; names of files are written relative to it.
        renamed: for the names of files.
    """
    there: Any = renamed(settings, lambda name: Path(os.path.relpath(name, folder)).as_posix())
    return to_toml(to_mapping(there))
