"""Mutants of every kind of file are refused or run; and the campaign sees what goes wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaign import Tally, run_kind
from mutations import mutant
from seeds import seeds, tables

KINDS = sorted(seeds())
CAMPAIGN = Path(__file__).with_name("campaign.py")
NATIVE_DATA = Path(__file__).parents[2] / "native" / "tests" / "data"


def test_seeds_are_small_and_open(tmp_path):
    from campaign import verdict

    for kind, files in seeds().items():
        for name, data in files.items():
            assert len(data) <= 12_000, f"{kind} {name} has {len(data)} bytes"
            assert verdict(kind, data, tmp_path / "seed") == "accepted", f"{kind} {name}"


def test_the_frozen_tables_have_todays_form():
    """Not bit for bit: the last digits depend on the numerical library."""
    for name, data in tables().items():
        assert len(data) == len((NATIVE_DATA / f"{name}.tables").read_bytes()), name


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_mutants(kind):
    files = seeds()[kind]
    first = [mutant(kind, 5, k, files) for k in range(50)]
    assert first == [mutant(kind, 5, k, files) for k in range(50)]
    assert len({data for _, data in first}) > 40
    assert first != [mutant(kind, 6, k, files) for k in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_refused_or_run(kind):
    tally = run_kind(kind, seed=8, count=60, patience=20.0, memory=1024)
    assert tally.failures == {}
    assert tally.count == 60 and tally.refused > 20


@pytest.mark.slow
def test_two_thousand_mutants_of_each_kind_are_refused_or_run(tmp_path):
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--count", "2000", "--patience", "20", "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("   2000  ") == len(KINDS)


def _judge(kind: str, data: bytes, path: Path) -> str:
    """Every way a reader can fail, by the first byte."""
    what = data[0] % 8
    if what == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == 2:
        time.sleep(60)
    if what == 3:
        return "MemoryError: " if not _fits(2**31) else "accepted"
    if what == 4:
        return "KeyError: 'a'"
    return "accepted" if what == 5 else "refused"


def _fits(size: int) -> bool:
    try:
        return len(bytearray(size)) == size
    except MemoryError:
        return False


def _tally(monkeypatch, first_bytes: list[int]) -> Tally:
    monkeypatch.setattr("campaign.verdict", _judge)
    monkeypatch.setattr("campaign.mutant", lambda k, s, n, f: ("seed", bytes([first_bytes[n]])))
    return run_kind("ace", seed=1, count=len(first_bytes), patience=0.1, memory=1024)


def test_a_crash_a_hang_too_much_memory_and_foreign_errors_are_failures(monkeypatch):
    monkeypatch.setattr("campaign.GRACE", 2.0)
    tally = _tally(monkeypatch, [0, 5, 1, 0, 2, 5, 3, 4, 1])
    assert (tally.count, tally.accepted, tally.refused) == (9, 2, 2)
    assert sorted(tally.failures) == [2, 4, 6, 7, 8]
    assert "-11" in tally.failures[2] and "-11" in tally.failures[8]
    assert "no answer" in tally.failures[4]
    assert tally.failures[6] == "MemoryError: "
    assert tally.failures[7] == "KeyError: 'a'"
