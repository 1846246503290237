"""What messages name: the file and the frame, and options where there is no TOML file."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Model, Potential, Structure
from acepot.basis.choices import Pair, resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.cli.main import main
from acepot.cli.options import in_options
from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.report.metrics import errors

FOUND = Path(__file__).parents[2] / "fuzz" / "data"
SIZE = ("--order", "2", "--degree", "4", "--cutoff", "4", "--no-plots")
Refusal = Callable[..., str]


def _close(structure: Structure) -> Structure:
    positions = structure.positions.copy()
    positions[1] = positions[0] + [0.03, 0.04, 0.0]
    return replace(structure, positions=positions)


def _same(structure: Structure) -> Structure:
    positions = structure.positions.copy()
    positions[2] = positions[0]
    return replace(structure, positions=positions)


def _foreign(structure: Structure) -> Structure:
    return replace(structure, numbers=np.where(structure.numbers == 8, 16, structure.numbers))


#: What can be wrong with one structure among many, and what is then said of it.
BAD = {
    "close": (_close, "atoms 0 and 1 are 0.05"),
    "same": (_same, "atoms 0 and 2 sit at the same point"),
    "foreign": (_foreign, "is S, which this model does not know"),
}


@pytest.fixture(scope="module")
def model() -> Model:
    spec = resolve(BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3)))
    coefficients = np.random.default_rng(1).normal(size=basis_size(spec)["total"]) / 20
    return Model(spec, coefficients, np.array([-5.0, -3.0]))


@pytest.fixture(scope="module")
def structures(model: Model) -> list[Structure]:
    """Ten labelled cells without names."""
    rng, found = np.random.default_rng(2), []
    cell = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
    sites = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]]) @ cell
    for _ in range(10):
        positions = sites + rng.normal(scale=0.12, size=(4, 3))
        found.append(Structure([8, 14, 8, 14], positions, cell, True))
    results = Potential(model, threads=1).compute_all(found)
    return [
        replace(s, energy=r.energy, forces=r.forces) for s, r in zip(found, results, strict=True)
    ]


@pytest.fixture
def refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refusal:
    """The one line of a command that fails."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        assert main(words) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.startswith("acepot: error: "), said
        return said.removeprefix("acepot: error: ").rstrip()

    return call


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("verb", ["eval", "check", "plot"])
def test_a_command_says_which_frame_cannot_be_evaluated(
    kind: str, verb: str, refusal: Refusal, model: Model, structures: list[Structure]
) -> None:
    spoil, words = BAD[kind]
    acepot.save(model, "model.acepot")
    extxyz.write_structures("many.xyz", [*structures, spoil(structures[3])])
    if verb == "check":
        extxyz.write_structures("many.xyz", [structures[0], spoil(structures[3])])
    more = {"eval": ["--report", "r.json"], "check": [], "plot": ["--out", "pictures"]}[verb]
    number = 1 if verb == "check" else 10
    said = refusal(verb, "model.acepot", "many.xyz", *more)
    assert said.startswith(f"many.xyz frame {number}: ") and words in said


@pytest.mark.parametrize("where", ["train", "test"])
@pytest.mark.parametrize("kind", ["close", "same"])
def test_a_fit_says_which_frame_cannot_be_fitted(
    kind: str, where: str, refusal: Refusal, structures: list[Structure]
) -> None:
    spoil, words = BAD[kind]
    files = {"train": structures, "test": structures[:2]}
    files[where] = [*files[where], spoil(structures[4])]
    for name, content in files.items():
        extxyz.write_structures(f"{name}.xyz", content)
    said = refusal("fit", "train.xyz", "--test", "test.xyz", *SIZE, "--out", "out")
    number = {"train": 10, "test": 2}[where]
    assert said.startswith(f"{where}.xyz frame {number}: ") and words in said


def test_structures_without_a_name_are_called_by_their_number(
    model: Model, structures: list[Structure]
) -> None:
    bad = [*structures[:5], _close(structures[5]), *structures[6:], _foreign(structures[0])]
    for evaluator in ("native", "reference"):
        potential = Potential(model, evaluator)
        with pytest.raises(InputError, match=r"^structure 5: atoms 0 .*and 1 .*are 0\.05"):
            potential.compute_all(bad)
        kept = potential.compute_all(bad, failures="keep")
        assert [k for k, one in enumerate(kept) if one.error is not None] == [5, 10]
        assert str(kept[10].error).startswith("structure 10: atom 0 is S")
        with pytest.raises(InputError, match=r"^atoms 0"):
            potential.compute(bad[5])
    basis = BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0)
    with pytest.raises(InputError, match=r"^structure 5: atoms 0 and 1 are 0\.05"):
        acepot.fit(bad[:10], basis)
    bad[6] = _same(bad[6])
    with pytest.raises(InputError, match=r"^structure 6: atoms 0 and 2 sit at the same point"):
        acepot.fit(bad[:10], basis)


def test_a_report_says_whose_label_is_wrong(model: Model, structures: list[Structure]) -> None:
    potential = Potential(model)
    results = potential.compute_all(structures)
    wrong = [*structures[:9], replace(structures[9], config_type="all", name="t.xyz frame 9")]
    with pytest.raises(InputError, match=r"^t\.xyz frame 9: config_type: expected any name but"):
        errors(wrong, results, potential.compute_all)


# ------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cutoff", "-1"), "--cutoff of O-Si: expected 0 <= inner < cutoff and a cutoff of 0.2"),
        (("--cutoff", "nan"), "--cutoff: expected a finite number, got nan"),
        (("--order", "0"), "--order: expected 1 to 6, got 0"),
        (("--degree", "1,2"), "--degree: expected one number or 3 (one per order), got 2"),
    ],
)
def test_a_fit_of_a_data_file_names_options(
    words: tuple[str, ...], said: str, refusal: Refusal, structures: list[Structure]
) -> None:
    extxyz.write_structures("train.xyz", structures)
    found = refusal("fit", "train.xyz", *words, "--out", "out", "--no-plots")
    assert said.partition(" of ")[0] in found and "TOML" not in found
    assert "basis.cutoff" not in found


def test_settings_without_an_option_are_said_to_belong_into_a_toml_file() -> None:
    options = argparse.Namespace(cutoff=None, degree=None)
    assert in_options("restraint.weight: expected 0 or more", options) == (
        "restraint.weight: expected 0 or more "
        "(restraint.weight: in a TOML file, which acepot fit takes instead of the data)"
    )
    assert in_options("basis.cutoff of A-B", options) == "--cutoff of A-B"
    assert in_options("degree: expected 1", options) == "--degree: expected 1"
    assert in_options("my.basis.cutoff.xyz: no such file", options).startswith("my.basis")


def _said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("acepot: error: ") and error.count("\n") == 1
    return error


def test_a_model_that_cannot_be_evaluated_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong shows only when its functions are made, long after the file was read."""
    path = tmp_path / "large.acepot"
    shutil.copy(FOUND / "200-pair-functions-to-50-angstrom.acepot", path)
    for words in (["info", path], ["eval", path, "train.xyz"], ["convert", path, "x.yace"]):
        assert f"error: {path}: radial functions: t" in _said(capsys, *words)


def test_structures_in_the_place_of_the_model_are_told(
    tmp_path: Path, structures: list[Structure], capsys: pytest.CaptureFixture[str]
) -> None:
    extxyz.write_structures(tmp_path / "train.xyz", structures)
    said = _said(capsys, "eval", tmp_path / "train.xyz", "model.acepot")
    assert "train.xyz: no model file: it looks like structures in extended XYZ: the model" in said


def test_a_key_that_is_nowhere_is_said_as_the_option_had_it(
    tmp_path: Path, structures: list[Structure], capsys: pytest.CaptureFixture[str]
) -> None:
    extxyz.write_structures(tmp_path / "train.xyz", structures)
    said = _said(capsys, "fit", tmp_path / "train.xyz", "--keys", "energy=E", "--out", "out")
    assert "train.xyz: --keys energy=E occurs in no frame; its per-structure keys are" in said


def test_a_file_in_the_place_of_a_folder_is_told(
    tmp_path: Path, structures: list[Structure], capsys: pytest.CaptureFixture[str]
) -> None:
    extxyz.write_structures(tmp_path / "train.xyz", structures)
    said = _said(capsys, "fit", tmp_path / "train.xyz", "--out", tmp_path / "train.xyz")
    assert "train.xyz: cannot make this folder: a file has this name" in said


def test_a_key_in_the_wrong_table_is_led_to_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fit.toml").write_text('train = "train.xyz"\n')
    said = _said(capsys, "fit", tmp_path / "fit.toml", "--out", tmp_path / "out")
    assert "fit.toml: unknown key train; did you mean data.train? Known: data, basis" in said


def test_the_kind_of_solver_is_an_option() -> None:
    said = 'underdetermined: 16 rows; use solver.kind = "blr" or a solver.damping above 0'
    assert "16 rows; use --solver blr or" in in_options(said, argparse.Namespace(solver="qr"))
    assert "use solver.kind" in in_options(said, argparse.Namespace())
