"""What `acepot hamiltonian convert` and `check` do: files in, one file or lines of text out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import AS_IS, Imported, Reading
from acepot.hamiltonian.formats.own import write_own
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.run.progress import Progress

Name = str | os.PathLike[str]


def convert(
    paths: Sequence[Name], out: Name, reading: Reading = AS_IS, single: bool = False
) -> list[str]:
    """Read files or folders of any format into one of ours.

    Args:
        paths: what is read, in this order.
        out: a .npz of ours, or, if the name ends in .deeptb or .deeph, a folder of that program.
        reading: how numbers are understood where it is not as the formats say.
        single: whether H and S are rounded to single precision.

    Returns:
        A line for each snapshot, and one that says what was written.

    Raises:
        InputError: as `read`; the file cannot be written.
    """
    found = _read(paths, reading)
    snapshots = [one.snapshot for _, one in found]
    suffix = Path(out).suffix.lower()
    if suffix in (".deeptb", ".deeph"):
        if single:
            raise InputError("single: only .npz files of acepot are rounded")
        _folder(Path(out), suffix, snapshots)
    elif suffix == ".npz":
        write_own(Path(out), snapshots, single)
    else:
        raise InputError(f"{out}: expected a name that ends in .npz, .deeptb or .deeph")
    lines = [_line(one) for _, one in found]
    return [*lines, f"{len(snapshots)} snapshots written to {out}"]


def _folder(out: Path, suffix: str, snapshots: list[Snapshot]) -> None:
    # Imported here, so that our own files need no h5py.
    if suffix == ".deeptb":
        from acepot.hamiltonian.formats.deeptb import write_deeptb

        write_deeptb(out, snapshots)
        return
    from acepot.hamiltonian.formats.deeph import write_old

    if len(snapshots) != 1:
        raise InputError(f"{out}: a folder of DeepH holds one snapshot, got {len(snapshots)}")
    write_old(out, snapshots[0])


def check(paths: Sequence[Name], reading: Reading = AS_IS) -> list[str]:
    """Read files or folders of any format and say what is in them.

    Args:
        paths: what is read.
        reading: how numbers are understood where it is not as the formats say.

    Returns:
        Lines of text: for each snapshot atoms, orbitals, the residual of the overlap check, how
        far blocks reach and how symmetric they are.

    Raises:
        InputError: as `read`.
    """
    lines = []
    for path, one in _read(paths, reading):
        snapshot = one.snapshot
        lines += [f"{snapshot.name or path}", f"  {_line(one)}", *_shells(one)]
        lines.append(f"  H: {_extent(snapshot.hamiltonian, 'eV')}")
        if snapshot.overlap is None:
            lines.append("  S: none, the orbitals are orthonormal")
        else:
            lines.append(f"  S: {_extent(snapshot.overlap, '')}")
        if snapshot.electrons is not None:
            lines.append(f"  electrons in the cell: {snapshot.electrons:g}")
        if snapshot.fermi is not None:
            lines.append(f"  Fermi level: {snapshot.fermi:.4f} eV")
    return lines


def _read(paths: Sequence[Name], reading: Reading) -> list[tuple[Name, Imported]]:
    if not paths:
        raise InputError("paths: expected at least one file or folder, got none")
    found: list[tuple[Name, Imported]] = []
    progress = Progress("files", len(paths))
    with progress.alive():
        for number, path in enumerate(paths):
            found += [(path, one) for one in read(path, reading)]
            progress.update(number + 1)
    return found


def _line(one: Imported) -> str:
    snapshot = one.snapshot
    fit = "no overlap matrix" if one.residual is None else f"overlap residual {one.residual:.1e}"
    return (
        f"{len(snapshot.structure)} atoms, {snapshot.hamiltonian.size} orbitals, "
        f"{snapshot.hamiltonian.count} blocks of H, {fit}"
    )


def _shells(one: Imported) -> list[str]:
    shells = one.snapshot.orbitals.shells
    return ["  shells: " + ", ".join(f"{element} {text}" for element, text in shells.items())]


def _extent(matrix: OrbitalMatrix, unit: str) -> str:
    """How far its blocks reach, how large they are there, and how symmetric it is."""
    longest, beyond = 0.0, 0.0
    for pair, one in matrix.pairs.items():
        length = np.linalg.norm(matrix.vectors(pair), axis=1)
        longest = max(longest, float(length.max(initial=0.0)))
        far = np.abs(one.values[length > 8.0])
        beyond = max(beyond, float(far.max(initial=0.0)))
    largest = max(float(np.abs(one.values).max(initial=0.0)) for one in matrix.pairs.values())
    return (
        f"{matrix.count} blocks up to {longest:.2f} Å, largest {largest:.4g} {unit}".rstrip()
        + f", beyond 8 Å {beyond:.2g}, asymmetry {matrix.asymmetry():.1g}"
    )
