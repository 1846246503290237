"""Friction tensors in the HDF5 files of ACEfriction.jl and ACEds.jl.

Julia writes arrays column by column: what it calls (n, 3) is (3, n) here, and a cell comes out
transposed, unless the attribute `column_major` says 0. Indices begin at 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import InputError, MissingDependency
from acepot.evaluate.protocol import Floats
from acepot.friction.data import FrictionData
from acepot.structure import Structure

try:
    import h5py
except ImportError as error:
    raise MissingDependency(
        "friction tensors in HDF5 files need h5py: pip install acepot[sampling]"
    ) from error

__all__ = ["read_hdf5"]


def read_hdf5(path: Path) -> Iterator[FrictionData]:
    """The tensors of a file, one for each structure.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be read, or is not such a file.
    """
    try:
        with h5py.File(path, "r") as file:
            for number in range(1, int(file.attrs["N_data"]) + 1):
                yield _one(file[str(number)], f"{path} entry {number}")
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: expected an HDF5 file of friction tensors as ACEfriction.jl writes it: "
            f"{error}"
        ) from error


def _array(group: Any, name: str) -> Floats:
    """An array with its axes as the program that wrote it called them."""
    data = group[name]
    whole = np.asarray(data[()], dtype=float)
    return whole if data.attrs.get("column_major", 1) == 0 else np.asarray(whole.T)


def _one(group: Any, name: str) -> FrictionData:
    atoms, tensor = group["atoms"], group["friction_tensor"]
    structure = Structure(
        np.asarray(atoms["atypes"][()], dtype=np.int64),
        _array(atoms, "positions"),
        _array(atoms, "cell"),
        np.asarray(atoms["pbc"][()], dtype=bool),
        name=name,
    )
    held = np.asarray(tensor["ft_mask"][()], dtype=np.int64) - 1
    place = {int(atom): k for k, atom in enumerate(held)}
    blocks = _array(tensor, "ft_val")
    gamma = np.zeros((len(held), len(held), 3, 3))
    pairs = zip(tensor["ft_I"][()], tensor["ft_J"][()], blocks, strict=True)
    for i, j, block in pairs:
        gamma[place[int(i) - 1], place[int(j) - 1]] = block
    whole = gamma.transpose(0, 2, 1, 3).reshape(3 * len(held), -1)
    return FrictionData(structure, whole, held)
