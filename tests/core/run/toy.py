"""A run of walkers as a sampler has them: states, a log and a data set that grows.

`python toy.py FOLDER FIRST STRIDE` runs it in FOLDER/N for N = FIRST, FIRST + STRIDE, ...: ended
after N lines of Python in acepot and in this file, as kill -9 does (nothing is flushed, no
`finally` is reached), gone on with, ended again, and gone on with to the end; until N is past the
end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from acepot.run.folder import run_folder
from acepot.run.log import Column, Log

STEPS, EVERY = 6, 2
#: Whose lines are counted.
TRACED = ("acepot/run/", "acepot/io/files", "toy.py")
COLUMNS = (Column("step"), Column("mean", "A"))
SETTINGS = "seed = 3\n"


def run(folder: Path) -> None:
    """Ten walkers, a row and a line of data each step, a checkpoint every second one."""
    with run_folder(folder, "toy.toml", ("log.csv", "data.txt")) as home:
        last = home.begin(SETTINGS, {"kind": "toy"}, {})
        random = np.random.default_rng(3)
        walkers, step = random.normal(size=10), 0
        if last is not None:
            with np.load(home.path / last.state) as state:
                walkers, step = state["walkers"], last.step
                random.bit_generator.state = json.loads(str(state["random"]))
        log = Log(home.path / "log.csv", COLUMNS)
        with (home.path / "data.txt").open("a") as data:
            while step < STEPS:
                walkers, step = walkers + random.normal(size=10), step + 1
                log.write((step, float(walkers.mean())))
                data.write(f"{walkers.max()!r}\n")
                if step % EVERY == 0:
                    data.flush()
                    with home.new_state(last).open("wb") as file:
                        numbers = json.dumps(random.bit_generator.state)
                        np.savez(file, walkers=walkers, random=numbers)
                    last = home.record(step, last)
        log.close()


def end_after(lines: int) -> None:
    """End this process after so many lines, as kill -9 does."""
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not any(part in frame.f_code.co_filename for part in TRACED):
            return None
        left -= event == "line"
        if left < 0:
            os._exit(9)
        return trace

    sys.settrace(trace)


def status_of(folder: Path, lines: int | None = None) -> int:
    """Exit status of a run in a process of its own; 9: it was ended after so many lines."""
    child = os.fork()
    if child == 0:
        if lines is not None:
            end_after(lines)
        run(folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    lines = int(sys.argv[2])
    while status_of(Path(sys.argv[1], str(lines)), lines) == 9:
        folder = Path(sys.argv[1], str(lines))
        status_of(folder, lines // 2)  # goes on, and is ended once more
        if status_of(folder) != 0:
            sys.exit(f"ended after {lines} lines, it does not go on")
        lines += int(sys.argv[3])
