"""Reference calculations on Dask's workers: labels come back whatever happens to a worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.hal.reference.settings import DaskReference
from acepot.structure import Structure

pytest.importorskip("distributed")
pytest.importorskip("ase")
from acepot.hal.reference import dask as workers  # noqa: E402 - it raises where distributed is not

HERE = Path(__file__).parent
#: Processes and sockets of the cluster end in their own time.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
CALCULATOR = "strange_calculators:Strange"


@pytest.fixture(scope="module")
def cluster():
    """Address, and process ids of two workers, which are replaced when they die."""
    process = subprocess.Popen(
        [sys.executable, HERE.parent / "sampling" / "nested_cluster.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )  # fmt: skip
    address, *ids = process.stdout.readline().split()
    yield address, [int(one) for one in ids]
    process.communicate()


def pair(k: int) -> Structure:
    return Structure([18, 18], [[0.0, 0.0, 0.1 * k], [0.0, 0.3, 2.4]])


def test_labels_come_back_though_a_worker_is_killed(cluster):
    address, ids = cluster
    settings = DaskReference(CALCULATOR, address=address, energy_limit=100.0)
    said = []
    there = workers.DaskWorkers(settings, {"fault": "slow", "times": 1}, said.append)
    try:
        asked = [there.submit(k, pair(k), 0.0) for k in range(4)]
        time.sleep(1.5)
        os.kill(ids[0], signal.SIGKILL)
        found = [one.result(timeout=120) for one in asked]
    finally:
        there.close()
    assert said == [f"Dask at {address}: reference calculations are made there"]
    for k, one in enumerate(found):
        assert one.error == ""
        assert one.structure.energy == 0.5 * float((pair(k).positions ** 2).sum())
        assert np.array_equal(one.structure.forces, -pair(k).positions)


def test_what_goes_wrong_there_is_said_here(cluster):
    settings = DaskReference(CALCULATOR, address=cluster[0], retries=0, energy_limit=100.0)
    there = workers.DaskWorkers(settings, {"fault": "raise", "times": 9}, lambda _line: None)
    try:
        found = there.submit(0, pair(0), 0.0).result(timeout=120)
    finally:
        there.close()
    assert "RuntimeError: not converged" in found.error and found.structure.energy is None


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr(workers, "_ANSWER", 0.5)
    settings = DaskReference(CALCULATOR, address="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 within"):
        workers.DaskWorkers(settings, {}, lambda _line: None)
