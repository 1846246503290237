"""Data sets: any file of structures, by what is in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from acepot.errors import InputError, MissingDependency
from acepot.io.files import is_pipe, opened, opened_bytes
from acepot.io.foreign import DATA, kind_of
from acepot.io.structures import dcd, extxyz, phonopy
from acepot.io.structures.atoms import from_atoms_list
from acepot.io.structures.frames import to_structures
from acepot.io.structures.labels import BY_NAME, LabelCount, LabelKeys
from acepot.structure import Structure

#: Compression suffixes, and those of XYZ below them.
_PACKED = (".xz", ".gz", ".bz2")
_XYZ = (".xyz", ".extxyz")
#: How much of a file tells what it is.
_START, _ZIP = 65536, 2**28
#: Kinds of files that ASE may read.
_BY_ASE = ("NetCDF", "an SQLite", "a trajectory", "VASP", "a dump of LAMMPS", "HDF5")


def read_structures(
    path: str | Path, labels: LabelKeys = BY_NAME, *, config_type_key: str = "config_type"
) -> tuple[list[Structure], LabelCount]:
    """Read every structure of a file with its labels.

    A file that begins with a number of atoms is read as (extended) XYZ, compressed or not;
    every other one (.traj, .db, vasprun.xml, OUTCAR, ...) by ASE, if it is installed. Data files of
    LAMMPS are known by their header; they are read in its metal units, elements by their Masses.
    FORCE_SETS and FORCE_CONSTANTS of phonopy are read with the supercell in a file beside them.
    DCD files are read if a topology.extxyz with their elements lies beside them.

    Args:
        path: the file.
        labels: keys of the labels; by default they are found by name.
        config_type_key: key of the structure's group.

    Returns:
        The structures (Å, eV, eV/Å) and the count of labels, whose `str` is a report line.

    Raises:
        InputError: no such file, a file nobody can read, or labels that are doubtful or wrong.
        MissingDependency: the file needs ASE, which is not installed.
    """
    path = Path(path)
    if is_pipe(path):
        raise InputError(
            f"{path}: expected a file of structures, got a pipe, which cannot be read twice; write "
            "it to a file first"
        )
    if dcd.is_dcd(path):
        return to_structures(dcd.read(path), labels, str(path))
    if phonopy.is_phonopy(path):
        keys = replace(labels, others={**phonopy.KEYS, **labels.others})
        return to_structures(phonopy.read(path), keys, str(path))
    if _is_xyz(path):
        return extxyz.read(path, labels, config_type_key=config_type_key)
    try:
        import ase.io
    except ImportError as error:
        raise MissingDependency(
            f"{path}: this file is no (extended) XYZ and needs ASE to be read; "
            "install it with: pip install acepot[ase]"
        ) from error
    try:
        atoms = ase.io.read(path, ":", format="lammps-data" if _is_lammps(path) else None)
    except Exception as error:  # ASE's many readers raise whatever they meet
        raise InputError(
            f"{path}: neither (extended) XYZ nor read by ASE ({type(error).__name__}: {error})"
        ) from error
    return from_atoms_list(atoms, labels, config_type_key=config_type_key, source=str(path))


def _is_lammps(path: Path) -> bool:
    """Whether the header is that of a LAMMPS data file: a title, then counts and a box."""
    with opened(path) as text:
        words = [line.split() for line in islice(text, 1, 40)]
    return any(w[1:2] == ["atoms"] for w in words) and any(w[2:4] == ["xlo", "xhi"] for w in words)


def _is_xyz(path: Path) -> bool:
    """Whether the first line with anything in it is a number, or else the name says XYZ."""
    with opened_bytes(path) as file:
        start = file.read(_START)
        if start.startswith(b"PK"):
            start += file.read(_ZIP)  # what is in a zip stands at its end
    first = start.decode("utf-8-sig", "replace").lstrip().partition("\n")[0].strip()
    if not first:
        raise InputError(f"{path}: expected structures, got an empty file")
    if first.isdecimal():
        return True
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    kind = kind_of(start, path) or ("an .acepot model" if start.startswith(b"PK") else None)
    if kind and not kind.startswith(_BY_ASE):
        raise InputError(f"{path}: no structures: it looks like {kind}; {DATA}")
    return bool(suffixes) and suffixes[-1] in _XYZ
