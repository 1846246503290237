"""The files of a fit are those of one fit, whenever a process ends and whoever comes meanwhile."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.errors import InputError
from acepot.fitting import folder as fit_folder
from acepot.fitting.config import Data, FitConfig
from acepot.fitting.folder import fit_to_folder
from acepot.io.structures import extxyz
from acepot.run.publication import Publication
from acepot.schema import from_mapping

FILES = (
    "model.acepot", "report.json", "fit.toml", "worst.extxyz", "parity.png", "dimers.png",
    "report.html", "structures.chemiscope.json.gz",
)  # fmt: skip
#: Those without pictures.
PLAIN = FILES[:4]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng, cell = np.random.default_rng(0), np.array([[3.7, 0.2, 0], [0.1, 3.6, 0.3], [0, 0.1, 3.8]])
    made = []
    for _ in range(4):
        places = rng.random((4, 3)) * 0.3 + np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
        made.append(
            Structure(
                [29] * 4, places, cell, True, energy=rng.normal(), forces=rng.normal(size=(4, 3))
            )
        )
    extxyz.write_structures("train.xyz", made)
    return tmp_path


def config(cutoff: float) -> FitConfig:
    basis = {"elements": ["Cu"], "order": 2, "degree": 4.0, "cutoff": cutoff}
    return from_mapping(FitConfig, {"data": {"train": "train.xyz"}, "basis": basis})


def fit(cutoff: float, plots: bool = False, say: Callable[[str], None] = lambda _: None) -> None:
    fit_to_folder(config(cutoff), "out", say=say, threads=1, plots=plots)


def cutoffs(folder: Path = Path("out")) -> set[float]:
    """The cut-offs that the files of a folder speak of: one, if they are of one fit."""
    model = acepot.load(folder / "model.acepot")
    report = json.loads((folder / "report.json").read_text())
    written = tomllib.loads((folder / "fit.toml").read_text())
    assert report["solver"]["noise variance"] == model.provenance["solver"]["noise variance"]
    return {model.basis.cutoff["Cu-Cu"], written["basis"]["cutoff"]["Cu-Cu"]}


def killed(work: Callable[[], Any]) -> int:
    """The exit status of work in a process of its own."""
    if (child := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("after", [0, 1, 4, 7, 8])
def test_a_kill_between_two_files_leaves_the_rest_to_the_next_fit(
    after: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(4.0, plots=True)

    def ended() -> None:
        """A fit whose process ends after some files have been moved."""
        moved, move = [0], os.replace

        def replace(source: Any, target: Any) -> None:
            if Path(source).parent.name == "complete" and Path(source).name[0] != ".":
                if moved[0] == after:
                    os._exit(9)
                moved[0] += 1
            move(source, target)

        monkeypatch.setattr("acepot.run.publication.os.replace", replace)
        fit(3.9, plots=True)

    assert killed(ended) == (9 if after < len(FILES) else 0)
    if after < len(FILES):
        assert (here / "out" / "unfinished" / "complete" / "list.json").is_file()
    lines: list[str] = []
    absent = FitConfig(Data("absent.xyz"))
    with pytest.raises(InputError, match="absent"):  # whatever it is that comes next
        fit_to_folder(absent, "out", say=lines.append, plots=False)
    assert cutoffs() == {3.9}
    assert any("put in place" in line for line in lines) == (after < len(FILES))
    fit(4.1, plots=True)
    assert cutoffs() == {4.1}
    assert sorted(p.name for p in Path("out").iterdir()) == sorted(FILES)


def test_a_kill_before_all_files_are_there_changes_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(4.0)
    before = {name: Path("out", name).read_bytes() for name in PLAIN}

    def ended() -> None:
        monkeypatch.setattr(fit_folder, "dump_config", lambda *_: os._exit(9))
        fit(3.9)

    assert killed(ended) == 9
    assert {name: Path("out", name).read_bytes() for name in PLAIN} == before
    fit(3.9)
    assert cutoffs() == {3.9}
    assert sorted(p.name for p in Path("out").iterdir()) == sorted(PLAIN)


def test_an_error_while_writing_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit_folder, "dump_config", broken)
        with pytest.raises(KeyboardInterrupt):
            fit(4.0)
    assert [p for p in Path("out").rglob("*") if p.name in FILES] == []
    fit(4.0)
    assert cutoffs() == {4.0}


def test_pictures_that_cannot_be_drawn_do_not_take_the_model_with_them(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(fit_folder, "parity", broken)
    with pytest.raises(RuntimeError, match="no ink"):
        fit(4.0, plots=True)
    assert cutoffs() == {4.0}


def test_two_fits_into_one_folder_do_not_mix(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is held before its report; the second is told that the folder is in use."""
    monkeypatch.setattr("acepot.run.lock._PATIENCE", 0.2)
    honest, second = fit_folder.write_json, list[int]()

    def held(*given: Any) -> None:
        def other() -> None:
            monkeypatch.setattr(fit_folder, "write_json", honest)
            try:
                fit(3.9)
            except InputError as error:
                os._exit(7 if "another process" in str(error) else 8)

        second.append(killed(other))
        honest(*given)

    monkeypatch.setattr(fit_folder, "write_json", held)
    fit(4.0, plots=True)
    assert second == [7]
    assert cutoffs() == {4.0}


def test_files_of_ours_that_were_left_half_written_are_removed(here: Path) -> None:
    Path("out").mkdir()
    ours = [Path("out", f".{name}.0123abcd.tmp") for name in FILES]
    theirs = [Path("out", ".notes.0123abcd.tmp"), Path("out", "model.acepot.tmp")]
    for path in (*ours, *theirs):
        path.write_text("half")
    fit(4.0)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    folder, waiting = tmp_path / "out", tmp_path / "out" / "waiting"
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere.acepot"
    elsewhere.write_text("old")
    (folder / "model.acepot").symlink_to(elsewhere)
    (folder / "report.json").write_text("old")
    (folder / "report.json").chmod(0o640)
    with Publication(folder, waiting, tuple(FILES), lambda _: None) as files:
        for name in ("model.acepot", "report.json"):
            files.file(name).write_text("new")
        files.complete()
    assert (folder / "model.acepot").is_symlink() and elsewhere.read_text() == "new"
    assert stat.S_IMODE((folder / "report.json").stat().st_mode) == 0o640
    assert (folder / "report.json").read_text() == "new" and not waiting.exists()


def test_a_list_names_only_files_of_a_fit(tmp_path: Path) -> None:
    waiting = tmp_path / "out" / "waiting"
    waiting.mkdir(parents=True)
    (waiting / "evil").write_text("x")
    (waiting / "report.json").write_text("new")
    (waiting / "list.json").write_text(json.dumps(["../evil", "evil", 3, "report.json"]))
    Publication(tmp_path / "out", waiting, tuple(FILES), lambda _: None)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["out", "report.json"]


def test_what_is_no_file_is_not_replaced(here: Path) -> None:
    Path("out/model.acepot").mkdir(parents=True)
    with pytest.raises(InputError, match=r"model\.acepot: cannot be written: it is not a regular"):
        fit(4.0)
    assert not Path("out/unfinished/complete").exists()
