"""The journey: a folder, a page, and going on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.properties import run as journey
from acepot.properties.crystals import crystal, repeated
from acepot.properties.melting import blocked, crystalline
from acepot.properties.run import properties
from acepot.properties.settings import PropertySettings
from acepot.properties.steps import Case
from acepot.properties.values import Finding, References

MODEL = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"
FEW = ("phonons", "expansion", "interstitials")
REFERENCE = """\
name = "numbers of a test"
[structures."Si:diamond"]
a = 5.4
"vacancy Si" = 3.5
C66 = 1.0
"""


def test_a_page_of_silicon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.toml").write_text(REFERENCE)
    command = ["properties", str(MODEL), "Si:diamond", "--out", str(tmp_path / "out"),
               "--skip", *FEW, "--atoms", "64", "--surfaces", "111", "--members", "3",
               "--reference", str(tmp_path / "r.toml")]  # fmt: skip
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "vacancy Si (64)" in shown and "properties.html" in shown
    page = (tmp_path / "out" / "properties.html").read_text()
    for text in ("Si:diamond", "numbers of a test", "surface 111", "C44", "C66", "each member"):
        assert text in page
    rows = csv.DictReader((tmp_path / "out" / "properties.csv").read_text().splitlines())
    found = {row["property"]: row for row in rows}
    assert float(found["a"]["value"]) == pytest.approx(5.469, abs=2e-3)
    assert float(found["a"]["reference"]) == 5.4
    assert float(found["vacancy Si (64)"]["reference"]) == 3.5
    assert all(float(found[name]["error"]) > 0 for name in ("a", "C11", "B", "surface 111"))
    said = json.loads((tmp_path / "out" / "properties.json").read_text())
    assert said["errors"] == "3 members of the committee"
    assert main(command) == 0  # nothing is computed again
    assert "Si:diamond: lattice" not in capsys.readouterr().out


def test_a_run_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = PropertySettings(("Si:diamond",), skip=(*FEW, "surfaces", "vacancies"), members=0)
    done: list[str] = []

    def stopped(case: Case) -> Finding:
        raise KeyboardInterrupt

    def counted(name: str) -> Callable[[Case], Finding]:
        step = journey._FUNCTIONS[name]

        def run(case: Case) -> Finding:
            done.append(name)
            return step(case)

        return run

    first = {"lattice": counted("lattice"), "elastic": stopped}
    second = {name: counted(name) for name in ("lattice", "elastic")}
    monkeypatch.setattr(journey, "_FUNCTIONS", first)
    with pytest.raises(KeyboardInterrupt):
        properties(MODEL, settings, tmp_path, say=lambda line: None)
    assert "V0" in (tmp_path / "properties.html").read_text()
    monkeypatch.setattr(journey, "_FUNCTIONS", second)
    found = properties(MODEL, settings, tmp_path, say=lambda line: None)
    assert done == ["lattice", "elastic"]
    assert list(found["Si:diamond"]) == ["lattice", "elastic"]
    other = PropertySettings(("Si:diamond",), skip=FEW)
    with pytest.raises(InputError, match="another run"):
        properties(MODEL, other, tmp_path, say=lambda line: None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"structures": ()}, "structures"),
        ({"structures": ("a", "a")}, "each once"),
        ({"skip": ("colour",)}, "skip"),
        ({"atoms": (4,)}, "atoms"),
        ({"surfaces": ("11",)}, "Miller"),
        ({"surfaces": ("000",)}, "Miller"),
        ({"temperature": 10.0}, "temperature"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PropertySettings(**{"structures": ("Si:diamond",), **given})


def test_sizes_of_cells_share_a_reference() -> None:
    known = References("x", {"Si:diamond": {"vacancy Si": 3.6, "vacancy Si (216)": 3.7}})
    assert known.of("Si:diamond", "vacancy Si (64)") == 3.6
    assert known.of("Si:diamond", "vacancy Si (216)") == 3.7
    assert known.of("Si:bcc", "vacancy Si") is None
    assert known.unused("Si:diamond", ["a"]) == ["vacancy Si", "vacancy Si (216)"]


def test_half_a_crystal_is_half_crystalline() -> None:
    potential = acepot.Potential(acepot.load(MODEL), threads=1)
    unit = crystal("Si:diamond:5.45", potential)
    whole = repeated(unit, np.array([3, 3, 6]))
    rng = np.random.default_rng(1)
    loose = whole.positions + rng.normal(scale=1.5, size=whole.positions.shape)
    upper = whole.positions[:, 2] > whole.cell[2, 2] / 2 - 1e-6
    half = whole.moved(np.where(upper[:, None], loose, whole.positions))
    parts = [crystalline([one], unit, (3, 3, 6)) for one in (whole, half, whole.moved(loose))]
    assert parts[0] == 1 and 0.3 < parts[1] < 0.6 and parts[2] < 0.1


def test_blocks_of_independent_numbers_have_their_error() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, size=4000)
    mean, error = blocked(values)
    assert mean == pytest.approx(5.0, abs=4 * error)
    assert error == pytest.approx(2.0 / np.sqrt(4000), rel=0.2)
