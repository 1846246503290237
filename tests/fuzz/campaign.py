"""Mutants of small files of every kind, opened and run: fine, or one of our errors, nothing else.

    python tests/fuzz/campaign.py --count 2000 --seed 1

Every mutant is opened by the reader of its kind; a model that opens is lowered and evaluates a
few atoms. Another exception, a crash, more than `--patience` seconds or more than `--memory` MB is
a failure: the mutant is saved under `--out`, and the exit status is 1. The work is done in forked
processes, so a crash is a row of the table as well. Equal seeds give equal mutants.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from mutations import mutant
from seeds import seeds

import acepot
from acepot.errors import AceError, InputError, ModelFileError
from acepot.evaluate.native import instruction_sets
from acepot.friction.evaluator import FrictionEvaluator
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.io.pace.read import read_pace
from acepot.model import AnyModel

#: Seconds beyond the patience before a process is taken to hang; below, its time is reported.
GRACE = 5.0
POSITIONS = np.array([[0.0, 0.0, 0.0], [1.7, 0.1, 0.0], [0.2, 1.9, 0.3], [1.5, 1.4, 1.6]])
_ANY: Any = AnyModel
CELL = np.array([[5.5, 0.3, 0.0], [-0.4, 5.1, 0.2], [0.1, 0.6, 6.0]])


def verdict(kind: str, data: bytes, path: Path) -> str:
    """Open a mutant and run it: "accepted", "refused", or what went wrong.

    Args:
        kind: of file.
        data: its bytes.
        path: where it may be written.
    """
    try:
        if kind == "tables":
            return _tables(data)
        path.write_bytes(data)
        if kind == "models":
            return _other(path)
        model = (read_pace if kind in ("yace", "ace") else acepot.load)(path)
        structure = acepot.Structure(
            np.resize(model.numbers, len(POSITIONS)), POSITIONS, CELL, (True, False, True)
        )
        found = acepot.Potential(model, threads=1).compute(structure)
        if not np.isfinite((found.energy, *found.forces.flat, *found.virials.flat)).all():
            return "numbers that are not finite"
    except (InputError, ModelFileError):
        return "refused"
    except AceError as error:
        return f"unexpected {error!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "accepted"


def _other(path: Path) -> str:
    """A model of any other kind than plain energies: its numbers, and once more from its file."""
    model: Any = acepot.load(path, _ANY)
    numbers = np.resize(model.numbers, len(POSITIONS))
    structure = acepot.Structure(numbers, POSITIONS, CELL, True)
    if isinstance(model, acepot.ChargeModel):
        found = acepot.Potential(model, threads=1).compute(structure)
        values = [found.energies, found.forces]
    elif isinstance(model, acepot.TensorModel):
        (sites,) = acepot.site_evaluator(model, threads=1).values([structure])
        if sites.error is not None:
            raise sites.error
        values = list(sites.values)
    elif isinstance(model, acepot.FrictionModel):
        values = [FrictionEvaluator(model, threads=1).gamma(structure)]
    elif isinstance(model, acepot.HamiltonianModel):
        made = HamiltonianEvaluator(model).matrices(structure)
        values = list(made.hamiltonian[0].at(np.zeros((1, 3))))
    else:
        return "accepted"
    if not all(np.isfinite(np.asarray(one)).all() for one in values):
        return "numbers that are not finite"
    again = path.with_suffix(".again")
    acepot.save(model, again)
    acepot.load(again, type(model))
    return "accepted"


def _tables(data: bytes) -> str:
    """The byte form; the library's own error is a ValueError in Python."""
    from acepot import _native

    try:
        evaluator = _native.Evaluator(data, instruction_sets()[-1], "double")
        first, pbc = np.array([0, 4]), np.array([[1, 0, 1]], np.int32)
        for species in (np.zeros(4, np.int32), np.array([0, 1, 0, 1], np.int32)):
            atoms = (POSITIONS, species, first, CELL[None], pbc, 1)
            if _fails(evaluator, atoms):
                return "refused"
    except ValueError:
        return "refused"
    try:  # nonlinear models have none
        rows = _native.RowBuilder(data, instruction_sets()[-1])
        out = np.zeros((1, rows.functions), order="F")
        pbc = np.array([1, 0, 1], np.int32)
        rows.fill(POSITIONS, np.zeros(4, np.int32), CELL, pbc, 1, out, 0, -1, -1)
    except ValueError:
        pass
    return "accepted"


def _fails(evaluator: Any, atoms: tuple[object, ...]) -> bool:
    """Whether some verb refuses, or its numbers would not be finite."""
    sites = np.zeros((4, evaluator.rows))
    adjoints, along = np.ones_like(sites), np.zeros_like(sites)
    forces, virials = np.zeros((1, 4, 3)), np.zeros((1, 4, 3, 3))
    failed = evaluator.values(*atoms, sites)
    failed += evaluator.pullback(*atoms, adjoints, forces, virials)
    failed += evaluator.jvp(*atoms, POSITIONS, CELL[None], along)
    if evaluator.is_energy:
        failed += evaluator.evaluate(*atoms, 1, np.zeros((1, 4)), forces, virials, None)
    if not failed and not all(np.isfinite(a).all() for a in (sites, along, forces, virials)):
        raise AssertionError("numbers that are not finite")
    return bool(failed)


# ---------------------------------------------------------------- forked workers


def _worker(pipe: Connection, kind: str, seed: int, begin: int, end: int, memory: int) -> None:
    """Run the mutants begin … end - 1; of each, the verdict and the process's largest memory."""
    if memory:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + memory * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")  # numpy's own complaints are no message for a user
    files = seeds()[kind]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        for number in range(begin, end):
            _, data = mutant(kind, seed, number, files)
            pipe.send((number, None, 0.0, 0))
            start = time.perf_counter()
            found = verdict(kind, data, Path(folder) / f"mutant.{kind}")
            spent = time.perf_counter() - start
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            pipe.send((number, found, spent, grown))
    pipe.close()


@dataclass
class Tally:
    """What came of the mutants of one kind."""

    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    memory: int = 0
    failures: dict[int, str] = field(default_factory=dict)

    def take(self, number: int, found: str, spent: float, grown: int) -> None:
        """Count one mutant."""
        self.accepted += found == "accepted"
        self.refused += found == "refused"
        if found not in ("accepted", "refused"):
            self.failures[number] = found
        self.slowest = max(self.slowest, spent)
        self.memory = max(self.memory, grown)

    @property
    def count(self) -> int:
        """Mutants so far."""
        return self.accepted + self.refused + len(self.failures)


def run_kind(kind: str, seed: int, count: int, patience: float, memory: int) -> Tally:
    """All mutants of a kind; a worker that dies or hangs is followed by another.

    Args:
        kind: of file.
        seed: of the campaign.
        count: of mutants.
        patience: seconds for one mutant.
        memory: MB that a process may grow by; 0: any.
    """
    tally, begin = Tally(), 0
    seeds()  # before the fork
    fork = multiprocessing.get_context("fork")
    while begin < count:
        ours, theirs = fork.Pipe(duplex=False)
        worker = fork.Process(target=_worker, args=(theirs, kind, seed, begin, count, memory))
        worker.start()
        theirs.close()
        begin = _watch(ours, worker.pid or 0, begin, count, patience, tally)
        if begin < count:
            worker.kill()
        worker.join()
        if begin < count and begin not in tally.failures:
            tally.take(begin, f"the process ended with {worker.exitcode}", 0.0, 0)
        begin += begin < count
    return tally


def _watch(
    pipe: Connection, pid: int, begin: int, count: int, patience: float, tally: Tally
) -> int:
    """Take verdicts until the worker is done, dies or hangs: the mutant it stopped at."""
    at = begin
    while at < count:
        try:
            if not pipe.poll(patience + GRACE):
                tally.take(at, f"no answer within {patience + GRACE:g} s (process {pid})", 0.0, 0)
                return at
            number, found, spent, grown = pipe.recv()
        except EOFError:
            return at
        if found is None:
            continue
        if spent > patience:
            found = f"took {spent:.1f} s ({found})"
        tally.take(number, found, spent, grown)
        at = number + 1
    return at


# ---------------------------------------------------------------- the command


def _report(rows: dict[str, Tally]) -> Iterator[str]:
    yield "kind    mutants  accepted  refused  failed  slowest/s  memory/MB"
    for kind, t in rows.items():
        yield (
            f"{kind:<7} {t.count:>7}  {t.accepted:>8}  {t.refused:>7}  {len(t.failures):>6}"
            f"  {t.slowest:>9.2f}  {t.memory / 1024:>9.0f}"
        )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    kinds = list(seeds())
    parser.add_argument("--count", type=int, default=2000, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--patience", type=float, default=5.0, help="seconds for one mutant")
    parser.add_argument("--memory", type=int, default=1024, help="MB a process may grow by; 0: any")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for failures")
    options = parser.parse_args()
    os.environ["ACEPOT_CACHE"] = cache = tempfile.mkdtemp()
    rows = {}
    for kind in options.kinds:
        rows[kind] = run_kind(kind, options.seed, options.count, options.patience, options.memory)
        print(f"{kind}: {len(rows[kind].failures)} failures", flush=True)
        for number, what in rows[kind].failures.items():
            name, data = mutant(kind, options.seed, number, seeds()[kind])
            options.out.mkdir(parents=True, exist_ok=True)
            saved = options.out / f"{options.seed}-{number}.{kind}"
            saved.write_bytes(data)
            print(f"  {saved} from {name}: {what}")
    for path in Path(cache).rglob("*.*"):
        path.unlink()
    print("\n".join(_report(rows)))
    return 1 if any(t.failures for t in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
