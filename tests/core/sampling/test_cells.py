"""Deformations of many cells at once."""

from __future__ import annotations

import numpy as np

from acepot.sampling import cells as many

RANDOM = np.random.default_rng(1)
COUNT, ATOMS = 40, 5


def triclinic() -> np.ndarray:
    cells = RANDOM.standard_normal((COUNT, 3, 3)) + 2 * np.eye(3)
    cells[np.linalg.det(cells) < 0, 0] *= -1
    return 3.0 * cells


def atoms(cells: np.ndarray) -> np.ndarray:
    return (4 * RANDOM.random((COUNT, ATOMS, 3)) - 2) @ cells


def test_heights_are_distances_between_faces() -> None:
    cells = triclinic()
    inverse = np.linalg.inv(cells)  # its columns are normal to the faces
    np.testing.assert_allclose(many.heights(cells), 1 / np.linalg.norm(inverse, axis=1), rtol=1e-10)
    unit = cells / np.cbrt(np.linalg.det(cells))[:, None, None]
    np.testing.assert_allclose(many.aspects(cells), many.heights(unit).min(axis=1), rtol=1e-10)
    assert many.aspects(5 * np.eye(3)) == 1.0


def test_wrapped_atoms_are_in_the_cell_and_moved_by_whole_vectors() -> None:
    cells = triclinic()
    positions = atoms(cells)
    wrapped = many.wrapped(positions, cells)
    s = many.fractional(wrapped, cells)
    assert (s > -1e-12).all() and (s < 1 + 1e-12).all()
    shift = (wrapped - positions) @ np.linalg.inv(cells)
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)
    inside = np.array([0.3, 0.7, 0.1]) @ cells
    assert (many.wrapped(inside[:, None], cells) == inside[:, None]).all()


def test_a_deformation_of_no_size_changes_no_bit() -> None:
    cells = triclinic()
    positions = atoms(cells)
    nothing, none = np.zeros(COUNT), np.zeros((COUNT, 2))
    vectors, axes = RANDOM.integers(0, 3, COUNT), np.tile([2, 0], (COUNT, 1))
    for found in (
        many.scaled(positions, cells, nothing + 1),
        many.sheared(positions, cells, vectors, none),
        many.stretched(positions, cells, axes, nothing),
    ):
        assert (found[0] == positions).all() and (found[1] == cells).all()


def test_deformations_keep_volume_and_fractional_coordinates() -> None:
    cells = triclinic()
    positions = atoms(cells)
    vectors, axes = RANDOM.integers(0, 3, COUNT), np.tile([1, 2], (COUNT, 1))
    xi = RANDOM.standard_normal((COUNT, 2))
    for moved, changed in (
        many.sheared(positions, cells, vectors, xi),
        many.stretched(positions, cells, axes, xi[:, 0]),
    ):
        assert (np.abs(changed - cells).max(axis=(1, 2)) > 1e-3).all()
        np.testing.assert_allclose(np.linalg.det(changed), np.linalg.det(cells), rtol=1e-9)
        np.testing.assert_allclose(
            many.fractional(moved, changed), many.fractional(positions, cells), atol=1e-9
        )


def test_a_shear_moves_one_vector_by_its_amounts_in_the_plane_of_the_others() -> None:
    cells = triclinic()
    vectors, xi = RANDOM.integers(0, 3, COUNT), RANDOM.standard_normal((COUNT, 2))
    _, changed = many.sheared(atoms(cells), cells, vectors, xi)
    for k, i in enumerate(vectors):
        shift = changed[k] - cells[k]
        assert (shift[[(i + 1) % 3, (i + 2) % 3]] == 0).all()
        assert abs(shift[i] @ many.normals(cells)[k, i]) < 1e-9
        np.testing.assert_allclose(np.linalg.norm(shift[i]), np.linalg.norm(xi[k]), rtol=1e-9)
