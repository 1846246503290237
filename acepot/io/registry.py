"""Models from files, by what is in the file, not by its name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from acepot.errors import ModelFileError
from acepot.io import modelfile
from acepot.io.ace1 import read_ace1
from acepot.io.files import opened_bytes
from acepot.io.pace.acetext import START
from acepot.io.pace.read import read_pace
from acepot.model import AnyModel, BondModel, Model, TensorModel

M = TypeVar("M", Model, TensorModel, BondModel)
Format = Literal["acepot", "ace1", "ace", "yace"]
#: What people call the formats.
NAMES: dict[Format, str] = {
    "acepot": ".acepot",
    "ace1": "ACE1 JSON",
    "ace": "PACE .ace",
    "yace": "PACE .yace",
}
#: How much of a file tells what it is: comments come first in some.
_START = 65536
#: Largest .acepot file inside a compressed one, in bytes.
_INSIDE = 2**29
#: Keys of a PACE file, block style at the start of a line or flow style at the start.
_PACE = "(?:elements|E0|bonds|embeddings|functions|deltaSplineBins)[\"']?\\s*:"
_YACE = re.compile(f"(?:\\s|#.*\n)*\\{{\\s*[\"']?{_PACE}|(?!\\s*\\{{)(?:.*\n)*?[\"']?{_PACE}")
#: Keys of pacemaker's own input and output, whose functions are not yet those of PACE.
_B_BASIS = re.compile(r"^(?:species|global|metadata)\s*:", re.MULTILINE)


@overload
def load(path: str | os.PathLike[str] | bytes) -> Model: ...


@overload
def load(path: str | os.PathLike[str] | bytes, kind: type[M]) -> M: ...


def load(path: str | os.PathLike[str] | bytes, kind: type[Any] = Model) -> Any:
    """Read a model: `.acepot`, PACE's `.yace` and `.ace`, and ACE1's JSON potentials.

    Args:
        path: the file, plain or compressed with xz, gzip or bzip2, whatever its suffix; or the
            bytes of an `.acepot` file.
        kind: what is expected: `Model` for energies, `TensorModel` for tensors of sites,
            `BondModel` for those of bonds.

    Raises:
        InputError: the file cannot be opened.
        ModelFileError: it is damaged, too new, no model file, or holds another kind of model.
    """
    name = "model" if isinstance(path, bytes) else str(path)
    found = _read(path)
    if not isinstance(found, kind):
        raise ModelFileError(
            f"{name}: expected a {kind.__name__}, got a {type(found).__name__}; "
            f"read it with acepot.load(…, acepot.{type(found).__name__})"
        )
    return found


def _read(path: str | os.PathLike[str] | bytes) -> AnyModel:
    if isinstance(path, bytes):
        return modelfile.load(path)
    path = Path(path)
    found = identify(path)
    if found == "acepot":
        return modelfile.load(_content(path), str(path))
    return read_ace1(path) if found == "ace1" else read_pace(path)


def identify(path: str | os.PathLike[str]) -> Format:
    """The format of a model file, from its first bytes.

    Args:
        path: the file, plain or compressed.

    Raises:
        InputError: the file cannot be opened.
        ModelFileError: no model file.
    """
    path = Path(path)
    with opened_bytes(path) as file:
        start = file.read(_START)
    if start.startswith(b"PK"):
        return "acepot"
    text = start.decode("utf-8-sig", "replace")
    if START.match(text):
        return "ace"
    if _YACE.match(text):
        return "yace"
    if text.lstrip().startswith("{"):
        return "ace1"
    if _B_BASIS.search(text):
        raise ModelFileError(
            f"{path}: looks like pacemaker's B-basis, which is not read; make a .yace file of it "
            "first: pace_yaml2yace -o potential.yace potential.yaml"
        )
    raise ModelFileError(
        f"{path}: no model file: neither .acepot, PACE's .yace or .ace, nor ACE1's JSON"
    )


def _content(path: Path) -> bytes:
    """The bytes of a model file, taken out of its compression if there is one."""
    limit = max(_INSIDE, path.stat().st_size)
    with opened_bytes(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelFileError(f"{path}: expected at most {limit} bytes inside, got more")
    return data
