"""Data sets of untrusted HDF5 files: plain numbers, in memory that the file bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.budget import MORE, allowed
from acepot.errors import InputError, MissingDependency

try:
    import h5py
except ImportError as error:
    raise MissingDependency(
        "HDF5 files of Hamiltonians need h5py: pip install acepot[hamiltonian]"
    ) from error

__all__ = ["Group", "Numbers", "opened_hdf5", "written_hdf5"]

Numbers = NDArray[Any]
#: Bytes of numbers beyond those of the file that compression may make of it, and for each byte.
_INSIDE, _RATIO = 100_000_000, 200
#: Most members of a group.
_MEMBERS = 5_000_000
#: What h5py raises about damaged files, whatever is wrong with them.
_DAMAGE = (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError, OverflowError,
           MemoryError, SystemError, UnicodeDecodeError)  # fmt: skip


class Group:
    """A group of a file that is open.

    Args:
        group: of h5py.
        budget: bytes that may still be read, one number for the file.
        name: how errors begin.
    """

    def __init__(self, group: Any, budget: list[int], name: str) -> None:
        self._group, self._budget, self.name = group, budget, name

    def __contains__(self, key: str) -> bool:
        return key in self._group

    def names(self) -> list[str]:
        """Names of what is in it."""
        if len(self._group) > _MEMBERS:
            raise InputError(f"{self.name}: expected at most {_MEMBERS} members")
        return list(self._group)

    def group(self, key: str) -> Group:
        """A group inside.

        Raises:
            InputError: there is none of this name.
        """
        found = self._group.get(key)
        if not isinstance(found, h5py.Group):
            raise InputError(f"{self.name}: expected a group {key}")
        return Group(found, self._budget, f"{self.name}/{key}")

    def groups(self) -> list[str]:
        """Names of the groups in it."""
        return [key for key in self.names() if isinstance(self._group.get(key), h5py.Group)]

    def numbers(self, key: str, kinds: str = "fiub") -> Numbers:
        """A data set of numbers.

        Raises:
            InputError: there is none, it holds something else, or more than the file could.
        """
        # Below h5py's objects, which take three times as long where there are 10,000 blocks.
        try:
            found = h5py.h5d.open(self._group.id, key.encode())
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{self.name}: expected a data set {key}: {error}") from error
        dtype, shape = found.dtype, found.shape
        if dtype.kind not in kinds:
            raise InputError(f"{self.name}/{key}: expected real numbers, got {dtype}")
        self._budget[0] -= math.prod(shape) * dtype.itemsize
        if self._budget[0] < 0:
            raise InputError(
                f"{self.name}/{key}: expected no more than the file could hold; {MORE}"
            )
        made = np.zeros(shape, dtype)
        if made.size:
            found.read(h5py.h5s.ALL, h5py.h5s.ALL, made)
        return made


@contextmanager
def opened_hdf5(path: str | Path) -> Iterator[Group]:
    """Open a file for reading.

    Args:
        path: of the file.

    Yields:
        What is at its root.

    Raises:
        InputError: no HDF5 file, or a damaged one, also when it shows only while reading.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            budget = [allowed(_INSIDE + _RATIO * path.stat().st_size)]
            yield Group(file, budget, str(path))
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged, or no HDF5 file: {error}") from error


def written_hdf5(numbers: dict[str, Numbers]) -> bytes:
    """The bytes of a file of data sets by their path."""
    with h5py.File("new", "w", driver="core", backing_store=False) as file:
        for key, array in numbers.items():
            file[key] = array
        file.flush()
        return bytes(file.id.get_file_image())
