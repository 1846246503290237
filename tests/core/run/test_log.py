"""Logs read back to the last digit, progress that is quiet, and the picture of a run."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.run import progress as module
from acepot.run.log import Column, Log, read
from acepot.run.picture import Panel, draw
from acepot.run.progress import Progress

COLUMNS = (Column("step"), Column("time", "ps"), Column("volume", "A3", "of the cell"))


def test_a_log_is_read_back_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    values = (
        np.random.default_rng(2).normal(size=(6, 2)) * 10.0 ** np.arange(-150, 150, 50)[:, None]
    )
    values[3, 1] = np.nan
    for first in (0, 3):  # goes on
        log = Log(path, COLUMNS)
        for step in range(first, first + 3):
            log.write((step, *values[step].tolist()))
        log.close()
    text = path.read_text()
    assert text.startswith("step,time_ps,volume_A3\n0,") and text.count("\n") == 7
    found = read(path, COLUMNS)
    assert list(found) == ["step", "time_ps", "volume_A3"]
    np.testing.assert_array_equal(found["step"], np.arange(6))
    np.testing.assert_array_equal(found["time_ps"], values[:, 0])
    np.testing.assert_array_equal(found["volume_A3"], values[:, 1])


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv", COLUMNS)
    log.write((np.int64(1), np.float64(0.1), np.array(0.25)))
    log.write((2, np.float32(0.5), 1e-3))
    log.close()
    assert (tmp_path / "log.csv").read_text().splitlines()[1:] == ["1,0.1,0.25", "2,0.5,0.001"]
    assert read(tmp_path / "log.csv", COLUMNS)["time_ps"].tolist() == [0.1, 0.5]


def test_every_row_is_in_the_file_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.csv", COLUMNS)
    log.write((1, 2.0, 3.0))
    assert read(tmp_path / "log.csv", COLUMNS)["time_ps"].tolist() == [2.0]
    with pytest.raises(InputError, match="expected 3 numbers, got 2"):
        log.write((1, 2.0))
    log.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns step, time_ps, volume_A3, got"),
        ("step,time_fs,volume_A3\n", "expected the columns"),
        ("step,time_ps,volume_A3\n1,2,x\n", "expected numbers"),
        ("step,time_ps,volume_A3\n1,2\n1,2,3\n", "expected numbers"),
    ],
)
def test_other_files_are_no_logs(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match=f"log.csv: {message}"):
        read(tmp_path / "log.csv", COLUMNS)


def test_a_log_without_rows_has_empty_columns(tmp_path: Path) -> None:
    Log(tmp_path / "log.csv", COLUMNS).close()
    assert {len(values) for values in read(tmp_path / "log.csv", COLUMNS).values()} == {0}


def test_progress_says_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 20.0, 21.0, 3700.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = Progress("work", 200, stream)
    for done in (1, 20, 21, 200):
        progress.update(done)
    assert stream.getvalue() == (
        "work: 20/200 (10 %), 3:00 left\nwork: 200/200 (100 %), done in 1:01:40\n"
    )


@pytest.mark.parametrize("live", [True, False])
def test_progress_shows_that_slow_work_goes_on(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_SILENCE", 0.05), ("_LOGGED", 0.1), ("_LOOK", 0.01)):
        monkeypatch.setattr(module, name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: live)
    bar = Progress("slow", 10, stream)
    with bar.alive():
        time.sleep(0.3)
        assert "slow: 0/10 (0 %), 0:00 so far" in stream.getvalue()
        bar.update(5)
        time.sleep(0.3)
        assert "slow: 5/10 (50 %), 0:0" in stream.getvalue() and "left" in stream.getvalue()
    said = stream.getvalue()
    time.sleep(0.15)
    assert stream.getvalue() == said


def test_a_picture_has_a_panel_for_each_quantity(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    along = np.linspace(-1, 2, 7)
    panels = [Panel("Evidence (1)", along**2, 1.0), Panel("Size (Å)", np.full(7, np.nan))]
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, "Iteration", along, panels, shaded_to=0.0)
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG") and data == (tmp_path / "b.png").read_bytes()
    draw(tmp_path / "b.png", "Iteration", along, panels)
    assert data != (tmp_path / "b.png").read_bytes()
