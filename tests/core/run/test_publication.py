"""Files of a result appear together, whoever comes first and whatever ends a process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import acepot.fitting.charges.pipeline as charges
import acepot.friction.coarse.command as coarse
import acepot.friction.pipeline as friction
import acepot.hamiltonian.pipeline as hamiltonian
from acepot.errors import InputError
from acepot.run.publication import Publication, publishing

NAMES = ("settings.toml", "report.json", "model.acepot")


def written(folder: Path, text: str, say: Callable[[str], None] = lambda _: None) -> None:
    with publishing(folder, NAMES, say, what="test") as files:
        for name in NAMES:
            files.file(name).write_text(text)


def found(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir()}


def ended(work: Callable[..., None], *given: Any) -> int | None:
    """The exit status of a process that does it."""
    process = multiprocessing.get_context("fork").Process(target=work, args=given)
    process.start()
    process.join(60)
    return process.exitcode


def test_nothing_else_is_left(tmp_path: Path) -> None:
    written(tmp_path / "a" / "b", "one")
    assert found(tmp_path / "a" / "b") == dict.fromkeys(NAMES, "one")
    written(tmp_path / "a" / "b", "two")
    assert found(tmp_path / "a" / "b") == dict.fromkeys(NAMES, "two")


@pytest.mark.parametrize("error", [InputError, KeyboardInterrupt, RuntimeError])
def test_an_error_leaves_the_old_ones(tmp_path: Path, error: type[BaseException]) -> None:
    written(tmp_path, "old")
    with pytest.raises(error), publishing(tmp_path, NAMES, lambda _: None, what="test") as files:
        files.file("model.acepot").write_text("new")
        raise error
    written(tmp_path, "new")
    assert found(tmp_path) == dict.fromkeys(NAMES, "new")


@pytest.mark.parametrize("after", range(4))
def test_a_process_that_ends_between_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Without the list of them no file has moved; with it whoever comes next moves the rest."""
    written(tmp_path, "old")

    def work() -> None:
        moves, move = [0], os.replace

        def counted(source: Any, target: Any) -> None:
            if Path(source).name in NAMES:
                moves[0] += 1
                if moves[0] > after:
                    os._exit(9)
            move(source, target)

        monkeypatch.setattr(os, "replace", counted)
        written(tmp_path, "new")

    assert ended(work) == (9 if after < 3 else 0)
    said: list[str] = []
    with pytest.raises(RuntimeError), publishing(tmp_path, NAMES, said.append, what="test"):
        raise RuntimeError
    mine = {name: (tmp_path / name).read_text() for name in NAMES}
    assert mine == dict.fromkeys(NAMES, "new")
    assert any("put in place" in line for line in said) == (after < 3)


def test_a_process_that_ends_before_all_are_there(tmp_path: Path) -> None:
    written(tmp_path, "old")

    def work() -> None:
        with publishing(tmp_path, NAMES, lambda _: None, what="test") as files:
            files.file("model.acepot").write_text("new")
            os._exit(9)

    assert ended(work) == 9
    assert {n: (tmp_path / n).read_text() for n in NAMES} == dict.fromkeys(NAMES, "old")


def test_two_at_once_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acepot.run.lock._PATIENCE", 0.2)

    def second() -> None:
        try:
            written(tmp_path, "second")
        except InputError as error:
            os._exit(7 if "another process runs in this folder" in str(error) else 8)

    with publishing(tmp_path, NAMES, lambda _: None, what="test") as files:
        for name in NAMES:
            files.file(name).write_text("first")
        assert ended(second) == 7
    assert found(tmp_path) == dict.fromkeys(NAMES, "first")


@pytest.mark.parametrize("names", [charges.FILES, friction.FILES, coarse._FILES, hamiltonian.FILES])
def test_models_are_the_last_to_be_put_in_place(names: tuple[str, ...], tmp_path: Path) -> None:
    """Whoever sees a new model sees its papers, too."""
    assert names[-1].endswith(".acepot")
    with pytest.raises(InputError, match="not a regular file"):
        (tmp_path / names[0]).mkdir()
        Publication(tmp_path, tmp_path / "w", names, lambda _: None).file(names[0])


def test_what_another_command_has_left_to_go_on_with_stays(tmp_path: Path) -> None:
    """A picture drawn into the folder of a fit that was stopped takes nothing away from it."""
    left = tmp_path / "unfinished" / "complete" / "list.json"
    left.parent.mkdir(parents=True)
    left.write_text('["parity.png"]')
    (left.parent / "parity.png").write_text("of the fit")
    with publishing(tmp_path, ("parity.png",), lambda _: None, what="plot") as files:
        files.file("parity.png").write_text("of the plot")
    assert (tmp_path / "parity.png").read_text() == "of the plot"
    assert left.exists() and (left.parent / "parity.png").read_text() == "of the fit"
