"""A forked child evaluates, whatever the threads of its parent were doing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
#: The parent evaluates without a pause in two threads while it forks; a child evaluates once with
#: threads of its own, and then forks a child that does so, too. Seconds bound a child that hangs.
FORKS = """
import os, sys, threading, time
import numpy as np
import acepot
threads, busy = int(sys.argv[2]), sys.argv[3] == "busy"
potential = acepot.Potential(acepot.load(sys.argv[1]), threads=threads)
many = 4 if sys.argv[4] == "rows" else 6
places = np.array(list(np.ndindex(many, many, many))) * 2.715 + 0.1
places += np.random.default_rng(3).uniform(-0.2, 0.2, places.shape)
cell = 2.715 * many * np.eye(3)
structure = acepot.Structure(np.full(len(places), 14), places, cell, True)
if sys.argv[4] == "rows":
    from acepot.evaluate.native import NativeRowBuilder
    from acepot.lowering import lower
    builder = NativeRowBuilder(lower(acepot.load(sys.argv[1])), threads)

    def value():
        out = np.zeros((1 + 3 * len(structure), builder.tables.functions), order="F")
        builder.fill(structure, ("energy", "forces"), out)
        return out.sum()
else:
    def value():
        return potential.compute(structure).energy
expected = value()
ended = threading.Event()

def evaluate():
    while not ended.is_set():
        value()

def child(generations):
    pid = os.fork()
    if pid == 0:
        good = abs(value() - expected) < 1e-8 * abs(expected)
        if good and generations > 1:
            good = child(generations - 1) == 0
        os._exit(0 if good else 1)
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hung"

workers = [threading.Thread(target=evaluate, daemon=True) for _ in range(2 if busy else 0)]
for worker in workers:
    worker.start()
found = []
while len(found) < 8 and "hung" not in found:
    time.sleep(0.02)
    found.append(child(2))
ended.set()
for worker in workers:
    worker.join()
print(found, abs(value() - expected) < 1e-8 * abs(expected))
"""


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("parent", ["quiet", "busy"])
@pytest.mark.parametrize("what", ["energy", "rows"])
def test_a_child_of_a_parent_that_evaluates_does_not_wait(
    threads: int, parent: str, what: str
) -> None:
    script = [sys.executable, "-W", "ignore", "-c", FORKS]
    command = [*script, str(MODEL), str(threads), parent, what]
    done = subprocess.run(
        command, env=dict(os.environ), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split("\n")[0] == f"{[0] * 8} True", done.stdout + done.stderr
