"""Laws of runs: what works for long in a folder, is stopped, and goes on.

class TestWalk(RunLaws):
    def work(self, folder: Path) -> None: walk(folder, steps=100)

"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from abc import abstractmethod
from multiprocessing import get_context
from pathlib import Path

from acepot.errors import InputError
from acepot.suites.solvers import hold

__all__ = ["RunLaws"]

#: Moments at which a run is killed, and seconds for a run to end.
_KILLS, _PATIENCE = 5, 120.0


class RunLaws:
    """What a run promises. A subclass says what `work` there is; tests take pytest's `tmp_path`.

    `work` is done by this process and, where it is killed, by forked ones.
    """

    #: Names of files that say how long something took, and differ from run to run.
    differ: tuple[str, ...] = ("lock",)

    @abstractmethod
    def work(self, folder: Path) -> None:
        """Begin in an empty folder, or go on where the last call was stopped."""

    def files(self, folder: Path) -> dict[str, str]:
        """Digests of what a run leaves."""
        return {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*"))
            if p.is_file() and p.name not in self.differ
        }

    def test_two_runs_are_the_same(self, tmp_path: Path) -> None:
        """Every byte, wherever the folder is."""
        for name in ("first", "second"):
            self.work(tmp_path / name)
        self._same(tmp_path / "first", tmp_path / "second")

    def test_a_run_that_is_complete_stays_as_it_is(self, tmp_path: Path) -> None:
        """Once more is nothing more."""
        self.work(tmp_path / "run")
        before = self.files(tmp_path / "run")
        self.work(tmp_path / "run")
        hold(self.files(tmp_path / "run") == before, "it changed")

    def test_a_run_that_is_killed_goes_on_to_the_same_bytes(self, tmp_path: Path) -> None:
        """At any moment, again and again."""
        begin = time.monotonic()
        self.work(tmp_path / "whole")
        whole, choose = time.monotonic() - begin, random.Random(9)
        for _ in range(_KILLS):
            process = get_context("fork").Process(target=self.work, args=(tmp_path / "killed",))
            process.start()
            process.join(choose.uniform(0.1, 0.9) * whole)
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            process.join(_PATIENCE)
        self.work(tmp_path / "killed")
        self._same(tmp_path / "whole", tmp_path / "killed")

    def test_a_folder_has_one_run_at_a_time(self, tmp_path: Path) -> None:
        """A second process waits, or is told."""
        codes = []
        processes = [
            get_context("fork").Process(target=self._second, args=(tmp_path / "run",))
            for _ in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(_PATIENCE)
            codes.append(process.exitcode)
        hold(set(codes) <= {0, 7} and 0 in codes, f"the two ended with {codes}")
        self.work(tmp_path / "alone")
        self._same(tmp_path / "run", tmp_path / "alone")

    def _second(self, folder: Path) -> None:
        try:
            self.work(folder)
        except InputError:
            os._exit(7)

    def _same(self, first: Path, second: Path) -> None:
        mine, other = self.files(first), self.files(second)
        hold(set(mine) == set(other), f"files {sorted(set(mine) ^ set(other))}")
        wrong = [name for name, digest in mine.items() if other[name] != digest]
        hold(not wrong, f"{', '.join(wrong)} differ")
