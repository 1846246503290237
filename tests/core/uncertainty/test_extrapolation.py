"""MaxVol, grades of extrapolation and files of active sets."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.errors import InputError, ModelFileError
from acepot.model import Model
from acepot.structure import Structure
from acepot.uncertainty.asi import read_asi, write_asi
from acepot.uncertainty.extrapolation import ActiveSet, SiteFunctions
from acepot.uncertainty.maxvol import active_inverse


@pytest.mark.parametrize("seed", range(4))
def test_no_row_has_a_grade_above_the_tolerance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-6, 6, 30)
    rows = (rng.normal(size=(400, 30)) @ rng.normal(size=(30, 30))) * scales
    grades = np.abs(rows @ active_inverse(rows, 1.001)).max(axis=1)
    assert grades.max() <= 1.001 * (1 + 1e-9)
    assert np.count_nonzero(np.abs(grades - 1) < 1e-9) >= 30  # the active rows themselves


def test_the_volume_is_that_of_the_best_of_all_sets_in_two_dimensions() -> None:
    """No pair of points spans a triangle more than (1 + tolerance)-times as large."""
    rows = np.random.default_rng(1).normal(size=(60, 2))
    volume = 1 / abs(np.linalg.det(active_inverse(rows, 1.0001)))
    best = max(abs(np.linalg.det(rows[[i, j]])) for i, j in product(range(60), repeat=2))
    assert best <= 2 * volume and volume <= best * (1 + 1e-9)


def test_grades_do_not_depend_on_the_basis_of_the_functions() -> None:
    rng = np.random.default_rng(3)
    rows, others, mix = (rng.normal(size=shape) for shape in ((200, 12), (50, 12), (12, 12)))
    one = np.abs(others @ active_inverse(rows, 1.0001)).max(axis=1)
    scaled = 10.0 ** rng.uniform(-3, 3, 12)
    assert np.abs((others * scaled) @ active_inverse(rows * scaled, 1.0001)).max(
        axis=1
    ) == pytest.approx(one, rel=1e-6)
    turned = active_inverse(rows @ mix, 1.0001)
    assert np.abs(rows @ mix @ turned).max() <= 1.0001 * (1 + 1e-9)


def test_directions_that_no_atom_has_are_far_outside() -> None:
    """Fewer atoms than functions, and a function that is zero for all of them."""
    rng = np.random.default_rng(4)
    rows = np.zeros((5, 9))
    rows[:, :8] = rng.normal(size=(5, 8))
    inverse = active_inverse(rows)
    assert np.abs(rows @ inverse).max() <= 1.001 * (1 + 1e-6)
    new = rows[0].copy()
    new[8] = 1e-3
    assert np.abs(new @ inverse).max() > 100
    assert np.abs(rng.normal(size=9) @ inverse).max() > 1e3


@pytest.mark.parametrize(
    ("rows", "tolerance", "message"),
    [
        (np.zeros((0, 3)), 1.01, "expected finite rows"),
        (np.full((3, 3), np.nan), 1.01, "expected finite rows"),
        (np.zeros((3, 3)), 1.01, "all functions are zero"),
        (np.ones((3, 3)), 1.0, "a tolerance above 1"),
    ],
)
def test_what_has_no_active_set_is_refused(rows, tolerance, message) -> None:
    with pytest.raises(InputError, match=message):
        active_inverse(rows, tolerance)


# ------------------------------------------------------------------ models


def _model() -> Model:
    spec = acepot.resolve(
        acepot.BasisSpec(elements=("O", "Si"), order=2, degree=(6, 5), cutoff=4.5, bonds_once=False)
    )
    size = acepot.basis_size(spec)["total"]
    rng = np.random.default_rng(7)
    return Model(spec, rng.normal(size=size), np.array([-3.0, -7.0]))


def _structures(count: int, seed: int) -> list[Structure]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        cell = 5.0 * np.eye(3) + rng.normal(scale=0.3, size=(3, 3))
        places = np.array(list(product((0.1, 0.6), repeat=3))) @ cell
        numbers = rng.permutation([8, 8, 8, 8, 14, 14, 14, 14])
        moved = places + rng.normal(scale=0.2, size=places.shape)
        made.append(Structure(numbers, moved, cell, True))
    return made


def test_atoms_of_the_data_are_inside_and_strange_ones_outside() -> None:
    functions = SiteFunctions.of_model(_model(), threads=1)
    data = _structures(12, 0)
    chosen = ActiveSet.chosen(functions, data)
    assert max(g.max() for g in chosen.grades(functions, data)) <= 1.001 * (1 + 1e-6)
    squeezed = [replace_cell(s, 0.75) for s in data[:3]]
    assert min(g.max() for g in chosen.grades(functions, squeezed)) > 5


def replace_cell(structure: Structure, factor: float) -> Structure:
    return Structure(structure.numbers, factor * structure.positions, factor * structure.cell, True)


def test_grades_are_unchanged_by_rotation_and_permutation() -> None:
    functions = SiteFunctions.of_model(_model(), threads=1)
    chosen = ActiveSet.chosen(functions, _structures(12, 0))
    (structure,) = _structures(1, 5)
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(structure))
    moved = Structure(
        structure.numbers[order], structure.positions[order] @ turn, structure.cell @ turn, True
    )
    one, other = chosen.grades(functions, [structure, moved])
    assert other == pytest.approx(one[order], rel=1e-6)


def test_an_element_without_data_has_an_infinite_grade() -> None:
    functions = SiteFunctions.of_model(_model(), threads=1)
    oxygen = [Structure([8, 8], [[0.0, 0, 0], [r, 0, 0]]) for r in (1.1, 1.3, 1.5, 2.0)]
    chosen = ActiveSet.chosen(functions, oxygen)
    mixed = Structure([8, 14], [[0.0, 0, 0], [1.6, 0, 0]])
    grades = chosen.grades(functions, [mixed])[0]
    assert np.isfinite(grades[0]) and grades[1] == np.inf


def test_the_functions_of_a_nonlinear_model_are_its_derivatives_by_the_coefficients() -> None:
    linear = _model()
    rng = np.random.default_rng(9)
    how = Embedding("FinnisSinclairShiftedScaled", (1.0, 0.7), (1.0, 0.5))
    model = replace(
        linear,
        coefficients=rng.normal(size=(1, 2, linear.coefficients.shape[2])),
        nonlinear=Nonlinear((how, how)),
    )
    functions, (structure,) = SiteFunctions.of_model(model, full=True, threads=1), _structures(1, 2)
    (own,) = functions.values([structure])
    atoms, found = own["Si"]
    columns, h = functions.columns["Si"], 1e-5
    assert found.shape == (4, 2 * len(columns))
    for place in (0, 3, len(columns), len(columns) + 5):
        p, k = divmod(place, len(columns))
        energies = []
        for step in (h, -h):
            c = model.coefficients.copy()
            c[0, p, columns[k]] += step
            energies.append(
                acepot.Potential(replace(model, coefficients=c)).compute(structure).energies
            )
        slope = (energies[0] - energies[1])[atoms] / (2 * h)
        assert found[:, place] == pytest.approx(slope, rel=1e-5, abs=1e-7)
    with pytest.raises(InputError, match="full: a linear model"):
        SiteFunctions.of_model(linear, full=True)


# ------------------------------------------------------------------ files


def test_a_file_comes_back_and_numpy_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inverses = {"Cu": rng.normal(size=(5, 5)), "O": rng.normal(size=(3, 3))}
    path = tmp_path / "x.asi"
    write_asi(inverses, path)
    with np.load(path, allow_pickle=False) as stored:
        assert {k: stored[k].tolist() for k in stored} == {
            k: v.tolist() for k, v in inverses.items()
        }
    assert {k: v.tolist() for k, v in read_asi(path).items()} == {
        k: v.tolist() for k, v in inverses.items()
    }


@pytest.mark.parametrize("order", ["C", "F"])
def test_files_of_numpy_are_read_in_both_orders(order: str, tmp_path: Path) -> None:
    matrix = np.asarray(np.random.default_rng(0).normal(size=(6, 6)), order=order)
    with (tmp_path / "x.asi").open("wb") as file:
        np.savez(file, Cu=matrix)
    assert np.array_equal(read_asi(tmp_path / "x.asi")["Cu"], matrix)


def _zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=array.dtype == object)
    return out.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Xx": _npy(np.eye(2))}, "one array for each element"),
        ({"Cu": _npy(np.ones((2, 3)))}, "expected a square matrix"),
        ({"Cu": _npy(np.eye(2, dtype="f4"))}, "expected a square matrix of float64"),
        ({"Cu": _npy(np.array([[{}]], dtype=object))}, "expected a square matrix of float64"),
        ({"Cu": _npy(np.full((2, 2), np.inf))}, "not finite"),
        ({"Cu": _npy(np.eye(4))[:-8]}, "expected 128 bytes, got 120"),
        ({"Cu": pickle.dumps(np.eye(2))}, "not an array of numpy"),
        ({"Cu": b"\x93NUMPY\x01\x00\x05\x00exit("}, "header of the array is damaged"),
        ({}, "got none"),
    ],
)
def test_files_that_hold_something_else_are_refused(members, message, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_asi(_zip(tmp_path / "x.asi", **members))


def test_what_is_no_active_set_is_not_written(tmp_path: Path) -> None:
    for inverses, message in (
        ({}, "at least one element"),
        ({"Cu": np.ones((2, 3))}, "a square matrix"),
        ({"Cu": np.full((2, 2), np.nan)}, "finite numbers"),
    ):
        with pytest.raises(InputError, match=message):
            write_asi(inverses, tmp_path / "x.asi")
    assert not (tmp_path / "x.asi").exists()
