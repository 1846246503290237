"""Models from files, by what is in the file, not by its name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, overload

from acepot.errors import InputError, ModelFileError
from acepot.io import modelfile
from acepot.io.ace1 import model_of_json
from acepot.io.files import content, is_pipe, opened_bytes
from acepot.io.foreign import MODELS, kind_of
from acepot.io.pace.acetext import START
from acepot.io.pace.read import model_of_text
from acepot.model import (
    AnyModel,
    BondModel,
    ChargeModel,
    FrictionModel,
    HamiltonianModel,
    Model,
    TensorModel,
)

M = TypeVar("M", Model, TensorModel, BondModel, HamiltonianModel, FrictionModel, ChargeModel)
Format = Literal["acepot", "ace1", "ace", "yace", "bbasis"]
#: What people call the formats.
NAMES: dict[Format, str] = {
    "acepot": ".acepot",
    "ace1": "ACE1 JSON",
    "ace": "PACE .ace",
    "yace": "PACE .yace",
    "bbasis": "PACE B-basis .yaml",
}
#: Why most of what takes a model of energies takes none with charges.
_LONG_RANGE = (
    ", whose charges interact at any distance: engines that see all atoms in one call run it (ASE, "
    "OpenMM's PythonForce, i-PI), LAMMPS, PACE's files and torch modules cannot"
)
#: How much of a file tells what it is: comments come first in some.
_START = 65536
#: Largest file inside a compressed one, in bytes, and for each of its bytes on disk.
_INSIDE, _RATIO = 2**29, 25
#: Keys of a PACE file, block style at the start of a line or flow style at the start.
_PACE = "(?:elements|E0|bonds|embeddings|functions|deltaSplineBins)[\"']?\\s*:"
#: How pacemaker's B-basis begins, and what every such file has.
_BBASIS = re.compile(r"(?:\s|#.*\n|---\n)*(?:metadata|global|species)\s*:")
_BLOCK = re.compile(r"\bspeciesblock\s*:")
#: How extended XYZ begins.
_STRUCTURES = re.compile(r"\s*\d+[ \t]*\r?\n.*\b(Lattice|Properties)=")
_YACE = re.compile(f"(?:\\s|#.*\n)*\\{{\\s*[\"']?{_PACE}|(?!\\s*\\{{)(?:.*\n)*?[\"']?{_PACE}")


@overload
def load(path: str | os.PathLike[str] | bytes) -> Model: ...


@overload
def load(path: str | os.PathLike[str] | bytes, kind: type[M]) -> M: ...


@overload
def load(path: str | os.PathLike[str] | bytes, kind: UnionType) -> AnyModel: ...


def load(path: str | os.PathLike[str] | bytes, kind: type[Any] | UnionType = Model) -> Any:
    """Read a model: `.acepot`, PACE's `.yace`, `.ace` and `.yaml`, and ACE1's JSON potentials.

    Args:
        path: the file, plain or compressed with xz, gzip or bzip2, whatever its suffix; or the
            bytes of an `.acepot` file.
        kind: what is expected: `Model` for energies, `TensorModel` for tensors of sites,
            `BondModel` for those of bonds, `HamiltonianModel` for matrices in atomic orbitals,
            `FrictionModel` for friction, `ChargeModel` for energies with charges; or several,
            `Model | HamiltonianModel`.

    Raises:
        InputError: the file cannot be opened.
        ModelFileError: it is damaged, too new, no model file, or holds another kind of model.
    """
    name = "model" if isinstance(path, bytes) else str(path)
    found = _read(path)
    if not isinstance(found, kind):
        raise ModelFileError(
            f"{name}: expected a {_named(kind)}, got a {type(found).__name__}"
            f"{_LONG_RANGE if isinstance(found, ChargeModel) else ''}; "
            f"read it with acepot.load(…, acepot.{type(found).__name__})"
        )
    return found


def _named(kind: Any) -> str:
    """One kind of model, or several, in words."""
    return " or ".join(one.__name__ for one in get_args(kind) or (kind,))


def _read(path: str | os.PathLike[str] | bytes) -> AnyModel:
    if isinstance(path, bytes):
        return modelfile.load(path)
    path = Path(path)
    data = _content(path)  # read once: it may be a pipe
    found = _format(data[:_START], data, path)
    if found == "acepot":
        return modelfile.load(data, str(path))
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    del data
    make = model_of_json if found == "ace1" else model_of_text
    return make(text, str(path), path.name)


def identify(path: str | os.PathLike[str]) -> Format:
    """The format of a model file, from its first bytes.

    Args:
        path: the file, plain or compressed.

    Raises:
        InputError: the file cannot be opened, or is a pipe.
        ModelFileError: no model file.
    """
    path = Path(path)
    if is_pipe(path):
        raise InputError(f"{path}: expected a file that can be read twice, got a pipe")
    with opened_bytes(path) as file:
        start = file.read(_START)
    return _format(start, start, path)


def _format(start: bytes, known: bytes, path: Path) -> Format:
    """The format of a file that begins so.

    Args:
        start: its first bytes.
        known: all that was read of it.
        path: its name.
    """
    kind = kind_of(known, path)
    if start.startswith(b"PK") and kind is None:
        return "acepot"
    text = start.decode("utf-8-sig", "replace")
    if START.match(text):
        return "ace"
    if _YACE.match(text):
        return "yace"
    if text.lstrip().startswith("{"):
        return "ace1"
    if _BBASIS.match(text) and _BLOCK.search(text):
        return "bbasis"
    if kind is None and _STRUCTURES.match(text):
        kind = "structures in extended XYZ: the model comes first, then the structures"
    if kind is None:
        raise ModelFileError(
            f"{path}: no model file: neither .acepot, PACE's .yace, .ace or .yaml, nor ACE1's JSON"
        )
    raise ModelFileError(f"{path}: no model file: it looks like {kind}; {MODELS}")


def _content(path: Path) -> bytes:
    """The bytes of a model file, taken out of its compression if there is one."""
    try:
        return content(path, _INSIDE, _RATIO)
    except InputError as error:
        if not path.is_file():
            raise
        raise ModelFileError(str(error)) from error
