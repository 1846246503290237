"""Models from files, by what is in the file, not by its name."""

from __future__ import annotations

import os
from pathlib import Path

from acepot.errors import InputError, ModelFileError
from acepot.io import acefile
from acepot.io.ace1 import read_ace1
from acepot.io.files import opened
from acepot.model import Model


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model: `.acepot` files, and ACE1's JSON potentials.

    Args:
        path: the file.

    Raises:
        InputError: the file cannot be opened.
        ModelFileError: it is damaged, too new, or no model file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if start == b"PK":
        return acefile.load(path)
    with opened(path) as text:
        first = text.read(64).lstrip()[:1]
    if first == "{":
        return read_ace1(path)
    raise ModelFileError(f"{path}: neither an .acepot model file nor ACE1's JSON")
