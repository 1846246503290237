"""acepot potentials in LAMMPS: `pair_style acepot`, a plugin compiled for the LAMMPS at hand."""

from __future__ import annotations

import warnings

from acepot.errors import AceError
from lammps_ace.compilation import NO_PLUGIN, build, plugin_folder

__all__ = ["build", "get_plugin_dir", "plugin_folder"]


def get_plugin_dir() -> str:
    """The folder with the plugin, which is compiled if it is not there: a `lammps.plugins` entry.

    LAMMPS calls this at its own import, for users of other potentials too: what keeps the plugin
    from being compiled or trusted is a warning here, and an unknown pair style later: then the
    folder is one that holds no plugin.
    """
    try:
        return str(build())
    except (AceError, OSError) as error:
        warnings.warn(f"pair_style acepot is not available: {error}", stacklevel=2)
        return str(NO_PLUGIN)
