"""The state of a run as one HDF5 file: plain arrays, no code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError, MissingDependency
from acepot.io.files import naming
from acepot.sampling.cells import Floats
from acepot.sampling.walkers import State

try:
    import h5py
except ImportError as error:
    raise MissingDependency(
        "nested sampling keeps its state in HDF5 files, for which it needs h5py: "
        "pip install acepot[sampling]"
    ) from error

__all__ = ["Saved", "read_state", "write_state"]

_FORMAT, _VERSION = "acepot nested sampling", 1


@dataclass(frozen=True, eq=False)
class Saved:
    """What a run goes on from.

    Args:
        state: of the sampler.
        recent: totals of what was culled last in eV, the oldest first, shape (m, R).
        settings: of the run, as TOML.
        moves: names of the kinds of moves.
    """

    state: State
    recent: Floats
    settings: str
    moves: tuple[str, ...]


def write_state(path: Path, saved: Saved) -> None:
    """Write a state; all of it is made in memory first.

    Args:
        path: of the file.
        saved: what is written.

    Raises:
        OSError: the system does not let it, because a disk is full, say.
    """
    with h5py.File("state", "w", driver="core", backing_store=False) as file:
        file.attrs["format"], file.attrs["version"] = _FORMAT, _VERSION
        file.attrs["iteration"] = saved.state.iteration
        file.attrs["settings"], file.attrs["moves"] = saved.settings, list(saved.moves)
        for name, array in saved.state.arrays().items():
            file[f"state/{name}"] = array
        file["recent"] = saved.recent
        file.flush()
        content = file.id.get_file_image()
    with naming(path):
        path.write_bytes(content)


def read_state(path: str | Path) -> Saved:
    """Read a state.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be read, or is no state of a run.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != _FORMAT:
                raise InputError(f"{path}: expected the state of a run of acepot ns")
            if (version := int(file.attrs["version"])) > _VERSION:
                raise InputError(
                    f"{path}: expected format {_VERSION}, got {version} of a later acepot; update "
                    "acepot"
                )
            arrays: dict[str, NDArray[Any]] = {}

            def take(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    arrays[name] = np.array(item)

            file["state"].visititems(take)
            state = State.from_arrays(arrays, int(file.attrs["iteration"]))
            moves = tuple(str(name) for name in file.attrs["moves"])
            return Saved(state, np.array(file["recent"]), str(file.attrs["settings"]), moves)
    except (OSError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged, or no state of a run: {error}") from error
