"""Models in forms that one engine reads."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.io.files import replaced
from acepot.io.registry import load
from acepot.lowering import lower
from acepot.model import Model
from acepot.tablebytes import table_bytes

Form = Literal["tables"]


def export(source: str | Path, target: str | Path, form: Form = "tables") -> int:
    """Write a model file in a form that an engine reads.

    Args:
        source: a model file of any known format.
        target: file to write.
        form: `tables`: the byte form of Tables (docs/file_format.md), for LAMMPS' pair_style
            acepot and other programs on the native library. It follows the library's version:
            keep the model file.

    Returns:
        Number of bytes written.

    Raises:
        InputError: an unknown form, or a model that the native library cannot evaluate.
        ModelFileError: the model file cannot be read.
        MissingDependency: the native library was not built.
    """
    if form not in get_args(Form):
        raise InputError(f"form: expected {' or '.join(get_args(Form))}, got {form!r}")
    if Path(target).resolve() == Path(source).resolve():
        raise InputError(f"{target}: expected another file than the one that is read")
    data = tables_of(load(source))
    with replaced(target, "wb") as file:
        file.write(data)
    return len(data)


def tables_of(model: Model) -> bytes:
    """The byte form of a model's Tables, which the native library was seen to read.

    Args:
        model: a model.

    Raises:
        InputError: a model that the native library cannot evaluate.
        MissingDependency: the native library was not built.
    """
    tables = lower(model)
    NativeEvaluator(tables, threads=1)  # raises if the library does not take these tables
    return table_bytes(tables)
