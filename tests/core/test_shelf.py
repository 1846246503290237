"""Models that come with acepot: whole, what their cards say, and got by one command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import shelf
from acepot.basis.species import SYMBOLS
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.friction.evaluator import FrictionEvaluator
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.laws import check
from acepot.model import AnyModel

ROOT = Path(__file__).parents[2]
MODELS = {one.name: one for one in shelf.models()}
_ANY: Any = AnyModel
ENERGIES = [name for name in MODELS if "-" not in name]


def test_a_dozen_models_of_every_kind() -> None:
    assert len(MODELS) >= 12
    kinds = {type(acepot.load(shelf.path(name), _ANY)).__name__ for name in MODELS}
    assert kinds == {"Model", "ChargeModel", "FrictionModel", "HamiltonianModel"}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_one_of_its_card(name: str) -> None:
    one, data = MODELS[name], shelf.path(name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == one.digest and len(data) == one.size < 1_000_000
    model = acepot.load(data, _ANY)
    assert tuple(SYMBOLS[z] for z in model.numbers) == one.elements
    folder = shelf.path(name).parent
    text = shelf.card(name)
    assert one.errors in text and one.warning in text and one.source.split(";")[0] in text
    assert (folder / "fit.toml").exists()
    json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ENERGIES)
def test_a_potential_obeys_every_law(name: str) -> None:
    broken = [one for one in check(acepot.load(shelf.path(name))) if not one.passed]
    assert broken == []


@pytest.mark.parametrize("name", sorted(set(MODELS) - set(ENERGIES)))
def test_a_model_of_another_kind_evaluates(name: str) -> None:
    model = acepot.load(shelf.path(name), _ANY)
    places = np.array([[0.0, 0.0, 0.0], [2.6, 0.1, 0.0], [0.2, 2.7, 0.3], [2.4, 2.5, 2.6]])
    one = acepot.Structure(np.resize(model.numbers, 4), places, np.diag([6.0, 6.5, 7.0]), True)
    if isinstance(model, acepot.ChargeModel):
        result = acepot.Potential(model).compute(one)
        assert np.isfinite(result.forces).all() and abs(result.forces.sum()) < 1e-6
    elif isinstance(model, acepot.FrictionModel):
        gamma = FrictionEvaluator(model).gamma(one)
        assert np.linalg.eigvalsh(gamma).min() > -1e-12 and gamma.max() > 0
    else:
        (matrix,) = HamiltonianEvaluator(model).matrices(one).hamiltonian[0].at(np.zeros((1, 3)))
        np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-12)


def test_the_page_has_every_number_of_the_index() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for one in MODELS.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| {one.name} |"))
        assert one.errors in row and one.digest[:12] in row
        assert f"| {one.microseconds} |" in row and f"| {one.size / 1000:.0f} |" in row


def test_models_are_listed_shown_and_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert all(one.about in listed and one.errors in listed for one in MODELS.values())
    assert main(["models", "W"]) == 0
    assert capsys.readouterr().out.startswith("# W\n")
    assert main(["models", "W", "--out", str(tmp_path / "W.acepot")]) == 0
    assert (tmp_path / "W.acepot").read_bytes() == shelf.path("W").read_bytes()


def test_what_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"^Xx: no model of the shelf; expected one of Si, Li"):
        shelf.path("Xx")
    with pytest.raises(InputError, match="no model of the shelf"):
        shelf.card("../../../etc/passwd")
    assert main(["models", "--out", "x"]) == 1
    assert "NAME" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_script_of_the_shell_knows_every_verb(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(verb in script for verb in ("fit", "hamiltonian-bands", "models", "calibrate"))
