"""The folder of a run: what it promises to whatever runs in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.run import lock as module
from acepot.run.checkpoint import CannotGoOnError, Checkpoint
from acepot.run.folder import RunFolder, digest, run_folder
from acepot.run.signals import stop_request

ROOT = Path(__file__).parents[3]
TOY = Path(__file__).with_name("toy.py")
GROWS = ("log.csv", "data.txt")
ABOUT, CONTENTS = {"engine": "none"}, {"data": "0"}


def grow(home: RunFolder, last: Checkpoint | None, step: int) -> Checkpoint:
    """A step of a run: every file grows, then a checkpoint."""
    for name in GROWS:
        with (home.path / name).open("a") as file:
            file.write(f"{name} {step}\n")
    home.new_state(last).write_text(f"state {step}")
    return home.record(step, last)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ------------------------------------------------------------------ ended anywhere


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_ended_anywhere_leaves_the_same_bytes(stride: int, tmp_path: Path) -> None:
    first = int(np.random.default_rng(8).integers(stride))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(TOY), str(tmp_path), str(first), str(stride)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    folders = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(folders) > 20
    whole = contents(folders[-1])
    assert whole["log.csv"].count(b"\n") == 7 and whole["data.txt"].count(b"\n") == 6
    for folder in folders:
        assert contents(folder) == whole, folder.name


# ------------------------------------------------------------------ going on


def test_files_are_cut_back_to_their_checkpoint(tmp_path: Path) -> None:
    with run_folder(tmp_path, "x.toml", (*GROWS, "late.txt")) as home:
        last = home.begin("a = 1\n", ABOUT, CONTENTS)
        assert last is None
        last = grow(home, last, 1)
        kept = contents(tmp_path)
        (tmp_path / "log.csv").write_bytes(kept["log.csv"] + b"after\n")
        (tmp_path / "data.txt").write_bytes(b"XXXX" + kept["data.txt"][4:] + b"after\n")
        (tmp_path / "late.txt").write_text("made after the checkpoint")
        (tmp_path / "state.2").write_text("half of a state")
    with run_folder(tmp_path, "x.toml", (*GROWS, "late.txt")) as home:
        assert home.begin("a = 1\n", ABOUT, CONTENTS) == last
        assert contents(tmp_path) == kept
        assert home.new_state(last).name == "state.2"
        last = grow(home, last, 2)
    assert (last.step, last.count, last.state) == (2, 2, "state.2")
    assert sorted(path.name for path in tmp_path.glob("state.*")) == ["state.2"]


def test_files_from_before_the_first_checkpoint_are_gone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**ABOUT, **CONTENTS}))
    (tmp_path / "log.csv").write_text("of a run that was killed at once")
    (tmp_path / "mine.txt").write_text("not of the run")
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        assert home.begin("a = 1\n", ABOUT, CONTENTS) is None
    assert not (tmp_path / "log.csv").exists() and (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("settings", "about", "data", "reason"),
    [
        ("a = 1\nt.b = 2\n", ABOUT, CONTENTS, "t.b was None and is now 2"),
        ("a = 3\n", ABOUT, CONTENTS, "a was 1 and is now 3"),
        ("a = 1\n", {"engine": "some"}, CONTENTS, "the engine was none and is now some"),
        ("a = 1\n", ABOUT, {"data": "1"}, "the contents of the data have changed"),
    ],
)
def test_another_run_is_refused_or_begins_anew_and_says_so(
    settings: str, about: dict[str, str], data: dict[str, str], reason: str, tmp_path: Path
) -> None:
    said: list[str] = []
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        grow(home, home.begin("a = 1\n", ABOUT, CONTENTS), 1)
        before = contents(tmp_path)
        with pytest.raises(CannotGoOnError, match=f"{reason}; choose another folder with --out"):
            home.begin(settings, about, data)
        assert contents(tmp_path) == before
        assert home.begin(settings, about, data, anew=said.append) is None
        assert said == [f"{tmp_path} belongs to another run: {reason}"]
        assert set(contents(tmp_path)) == {"x.toml", "run.json", "lock"}
        last = grow(home, None, 1)
        assert home.begin(settings, about, data, anew=pytest.fail) == last


@pytest.mark.parametrize("damage", ["checkpoint.json", "run.json", "state.1", "log.csv", "x.toml"])
def test_damage_is_refused_or_begins_anew(damage: str, tmp_path: Path) -> None:
    said: list[str] = []
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        grow(home, home.begin("a = 1\n", ABOUT, CONTENTS), 1)
        if damage == "state.1":
            (tmp_path / damage).unlink()
        else:
            (tmp_path / damage).write_text("[" if damage != "log.csv" else "")
        with pytest.raises(InputError, match=damage):
            home.begin("a = 1\n", ABOUT, CONTENTS)
        assert home.begin("a = 1\n", ABOUT, CONTENTS, anew=said.append) is None
    assert len(said) == 1 and damage in said[0]


@pytest.mark.parametrize("name", ["../state", "/etc/passwd", "a/b"])
def test_a_checkpoint_names_only_files_of_its_folder(name: str, tmp_path: Path) -> None:
    with run_folder(tmp_path / "run", "x.toml", GROWS) as home:
        grow(home, home.begin("a = 1\n", ABOUT, CONTENTS), 1)
        record = home.path / "checkpoint.json"
        table = json.loads(record.read_text())
        for bad in (table | {"state": name}, table | {"files": {name: {"size": 0, "head": ""}}}):
            record.write_text(json.dumps(bad))
            with pytest.raises(InputError, match="expected names of files in its folder"):
                home.begin("a = 1\n", ABOUT, CONTENTS)


def test_contents_are_told_apart_by_their_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(InputError, match="cannot be read: No such file"):
        digest(tmp_path / "b")


# ------------------------------------------------------------------ the lock


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    with run_folder(tmp_path, "x.toml"):
        with pytest.raises(InputError, match="another process runs in this folder"):
            with run_folder(tmp_path, "x.toml"):
                pytest.fail("two at once")
    with run_folder(tmp_path, "x.toml"):
        pass


def test_a_removed_folder_is_made_again_by_who_waits(tmp_path: Path) -> None:
    """A lock on a file that is gone locks nothing."""
    path, held = tmp_path / "run", threading.Event()
    seen: list[bool] = []

    def wait() -> None:
        held.wait()
        with run_folder(path, "x.toml", GROWS) as home:
            seen.append((path / "lock").exists())
            grow(home, home.begin("a = 1\n", ABOUT, CONTENTS), 1)

    other = threading.Thread(target=wait)
    other.start()
    with run_folder(path, "x.toml", GROWS) as home:
        grow(home, home.begin("a = 1\n", ABOUT, CONTENTS), 1)
        held.set()
        home.remove()
        assert not path.exists()
    other.join()
    assert seen == [True] and (path / "checkpoint.json").exists()


def test_removing_a_run_leaves_the_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        grow(home, home.begin("a = 1\n", ABOUT, CONTENTS), 1)
        home.remove()
    assert set(contents(tmp_path)) == {"mine.txt"}


def test_files_of_others_that_look_like_states_stay(tmp_path: Path) -> None:
    (tmp_path / "state.7").write_text("there before any run")
    for name in ("state.dat", "state.1.old", "state."):
        (tmp_path / name).write_text(name)
    before = contents(tmp_path)
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        last = home.begin("a = 1\n", ABOUT, CONTENTS)
        assert contents(tmp_path).items() >= before.items()
        (tmp_path / "state.7").unlink()
        grow(home, last, 1)
        home.begin("a = 1\n", ABOUT, CONTENTS)
        home.remove()
    assert set(contents(tmp_path)) == {"state.dat", "state.1.old", "state."}


@pytest.mark.parametrize("name", ["x.toml", *GROWS])
def test_files_of_others_that_a_run_would_overwrite_stay(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("# mine\n")
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        with pytest.raises(InputError, match=f"got one with a {name} that no run has made"):
            home.begin("a = 1\n", ABOUT, CONTENTS)
    assert contents(tmp_path) == {name: b"# mine\n", "lock": b""}


def test_the_run_json_of_others_stays(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"mine": 1}')
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        with pytest.raises(CannotGoOnError, match=r"run\.json is not of such a run"):
            home.begin("a = 1\n", ABOUT, CONTENTS)
    assert (tmp_path / "run.json").read_text() == '{"mine": 1}'


def test_a_run_killed_before_its_settings_were_written_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**ABOUT, **CONTENTS}))
    with run_folder(tmp_path, "x.toml", GROWS) as home:
        assert home.begin("a = 1\n", ABOUT, CONTENTS) is None


@pytest.mark.parametrize("name", ["run.json", "state.1", "notes.txt"])
def test_a_folder_without_the_mark_is_refused_and_stays(name: str, tmp_path: Path) -> None:
    mark = {"kind": "toy"}
    (tmp_path / name).write_text('{"kind": "other"}')
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"expected a new or empty folder.*got one with {name}"):
        with run_folder(tmp_path, "x.toml", mark=mark):
            pytest.fail("it is another's")
    assert contents(tmp_path) == before
    (tmp_path / name).unlink()
    (tmp_path / ".run.json.abcdefgh.tmp").write_text("of a run that was killed at once")
    for _ in range(2):
        with run_folder(tmp_path, "x.toml", mark=mark) as home:
            home.begin("a = 1\n", mark, CONTENTS)
    assert set(contents(tmp_path)) == {"run.json", "x.toml", "lock"}


def test_a_folder_that_is_removed_while_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process removes it between making the folder and opening its lock."""
    honest, path, removed = os.open, tmp_path / "run", []

    def opened(name: Path, *rest: int) -> int:
        if not removed:
            removed.append(path.rmdir())
        return honest(name, *rest)

    monkeypatch.setattr(module.os, "open", opened)
    with run_folder(path, "x.toml"):
        assert removed and (path / "lock").exists()


def test_a_folder_that_fills_while_it_is_removed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, path = Path.rmdir, tmp_path / "run"

    def rmdir(self: Path) -> None:
        (path / "lock").write_text("another process came first")
        honest(self)

    with run_folder(path, "x.toml", GROWS) as home:
        home.begin("a = 1\n", ABOUT, CONTENTS)
        monkeypatch.setattr(Path, "rmdir", rmdir)
        home.remove()
    assert set(contents(path)) == {"lock"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file: cannot be used as a folder"):
        with run_folder(tmp_path / "file", "x.toml"):
            pytest.fail("it is a file")


# ------------------------------------------------------------------ signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_and_the_second_ends(number: signal.Signals) -> None:
    ended: list[int] = []
    before = signal.signal(number, lambda number, frame: ended.append(number))
    try:
        with stop_request() as stopped:
            assert not stopped.is_set()
            signal.raise_signal(number)
            assert stopped.is_set() and not ended
            signal.raise_signal(number)
            assert ended == [number]
        signal.raise_signal(number)
        assert ended == [number, number]
    finally:
        signal.signal(number, before)


def test_signals_that_a_host_in_c_handles_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python does not know such a handler, and could not put it back."""
    set_for: list[int] = []
    honest = signal.getsignal

    def getsignal(number: int) -> object:
        return None if number == signal.SIGINT else honest(number)

    monkeypatch.setattr(signal, "getsignal", getsignal)
    monkeypatch.setattr(signal, "signal", lambda number, _handler: set_for.append(number))
    with stop_request() as stopped:
        assert not stopped.is_set()
    assert set_for == [signal.SIGTERM, signal.SIGTERM]


def test_other_threads_are_never_asked_to_stop() -> None:
    seen: list[bool] = []

    def ask() -> None:
        with stop_request() as stopped:
            seen.append(stopped.is_set())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [False]


def test_what_a_killed_run_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    """Of every file that the run writes, not of its settings alone; other names are not ours."""
    names = ("toy.toml", "checkpoint.json", "run.json", "picture.png")

    def begun() -> None:
        with run_folder(tmp_path, "toy.toml", ("log.csv",), writes=("picture.png",)) as home:
            home.begin("seed = 3\n", {"kind": "toy"}, {})

    begun()
    ours = [tmp_path / f".{name}.0123abcd.tmp" for name in names]
    theirs = tmp_path / ".notes.0123abcd.tmp"
    for path in (*ours, theirs):
        path.touch()
    begun()
    assert not any(path.exists() for path in ours) and theirs.exists()
