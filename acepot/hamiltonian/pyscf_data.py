"""Hamiltonians and overlap matrices made with PySCF: one calculation for each structure.

What is finished lies beside the file to be made, so that an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from acepot.errors import ConvergenceError, InputError
from acepot.hamiltonian.formats.arrays import read_arrays
from acepot.hamiltonian.formats.assembly import AS_IS, Imported
from acepot.hamiltonian.formats.own import read_own, write_own
from acepot.hamiltonian.pyscf_calculation import Method, calculate, one_thread
from acepot.run.progress import Progress
from acepot.structure import Structure

__all__ = ["Made", "Method", "make"]


@dataclass(frozen=True)
class Made:
    """What came of a structure.

    Args:
        name: of the structure.
        residual: of its overlap check.
        failure: why there is no result; empty: there is one.
    """

    name: str
    residual: float | None
    failure: str = ""


def make(
    structures: Sequence[Structure], out: str | Path, method: Method, processes: int = 1
) -> list[Made]:
    """Calculate H and S of structures and write them into one file.

    Args:
        structures: molecules, or crystals in three dimensions.
        out: the .npz to make; what is finished lies in a folder OUT.parts meanwhile.
        method: what is calculated.
        processes: how many calculations run at once, a core each.

    Returns:
        One entry for each structure, in order.

    Raises:
        InputError: no structure, or a part that is damaged.
        ConvergenceError: a calculation failed; the file is not written, the parts stay.
    """
    if not structures:
        raise InputError("structures: expected at least one, got none")
    folder = Path(f"{out}.parts")
    paths = [folder / f"{_key(one, method)}.npz" for one in structures]
    folder.mkdir(parents=True, exist_ok=True)
    waiting = {str(p): s for p, s in zip(paths, structures, strict=True) if not p.exists()}
    progress = Progress("structures", len(structures))
    done = len(structures) - len(waiting)
    failures: dict[str, str] = {}
    with progress.alive():
        for which, failure in _each(waiting, method, processes):
            done += 1
            if failure:
                failures[which] = failure
            progress.update(done)
    made = []
    imported: list[Imported] = []
    for path, structure in zip(paths, structures, strict=True):
        failure = failures.get(str(path), "")
        residual = None
        if not failure:
            imported += read_own(read_arrays(path), str(path), AS_IS)
            residual = imported[-1].residual
        made.append(Made(structure.name, residual, failure))
    if failures:
        first = next(one for one in made if one.failure)
        raise ConvergenceError(
            f"{len(failures)} of {len(structures)} calculations failed, the first one of "
            f"{first.name or 'a structure'}: {first.failure}; the others are kept in {folder}"
        )
    write_own(out, [one.snapshot for one in imported])
    for path in set(paths):
        path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return made


def _each(
    waiting: dict[str, Structure], method: Method, processes: int
) -> Iterator[tuple[str, str]]:
    """The path of each structure, as it is finished, with why it failed."""
    if processes == 1 or len(waiting) < 2:
        for path, structure in waiting.items():
            yield path, _to_file(path, structure, method)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        futures: dict[Future[str], str] = {
            pool.submit(_to_file, path, one, method): path for path, one in waiting.items()
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def _to_file(path: str, structure: Structure, method: Method) -> str:
    """Calculate a structure; why it failed, or nothing."""
    one_thread()
    try:
        write_own(path, [calculate(structure, method).snapshot])
    except (InputError, ConvergenceError) as error:
        return str(error)
    return ""


def _key(structure: Structure, method: Method) -> str:
    """A name for what is calculated."""
    parts = [structure.numbers, structure.positions, structure.cell, structure.pbc]
    digest = hashlib.sha256(repr(method).encode())
    for part in parts:
        digest.update(part.tobytes())
    return digest.hexdigest()[:24]
