"""The shared library by ctypes, its structs read from the header."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from acepot.compilation import native_library
from acepot.evaluate.tablebytes import table_bytes
from acepot.tables import Tables

TYPES = {"size_t": ctypes.c_size_t, "int": ctypes.c_int, "int64_t": ctypes.c_int64}
STRUCT = re.compile(r"typedef struct (ace_\w+) \{(.*?)\} \1;", re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def members(body: str) -> Iterator[tuple[str, Any]]:
    """Names and types of the members of a struct."""
    for declaration in COMMENT.sub("", body).split(";"):
        if callback := re.match(r"\s*int \(\*(\w+)\)", declaration):
            yield callback[1], ctypes.c_void_p
            continue
        kind, _, names = declaration.strip().removeprefix("const ").partition(" ")
        for name in filter(None, names.split(",")):
            pointer = "*" in kind + name
            yield name.strip(" *"), ctypes.c_void_p if pointer else TYPES[kind]


def structs(header: str) -> dict[str, type[ctypes.Structure]]:
    """A class for each struct of the header."""
    return {
        name: type(name, (ctypes.Structure,), {"_fields_": list(members(body))})
        for name, body in STRUCT.findall(header)
    }


class Ace:
    """libace.so and the structs of its header."""

    def __init__(self) -> None:
        library = native_library()
        self.header = (library.headers / "ace" / "c_api.h").read_text(encoding="utf-8")
        self.structs = structs(self.header)
        self.calls = ctypes.CDLL(str(library.shared))
        for name in ("ace_last_error", "ace_version_string", "ace_instruction_set"):
            self[name].restype = ctypes.c_char_p
        for name in ("ace_cutoff", "ace_pair_cutoff", "ace_isolated_energy"):
            self[name].restype = ctypes.c_double

    def __getitem__(self, name: str) -> Any:
        return getattr(self.calls, name)

    def struct(self, name: str, **values: object) -> ctypes.Structure:
        """A struct with its size; arrays are passed by their address and kept alive."""
        made = self.structs[name](ctypes.sizeof(self.structs[name]))
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                assert value.flags.c_contiguous or value.flags.f_contiguous
                setattr(made, key, value.ctypes.data)
            else:
                is_text = isinstance(value, bytes)
                setattr(made, key, ctypes.cast(value, ctypes.c_void_p) if is_text else value)
        made.kept = values  # type: ignore[attr-defined]
        return made

    def error(self) -> str:
        return str(self["ace_last_error"]().decode())


@pytest.fixture(scope="session")
def ace() -> Ace:
    return Ace()


@pytest.fixture
def opened(ace: Ace) -> Iterator[Callable[..., ctypes.c_void_p]]:
    """Opens Tables, and closes them after the test."""
    all_of_them = []

    def make(tables: Tables, **options: object) -> ctypes.c_void_p:
        data, model = table_bytes(tables), ctypes.c_void_p()
        given = ace.struct("ace_options", **options)
        status = ace["ace_open"](
            data, ctypes.c_size_t(len(data)), ctypes.byref(given), ctypes.byref(model)
        )
        assert status == 0, ace.error()
        all_of_them.append(model)
        return model

    yield make
    for model in all_of_them:
        ace["ace_destroy"](model)
