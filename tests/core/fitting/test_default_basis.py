"""What a fit chooses where the basis is left open, and what it says and refuses beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot.fitting.forecast
from acepot import Structure, read_structures, run_fit
from acepot.basis.choices import BOND_LENGTHS, Pair, resolve
from acepot.basis.selection import basis_size, select
from acepot.basis.spec import BasisSpec
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.fitting.choice import choose
from acepot.fitting.config import load_config
from acepot.fitting.default_basis import Facts, chosen_basis, smaller_basis
from acepot.fitting.fit import fit
from acepot.fitting.recipe import Recipe
from acepot.schema import from_mapping, to_mapping

URANIUM = Path(__file__).parent / "data" / "uranium_dioxide.xyz"


def known(rows: int, molecular: bool = False, **atoms: int) -> Facts:
    return Facts(rows, atoms, molecular, {"C-H": 1.08, "C-C": 1.38, "H-H": 1.7})


def size(spec: BasisSpec) -> int:
    return basis_size(resolve(spec))["total"]


# ------------------------------------------------------------------ the choice


def test_the_number_of_functions_follows_from_the_rows() -> None:
    sizes = [size(chosen_basis(BasisSpec(("Si",)), known(n, Si=n))[0]) for n in (60, 700, 40_000)]
    assert sizes[0] <= 30 and 150 < sizes[1] < 350 and 900 < sizes[2] <= 1200


@pytest.mark.parametrize("elements", [("Si",), ("Al", "Ti"), ("Mo", "Nb", "Ta", "W")], ids=len)
def test_more_elements_and_more_rows_stay_within_minutes(elements: tuple[str, ...]) -> None:
    rows = 330_000
    spec, _ = chosen_basis(BasisSpec(elements), known(rows, **dict.fromkeys(elements, rows)))
    assert 2 * rows * size(spec) ** 2 <= 2.5e12
    for degree in map(resolve(spec).degrees_of, elements):
        assert degree[0] > degree[1] > degree[2]  # they fall


def test_molecules_have_one_r0_long_cutoffs_and_fewer_functions_on_hydrogen() -> None:
    spec, line = chosen_basis(BasisSpec(("H", "C")), known(20_000, True, H=5000, C=3000))
    assert spec.r0 == 1.08 and spec.wl == 0.5
    assert set(resolve(spec).cutoff.values()) == {4.5}  # type: ignore[union-attr]
    found = select(resolve(spec))
    assert len(found[0]) < len(found[1])
    assert "molecules" in line and "on H" in line or "on C" in line


def test_an_element_that_is_rare_has_few_functions() -> None:
    spec, _ = chosen_basis(BasisSpec(("Al", "Ti")), known(20_000, Al=6000, Ti=3))
    aluminium, titanium = (len(f) for f in select(resolve(spec)).values())
    assert titanium <= 30 < 300 < aluminium


def test_what_is_stated_stays() -> None:
    given = BasisSpec(("Si",), degree=(6.0, 5.0, 4.0), cutoff=4.0, r0=2.2)
    assert chosen_basis(given, known(10_000, Si=3000)) == (given, "")
    caps = BasisSpec(("Si",), order=2, max_l=2, wl=2.0)
    spec, _ = chosen_basis(caps, known(10_000, Si=3000))
    assert (spec.order, spec.max_l, spec.wl) == (2, 2, 2.0) and spec.degree is not None


def test_light_crystals_reach_their_second_neighbours() -> None:
    spec, _ = chosen_basis(BasisSpec(("C", "Si"), degree=4), known(500, C=80, Si=80))
    assert isinstance(spec.cutoff, dict)
    assert spec.cutoff == {"C-C": 4.5, "C-Si": 4.75, "Si-C": 4.75, "Si-Si": 6.0}


def test_a_choice_repeats_itself_from_what_it_wrote(tmp_path: Path) -> None:
    train, _ = read_structures(URANIUM)
    first = choose(Recipe(), train, [], "data.fit")
    assert first.basis_line.startswith("chosen for 222 rows of crystals: degree ")
    again = choose(first.recipe, train, [], "data.fit")
    assert again.recipe == first.recipe and again.basis_line == ""
    table = to_mapping(first.recipe.basis)
    assert from_mapping(BasisSpec, table) == first.recipe.basis


# ------------------------------------------------------------------ degrees by element


def test_degrees_by_element_select_by_the_centre() -> None:
    both = BasisSpec(("H", "C"), degree={"H": (4.0, 3.0), "default": (6.0, 5.0)}, order=2)
    spec = resolve(both)
    assert spec.degree == {"H": (4.0, 3.0), "C": (6.0, 5.0)} and spec.pair.degree == 6
    found = select(spec)
    for z, degree in ((0, (4.0, 3.0)), (1, (6.0, 5.0))):
        alone = select(resolve(BasisSpec(("H", "C"), degree=degree, order=2)))
        assert found[z] == alone[z]
    same = resolve(BasisSpec(("H", "C"), degree={"H": 4, "C": 4}, order=2))
    assert same == resolve(BasisSpec(("H", "C"), degree=4, order=2, pair=Pair()))


@pytest.mark.parametrize(
    ("degree", "message"),
    [
        ({}, "degree: expected elements or default"),
        ({"Xx": 4}, "degree: .*Xx"),
        ({"H": (4, 3, 2, 1)}, "degree.H: expected one number or 3"),
        ({"H": 300}, "degree.H: expected at most 200"),
        ({"Si": 4}, "basis.degree: expected H, C or default, got Si"),
        ({"H": 4}, "basis.degree: no value for C"),
    ],
)
def test_degrees_by_element_that_are_refused(degree: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(BasisSpec(("H", "C"), degree=degree))


def test_degrees_by_element_survive_file_and_fit(tmp_path: Path) -> None:
    (tmp_path / "fit.toml").write_text(
        f'data.train = "{URANIUM}"\n[basis]\norder = 2\ndegree = {{O = [5, 4], default = 3}}\n'
    )
    config = load_config(tmp_path / "fit.toml")
    assert config.basis.degree == {"O": (5.0, 4.0), "default": 3.0}
    done = run_fit(config)
    labels = done.assembled.basis.expanded.labels
    centres = [int(np.sum((labels.centre == z) & ~labels.pair)) for z in (0, 1)]
    assert centres[0] > centres[1] > 0


# ------------------------------------------------------------------ every element has a distance


def test_every_element_to_curium_has_a_typical_distance() -> None:
    assert sorted(BOND_LENGTHS) == list(range(1, 97))
    assert (BOND_LENGTHS[92], BOND_LENGTHS[55], BOND_LENGTHS[18]) == (2.75, 5.3, 3.8)
    resolve(BasisSpec(("U", "Xe"), degree=3))


def test_an_element_without_one_says_how_to_give_it() -> None:
    with pytest.raises(InputError, match=r"for Bk.*\[basis\].*--r0 Bk-Bk=3.5"):
        resolve(BasisSpec(("Bk",), degree=3))
    resolve(BasisSpec(("Bk",), degree=3, r0=3.4))


def test_uranium_dioxide_is_fitted_as_it_comes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["fit", str(URANIUM), "--no-plots", "--out", out, "--threads", "1"]) == 0
    assert "basis: chosen for 222 rows" in capsys.readouterr().out


def test_r0_cutoff_and_e0_on_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--degree", "3", "--r0", "U-U=3.87,default=2.37", "--cutoff", "O-U=5.5,default=6"]
    words += ["--e0", "U=-2.4,O=-4.9", "--no-plots", "--threads", "1"]
    assert main(["fit", str(URANIUM), *words, "--out", str(out)]) == 0
    config = load_config(out / "fit.toml")
    assert config.basis.r0 == {"O-O": 2.37, "O-U": 2.37, "U-O": 2.37, "U-U": 3.87}
    assert config.basis.cutoff == {"O-O": 6.0, "O-U": 5.5, "U-O": 5.5, "U-U": 6.0}
    assert config.e0 == {"O": -4.9, "U": -2.4}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--r0", "short"], "--r0: expected a number, or PAIR=NUMBER"),
        (["--r0", "U-U=3,U-U=4"], "--r0: U-U is given twice"),
        (["--r0", "U-C=3"], "--r0: expected pairs of O, U or default"),
        (["--e0", "-158.5"], "--e0: expected ELEMENT=NUMBER"),
        (["--e0", "Uu=1"], "--e0: .*Uu"),
    ],
)
def test_words_of_the_basis_that_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert main(["fit", str(URANIUM), *words, "--out", str(tmp_path / "out")]) == 1
    assert re.search(message, capsys.readouterr().err)


# ------------------------------------------------------------------ forecast


def test_a_fit_that_cannot_fit_in_memory_is_refused_before_its_basis_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    structures, _ = read_structures(URANIUM)
    monkeypatch.setattr("acepot.fitting.fit.LoweredBasis.of", lambda *_, **__: pytest.fail("built"))
    monkeypatch.setattr(acepot.fitting.forecast, "free_memory", lambda: 2_000_000_000)
    with pytest.raises(InputError) as error:
        fit(structures, {"degree": [18, 16, 14]})
    message = str(error.value)
    assert " functions need " in message and "2.0 GB are free" in message
    degrees = message.split("--degree ")[1].split(" ")[0]
    smaller = resolve(BasisSpec(("O", "U"), degree=tuple(map(float, degrees.split(",")))))
    assert f"would give {basis_size(smaller)['total']:,} functions" in message
    monkeypatch.undo()
    fit(structures, {"degree": [float(d) for d in degrees.split(",")]}, threads=1)


def test_smaller_bases_are_as_large_as_allowed() -> None:
    spec = resolve(BasisSpec(("O", "U"), degree=20))
    degrees, count = smaller_basis(spec, 500)
    assert count == size(replace(spec, degree=degrees, pair=Pair())) <= 500 < 3 * count


def test_time_and_memory_are_told_before_rows_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acepot.fitting.fit._SMALL", 0.0)
    monkeypatch.setattr("acepot.fitting.fit._WORTH_TELLING", 0.0)
    structures, _ = read_structures(URANIUM)
    lines: list[str] = []
    fit(structures, {"degree": 4}, say=lines.append, threads=1)
    told = next(i for i, line in enumerate(lines) if line.startswith("forecast: about 0:0"))
    assert told < next(i for i, line in enumerate(lines) if line.startswith("solving: "))


def test_forecast_of_memory_grows_with_the_square_of_functions() -> None:
    small, large = (acepot.fitting.forecast.foresee_memory(n, 0) for n in (1000, 40_518))
    assert 0.2e9 < small < 0.5e9 and 110e9 < large < 300e9


def test_one_atom_of_an_isolated_structure_is_no_molecule() -> None:
    atom = Structure([14], [[0.0, 0.0, 0.0]], energy=-1.0)
    train, _ = read_structures(URANIUM)
    found = choose(Recipe(), [*train, *[atom] * 20], [], "data.fit")
    assert "crystals" in found.basis_line
