"""The operators of torch, compiled once, kept in the user's cache folder.

Their folder is named after the version of acepot, the processor and a digest of the sources and
of the native library, and not after torch: they use its stable ABI alone.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch

import acepot
from acepot.compilation import build_with_cmake, compiled, digest, native_library
from acepot.errors import MissingDependency

#: The compiled operators; metatomic knows them by this name without its ending.
OPERATOR = "acepot_torch.so"
_SOURCE = Path(__file__).parent / "operator"
_INSTALL = "pip install acepot[torch]"


def build() -> Path:
    """Compile the operators with the headers of this torch, unless they are there.

    Returns:
        The file to load with `torch.ops.load_library`.

    Raises:
        MissingDependency: no torch 2.10 or newer, CMake or C++20 compiler, or it does not compile.
        InputError: others may write to the cache folder or to the file, or own them.
        OSError: the cache folder cannot be written.
    """
    library = native_library()
    sources = digest([_SOURCE, library.archive, library.headers])
    place = f"torch/{acepot.__version__}-{platform.machine()}-{sources}"
    return compiled(place, OPERATOR, "acepot's operators of torch", _compiled)


def load_operator() -> Path:
    """Make `torch.ops.acepot` known to this process, compiled first if need be.

    Files with the native kernel in TorchScript can be read from then on. Calling it again does
    nothing.

    Returns:
        The file that was loaded.

    Raises:
        MissingDependency: as `build`.
        OSError: as `build`, or the file cannot be loaded.
    """
    file = build()
    if not hasattr(torch.ops.acepot, "committee_edges"):
        torch.ops.load_library(file)
    return file


def _compiled(scratch: Path) -> Path:
    """The operators, made in a folder that may be filled."""
    headers = Path(torch.__file__).parent / "include"
    if not (headers / "torch" / "csrc" / "stable" / "library.h").is_file():
        raise MissingDependency(
            f"torch_ace needs torch 2.10 or newer ({_INSTALL}), got {torch.__version__} "
            f"without the headers of the stable ABI in {headers}"
        )
    definitions = [f"-DTORCH_INCLUDE_DIR={headers}", *native_library().definitions()]
    build_with_cmake(_SOURCE, scratch, definitions, "torch_ace")
    return scratch / OPERATOR
