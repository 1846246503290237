"""Walks on Dask's workers: the same numbers as here, whatever happens to the workers."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from nested_runs import Server, kills, run, same, step_of, wait_for

from acepot.errors import InputError

pytest.importorskip("distributed")
from acepot.sampling import dask as workers  # noqa: E402 - it raises where distributed is not

HERE = Path(__file__).parent
CHANGES = {"batch": 6, "length": 24, "walkers": 12, "pressures": (10.0, 20.0)}
#: Processes and sockets of the cluster end in their own time.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster():
    """Address, and process ids of two workers, which are replaced when they die."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    process = subprocess.Popen(
        [sys.executable, HERE / "nested_cluster.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    address, *ids = process.stdout.readline().split()
    yield address, [int(one) for one in ids]
    process.communicate()


def test_workers_find_the_numbers_that_are_found_here_though_one_is_killed(cluster, tmp_path):
    address, ids = cluster
    here, there = tmp_path / "here", tmp_path / "there"
    run(here, iterations=60, checkpoint=0.0, **CHANGES)

    def kill():
        wait_for(lambda: step_of(there) > 10)
        os.kill(ids[0], signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    said = run(there, dask=address, iterations=60, checkpoint=0.0, **CHANGES)
    killing.join()
    assert any(line.endswith(": 2 workers") for line in said)
    same(here, there)


def test_a_scheduler_that_does_not_answer_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_ANSWER", 0.5)
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 within"):
        run(tmp_path, dask="tcp://127.0.0.1:9")


@pytest.mark.slow
def test_a_run_on_workers_killed_three_times_equals_one_that_was_made_here(cluster, tmp_path):
    server = Server(tmp_path / "said")
    kills(server, tmp_path, iterations=300, count=3, seed=4, dask=cluster[0], **CHANGES)
    server.close()
