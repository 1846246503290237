"""What is compiled where it runs: once, into the user's cache folder, against this installation.

An installed acepot carries its native library for other compiled code beside the extension:
`libace.a`, the same as a shared library, `ace/c_api.h`, and packages for CMake and pkg-config
(docs/c_library.md). One process compiles while others wait for its lock; a result is complete or
not there.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from acepot.basis.cache import cache_folder
from acepot.errors import InputError, MissingDependency
from acepot.evaluate.native import extension_file
from acepot.ownership import check_own, make_own

_LOG = logging.getLogger(__name__)
#: How the names of folders that are compiled in begin.
_SCRATCH = "build."


@dataclass(frozen=True)
class Library:
    """The native library as other compiled code links it.

    Args:
        archive: `libace.a`, position independent.
        headers: folder of `ace/c_api.h`.
    """

    archive: Path
    headers: Path

    @property
    def shared(self) -> Path:
        """The shared library, to load it: its name says the major version of the interface.

        Raises:
            MissingDependency: acepot was installed without it.
        """
        for pattern in ("libace.so.*", "libace.*.dylib"):
            for file in sorted(self.archive.parent.glob(pattern)):
                return file
        raise MissingDependency(
            f"acepot's shared library is not in {self.archive.parent}; install acepot again "
            "with pip"
        )

    @property
    def cmake(self) -> Path:
        """What CMake's `find_package(ace)` takes as ace_DIR."""
        return self.archive.parent / "cmake" / "ace"

    @property
    def pkgconfig(self) -> Path:
        """The folder of `ace.pc`, for PKG_CONFIG_PATH."""
        return self.archive.parent / "pkgconfig"

    def definitions(self) -> list[str]:
        """What CMake files that link the library take."""
        return [f"-DACE_LIBRARY={self.archive}", f"-DACE_INCLUDE_DIR={self.headers}"]


def native_library() -> Library:
    """The native library of this installation.

    Raises:
        MissingDependency: acepot was installed without it.
    """
    home = extension_file().parent
    found = Library(home / "lib" / "libace.a", home / "include")
    if not found.archive.is_file() or not (found.headers / "ace" / "c_api.h").is_file():
        raise MissingDependency(
            f"acepot's native library is not in {home}; install acepot again with pip"
        )
    return found


def folder_of(place: str) -> Path:
    """Where the compiled files of a place are, or will be; deleting it is safe.

    Args:
        place: relative to the cache folder: ACEPOT_CACHE, else XDG_CACHE_HOME/acepot, else
            ~/.cache/acepot.
    """
    return cache_folder() / place


def compiled(place: str, file: str, what: str, make: Callable[[Path], Path]) -> Path:
    """A compiled file, made now unless it is there.

    Args:
        place: its folder, as for `folder_of`. It must name all the file depends on.
        file: its name.
        what: its name for people.
        make: compiles it in a folder that may be filled, and returns it.

    Raises:
        InputError: others may write to the cache folder or to the file, or own them.
        OSError: the cache folder cannot be written.
        Exception: as `make`; nothing is left then.
    """
    folder = folder_of(place)
    make_own(cache_folder(), folder)
    if not (folder / file).is_file() or _remains(folder):
        with _locked(folder / "lock"):
            for scratch in _remains(folder):
                shutil.rmtree(scratch, ignore_errors=True)
            if not (folder / file).is_file():
                _LOG.warning("compiling %s into %s, once", what, folder)
                _make_in(folder, file, make)
    check_own(folder / file)
    return folder / file


def _make_in(folder: Path, file: str, make: Callable[[Path], Path]) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
        made = make(Path(scratch))
        made.chmod(made.stat().st_mode & ~0o022)
        os.replace(made, folder / file)


def _remains(folder: Path) -> list[Path]:
    """Where it is compiled; to whoever holds the lock, what builds that were killed have left."""
    return list(folder.glob(f"{_SCRATCH}*"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be and never changed."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{path}: expected a file, got a symbolic link; delete its folder"
            ) from error
        raise
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def program(name: str) -> str | None:
    """Find a program in this Python's environment, which need not be activated, or on the machine.

    Args:
        name: of the program.

    Returns:
        Its path; None: there is none.
    """
    here = sysconfig.get_path("scripts")
    return shutil.which(name, path=os.pathsep.join([here, os.environ.get("PATH", os.defpath)]))


def build_with_cmake(
    source: Path, scratch: Path, definitions: list[str], what: str, target: str = "all"
) -> None:
    """Configure and build a CMake project.

    Args:
        source: folder of its CMakeLists.txt.
        scratch: folder to build in.
        definitions: `-DNAME=VALUE`.
        what: its name for people.
        target: to build: "all", or "install".

    Raises:
        MissingDependency: no CMake, no compiler, or it does not compile.
    """
    cmake = program("cmake")
    if cmake is None:
        raise MissingDependency(f"compiling {what} needs CMake: pip install cmake")
    make = [cmake, "-S", str(source), "-B", str(scratch), *definitions]
    if ninja := program("ninja"):
        make += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    for command in (make, [cmake, "--build", str(scratch), "--target", target]):
        try:
            subprocess.check_output(command, stderr=subprocess.STDOUT, text=True, errors="replace")
        except subprocess.CalledProcessError as error:
            raise MissingDependency(
                f"{what} does not compile (a C++ compiler is needed); "
                f"`{' '.join(command)}` ended with\n{error.output[-2000:]}"
            ) from error


def digest(parts: Iterable[Path], *words: str) -> str:
    """16 hexadecimal digits of the contents of files, of all files in folders, and of words.

    Args:
        parts: files and folders.
        words: what else a compiled file depends on.
    """
    files = [p for part in parts for p in ([part] if part.is_file() else part.rglob("*"))]
    total = hashlib.sha256(" ".join(words).encode())
    for file in sorted(f for f in files if f.is_file()):
        data = file.read_bytes()
        total.update(f"{file.name} {len(data)} ".encode() + data)
    return total.hexdigest()[:16]
