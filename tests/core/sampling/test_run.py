"""Runs of nested sampling in their folders: however they end, the same command goes on."""

import os
import resource
import signal
import time

import pytest
from nested_runs import Server, kills, run, same, step_of, wait_for

from acepot.errors import InputError
from acepot.run import lock as locks
from acepot.sampling.energies import NotFiniteError


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "said")
    yield made
    made.close()


# ------------------------------------------------------------------ going on


def test_a_run_killed_ten_times_equals_one_that_was_not(server, tmp_path):
    kills(server, tmp_path, iterations=2000, count=10, seed=1)


TWO = {"batch": 4, "length": 8, "walkers": 8, "pressures": (10.0, 20.0)}


def test_a_batched_run_of_two_pressures_killed_three_times_equals_one_that_was_not(
    server, tmp_path
):
    kills(server, tmp_path, iterations=300, count=3, seed=2, **TWO)


@pytest.mark.slow
def test_a_batched_run_killed_ten_times_equals_one_that_was_not(server, tmp_path):
    kills(server, tmp_path, iterations=2000, count=10, seed=3, **TWO)


def test_half_and_half_is_the_whole(tmp_path):
    run(tmp_path / "whole", iterations=200)
    run(tmp_path / "halves", iterations=100)
    assert (tmp_path / "halves" / "P0.live").exists()
    said = run(tmp_path / "halves", iterations=200)
    assert "stop.iterations was 100 and is now 200" in said[0] and "from iteration 100" in said[1]
    same(tmp_path / "whole", tmp_path / "halves")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    run(tmp_path, iterations=60)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (said,) = run(tmp_path, iterations=60)
    assert said.endswith("this run of 60 iterations is finished")
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_run_is_not_made_shorter_nor_another_one(tmp_path):
    run(tmp_path, iterations=60)
    with pytest.raises(InputError, match=r"is at iteration 60; expected 60 or more, got 40"):
        run(tmp_path, iterations=40)
    with pytest.raises(InputError, match=r"another run: run.walkers was 10 and is now 12"):
        run(tmp_path, iterations=60, walkers=12)


def test_sigterm_makes_a_checkpoint_first(server, tmp_path):
    folder = tmp_path / "run"
    process = server.start(folder, iterations=100_000, checkpoint=1e6)
    wait_for(lambda: step_of(folder) >= 0)
    time.sleep(0.3)
    os.kill(process, signal.SIGTERM)
    assert server.status() == 256  # 1, of the exception below
    at = step_of(folder)
    assert at > 0 and f"stopped after iteration {at}; the same command goes on" in server.text()
    assert "KeyboardInterrupt" in server.text()
    assert len((folder / "P0.energies").read_text().splitlines()) == 1 + at


def test_two_processes_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_PATIENCE", 0.1)
    lock = locks.acquired(tmp_path)
    with pytest.raises(InputError, match="another process runs in this folder"):
        run(tmp_path, iterations=10)
    os.close(lock)


def test_a_damaged_state_is_said(tmp_path):
    run(tmp_path, iterations=20)
    state = next(tmp_path.glob("state.*"))
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"state.*damaged: it is not what the run wrote"):
        run(tmp_path, iterations=40)


# ------------------------------------------------------------------ faults


def test_energies_that_are_no_numbers_end_the_run_where_it_can_go_on(tmp_path):
    run(tmp_path / "whole", iterations=300)
    with pytest.raises(NotFiniteError) as caught:
        run(tmp_path / "run", good_calls=200, iterations=300, checkpoint=1e6)
    at = step_of(tmp_path / "run")
    assert 50 < at < 300
    text = str(caught.value)
    assert f"after iteration {at}: the model gave energy nan for a configuration of 2 atoms" in text
    name = f"not_finite.{at}.extxyz"
    assert name in text and f"kept as it was before, at iteration {at}" in text
    assert (tmp_path / "run" / name).read_text().startswith("2\n")
    run(tmp_path / "run", iterations=300)
    (tmp_path / "run" / name).unlink()
    same(tmp_path / "whole", tmp_path / "run")


def test_no_number_for_a_first_configuration(tmp_path):
    with pytest.raises(NotFiniteError, match=r"before the first iteration.*the run had not begun"):
        run(tmp_path, good_calls=0, iterations=10)
    run(tmp_path, iterations=10)


@pytest.mark.parametrize(("room", "iterations"), [(16_000, 150), (18_000, 480)])
def test_a_full_disk_loses_nothing_up_to_the_last_checkpoint(room, iterations, tmp_path):
    """A limit on the size of files is met by the state, or by a file that has grown to it."""
    run(tmp_path / "whole", iterations=iterations)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    run(tmp_path / "run", iterations=100)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        with pytest.raises(OSError) as caught:
            run(tmp_path / "run", iterations=iterations)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    at = step_of(tmp_path / "run")
    assert 100 <= at < iterations
    assert f"goes on from iteration {at}" in str(caught.value)
    assert caught.value.filename.endswith("P0.energies") == (room > 17_000)
    run(tmp_path / "run", iterations=iterations)
    same(tmp_path / "whole", tmp_path / "run")


def test_the_temperature_where_a_run_ends_may_change(tmp_path):
    """The weights at the new temperature are those of all that was culled."""
    colder = {"iterations": None, "temperature": 100.0}
    run(tmp_path / "whole", **colder)
    run(tmp_path / "two", iterations=None, temperature=3000.0)
    said = run(tmp_path / "two", **colder)
    assert "stop.temperature was 3000.0 and is now 100.0" in said[0]
    same(tmp_path / "whole", tmp_path / "two")
