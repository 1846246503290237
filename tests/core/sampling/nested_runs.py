"""What tests of runs share: runs here and in processes that are killed, and their comparison."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nested_toy as toy
import numpy as np

from acepot.sampling.hdf5 import read_state
from acepot.sampling.run import sample

TOY = Path(__file__).with_name("nested_toy.py")
#: Seconds that nothing here takes, however busy the machine is.
LONG = 300.0


def run(folder, good_calls=None, dask=None, **changes):
    said = []
    sample(
        toy.config(**changes),
        folder,
        say=said.append,
        plots=False,
        dask=dask,
        energies=toy.Wave(good_calls),
    )
    return said


class Server:
    """Makes runs as processes of their own, which begin at once for all is imported."""

    def __init__(self, log):
        self.said = log.open("w+")
        self.process = subprocess.Popen(
            [sys.executable, TOY],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True,
        )  # fmt: skip

    def start(self, folder, **changes):
        self.process.stdin.write(json.dumps([str(folder), changes]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def status(self):
        return int(self.process.stdout.readline())

    def text(self):
        self.said.seek(0)
        return self.said.read()

    def close(self):
        self.process.communicate()
        self.said.close()


def step_of(folder):
    try:
        return json.loads((folder / "checkpoint.json").read_text())["step"]
    except FileNotFoundError:
        return -1


def wait_for(what):
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < LONG
        time.sleep(0.005)


def kill_after(server, folder, step, delay, **changes):
    """Run, kill as a power cut does once a checkpoint is at a step, and say where it was then."""
    process = server.start(folder, stay=True, **changes)
    while (at := step_of(folder)) < step:  # a busy machine is slow, but it gets on
        wait_for(lambda at=at: step_of(folder) != at)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    assert server.status() == signal.SIGKILL, server.text()
    return step_of(folder)


def same(one, other):
    """Every file that a run leaves, and every number that it goes on from."""
    names = {p.name for p in one.iterdir() if not p.name.startswith("state.")}
    assert names == {p.name for p in other.iterdir() if not p.name.startswith("state.")}
    for name in names - {"checkpoint.json", "run.json", "lock"}:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    states = [read_state(next(folder.glob("state.*"))) for folder in (one, other)]
    np.testing.assert_array_equal(states[0].recent, states[1].recent)
    assert states[0].state.iteration == states[1].state.iteration
    arrays = [saved.state.arrays() for saved in states]
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name], err_msg=name)


def kills(server, tmp_path, *, iterations, count, seed, **changes):
    """A run that is killed at random times equals one that is not."""
    changes["iterations"] = iterations
    run(tmp_path / "whole", **{key: value for key, value in changes.items() if key != "dask"})
    random = np.random.default_rng(seed)
    were = [
        kill_after(server, tmp_path / "killed", step, random.uniform(0.0, 0.05), **changes)
        for step in sorted(random.integers(0, iterations, count).tolist())
    ]
    # The test sleeps while the machine is busy elsewhere: late kills may find a run at its end.
    assert sum(step < iterations for step in were) > count // 2, were
    server.start(tmp_path / "killed", **changes)
    assert server.status() == 0, server.text()
    same(tmp_path / "whole", tmp_path / "killed")
