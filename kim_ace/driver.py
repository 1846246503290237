"""The KIM model driver, compiled with this installation's library and installed where KIM looks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from acepot.compilation import build_with_cmake, native_library, program
from acepot.errors import MissingDependency

#: The name of the driver among the items of KIM.
DRIVER = "acepot_driver"
_SOURCE = Path(__file__).parent / "cpp"
#: Variables that name folders of KIM's collection "environment".
_FOLDERS = ("KIM_API_MODEL_DRIVERS_DIR", "KIM_API_PORTABLE_MODELS_DIR")


def collection() -> str:
    """Which of KIM's collections items go to: "environment" where its variables are set."""
    return "environment" if all(os.environ.get(name) for name in _FOLDERS) else "user"


def build() -> Path:
    """Compile the driver and install it into KIM's collection of the user.

    Into that of the environment where KIM_API_MODEL_DRIVERS_DIR and KIM_API_PORTABLE_MODELS_DIR
    name folders. A driver that is there is replaced.

    Returns:
        The installed library.

    Raises:
        MissingDependency: no KIM API (libkim-api-dev on Debian), CMake or compiler, or the driver
            does not compile or cannot be installed.
    """
    manager = program("kim-api-collections-management")
    if manager is None:
        raise MissingDependency(
            "the KIM API is not on this machine: apt-get install libkim-api-dev, or conda install "
            "-c conda-forge kim-api"
        )
    definitions = [
        f"-DKIM_API_INSTALL_COLLECTION={collection().upper()}",
        *native_library().definitions(),
    ]
    with tempfile.TemporaryDirectory(prefix="acepot-kim-") as folder:
        scratch = Path(folder)
        build_with_cmake(_SOURCE, scratch, definitions, "the KIM model driver", "install")
        installed = (scratch / "install_manifest.txt").read_text(encoding="utf-8")
        return Path(installed.split("\n")[0])
