"""A part of the data that is only predicted, and names of files that stand for several."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.errors import InputError
from acepot.fitting.config import dump_config, load_config
from acepot.fitting.holdout import held_out
from acepot.io.files import matching

COPPER = Path(__file__).parent / "labels" / "data" / "copper.xyz"
SMALL = {"order": 1, "degree": 4, "cutoff": 5.0, "pair": {"degree": 4}}


def dimer(group: str, numbers: tuple[int, int] = (14, 14)) -> Structure:
    return Structure(numbers, [[0, 0, 0], [0, 0, 2.3]], energy=-1.0, config_type=group)


def many() -> list[Structure]:
    atom = Structure([14], [[0, 0, 0]], energy=-0.5, config_type="a")
    return [atom, dimer("a", (14, 8)), *(dimer("ab"[k % 3 == 0]) for k in range(60)), dimer("rare")]


def test_every_config_type_gives_its_part_and_nothing_is_lost() -> None:
    every = many()
    train, test = held_out(every, 0.1, 0)
    assert Counter(s.config_type for s in test) == {"a": 4, "b": 2}
    assert sorted(map(id, (*train, *test))) == sorted(map(id, every))
    order = {id(s): k for k, s in enumerate(every)}
    for part in (train, test):
        assert [order[id(s)] for s in part] == sorted(order[id(s)] for s in part)


def test_single_atoms_and_the_only_holder_of_an_element_stay() -> None:
    every = many()
    train, _ = held_out(every, 0.999, 0)
    assert every[0] in train and every[1] in train


def test_a_seed_draws_the_same_ones_and_another_seed_others() -> None:
    every = many()
    drawn = [[id(s) for s in held_out(every, 0.3, seed)[1]] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_too_small_a_part_is_an_error() -> None:
    with pytest.raises(InputError, match="0.001 of 63 structures in 3 config types is less than"):
        held_out(many(), 0.001, 0)
    assert held_out(many(), 0.0, 0)[1] == []


def test_a_fit_with_a_part_held_out_is_repeated_by_its_toml(tmp_path: Path) -> None:
    said: list[str] = []
    data = {"train": str(COPPER), "test_fraction": 0.2, "test_seed": 3}
    fit = acepot.run_fit({"data": data, "basis": SMALL}, say=said.append)
    assert "test: 3 of 14 structures, 20 % of each config type (seed 3)" in said
    assert (len(fit.train), len(fit.test)) == (11, 3)
    assert fit.report["test"]["all"]["E"]["count"] == 3
    (tmp_path / "fit.toml").write_text(dump_config(fit.config, tmp_path))
    again = acepot.run_fit(tmp_path / "fit.toml")
    assert np.array_equal(again.model.coefficients, fit.model.coefficients)
    assert [s.name for s in again.test] == [s.name for s in fit.test]


@pytest.mark.parametrize("fraction", [1.0, -0.1, float("nan")])
def test_a_part_is_below_the_whole(fraction: float) -> None:
    with pytest.raises(InputError, match="test_fraction: expected a number|finite"):
        acepot.run_fit({"data": {"train": "x.xyz", "test_fraction": fraction}})


# ------------------------------------------------------------------ patterns


def test_a_pattern_stands_for_its_files_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]"
    (folder / "in").mkdir(parents=True)
    for name in ("2.xyz", "1.xyz", "other.txt", "in/3.xyz", "x[1].xyz"):
        (folder / name).touch()

    def found(name: str) -> list[str]:
        return [str(Path(one).relative_to(folder)) for one in matching(name, folder)]

    assert found("?.xyz") == ["1.xyz", "2.xyz"]
    assert found("**/?.xyz") == ["1.xyz", "2.xyz", "in/3.xyz"]
    assert found("x[1].xyz") == ["x[1].xyz"]  # it is there by this name
    assert found("missing.xyz") == ["missing.xyz"]  # whoever opens it says so
    with pytest.raises(InputError, match=r"none\*.xyz: no file matches this pattern"):
        matching("none*.xyz", folder)


def test_patterns_in_a_toml_file_are_relative_to_it_and_written_as_names(tmp_path: Path) -> None:
    text = COPPER.read_text()
    for name in ("b1.xyz", "b2.xyz", "t.xyz"):
        (tmp_path / name).write_text(text)
    path = tmp_path / "fit.toml"
    path.write_text('[data]\ntrain = "b?.xyz"\ntest = ["t*"]\n')
    data = load_config(path).data
    assert data.train_files == (str(tmp_path / "b1.xyz"), str(tmp_path / "b2.xyz"))
    assert data.test_files == (str(tmp_path / "t.xyz"),)
    assert 'train = ["b1.xyz", "b2.xyz"]' in dump_config(load_config(path), tmp_path)
