"""Each fault of a data set is found and named with file and frame; a sound set gives no alarm.

The sound set is that of the examples; faults are made in a part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.io.structures.labels import LabelKeys
from acepot.survey.page import write
from acepot.survey.survey import Survey, survey
from acepot.survey.words import groups, lines, remarks, report
from acepot.units import GIGAPASCAL

ROOT = Path(__file__).parents[3]
SET = ROOT / "examples" / "data" / "Si_train.extxyz.xz"
Structures = list[Structure]


class Said(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def some() -> Structures:
    """Forty structures of every group, those with neighbouring frames among them."""
    every, _ = acepot.read_structures(SET)
    elastic = [s for s in every if s.config_type == "Elastic"][:17]
    others = [s for s in every if s.config_type != "Elastic"][::7]
    return [*elastic, *others]


def surveyed(folder: Path, structures: Structures, **how: object) -> Survey:
    path = folder / "set.xyz"
    acepot.write_structures(path, structures)
    return survey([path], LabelKeys(), threads=1, say=lambda _line: None, **how)


def changed(structures: Structures, k: int, **labels: object) -> Structures:
    return [s.labelled(**labels) if i == k else s for i, s in enumerate(structures)]


def turned(structures: Structures) -> Structures:
    return [s if s.virial is None else s.labelled(virial=-s.virial) for s in structures]


def in_gpa(structures: Structures) -> Structures:
    return [s if s.virial is None else s.labelled(virial=s.virial / GIGAPASCAL) for s in structures]


def twice(structures: Structures) -> Structures:
    return [*structures, structures[20].labelled(energy=structures[20].energy + 1.5)]


def one_energy(structures: Structures) -> Structures:
    return changed(structures, 25, energy=structures[25].energy + 3.0 * len(structures[25]))


def one_force(structures: Structures) -> Structures:
    forces = np.array(structures[25].forces)
    forces[3] += [0, 4, 0]
    return changed(structures, 25, forces=forces)


def close(structures: Structures) -> Structures:
    dimer = Structure([14, 14], [[0, 0, 0], [0, 0, 0.7]], energy=80.0)
    return [*structures, dimer]


def unlabelled(structures: Structures) -> Structures:
    return [s.labelled(energy=None) if i in (22, 23) else s for i, s in enumerate(structures)]


def image(structures: Structures) -> Structures:
    atom = Structure([14], [[0, 0, 0]], 3 * np.eye(3), True, -0.8, config_type="IsolatedAtom")
    return [*structures, atom]


#: What is done to the sound set, and what is said about it.
FAULTS: dict[str, tuple[Callable[[Structures], Structures], str, bool]] = {
    "wrong sign of the stress": (turned, r"set.xyz frame .*wrong sign \(units: stress=-eV", True),
    "stress in GPa": (in_gpa, r"set.xyz frame .*looks like GPa \(units: stress=GPa", True),
    "duplicate with another energy": (twice, r"frame 40\b.*the same as set.xyz frame 20", False),
    "outlying energy": (one_energy, r"set.xyz frame 25\b.*energ", False),
    "outlying force": (one_force, r"set.xyz frame 25\b.*add up to 4 eV/Å", False),
    "short contact": (close, r"set.xyz frame 40: Si and Si are only 0.7 Å apart", False),
    "missing energies": (unlabelled, r"set.xyz frame 22 .*frame 23 .*but no energy", False),
    "isolated atom in a small cell": (image, r"frame 40 .*its images are 3 Å apart", False),
}


def test_there_are_forty_structures(some: Structures) -> None:
    assert len(some) == 40


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_found(some: Structures, tmp_path: Path, name: str) -> None:
    spoil, message, wrong = FAULTS[name]
    found = surveyed(tmp_path, spoil(some))
    told = [one.text for one in found.findings if re.search(message, one.text)]
    assert told, [one.text for one in found.findings]
    assert found.wrong == wrong


def test_a_sound_set_gives_no_alarm() -> None:
    found = survey([SET], LabelKeys(), threads=1, say=lambda _line: None)
    assert found.findings == ()
    assert found.twins == ()
    virials, forces = found.steps.compare_virials(), found.steps.compare_forces()
    assert virials is not None and abs(virials.slope - 1) < 0.01
    assert abs(virials.pressure / GIGAPASCAL) < 0.05
    assert forces is not None and abs(forces.slope - 1) < 0.1
    assert lines(found)[-1] == "nothing strange was found"


def test_equal_copies_are_counted_and_no_alarm(some: Structures, tmp_path: Path) -> None:
    found = surveyed(tmp_path, [*some, some[3]])
    assert found.findings == ()
    assert any(
        "duplicates: 1 of 41 structures are there already, and count twice: set.xyz frame 40" in r
        for r in remarks(found)
    )


def test_test_data_that_are_trained_are_told(some: Structures, tmp_path: Path) -> None:
    acepot.write_structures(tmp_path / "test.xyz", [some[8], some[20]])
    found = surveyed(tmp_path, some, test=[tmp_path / "test.xyz"])
    (told,) = found.findings
    assert "2 of 2 test structures are training structures too" in told.text


def test_energies_and_groups_are_those_of_the_data(some: Structures, tmp_path: Path) -> None:
    atom = Structure([14], [[0, 0, 0]], energy=-0.8, config_type="IsolatedAtom")
    found = surveyed(tmp_path, [*some, atom])
    excess = np.array([(s.energy + 0.8 * len(s)) / len(s) for s in some])
    np.testing.assert_allclose(found.excess, [*excess, 0.0], atol=1e-12)
    said = remarks(found)
    assert said[0] == "E0: Si -0.8 eV (isolated atom)"
    assert "isolated atoms: Si -0.8 eV (set.xyz frame 40)" in said
    rows = {row[0]: row for row in groups(found)}
    assert rows["Elastic"][1] == "17" and rows["all"][1] == "41"
    elastic = excess[:17]
    assert rows["Elastic"][7:10] == [f"{f(elastic):.3f}" for f in (np.mean, np.min, np.max)]
    pressures = [np.trace(s.virial) / 3 / s.volume / GIGAPASCAL for s in some[:17]]
    np.testing.assert_allclose(found.pressures[:17], pressures)


def test_a_file_without_labels_is_told_with_its_keys(some: Structures, tmp_path: Path) -> None:
    bare = [s.labelled(energy=None, forces=None, virial=None) for s in some[:5]]
    found = surveyed(tmp_path, bare)
    assert found.wrong
    assert any("set.xyz: expected labels" in f.text and "its per" in f.text for f in found.findings)


# ------------------------------------------------------------------ page, report, command


class Tags(HTMLParser):
    """Whether tags are closed, and what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "circle", "line", "rect", "polyline", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing is open after it."""

    def handle_endtag(self, tag: str) -> None:
        if tag != "circle" and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def checked(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert (tags.open, tags.wrong, tags.loaded) == ([], [], [])
    assert "<script" not in text and "http" not in text and "nan" not in text.lower()
    return text


def test_the_page_holds_everything_and_loads_nothing(some: Structures, tmp_path: Path) -> None:
    found = surveyed(tmp_path, one_force(some))
    write(found, tmp_path / "data.html")
    text = checked(tmp_path / "data.html")
    assert text.count("<svg") == 5
    assert '<p class="strange">Strange: set.xyz frame 25' in text
    assert "<title>set.xyz frame 3</title>" in text
    assert "prefers-color-scheme:dark" in text and "width=device-width" in text


def test_names_in_the_data_cannot_write_html(some: Structures, tmp_path: Path) -> None:
    odd = [Structure(some[0].numbers, some[0].positions, some[0].cell, True, -1.0,
                     config_type="<b>&")] * 3  # fmt: skip
    found = surveyed(tmp_path, [*some, *odd])
    write(found, tmp_path / "data.html")
    text = (tmp_path / "data.html").read_text()
    assert "<b>" not in text and "&lt;b&gt;&amp;" in text


@pytest.fixture
def here(some: Structures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    acepot.write_structures("sound.xyz", some)
    acepot.write_structures("part-1.xyz", one_energy(some)[:20])
    acepot.write_structures("part-2.xyz", turned(some)[20:])
    acepot.write_structures("turned.xyz", turned(some))
    return tmp_path


def test_the_command_says_it_writes_it_and_its_status_tells(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "sound.xyz", "--out", "d.html", "--report", "d.json"]) == 0
    said = capsys.readouterr().out
    assert "nothing strange was found" in said and "stresses against -dE/dV: 0.99" in said
    checked(here / "d.html")
    written = json.loads((here / "d.json").read_text())
    assert written["findings"] == [] and written["files"][0]["energies"] == 40
    assert main(["data", "turned.xyz"]) == 1
    said = capsys.readouterr().out
    assert "wrong: turned.xyz frame" in said and "cannot be right" in said
    assert main(["data", "turned.xyz", "--units", "virial=-eV"]) == 0
    assert main(["data", "part-?.xyz", "--ignore", "virial"]) in (0, 1)
    assert "part-2.xyz: 20 structures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none*.xyz"], "none*.xyz: no file matches this pattern"),
        (["missing.xyz"], "missing.xyz: no such file"),
        (["sound.xyz", "--out", "no/d.html"], "--out: expected a file in a folder that exists"),
        (["sound.xyz", "--e0", "Si"], "--e0: expected ELEMENT=NUMBER"),
    ],
)
def test_wrong_words_are_told(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["data", *words]) == 1
    assert message in capsys.readouterr().err


def test_reports_hold_the_duplicates(some: Structures, tmp_path: Path) -> None:
    found = surveyed(tmp_path, twice(some))
    (twin,) = report(found)["duplicates"]
    assert (twin["structure"], twin["is"]) == ("set.xyz frame 40", "set.xyz frame 20")
    assert twin["energy"] == pytest.approx(1.5 / len(some[20]))
    with pytest.raises(InputError, match="no such file"):
        survey([tmp_path / "x.xyz"], LabelKeys(), say=lambda _line: None)
