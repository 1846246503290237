"""Command lines of an earlier version: the same status, files and numbers; words may differ."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomls

from acepot.cli.main import main

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
ROWS = json.loads((DATA / "commands.json").read_text())
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
#: Lines whose numbers are rounding errors, sizes of files or of this machine.
OPEN = re.compile(r"^(digest|evaluator|tables|error|read back|file|written|threads|.* this )|bytes")
#: Condition numbers above 1/ε: their digits are rounding.
ROUNDING = re.compile(r"condition number \S+e\+1[5-9]")

#: What was refused and is now done.
DONE_NOW = (["eval", "small/model.acepot", "Si_test.extxyz.xz"],)
#: What --solver qr meant, with the other words of that command line.
PLAIN = """data = {train = "Si_test.extxyz.xz", fit = ["energy", "forces", "virial"]}
basis = {order = 2, degree = 6, cutoff = 4.5}
solver = {kind = "qr", damping = 0}
"""

pytestmark = pytest.mark.xdist_group("before")  # they build upon one another, in one folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, str, Path]]:
    """Every command line, one after the other: status, both outputs and the folder."""
    pytest.importorskip("ase")
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("commands")
    for file in ("Si_train.extxyz.xz", "Si_test.extxyz.xz"):
        shutil.copy(ROOT / "examples" / "data" / file, folder)
    shutil.copy(ROOT / "examples" / "ipi" / "Si8.extxyz", folder)
    shutil.copy(DATA / "md" / "short.toml", folder / "md.toml")
    (folder / "wrong.toml").write_text(tomls.WRONG)
    (folder / "plain.toml").write_text(PLAIN)
    return list(_run(folder))


def _run(folder: Path) -> Iterator[tuple[int, str, str, Path]]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        for row in ROWS:
            out, error = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
                try:
                    status = main(_meant(row["words"]))
                except SystemExit as end:
                    status = int(end.code or 0)
            yield status, out.getvalue(), error.getvalue(), folder
    finally:
        os.chdir(before)


def _meant(words: list[str]) -> list[str]:
    """What the words of then mean now.

    Virials were left out unless they were asked for; qr was plain least squares.
    """
    if words[-1:] == ["small"] and "qr" in words:
        return ["fit", "plain.toml", "--no-plots", "--out", "small"]
    from_data = words[0:1] == ["fit"] and len(words) > 1 and not words[1].endswith(".toml")
    return [*words, "--no-virial"] if from_data and "--virial" not in words else words


@pytest.mark.parametrize("k", range(len(ROWS)), ids=[" ".join(r["words"])[:40] for r in ROWS])
def test_a_command_line_does_what_it_did(k, done, same_arithmetic):
    then, (status, out, error, folder) = ROWS[k], done[k]
    if then["words"] in DONE_NOW:
        assert then["status"] == 1 and status == 0, error
        return
    assert status == then["status"], error
    assert bool(error) == bool(then["error"])
    refused_sooner = status != 0 and not out  # a mistake may be found before anything is read
    assert bool(out) == bool(then["out"]) or refused_sooner
    lacking = [name for name in then["files"] if not (folder / name).is_file()]
    assert not lacking
    if same_arithmetic and then["words"][0:1] != ["check"] and not refused_sooner:
        rest = iter(numbers(out))
        assert all(n in rest for n in numbers(then["out"])), out


def numbers(text: str) -> list[str]:
    """Numbers of all lines that do not depend on the machine, in their order."""
    lines = [ROUNDING.sub("", line) for line in text.splitlines() if not OPEN.search(line)]
    return [n for line in lines for n in NUMBER.findall(line)]


def test_numbers_are_found_and_lost_ones_are_missed():
    assert numbers("all   214  5.248 -1.5e-3\nerror 5.1e-11\nSi8.yace x2 3761 bytes") == [
        "214", "5.248", "-1.5e-3",
    ]  # fmt: skip
    counted = [len(numbers(r["out"])) for r in ROWS if r["words"][0:1] in (["fit"], ["eval"])]
    assert sum(n > 20 for n in counted) == 6


def test_a_check_holds_the_laws_it_held(done):
    (k,) = (k for k, row in enumerate(ROWS) if row["words"][0:1] == ["check"])
    laws = [
        {line.rpartition(" (")[0] for line in text.splitlines() if line.startswith("ok")}
        for text in (ROWS[k]["out"], done[k][1])
    ]
    assert len(laws[0]) == 33 and laws[0] <= laws[1]


def test_the_log_of_a_run_is_the_same(done):
    """To the rounding of a fit: the model has just been made."""
    now, then = (
        list(csv.reader(path.read_text().splitlines()))
        for path in (done[0][3] / "run" / "log.csv", DATA / "md" / "log.csv")
    )
    assert now[0] == then[0] and len(then) == 6
    for one, other in zip(now[1:], then[1:], strict=True):
        assert [float(x) for x in one] == pytest.approx([float(x) for x in other], rel=1e-6)


def test_the_configuration_of_a_run_means_the_same(done):
    """The file with every default is taken for the one the run was made with."""
    folder = done[0][3]
    text = (DATA / "md" / "resolved.toml").read_text()
    (folder / "then.toml").write_text(text.replace("../", ""))
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        assert main(["md", "then.toml", "--engine", "ase", "--out", "run"]) == 0
    assert "finished" in out.getvalue()


def test_a_run_that_was_stopped_goes_on_to_the_same_end(tmp_path, capsys, monkeypatch):
    """Its folder, with checkpoint, state, log and trajectory, is one of then."""
    pytest.importorskip("ase")
    shutil.copy(DATA / "silicon.acepot", tmp_path / "model.acepot")
    shutil.copy(ROOT / "examples" / "ipi" / "Si8.extxyz", tmp_path)
    shutil.copy(DATA / "md" / "stopped.toml", tmp_path)
    with tarfile.open(DATA / "md" / "stopped.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    log = tmp_path / "run" / "log.csv"
    begun = log.read_text().splitlines()
    assert 3 < len(begun) < 11
    monkeypatch.chdir(tmp_path)
    assert main("md stopped.toml --engine ase --out run --no-plots".split()) == 0
    now = list(csv.reader(log.read_text().splitlines()))
    then = list(csv.reader((DATA / "md" / "stopped.log.csv").read_text().splitlines()))
    assert len(now) == len(then) == 12 and now[: len(begun)] == [r.split(",") for r in begun]
    for one, other in zip(now[1:], then[1:], strict=True):
        assert [float(x) for x in one] == pytest.approx([float(x) for x in other], rel=1e-4)
