"""A model as the source of a KIM portable model, which KIM's own tools compile and install."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from acepot.conversion import convert
from acepot.errors import InputError
from kim_ace.driver import DRIVER

#: KIM's names of items are identifiers of C.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CMAKE = """\
cmake_minimum_required(VERSION 3.10)
list(APPEND CMAKE_PREFIX_PATH $ENV{{KIM_API_CMAKE_PREFIX_DIR}})
find_package(KIM-API-ITEMS 2.2 REQUIRED CONFIG)
kim_api_items_setup_before_project(ITEM_TYPE "portableModel")
project({name})
kim_api_items_setup_after_project(ITEM_TYPE "portableModel")
add_kim_api_model_library(
  NAME "${{PROJECT_NAME}}"
  DRIVER_NAME "{driver}"
  PARAMETER_FILES "{name}.tables")
"""


def export_kim(model: str | Path, folder: str | Path) -> Path:
    """Write a model as a folder that `kim-api-collections-management install user FOLDER` takes.

    Args:
        model: file of any known format.
        folder: to make; its name is that of the KIM model.

    Returns:
        The folder.

    Raises:
        InputError: a name that KIM does not take, a folder that exists, or as `acepot.convert`.
    """
    target = Path(folder)
    name = target.name
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{target}: KIM names models by letters, digits and underscores, a letter first; "
            f"got {name!r}"
        )
    if target.exists():
        raise InputError(f"{target}: exists; delete it or choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=target.parent) as scratch:
        made = Path(scratch) / name
        made.mkdir()
        convert(model, made / f"{name}.tables", "tables")
        lines = _CMAKE.format(name=name, driver=DRIVER)
        (made / "CMakeLists.txt").write_text(lines, encoding="utf-8")
        made.rename(target)
    return target
