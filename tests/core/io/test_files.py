"""Files: a replaced file is the old one or the new one, never something between."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from acepot.errors import InputError
from acepot.io.files import opened, replaced


def _names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    with replaced(path) as out:
        out.write("Å\n")
        assert not path.exists()
    assert path.read_bytes() == "Å\n".encode()
    assert _names(tmp_path) == ["new.txt"]


def test_bytes_can_be_written(tmp_path: Path) -> None:
    with replaced(str(tmp_path / "b"), "wb") as out:
        out.write(b"\r\n\x00")
    assert (tmp_path / "b").read_bytes() == b"\r\n\x00"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "old.txt"
    path.write_text("old")
    with pytest.raises(error), replaced(path) as out:
        out.write("half of the ne")
        raise error
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["old.txt"]


def test_a_failed_replacement_removes_the_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"), replaced(tmp_path / "f") as out:
        out.write("x")
    assert _names(tmp_path) == []


def test_permissions_of_the_old_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o640)
    with replaced(path) as out:
        out.write("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_permissions_of_a_new_file_are_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    with replaced(tmp_path / "ours") as out:
        out.write("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replaced(tmp_path / "link") as out:
        out.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize("where", ["no/such/folder/f", ".", "x" * 5000])
def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path, where: str) -> None:
    with pytest.raises(InputError, match="cannot be written"), replaced(tmp_path / where):
        pass


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(InputError, match="not a regular file"), replaced(os.devnull):
        pass


def test_another_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='mode: expected "w" or "wb"'), replaced(tmp_path, "a"):
        pass


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    for name in ("absent", "x" * 5000):
        with pytest.raises(InputError), opened(tmp_path / name):
            pass
    with pytest.raises(InputError, match="got a folder"), opened(tmp_path):
        pass


def test_strange_bytes_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xefa\xff\n")
    with opened(tmp_path / "f") as text:
        assert text.read() == "\ufffda\ufffd\n"
