"""The smallest distances, against all images in reach."""

from __future__ import annotations

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.sampling.distances import MinimumDistances

RANDOM = np.random.default_rng(2)
LIMITS = MinimumDistances({(14, 14): 1.8, (14, 6): 1.1, (6, 6): 2.2})


def brute(numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray) -> bool:
    span = np.arange(-6, 7)
    shifts = np.stack(np.meshgrid(span, span, span), -1).reshape(-1, 3)
    apart = positions[:, None, None] - positions[None, :, None] + shifts @ cell
    r = np.linalg.norm(apart, axis=-1)  # [i, j, image]
    n = np.arange(len(numbers))
    r[n, n, np.flatnonzero((shifts == 0).all(axis=1))] = np.inf
    return bool((r < LIMITS.table[numbers[:, None], numbers][:, :, None]).any())


@pytest.mark.parametrize("edge", [1.7, 2.4, 3.4, 5.0, 8.0])
def test_contacts_are_those_of_all_images(edge: float) -> None:
    """Cells from smaller than the distances, where atoms meet their own images, to much larger."""
    count, atoms = 300, 2 if edge < 5 else 4
    cells = edge * (np.eye(3) + 0.2 * RANDOM.standard_normal((count, 3, 3)))
    cells[np.linalg.det(cells) < 0, 0] *= -1
    cells = cells[np.linalg.norm(np.linalg.inv(cells), axis=1).max(axis=1) < 1 / (0.4 * edge)]
    positions = (3 * RANDOM.random((len(cells), atoms, 3)) - 1) @ cells
    numbers = RANDOM.choice([6, 14], (len(cells), atoms))
    found = LIMITS.violated(numbers, positions, cells, True)
    wanted = [brute(*one) for one in zip(numbers, positions, cells, strict=True)]
    assert found.tolist() == wanted
    assert 0.02 < np.mean(wanted) and (edge < 2 or np.mean(wanted) < 0.98)


@pytest.mark.parametrize("edge", [1.9, 2.4, 6.0])
def test_contacts_are_those_of_the_crystal_whichever_vectors_span_it(edge: float) -> None:
    """The same lattice by vectors sheared by each other, and atoms by any images of them."""
    count, atoms = 300, 3
    cells = edge * (np.eye(3) + 0.1 * RANDOM.standard_normal((count, 3, 3)))
    positions = RANDOM.random((count, atoms, 3)) @ cells
    numbers = RANDOM.choice([6, 14], (count, atoms))
    shears = np.tile(np.eye(3), (count, 1, 1))
    for upper in (True, False):
        ones = np.triu(RANDOM.integers(-3, 4, (count, 3, 3)), 1)
        shears = shears @ (np.eye(3) + (ones if upper else ones.swapaxes(1, 2)))
    moved = positions + RANDOM.integers(-2, 3, (count, atoms, 3)) @ cells
    found = LIMITS.violated(numbers, positions, cells, True)
    np.testing.assert_array_equal(found, LIMITS.violated(numbers, moved, shears @ cells, True))
    assert found.mean() > 0.1 and (edge < 5 or found.mean() < 0.9)


def test_only_what_is_good_so_far_is_looked_at() -> None:
    positions = np.zeros((3, 2, 3))
    positions[2, 1] = 4.0
    positions[1] = np.nan
    cells, numbers = np.tile(9 * np.eye(3), (3, 1, 1)), np.full((3, 2), 14)
    good = np.array([True, False, True])
    LIMITS.guard(good, numbers, positions, cells, True)
    assert good.tolist() == [False, False, True]
    with pytest.raises(InputError, match="atom 0 is not at a finite position"):
        LIMITS.violated(numbers, positions, cells, True)
    with pytest.raises(InputError, match="span no volume"):
        LIMITS.violated(numbers, np.zeros((3, 2, 3)), np.zeros((3, 3, 3)), True)
    with pytest.raises(InputError, match="numbers: expected 0 to 118, got 119"):
        LIMITS.violated(numbers + 105, np.zeros((3, 2, 3)), cells, True)
    with pytest.raises(InputError, match="arrays do not fit together"):
        LIMITS.violated(numbers[:, :1], np.zeros((3, 2, 3)), cells, True)


def test_a_box_has_no_images() -> None:
    positions = np.array([[[0.1, 0.0, 0.0], [4.9, 0.0, 0.0]]])
    cell, numbers = 5 * np.eye(3)[None], np.array([[14, 14]])
    assert LIMITS.violated(numbers, positions, cell, True).tolist() == [True]
    assert LIMITS.violated(numbers, positions, cell, False).tolist() == [False]
    assert LIMITS.violated(numbers, 0.3 * positions, cell, False).tolist() == [True]


def test_distances_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"pairs\[6, 6\]: expected a distance in Å, got -1"):
        MinimumDistances({(6, 6): -1.0})
    with pytest.raises(InputError, match=r"expected atomic numbers 1 to 118, got \(0, 6\)"):
        MinimumDistances({(0, 6): 1.0})
