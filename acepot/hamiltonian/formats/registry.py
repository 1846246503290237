"""Any file or folder with a Hamiltonian, by what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from acepot.errors import InputError
from acepot.hamiltonian.formats import folders
from acepot.hamiltonian.formats.abacus import read_abacus
from acepot.hamiltonian.formats.aims import read_aims
from acepot.hamiltonian.formats.arrays import read_arrays
from acepot.hamiltonian.formats.assembly import AS_IS, Imported, Reading
from acepot.hamiltonian.formats.cp2k import read_cp2k
from acepot.hamiltonian.formats.cp2k_text import read_text
from acepot.hamiltonian.formats.foreign_arrays import read_foreign
from acepot.hamiltonian.formats.openmx import read_scfout
from acepot.hamiltonian.formats.own import is_own, read_own
from acepot.io.files import opened_bytes

_Read = Callable[[Path, Reading], list[Imported]]
#: First bytes of HDF5 files.
_HDF5 = b"\x89HDF\r\n\x1a\n"
#: What is understood, for messages.
FORMATS = (
    "acepot's .npz, folders of DeePTB, DeepH, FHI-aims, ABACUS and CP2K, databases of "
    "ACEhamiltonians (.h5), .fdf, .HSX and .nc of SIESTA, .scfout of OpenMX 3.9, and .npz files "
    "with H_index, H_0 or H"
)


def read(path: str | os.PathLike[str], reading: Reading = AS_IS) -> list[Imported]:
    """The snapshots of a file or folder, each with the residual of its overlap check.

    Args:
        path: what is read.
        reading: how numbers are understood where it is not as the format says.

    Raises:
        InputError: no such file, an unknown format, damaged content, or an overlap matrix that
            does not fit its structure.
        MissingDependency: the format needs h5py or sisl.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)(path, reading)
    with opened_bytes(path) as file:
        start = file.read(32)
    if start.startswith(b"PK"):
        arrays = read_arrays(path)
        if is_own(arrays):
            return read_own(arrays, str(path), reading)
        return read_foreign(arrays, str(path), reading)
    suffix = path.suffix.lower()
    # Imported here, so that a format without its package does not stop the others.
    if suffix in (".fdf", ".hsx", ".tshs", ".nc"):
        from acepot.hamiltonian.formats.sisl_matrices import read_siesta

        return read_siesta(path, reading)
    if start.startswith(_HDF5):
        from acepot.hamiltonian.formats.acehamiltonians import read_acehamiltonians

        return read_acehamiltonians(path, reading)
    if suffix == ".scfout":
        return read_scfout(path, reading)
    raise InputError(f"{path}: expected {FORMATS}; it begins with {start[:16]!r}")


def _folder(path: Path) -> _Read:
    """The reader of a folder, by the names of its files."""
    names = {one.name for one in path.iterdir()}
    if folders.is_deeptb(names) or folders.is_old(names) or folders.is_new(names):
        from acepot.hamiltonian.formats import deeph, deeptb

        if folders.is_old(names):
            return deeph.read_old
        return deeptb.read_deeptb if folders.is_deeptb(names) else deeph.read_new
    if folders.is_aims(names):
        return read_aims
    if folders.is_abacus(names):
        return read_abacus
    if folders.is_cp2k(names):
        return read_cp2k
    if folders.is_cp2k_text(names):
        return read_text
    raise InputError(
        f"{path}: expected {FORMATS}; this folder holds {', '.join(sorted(names)[:6]) or 'nothing'}"
    )
