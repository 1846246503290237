"""Cut-offs that are open: small models with longer and shorter ones, and which are taken."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from acepot import Structure, run_fit, write_structures
from acepot.basis.spec import BasisSpec
from acepot.cli.main import main
from acepot.errors import ConvergenceError
from acepot.fitting import cutoff_trial as module
from acepot.fitting.choice import Choice, choose
from acepot.fitting.cutoff_trial import CutoffTrial
from acepot.fitting.folder import fit_to_folder
from acepot.fitting.recipe import Recipe, Weights

#: Tantalum, whose r0 is 2.9 Å: 2.5 r0 are 7.25 Å and 2 r0 are 5.8 Å.
TANTALUM = 73
LONG, SHORT = {"Ta-Ta": 7.25}, {"Ta-Ta": 5.8}


def crystal(seed: int, reach: float, moved: float = 0.0) -> Structure:
    """A strained, rattled crystal with the labels of a closed form.

    E = Σ_ij φ(r) / 2 - Σ_i (Σ_j ρ(r))^½, with an oscillation as of screened charges in φ.

    Args:
        seed: of the positions.
        reach: distance in Å where both φ and ρ end.
        moved: of the first atom along x, in Å.
    """
    generator = np.random.default_rng(seed)
    cell = 3.3 * np.diag([2.0, 1, 2]) @ (np.eye(3) + generator.normal(0, 0.03, (3, 3)))
    corners = np.array([(i, 0, k) for i, k in product(range(2), repeat=2)], float)
    fractions = np.concatenate([corners, corners + 0.5]) / [2, 1, 2]
    positions = fractions @ cell + generator.normal(0, 0.1, (8, 3))
    positions[0, 0] += moved
    images = np.array(list(product(range(-3, 4), repeat=3)), float) @ cell
    bonds = positions[None, :, None] + images - positions[:, None, None]  # [i, j, image, 3]
    r = np.linalg.norm(bonds, axis=-1)
    inside = (r > 0) & (r < reach)
    r = np.where(inside, r, 1.0)
    end, slope = (1 - (r / reach) ** 2) ** 2, -4 * r / reach**2 * (1 - (r / reach) ** 2)
    wave, turned = np.cos(2.6 * r) / r, -2.6 * np.sin(2.6 * r) / r - np.cos(2.6 * r) / r**2
    core, steep = 20 * np.exp(-2 * (r - 1.5)), -40 * np.exp(-2 * (r - 1.5))
    phi, dphi = (wave + core) * end, (turned + steep) * end + (wave + core) * slope
    rho, drho = np.exp(-(r - 2.9)) * end, np.exp(-(r - 2.9)) * (slope - end)
    density = np.sum(rho * inside, axis=(1, 2))
    root = 0.5 / np.sqrt(density)
    pull = (dphi - (root[:, None] + root[None])[..., None] * drho) * inside / r
    return Structure(
        [TANTALUM] * 8, positions, cell, True,
        energy=float(np.sum(phi * inside) / 2 - np.sqrt(density).sum()),
        forces=np.einsum("ijk,ijkx->ix", pull, bonds),
        config_type="odd" if seed % 3 else "even",
    )  # fmt: skip


def crystals(reach: float, count: int = 60) -> list[Structure]:
    return [crystal(seed, reach) for seed in range(count)]


def chosen(train: list[Structure], recipe: Recipe | None = None) -> Choice:
    return choose(recipe or Recipe(), train, [], "data.fit")


def trial_of(train: list[Structure], recipe: Recipe | None = None) -> CutoffTrial:
    found = chosen(train, recipe).trial
    assert found is not None
    return found


def test_labels_are_those_of_one_potential() -> None:
    low, middle, high = (crystal(1, 6.5, moved) for moved in (-1e-4, 0.0, 1e-4))
    assert low.energy is not None and high.energy is not None and middle.forces is not None
    assert middle.forces[0, 0] == pytest.approx((low.energy - high.energy) / 2e-4, rel=1e-5)


@pytest.mark.parametrize(
    ("reach", "cutoff", "words"),
    [
        (4.6, SHORT, "cut-offs 5.8 Å (2 r0; 2.5 r0 had "),
        (7.2, LONG, "cut-offs 7.25 Å (2.5 r0; 2 r0 was not clearly better, with "),
    ],
)
def test_cutoffs_follow_the_reach_of_the_potential(
    reach: float, cutoff: dict[str, float], words: str
) -> None:
    found = chosen(crystals(reach))
    assert found.recipe.basis.cutoff == cutoff
    assert words in found.basis_line and "% larger energy and " in found.basis_line
    assert "% larger force errors on held-out structures)" in found.basis_line


def test_a_choice_does_not_depend_on_chance_or_threads() -> None:
    train = crystals(4.6, 30)
    first = trial_of(train)
    again = choose(Recipe(), train, [], "data.fit", threads=3).trial
    assert again == first


def test_structures_unlike_all_others_do_not_decide() -> None:
    train = crystals(7.2, 40)
    wrong = replace(train[7], energy=3e3, forces=np.full((8, 3), 40.0), config_type="even")
    assert trial_of([*train, wrong]).in_r0 == 2.5


def test_forces_or_energies_alone_decide_too() -> None:
    train = crystals(4.6, 40)
    assert set(trial_of([s.labelled(forces=None) for s in train]).ratios) == {"energy"}
    forces = Recipe(weights={"default": Weights(energy=0.0)})
    assert set(trial_of(train, forces).ratios) == {"forces"}


@pytest.mark.parametrize(
    "given",
    [{"degree": 5.0}, {"cutoff": 6.5}, {"r0": 1.7}],
    ids=lambda given: next(iter(given)),
)
def test_nothing_is_tried_where_it_would_change_nothing_or_what_is_stated(
    given: dict[str, float],
) -> None:
    recipe = Recipe(basis=replace(BasisSpec(), **given))  # type: ignore[arg-type]
    found = chosen(crystals(4.6, 30), recipe)
    assert found.trial is None
    expected = {"cutoff": 6.5, "r0": 4.5}.get(next(iter(given)), 7.25)
    assert found.recipe.basis.cutoff == {"Ta-Ta": expected}


def test_cutoffs_are_tried_in_units_of_a_stated_r0() -> None:
    found = chosen(crystals(4.6, 40), Recipe(basis=BasisSpec(r0=2.7)))
    assert found.recipe.basis.cutoff == {"Ta-Ta": 5.4} and found.recipe.basis.r0 == {"Ta-Ta": 2.7}


def test_few_structures_have_cutoffs_of_five_halves() -> None:
    unlabelled = [s.labelled(energy=None, forces=None) for s in crystals(4.6, 10)]
    found = chosen([*crystals(4.6, 19), *unlabelled])
    assert found.trial is None and found.recipe.basis.cutoff == LONG
    assert "cut-offs 7.25 Å" in found.basis_line and "r0;" not in found.basis_line


def test_molecules_are_not_tried() -> None:
    found = chosen([replace(s, pbc=(False, False, False)) for s in crystals(4.6, 30)])
    assert found.trial is None and "molecules" in found.basis_line


def test_data_that_cannot_be_solved_leave_the_longer_cutoffs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: object) -> None:
        raise ConvergenceError("no")

    monkeypatch.setattr(module, "solve", failing)
    assert chosen(crystals(4.6, 30)).recipe.basis.cutoff == LONG


def test_the_folder_and_info_tell_of_the_same_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_structures("train.xyz", crystals(4.6, 25))
    Path("fit.toml").write_text('[data]\ntrain = "train.xyz"\n')
    lines: list[str] = []
    fit_to_folder("fit.toml", tmp_path / "out", say=lines.append, threads=1, plots=False)
    assert sum("basis: chosen for" in line and "(2 r0; 2.5 r0 had" in line for line in lines) == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())["cut-offs"]
    assert report["taken in r0"] == 2.0 and report["structures"] == 25
    assert set(report["errors of the shorter over those of the longer"]) == {"energy", "forces"}
    again = run_fit(tmp_path / "out" / "fit.toml", threads=1)
    assert again.recipe.basis.cutoff == SHORT and "cut-offs" not in again.report
    assert main(["info", "fit.toml"]) == 0
    assert "5.8" in capsys.readouterr().out
