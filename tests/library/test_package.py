"""Other projects find, compile and link the installed library, wherever it lies.

The programs are those of docs/c_library.md.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot.compilation import Library, native_library, program
from acepot.errors import MissingDependency
from acepot.structure import Structure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "c_library.md"
#: A line of Fortran that goes on in the next one.
SPLIT = re.compile(r"&\n\s*")
CELL = [[0, 2.72, 2.72], [2.72, 0, 2.72], [2.72, 2.72, 0]]


def block(language: str, number: int = 0) -> str:
    """A block of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[number]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The installed library in another place."""
    here = native_library()
    if not here.cmake.is_dir() and here.archive.is_relative_to(ROOT):
        pytest.skip("the extension was compiled into the source tree, not installed")
    folder = tmp_path_factory.mktemp("elsewhere") / "acepot"
    shutil.copytree(here.archive.parent, folder / "lib", symlinks=True)
    shutil.copytree(here.headers, folder / "include")
    return Library(folder / "lib" / "libace.a", folder / "include")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the programs run, with the Tables that they read."""
    acepot.convert(ROOT / "models" / "Si-mlearn" / "model.acepot", tmp_path / "Si.tables", "tables")
    (tmp_path / "energy.c").write_text(block("c"), encoding="utf-8")
    (tmp_path / "energy.f90").write_text(block("fortran"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected() -> list[list[float]]:
    """Energy and first force of the page's structures."""
    potential = acepot.Potential(acepot.load(ROOT / "models" / "Si-mlearn" / "model.acepot"))
    silicon = np.array([14, 14])
    structures = [
        Structure(silicon, np.array([[0, 0, 0], [1.40, 1.35, 1.36]]), np.array(CELL), (True,) * 3),
        Structure(silicon, np.array([[0, 0, 0], [1.3, 1.4, 1.5]])),
    ]
    results = [potential.compute(structure) for structure in structures]
    return [[result.energy, float(result.forces[0, 0])] for result in results]


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def numbers(text: str) -> list[list[float]]:
    return [[float(x) for x in re.findall(r"-?\d*\.\d+", line)] for line in text.splitlines()]


def compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def check(text: str, structures: int) -> None:
    np.testing.assert_allclose(numbers(text), expected()[:structures], atol=2e-9, rtol=0)


def test_a_shared_library_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"shared library is not in .*; install"):
        _ = Library(tmp_path / "libace.a", tmp_path).shared


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_a_project_of_cmake_finds_it(folder: Path, moved: Library, kind: str) -> None:
    cmake, text = program("cmake"), block("cmake")
    if cmake is None:
        pytest.skip("CMake is not installed")
    if kind == "static":
        text = text.replace("ace::ace)", "ace::ace_static)").replace(
            "LANGUAGES C", "LANGUAGES C CXX"
        )
    (folder / "CMakeLists.txt").write_text(text, encoding="utf-8")
    run(cmake, "-S", ".", "-B", "build", f"-Dace_DIR={moved.cmake}")
    run(cmake, "--build", "build")
    check(run("build/energy"), 2)


def test_cmake_refuses_another_major_version(folder: Path, moved: Library) -> None:
    cmake, text = program("cmake"), block("cmake")
    if cmake is None:
        pytest.skip("CMake is not installed")
    (folder / "CMakeLists.txt").write_text(text.replace("ace 1.1", "ace 2.0"), encoding="utf-8")
    command = [cmake, "-S", ".", "-B", "build", f"-Dace_DIR={moved.cmake}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and 'requested version "2.0"' in done.stderr


def test_pkg_config_finds_it(folder: Path, moved: Library) -> None:
    compiler("pkg-config"), compiler("cc")
    line = next(b for b in (block("sh", k) for k in range(4)) if "pkg-config" in b)
    run("sh", "-e", "-c", line, PKG_CONFIG_PATH=str(moved.pkgconfig))
    loaded = re.findall(r"libace\S* => (\S+)", run("ldd", "./energy"))
    assert [Path(file).resolve() for file in loaded] == [moved.shared.resolve()]
    check(run("./energy"), 2)


def test_the_module_of_fortran_is_the_header(folder: Path, moved: Library, ace: Any) -> None:
    """Every call and every number is there, and structs are as long as those of C."""
    fortran, module = compiler("gfortran"), moved.headers / "ace" / "ace.f90"
    text = module.read_text(encoding="utf-8")
    declared = set(re.findall(r"^ACE_API .*?\b(ace_\w+)\(", ace.header, re.MULTILINE))
    assert declared == set(
        re.findall(r"(?:function|subroutine) (ace_\w+)\(.*?bind\(c\)", SPLIT.sub("", text))
    )
    values = dict(re.findall(r"\b(ACE_\w+) = (\d+)", ace.header))
    assert values.items() <= dict(re.findall(r"\b(ACE_\w+) = (\w+)", text.upper())).items()
    names = list(ace.structs)
    lines = ["use ace", *[f"type({name}) :: x{k}" for k, name in enumerate(names)]]
    lines += [f"print *, c_sizeof(x{k})" for k in range(len(names))]
    (folder / "sizes.f90").write_text("\n".join([*lines, "end"]), encoding="utf-8")
    run(fortran, "-Wall", "-Wextra", module, "sizes.f90", "-o", "sizes")
    found = dict(zip(names, map(int, run("./sizes").split()), strict=True))
    assert found == {name: ctypes.sizeof(struct) for name, struct in ace.structs.items()}


def test_fortran_calls_it(folder: Path, moved: Library) -> None:
    fortran = compiler("gfortran")
    module, library = moved.headers / "ace" / "ace.f90", moved.shared
    warnings = ["-std=f2018", "-Wall", "-Wextra", "-Werror"]
    where = f"-Wl,-rpath,{library.parent}"
    run(fortran, *warnings, module, "energy.f90", library, where, "-o", "energy")
    check(run("./energy"), 1)
