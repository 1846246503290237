"""PACE potentials evaluated from their files, against numbers of the original evaluator.

Those in data/pace are our own; the others may not be distributed and lie beside the repository.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Result, require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.io.pace.read import read_pace
from acepot.io.structures.extxyz import read
from acepot.io.structures.labels import LabelKeys
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure

OWN = Path(__file__).parent / "data" / "pace"
NAMES = [
    *(f"{name}.yace" for name in ("density", "distance", "zbl", "bessel", "linear")),
    "density.ace",
    *(f"written-{name}.yace.xz" for name in ("order-4", "canonical", "densities")),
]
PACE = "pace_potentials"
FILES = {
    "cu": (f"{PACE}/cu_pbe_core_rep/Cu-PBE-core-rep.ace",
           f"{PACE}/cu_pbe_core_rep/predicted_on_Cu_df2.extxyz.xz"),
    "si": (f"{PACE}/si_ace1_linear/Si_B8_N4_18_07_lap_dia_1.1_rep_2B+ACE.ace",
           f"{PACE}/si_ace1_linear/reference_EFS.extxyz.xz"),
    **{f"ta {kind}": (f"ta_fitsnap/Ta_{kind}.yace",
                      f"ta_fitsnap/reference_EFS_Ta_{kind}.extxyz.xz")
       for kind in ("ARD_29Mar23", "RIDGE_30Mar23")},
    **{name: (f"{PACE}/pacemaker_tests/{name}{suffix}",
              f"{PACE}/pacemaker_tests/{name}.reference_EFS.extxyz.xz")
       for name, suffix in (
           ("Al-Ni_opt_all", ".converted.yace"),
           ("Al-r1234l12_crad_dif", ".converted.yace"),
           ("Al.pbe-in.rank3-core-rep", ".ace"),
           ("Al.pbe.13.2", ".converted.yace"),
           ("Al.pbe.rhocore", ".ace"),
           ("Cr_ladder_0", ".converted.yace"),
           ("Cu-I", ".converted.yace"),
           ("Cu-III", ".converted.yace"),
           ("Cu.pbe.in", ".converted.yace"),
           ("Ni_2dens_bug_case", ".converted.yace"),
           ("ZBL_rep", ".converted.yace"),
           ("ethanol", ".converted.yace"),
           ("multispecies_AlNiCu", ".converted.yace"),
       )},
}  # fmt: skip


def _model(path: Path) -> Model:
    return read_pace(path)


@pytest.mark.parametrize("name", NAMES)
def test_our_own_files_have_the_numbers_of_the_original_evaluator(name):
    _hold(name, OWN / name, OWN / f"{name.removesuffix('.xz')}.reference.extxyz.xz")


@pytest.mark.parametrize("name", FILES)
def test_energies_forces_and_stress_are_those_of_the_original_evaluator(shared_data, name):
    file, reference = (shared_data / part for part in FILES[name])
    _hold(name, file, reference)


def _hold(name: str, file: Path, reference: Path) -> None:
    """With PACE's own knots: 1e-9 eV/atom; forces and stress 1e-8 or 1e-10 of the largest."""
    model = _model(file)
    structures, count = read(reference, LabelKeys())
    assert count.energies and count.forces, str(count)
    # The original evaluates the radial functions of ACE.jl without tables.
    own = model.basis.knots is not None
    tables = lower(model, own_knots=True) if own else lower(model, tolerance=1e-11)
    native = NativeEvaluator(tables, 2)
    if name == "si":
        structures = [_unrounded(s, model, native) for s in structures]
    slow = require(ReferenceEvaluator(tables).evaluate(structures))
    for what, results in (("oracle", slow), ("native", require(native.evaluate(structures)))):
        for structure, result in zip(structures, results, strict=True):
            _compare(f"{name}, {structure.name}, {what}", structure, result)


def _compare(where: str, structure: Structure, result: Result) -> None:
    size = max(1.0, abs(structure.energy) / len(structure))
    gap = abs(result.energy - structure.energy) / len(structure)
    assert gap < 1e-9 * size, f"{where}: energy off by {gap:.1e} eV/atom"
    gap, large = np.abs(result.forces - structure.forces).max(), np.abs(structure.forces).max()
    assert gap < max(1e-8, 1e-10 * large), f"{where}: forces off by {gap:.1e}"
    if structure.virial is not None:
        gap, large = np.abs(result.virial - structure.virial).max(), np.abs(structure.virial).max()
        limit = max(1e-8 * structure.volume, 1e-10 * large)
        assert gap < limit, f"{where}: virial off by {gap:.1e}"


def _unrounded(structure: Structure, model: Model, native: NativeEvaluator) -> Structure:
    """The structure with the cell it had before ten digits of it were stored.

    The numbers in this file belong to the unrounded cells: 5e-9 Å of a cell with 217 atoms are
    4e-8 eV/Å in forces. The nine corrections come from least squares over all forces and the
    energy; that none exceeds half a unit of the tenth digit shows what they are.
    """

    def numbers(change: np.ndarray) -> np.ndarray:
        moved = replace(structure, cell=structure.cell + change)
        (result,) = require(native.evaluate([moved]))
        return np.append(result.forces, result.energy)

    step = 1e-5
    moves = step * np.eye(9).reshape(9, 3, 3)
    slopes = np.array([numbers(move) - numbers(-move) for move in moves]).T / (2 * step)
    gap = np.append(structure.forces, structure.energy) - numbers(np.zeros((3, 3)))
    digit = 10.0 ** (np.floor(np.log10(np.abs(structure.cell).max())) - 9)
    # Forces and energies have ten decimals; what they leave open stays near zero.
    rows = np.concatenate((slopes / 3e-11, np.eye(9) / (0.3 * digit)))
    change = np.linalg.lstsq(rows, np.append(gap / 3e-11, np.zeros(9)))[0].reshape(3, 3)
    assert np.abs(change).max() < 0.55 * digit, f"{structure.name}: {change / digit}"
    return replace(structure, cell=structure.cell + change)


def test_the_lammps_unit_test_of_copper(shared_data):
    folder = shared_data / PACE / "cu_pbe_core_rep"
    model = read_pace(folder / "Cu-PBE-core-rep.ace")
    (structure,), _ = read(folder / "lammps_unittest_64atoms.extxyz", LabelKeys())
    for tables in (lower(model), lower(model, own_knots=True)):
        (result,) = require(NativeEvaluator(tables, 1).evaluate([structure]))
        assert result.energy == pytest.approx(-161.63316443325627, abs=1e-9)
