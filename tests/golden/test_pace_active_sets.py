"""Potentials in pacemaker's B-basis, and grades by the active set that it published.

The grades are those of python-ace 0.4.0rc1: its `ACEBEvaluator`'s projections of the first frames
times the published inverse. The files are not ours to pass on, so these tests run beside them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.uncertainty.extrapolation import ActiveSet, SiteFunctions

#: Largest grade of a frame, by its number.
GRADES = {
    0: 10201712.66130894, 3: 4893719.658464268, 7: 15042.211839797312,
    9: 16660083.489504514, 17: 2870553.1023861335,
}  # fmt: skip
NAMES = (
    "Al-Ni_opt_all", "Al-r1234l12_crad_dif", "Al.pbe.13.2", "Cr_ladder_0", "Cu-I", "Cu-III",
    "Cu.pbe.in", "Ni_2dens_bug_case", "ZBL_rep", "ethanol", "multispecies_AlNiCu",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "pace_potentials" / "pacemaker_tests"


@pytest.mark.parametrize("name", NAMES)
def test_a_potential_in_the_b_basis_is_its_own_export(name: str, folder: Path) -> None:
    """Ranks 1 to 6, one to three elements, all kinds of cores; exported by the original code."""
    ours = acepot.load(folder / f"{name}.yaml")
    theirs = acepot.load(folder / f"{name}.converted.yace")
    assert ours.provenance["format"] == "PACE B-basis .yaml" and ours.elements == theirs.elements
    structures, _ = acepot.read_structures(folder / f"{name}.reference_EFS.extxyz.xz")
    pairs = zip(
        acepot.Potential(ours, threads=1).compute_all(structures),
        acepot.Potential(theirs, threads=1).compute_all(structures),
        strict=True,
    )
    for one, other in pairs:
        large = max(1.0, np.abs(other.energies).max())
        assert np.abs(one.energies - other.energies).max() < 1e-11 * large


def test_grades_of_a_published_active_set_are_those_of_pacemaker(folder: Path) -> None:
    functions = SiteFunctions.of_bbasis(folder / "Cu-I.yaml", threads=1)
    active = ActiveSet.load(folder / "Cu-I.asi")
    structures, _ = acepot.read_structures(folder / "Cu-I.reference_EFS.extxyz.xz")
    grades = active.grades(functions, structures)
    for number, grade in GRADES.items():
        assert grades[number].max() == pytest.approx(grade, rel=1e-10)


def test_most_atoms_of_the_data_behind_the_active_set_are_inside_it(
    folder: Path, shared_data: Path
) -> None:
    """A wrong order or normalisation of one of the 82 functions gives grades of thousands."""
    functions = SiteFunctions.of_bbasis(folder / "Cu-I.yaml", threads=1)
    structures, _ = acepot.read_structures(shared_data / "cu_pacemaker" / "Cu_df1.extxyz.xz")
    grades = np.concatenate(ActiveSet.load(folder / "Cu-I.asi").grades(functions, structures))
    assert np.quantile(grades, 0.9) < 1 and grades.max() < 11


def test_an_active_set_goes_through_a_file(folder: Path, tmp_path: Path) -> None:
    active = ActiveSet.load(folder / "Cu-I.asi")
    active.save(tmp_path / "x.asi")
    again = ActiveSet.load(tmp_path / "x.asi")
    assert np.array_equal(again.inverses["Cu"], active.inverses["Cu"])
