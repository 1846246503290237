"""One setting at a time: what changes, what follows from it, and what stays."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

import acepot
from acepot import BasisSpec, Structure
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.fitting.choice import Choice, choose
from acepot.fitting.priors import NoPrior
from acepot.fitting.recipe import Recipe
from acepot.search.sweeps import Sweep, candidates, usual

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def around(silicon: list[Structure]) -> tuple[Recipe, Choice]:
    recipe = Recipe(basis=BasisSpec(degree=(10, 8, 6), cutoff=5.0))
    return recipe, choose(recipe, silicon, [], "data.fit")


def swept(around: tuple[Recipe, Choice], setting: str, *values: float) -> list[Recipe]:
    return [one.recipe for _, _, one in candidates(*around, [Sweep(setting, values)])]


def test_cutoffs_change_alone(around: tuple[Recipe, Choice]) -> None:
    known = around[1].recipe.basis
    for one, reach in zip(swept(around, "cutoff", 4.0, 6.0), (4.0, 6.0), strict=True):
        assert one.basis.cutoff == one.basis.pair.cutoff == {"Si-Si": reach}
        assert replace(one.basis, cutoff=known.cutoff, pair=known.pair) == known
    (one,) = swept(around, "reach", 2.5)
    assert one.basis.cutoff == {"Si-Si": 6.0}


def test_degrees_of_all_orders_are_in_proportion(around: tuple[Recipe, Choice]) -> None:
    half, same = swept(around, "degree", 5.0, 10.0)
    assert half.basis.degree == (5.0, 4.0, 3.0) and half.basis.pair.degree == 5
    assert same == around[1].recipe


def test_orders_keep_their_degrees(around: tuple[Recipe, Choice]) -> None:
    two, three, four = swept(around, "order", 2, 3, 4)
    assert two.basis.degree == (10.0, 8.0) and three == around[1].recipe
    assert four.basis.degree == (10.0, 8.0, 6.0, 6.0)  # 0.55 of the first, rounded


def test_the_prior_changes_alone(around: tuple[Recipe, Choice]) -> None:
    (one,) = swept(around, "prior", 2.0)
    assert one.prior.p == 2.0 and replace(one, prior=around[1].recipe.prior) == around[1].recipe
    recipe, choice = around
    none = replace(choice, recipe=replace(choice.recipe, prior=NoPrior()))
    with pytest.raises(InputError, match=r"prior\.kind = 'algebraic', got 'none'"):
        list(candidates(recipe, none, [Sweep("prior", (2.0,))]))
    assert [s.setting for s in usual(choice)] == ["reach", "order", "degree", "prior"]
    assert "prior" not in [s.setting for s in usual(none)]


@pytest.mark.parametrize(
    ("setting", "values", "said"),
    [
        ("cutof", (1.0,), "expected cutoff, reach, order, degree, prior, got 'cutof'"),
        ("cutoff", (), "expected numbers above 0"),
        ("degree", (-1.0,), "expected numbers above 0"),
        ("order", (2.5,), "expected whole numbers from 1 to 6"),
    ],
)
def test_impossible_sweeps_are_refused(setting: str, values: tuple[float, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Sweep(setting, values)


def test_the_command_line_sweeps_and_goes_on(
    silicon: list[Structure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acepot.write_structures(tmp_path / "train.xyz", silicon[1:])
    acepot.write_structures(tmp_path / "test.xyz", silicon[:1])
    toml = tmp_path / "fit.toml"
    toml.write_text(
        '[data]\ntrain = "train.xyz"\ntest = "test.xyz"\nfit = ["energy", "forces"]\n'
        "[basis]\norder = 2\ndegree = 6\ncutoff = 4.5\n"
    )
    words = ["converge", str(toml), "--out", str(tmp_path / "out"), "--sweep", "order", "1", "2"]
    words += ["--sweep", "degree", "4", "8", "--threads", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "order: errors are least at" in said and "degree: errors are least at" in said
    with (tmp_path / "out" / "convergence.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["sweep"], r["value"]) for r in rows] == [
        ("order", "1"), ("order", "2"), ("degree", "4"), ("degree", "8"),
    ]  # fmt: skip
    assert float(rows[0]["forces rmse"]) > float(rows[1]["forces rmse"])  # bonds alone, and angles
    assert all(float(r["test forces rmse"]) > 0 for r in rows)
    assert (tmp_path / "out" / "convergence.png").stat().st_size > 10_000
    assert main(words) == 0
    assert "goes on after 4 of 4 models" in capsys.readouterr().out
    assert main(["converge", str(toml), "--out", str(tmp_path / "b"), "--sweep", "order", "x"]) == 1
    assert "--sweep order: expected numbers, got x" in capsys.readouterr().err


def test_the_command_line_finds_a_front(
    silicon: list[Structure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acepot.write_structures(tmp_path / "train.xyz", silicon[1:])
    acepot.write_structures(tmp_path / "test.xyz", silicon[:1])
    data = [str(tmp_path / "train.xyz"), "--test", str(tmp_path / "test.xyz")]
    words = ["pareto", *data, "--out", str(tmp_path / "out"), "--orders", "2", "--cutoffs", "4.5"]
    words += [
        "--functions",
        "15",
        "30",
        "--folds",
        "2",
        "--threads",
        "1",
        "--ignore",
        "stress,virial",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "the front" in said and "plain, order 2, 4.5 Å" in said and "µs/atom" in said
    assert (tmp_path / "out" / "front.png").stat().st_size > 10_000
    with (tmp_path / "out" / "front.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert len(rows) == 3 and rows["default"]["given"] == "True"
    assert main([*words, "--budget", "0.000001"]) == 1
    assert "budget: expected" in capsys.readouterr().err
    toml = tmp_path / "fit.toml"
    toml.write_text('[data]\ntrain = "train.xyz"\n')
    assert main(["pareto", str(toml), "--folds", "2", "--out", str(tmp_path / "c")]) == 1
    assert "--folds: not together with a TOML file" in capsys.readouterr().err
