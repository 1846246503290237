"""The cache of compiled code: trusted only where nobody else can write, and clean after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from acepot import ownership
from acepot.basis import cache
from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.compilation import compiled
from acepot.errors import InputError
from acepot.ownership import check_own, make_own

PLACE, FILE = "kind/version", "code.so"
SPEC = resolve(BasisSpec(("Si",), order=2, degree=3.0, cutoff=4.0))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACEPOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(scratch: Path) -> Path:
    """Compile nothing."""
    made = scratch / "made"
    made.write_text("ours")
    made.chmod(0o777)
    return made


def build() -> Path:
    return compiled(PLACE, FILE, "a test", make)


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file belong to somebody else."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:  # then it is this process that is somebody else
        monkeypatch.setattr(ownership.os, "geteuid", lambda: 12345)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------ whose it is


def test_folders_and_files_are_made_for_the_user_alone(root: Path) -> None:
    file = build()
    assert file == root / PLACE / FILE and file.read_text() == "ours"
    for folder in (root, root / "kind", root / PLACE):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o022 == 0
    assert build() == file


@pytest.mark.parametrize("place", ["", "kind", PLACE, f"{PLACE}/{FILE}"])
def test_what_others_may_write_to_is_refused(root: Path, place: str) -> None:
    file = build()
    file.write_text("theirs")
    path = root / place
    path.chmod(0o777)
    with pytest.raises(InputError, match=r"others may write to it \(mode 777\).*ACEPOT_CACHE"):
        build()
    path.chmod(0o700)
    assert build() == file


@pytest.mark.parametrize("place", ["", "kind", PLACE, f"{PLACE}/{FILE}"])
def test_what_belongs_to_others_is_refused(
    root: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    give_away(root / place, monkeypatch)
    with pytest.raises(InputError, match=r"belongs to user \d+, not to user \d+.*ACEPOT_CACHE"):
        build()


def test_a_group_of_the_user_alone_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where umask is 002 and every user has a group of his own."""
    tmp_path.chmod(0o770)
    monkeypatch.setattr(ownership, "_is_private", lambda group: True)
    check_own(tmp_path)
    monkeypatch.setattr(ownership, "_is_private", lambda group: False)
    with pytest.raises(InputError, match="others may write to it"):
        check_own(tmp_path)


def test_a_user_without_a_name_has_no_group_of_his_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership.os, "geteuid", lambda: 2**31 - 7)
    assert not ownership._is_private(0)


def test_folders_above_the_cache_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    make_own(tmp_path / "shared" / "mine")
    assert (tmp_path / "shared" / "mine").stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_the_lock_is_refused(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("data")
    make_own(root, root / PLACE)
    (root / PLACE / "lock").symlink_to(target)
    with pytest.raises(InputError, match="lock: expected a file, got a symbolic link"):
        build()
    assert target.read_text() == "data"


def test_the_content_of_a_lock_stays(root: Path) -> None:
    make_own(root, root / PLACE)
    (root / PLACE / "lock").write_text("old")
    build()
    assert (root / PLACE / "lock").read_text() == "old"


def test_expansions_in_a_folder_of_others_are_neither_read_nor_written(
    root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    root.mkdir()
    root.chmod(0o777)
    monkeypatch.setattr(cache, "_read", planted)
    cache.cached_expansion(SPEC)
    assert "others may write to it" in caplog.text and "built without it" in caplog.text
    assert names(root) == []


# ------------------------------------------------------------------ after a kill

SLEEPS = """
import time
from acepot.compilation import compiled
def make(scratch):
    (scratch / "half").write_text("")
    print("compiling", flush=True)
    time.sleep(600)
compiled("kind/version", "code.so", "a test", make)
"""


def test_what_a_killed_build_leaves_goes_with_the_next_one(root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPS],
        env=os.environ | {"ACEPOT_CACHE": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "compiling\n"
        process.send_signal(signal.SIGKILL)
    assert len(names(root / PLACE)) == 2
    build()
    assert names(root / PLACE) == [FILE, "lock"]
    (root / PLACE / "build.left").mkdir()  # killed when the file was there already
    build()
    assert names(root / PLACE) == [FILE, "lock"]


@pytest.mark.parametrize("place", ["kind", PLACE, f"{PLACE}/{FILE}"])
def test_a_link_is_refused_even_to_what_is_ours(root: Path, tmp_path: Path, place: str) -> None:
    file = build()
    (root / place).rename(tmp_path / "elsewhere")
    (root / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link, and what is in acepot's cache runs as the user"):
        build()
    (root / place).unlink()
    assert build() == file


def test_the_cache_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """As where home folders are small."""
    (tmp_path / "scratch").mkdir(mode=0o700)
    root.symlink_to(tmp_path / "scratch")
    assert build().read_text() == "ours"
