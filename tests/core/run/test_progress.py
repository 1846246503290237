"""Long steps say that they go on; free memory is the smallest of what is known."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest

from acepot.run import memory, progress
from acepot.run.memory import free_memory
from acepot.run.progress import Line, Pulse


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_of_seconds_is_never_silent_for_two() -> None:
    stream = Terminal()
    with Pulse("solving", 3.0, stream):
        time.sleep(1.8)
    text = stream.getvalue()
    assert text.count("\r") >= 3 and "solving: 0:01, about 0:0" in text
    assert text.endswith("solving: done in 0:02\n")


def test_a_step_that_is_over_at_once_says_nothing() -> None:
    stream = Terminal()
    with Pulse("solving", 3.0, stream):
        pass
    assert stream.getvalue() == ""


def test_a_step_in_a_log_is_said_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LOGGED", 0.2)
    stream = io.StringIO()
    with pytest.raises(ValueError, match="in between"), Pulse("solving", None, stream):
        time.sleep(1.5)
        raise ValueError("in between")
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 2 and all(re.fullmatch(r"solving: (done in )?0:0\d", x) for x in lines)


def test_free_memory_is_what_the_narrowest_limit_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    5000 kB\n")
    (tmp_path / "max").write_text("3000000\n")
    (tmp_path / "now").write_text("1000000\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(
        memory, "_GROUPS", ((tmp_path / "max", tmp_path / "now", tmp_path / "stat"),)
    )
    assert free_memory() == 2_000_000
    (tmp_path / "stat").write_text("anon 900000\nactive_file 1000\ninactive_file 500000\n")
    assert free_memory() == 2_501_000  # copies of files give way
    (tmp_path / "max").write_text("max\n")
    assert free_memory() == 5_120_000


def test_free_memory_of_this_machine_is_sensible() -> None:
    free = free_memory()
    assert free is None or 10_000_000 < free < 10**14


def test_a_line_is_shown_over_the_one_before_and_left_at_the_end(monkeypatch) -> None:
    monkeypatch.setattr(progress, "_LIVE", 0.0)
    monkeypatch.setattr(progress, "_LOGGED", 1e6)
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        line = Line(stream)
        assert line.is_due() == (stream is terminal)
        line.show("first")
        line.show("second")
        line.end()
        line.end()
    assert terminal.getvalue() == "\r\x1b[Kfirst\r\x1b[Ksecond\n"
    assert log.getvalue() == "first\nsecond\n"
