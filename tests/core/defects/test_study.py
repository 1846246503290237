"""A study from its TOML to its page, and what it finds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot.cli.main import main
from acepot.defects.results import advice
from acepot.defects.run import study
from acepot.defects.settings import DefectSettings, load_config
from acepot.defects.study import Outcome, Trial, Variant
from acepot.errors import InputError
from acepot.schema import from_mapping

SMALL = {
    "crystal": "W:bcc:3.1652", "sizes": [2, 3], "size": 5, "force": 1e-6, "constants_size": 4,
    "fit": {"basis": {"order": 2, "degree": [12, 10], "cutoff": 5.0}},
}  # fmt: skip


@pytest.fixture(scope="module")
def smooth(tungsten: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Outcome], Path]:
    folder = tmp_path_factory.mktemp("study")
    config = from_mapping(DefectSettings, SMALL)
    return study(config, folder, reference=tungsten, say=lambda line: None), folder


def test_force_constants_pay_in_small_cells(smooth: tuple[list[Outcome], Path]) -> None:
    outcomes, _ = smooth
    by = {(o.variant.size, o.variant.constants): o for o in outcomes}
    assert by[2, 1.0].constants < 0.01 * by[2, 0.0].constants
    assert by[2, 0.0].trials[0].geometry is None  # an atom is lost
    assert by[2, 1.0].trials[0].geometry < 0.1  # of a norm of 0.51
    assert by[3, 1.0].constants < 0.1 * by[3, 0.0].constants
    assert by[3, 1.0].trials[0].geometry < by[3, 0.0].trials[0].geometry


def test_one_force_call_predicts_the_geometry(smooth: tuple[list[Outcome], Path]) -> None:
    """The ratio is the stability constant, the same for all models."""
    trials = [o.trials[0] for o in smooth[0] if o.variant.size >= 3]
    ratios = [t.geometry / t.gradient for t in trials if t.geometry is not None]
    assert len(ratios) == 2 and 0.2 < min(ratios) and max(ratios) < 0.4


def test_formation_energies_have_rows_of_their_own(smooth: tuple[list[Outcome], Path]) -> None:
    for one in smooth[0]:
        if one.variant.size == 3:
            assert abs(one.trials[0].error) < 0.015  # most of it is that of the training cell


def test_the_folder_holds_everything(smooth: tuple[list[Outcome], Path]) -> None:
    _, folder = smooth
    page = (folder / "defects.html").read_text()
    assert "to get its geometry to 1.00%" in page and "vacancy" in page and "<svg" in page
    said = json.loads((folder / "defects.json").read_text())
    assert len(said["outcomes"]) == 4 and said["reference"]["vacancy"]["Du"] > 0.5
    assert len(list((folder / "models").iterdir())) == 4
    names = sorted(path.name for path in (folder / "cells").iterdir())
    assert names == ["vacancy_2.extxyz", "vacancy_3.extxyz", "vacancy_5.extxyz"]
    model = acepot.load(folder / "models" / "L3_rattles4_constants1.acepot")
    assert model.elements == ("W",)


def test_a_finished_study_computes_nothing(
    smooth: tuple[list[Outcome], Path], tungsten: Any
) -> None:
    outcomes, folder = smooth

    class Never:
        def compute(self, structure: acepot.Structure) -> Any:
            raise AssertionError("a calculation was made twice")

    config = from_mapping(DefectSettings, SMALL)
    again = study(config, folder, reference=Never(), say=lambda line: None)
    assert again == outcomes
    other = from_mapping(DefectSettings, SMALL | {"seed": 1})
    with pytest.raises(InputError, match="another run"):
        study(other, folder, reference=tungsten, say=lambda line: None)


TOML = """\
crystal = "Si:diamond:5.469"
model = "MODEL"
sizes = [1, 2]
size = 2
rattles = [2]
force_constants = [1.0]
constants_size = 2
force = 1e-4

[fit.basis]
order = 2
degree = 6
cutoff = 4.0
"""


@pytest.mark.slow
def test_a_study_that_is_killed_goes_on(tmp_path: Path) -> None:
    model = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"
    (tmp_path / "study.toml").write_text(TOML.replace("MODEL", str(model)))
    command = [sys.executable, "-m", "acepot", "defects", str(tmp_path / "study.toml"), "--out"]
    kept = tmp_path / "killed" / "calculations.txt"
    process = subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (kept.exists() and kept.stat().st_size > 1000) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for name in ("killed", "whole"):
        subprocess.run([*command, str(tmp_path / name)], check=True, stdout=subprocess.DEVNULL)
    said = [json.loads((tmp_path / n / "defects.json").read_text()) for n in ("killed", "whole")]
    assert said[0]["reference"] == said[1]["reference"]
    for one, other in zip(said[0]["outcomes"], said[1]["outcomes"], strict=True):
        assert one["forces"] == pytest.approx(other["forces"], rel=1e-9)


def test_the_command_line_runs_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"
    (tmp_path / "study.toml").write_text(TOML.replace("MODEL", os.path.relpath(model, tmp_path)))
    assert main(["defects", str(tmp_path / "study.toml"), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "‖Du‖" in shown and "to get its geometry" in shown
    again = load_config(tmp_path / "out" / "defects.toml")
    assert Path(str(again.model)).resolve() == model.resolve()


def test_a_study_without_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file whose model"):
        study(from_mapping(DefectSettings, SMALL), tmp_path, say=lambda line: None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"defects": ["screw"]}, "defects"),
        ({"sizes": []}, "sizes"),
        ({"sizes": [3], "size": 2}, "size"),
        ({"rattle": [0.1, 0.01]}, "rattle"),
        ({"force": 0.0}, "force"),
        ({"fit": {"energy": -1.0}}, "energy"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_mapping(DefectSettings, SMALL | given)


def _outcome(size: int, constants: float, cost: int, geometry: float | None) -> Outcome:
    trial = Trial("vacancy", 1.0, geometry, geometry, 0.1, 0.9, 0.2, 0.1, 3.0, 0.0)
    return Outcome(Variant(size, 4, constants), 9, cost, 1.0, 1.0, 0.1, None, (trial,))


def test_the_cheapest_step_is_named() -> None:
    tried = [
        _outcome(2, 0.0, 100, None),
        _outcome(2, 1.0, 200, 0.004),
        _outcome(3, 0.0, 600, 0.003),
    ]
    line = advice(tried, "vacancy", 0.5, 0.01)
    assert "cheapest is L = 2, 4 rattles, force constants 1 (0.80%, 200 atoms" in line
    assert "a larger cell 3.0 times as much" in line
    assert "none does; the best is L = 3" in advice(tried, "vacancy", 0.5, 0.001)
    assert "limited by force constants" in advice(tried, "vacancy", 0.5, 0.001)
    assert "no model stayed" in advice(tried[:1], "vacancy", 0.5, 0.01)


def test_displacements_are_those_that_symmetry_leaves() -> None:
    from acepot.defects.study import _axes, _different
    from acepot.properties.crystals import crystal

    diamond, hexagonal = crystal("Si:diamond:5.4"), crystal("Ti:hcp:2.9")
    assert _different(diamond) == [0, 4] and _different(crystal("W:bcc:3.2")) == [0]
    assert len(_axes(diamond, 0)) == 1 and len(_axes(hexagonal, 0)) == 3
    long = diamond.moved(diamond.positions * [1, 1, 1.1], diamond.cell * [1, 1, 1.1])
    assert [int(np.argmax(axis)) for axis in _axes(long, 0)] == [0, 2]


def test_profiles_fall_as_the_cube_of_the_distance(tungsten: Any) -> None:
    from acepot.defects.cells import defect_cell
    from acepot.properties.crystals import crystal
    from acepot.properties.relaxation import relaxed

    cell = defect_cell(crystal("W:bcc:3.1652"), "vacancy", 8)
    u = relaxed(tungsten, cell.structure, force=1e-6).structure.positions
    r, strain = cell.profile(u - cell.structure.positions)
    scaled = [float((strain * r**3)[(r > a) & (r < a + 1.5)].max()) for a in (3.0, 5.0, 7.0)]
    assert 2 < min(scaled) and max(scaled) / min(scaled) < 6
    assert np.all(np.diff(r) >= 0)
