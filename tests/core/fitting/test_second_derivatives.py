"""Force constants, elastic constants and formation energies as labels of a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.fitting.observables import DesignRows, Observable
from acepot.fitting.observables.formation_energy import perfect_label
from acepot.properties.crystals import crystal, repeated
from acepot.properties.elasticity import elasticity

BASIS = {"elements": ["W"], "order": 2, "degree": [8, 6], "cutoff": 4.6, "pair": {"degree": 4}}


@pytest.fixture(scope="module")
def potential() -> acepot.Potential:
    """Of random coefficients, smooth, not a good tungsten."""
    pair = acepot.basis.choices.Pair(degree=4)
    spec = acepot.BasisSpec(("W",), order=2, degree=(8.0, 6.0), cutoff=4.6, pair=pair)
    spec = acepot.resolve(spec)
    c = np.random.default_rng(4).normal(size=acepot.basis_size(spec)["total"]) / 20
    return acepot.Potential(acepot.Model(spec, c, np.array([-4.0])), threads=1)


@pytest.fixture(scope="module")
def design(potential: acepot.Potential) -> DesignRows:
    return DesignRows(NativeRowBuilder(potential.tables.basis, 1), potential.tables.functions)


@pytest.fixture(scope="module")
def cell(potential: acepot.Potential) -> acepot.Structure:
    return repeated(crystal("W:bcc:3.17", potential), np.array([2, 2, 2]))


def labelled(
    one: Observable, structure: acepot.Structure, potential: acepot.Potential, **labels: object
) -> acepot.Structure:
    """A structure with what the model says."""
    said = structure.labelled(labels=labels)
    value = one.predicted(said, potential.compute(said), potential.compute_all)
    return said.labelled(labels={one.name: value.reshape(one.shape(len(structure)))
                                 if one.name == "force_constants" else value})  # fmt: skip


@pytest.mark.parametrize("size", [0.0, 0.02, -0.02])
def test_rows_of_force_constants_are_second_differences(
    size: float, potential: acepot.Potential, design: DesignRows, cell: acepot.Structure
) -> None:
    one = Observable.known["force_constants"]
    rng = np.random.default_rng(0)
    moved = cell.moved(cell.positions + rng.normal(scale=0.05, size=cell.positions.shape))
    direction = np.array([1.0, 2.0, -1.0])
    said = moved.labelled(labels={"displaced": np.array([3, *direction, size])})
    c = potential.model.coefficients[0, 0]
    found = (one.rows(said, design) @ c).reshape(-1, 3)
    h = abs(size) or 1e-5
    step = np.zeros_like(moved.positions)
    step[3] = h * direction / np.linalg.norm(direction)
    after = potential.compute(moved.moved(moved.positions + step)).forces
    before = potential.compute(moved.moved(moved.positions - step)).forces
    direct = -after / h if size < 0 else -(after - before) / (2 * h)
    assert np.abs(found - direct).max() < 1e-6 * np.abs(direct).max()
    predicted = one.predicted(said, potential.compute(said), potential.compute_all)
    assert np.allclose(found.ravel(), predicted, atol=1e-9)
    if size >= 0:  # no force from moving everything: every function's columns add up to zero
        assert np.abs(one.rows(said, design).reshape(-1, 3, len(c)).sum(axis=0)).max() < 1e-7


def test_elastic_constants_are_those_of_the_crystal(
    potential: acepot.Potential, design: DesignRows
) -> None:
    one = Observable.known["elastic_constants"]
    unit = crystal("W:bcc:3.17", potential)
    # Where it is under stress, the derivative of the virial is what both are made of.
    found = one.rows(unit, design) @ potential.model.coefficients[0, 0]
    assert np.allclose(found, one.flat(elasticity(potential, unit).constants), atol=1e-4)
    predicted = one.predicted(unit, potential.compute(unit), potential.compute_all)
    assert np.allclose(found, predicted, atol=1e-6)


def test_crystals_whose_ions_move_have_no_linear_elastic_constants(
    potential: acepot.Potential, design: DesignRows
) -> None:
    unit = crystal("W:diamond:5.5", potential)
    with pytest.raises(InputError, match="move under strain"):
        Observable.known["elastic_constants"].rows(unit, design)


def test_a_fit_finds_a_model_by_its_second_derivatives(
    potential: acepot.Potential, cell: acepot.Structure
) -> None:
    known = Observable.known
    rng = np.random.default_rng(1)
    data = []
    for k in range(6):
        moved = cell.moved(
            cell.positions + rng.normal(scale=0.12, size=cell.positions.shape),
            cell.cell * (1 + k / 60),
        )
        moved = moved.labelled(energy=potential.compute(moved).energy)
        said = labelled(known["force_constants"], moved, potential,
                        displaced=np.array([k, 1.0, 0.3, 0.2 * k]))  # fmt: skip
        data.append(said)
    unit = crystal("W:bcc:3.17", potential)
    data.append(labelled(known["elastic_constants"], unit, potential))
    hole = acepot.Structure(cell.numbers[1:], cell.positions[1:], cell.cell, True)
    data.append(labelled(known["formation_energy"], hole, potential, perfect=perfect_label(unit)))
    names = ("energy", "force_constants", "elastic_constants", "formation_energy")
    fit = acepot.fit(
        data, BASIS, observables=names, e0={"W": -4.0}, solver={"kind": "qr", "damping": 1e-9},
        prior="none", restraint={"weight": 0}, threads=1,
    )  # fmt: skip
    errors = fit.report["train"]["all"]
    assert {letter: errors[letter]["count"] for letter in "KCD"} == {"K": 6 * 48, "C": 21, "D": 1}
    assert max(errors[letter]["rmse"] for letter in "KCD") < 0.5  # thousandths
    other = cell.moved(cell.positions + rng.normal(scale=0.1, size=cell.positions.shape))
    forces = [one.compute(other).forces for one in (potential, fit.potential)]
    assert np.abs(forces[0] - forces[1]).max() < 1e-4


@pytest.mark.parametrize(
    ("label", "message"),
    [(None, "displaced"), ([0.0, 0, 0, 0], "direction"), ([99.0, 1, 0, 0], "an atom"),
     ([0.0, 1, 0, 0, 2.0], "0.5 Å"), ([0.0, 1.0], "4 or 5")],
)  # fmt: skip
def test_a_displacement_that_is_none_is_refused(
    label: list[float] | None, message: str, design: DesignRows, cell: acepot.Structure
) -> None:
    labels = {} if label is None else {"displaced": np.array(label)}
    with pytest.raises(InputError, match=message):
        Observable.known["force_constants"].rows(cell.labelled(labels=labels), design)


def test_defects_of_compounds_have_no_such_energy(
    potential: acepot.Potential, design: DesignRows
) -> None:
    mixed = crystal("NaCl:rocksalt:5.6", potential)
    labels = {"formation_energy": 1.0, "perfect": perfect_label(mixed)}
    with pytest.raises(InputError, match="one and the same element"):
        Observable.known["formation_energy"].rows(mixed.labelled(labels=labels), design)


# ------------------------------------------------------------------ files


def test_force_constants_of_extended_xyz(
    potential: acepot.Potential, cell: acepot.Structure, tmp_path: Path
) -> None:
    from acepot.io.structures.labels import LabelKeys

    one = labelled(
        Observable.known["force_constants"], cell, potential, displaced=np.array([2, 0, 1, 0, 0.01])
    )
    phi = one.labels["force_constants"].reshape(-1, 3)
    sides = " ".join(map(str, cell.cell.ravel()))
    lines = [str(len(cell)), f'Lattice="{sides}" pbc="T T T" displaced="2 0 1 0 0.01" '
             "Properties=species:S:1:pos:R:3:phi:R:3"]  # fmt: skip
    for place, row in zip(cell.positions, phi, strict=True):
        lines.append("W " + " ".join(repr(float(x)) for x in (*place, *row)))
    path = tmp_path / "constants.xyz"
    path.write_text("\n".join(lines) + "\n")
    keys = LabelKeys(others={"force_constants": "phi", "displaced": "displaced"})
    (found,), count = acepot.read_structures(path, keys)
    assert "1 force_constants (phi)" in str(count)
    again = Observable.known["force_constants"]
    assert np.allclose(again.label(found), phi.ravel(), atol=1e-12)
    assert np.allclose(
        again.predicted(found, potential.compute(found), potential.compute_all),
        phi.ravel(),
        atol=1e-9,
    )


def test_files_of_phonopy(potential: acepot.Potential, tmp_path: Path) -> None:
    """Labels read from its files are what the model predicts for the same displacements."""
    pytest.importorskip("phonopy")
    from phonopy.file_IO import write_FORCE_CONSTANTS, write_FORCE_SETS

    from acepot.properties.force_constants import Lattice

    unit = crystal("W:bcc:3.17", potential)
    lattice = Lattice(unit, 16)
    lattice.compute(potential, unit)
    made = lattice.phonopy
    made.save(tmp_path / "phonopy_disp.yaml", settings={"force_sets": False, "displacements": True})
    write_FORCE_SETS(made.dataset, filename=str(tmp_path / "FORCE_SETS"))
    write_FORCE_CONSTANTS(
        np.asarray(made.force_constants), filename=str(tmp_path / "FORCE_CONSTANTS")
    )
    known = Observable.known["force_constants"]
    for name, frames, tolerance in (("FORCE_SETS", 1, 1e-7), ("FORCE_CONSTANTS", 48, 2e-3)):
        found, count = acepot.read_structures(tmp_path / name)
        assert count.frames == len(found) == frames
        for one in found[:3]:
            said = known.predicted(one, potential.compute(one), potential.compute_all)
            assert np.abs(said - known.label(one)).max() < tolerance * np.abs(said).max()
    (tmp_path / "phonopy_disp.yaml").unlink()
    with pytest.raises(InputError, match="supercell in a file beside"):
        acepot.read_structures(tmp_path / "FORCE_SETS")
    (tmp_path / "SPOSCAR").write_text("W\n1.0\n3 0 0\n0 3 0\n0 0 3\nW\n1\nDirect\n0 0 0\n")
    with pytest.raises(InputError, match="of 1 atoms"):
        acepot.read_structures(tmp_path / "FORCE_SETS")
