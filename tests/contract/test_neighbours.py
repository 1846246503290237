"""Neighbour lists against brute force: every pair, every image, nothing else."""

from itertools import product

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.evaluate.extension import edges as compiled
from acepot.lattice import reduced
from acepot.neighbours import Edges, build, nearest
from acepot.structure import Structure

PERIODICITIES = [tuple(map(bool, p)) for p in product((0, 1), repeat=3)]


def _brute_force(structure: Structure, cutoff: float) -> list[tuple[int, ...]]:
    """(i, j, S) with 0 < |r_j - r_i + S cell| < cutoff, by looping over all images in reach."""
    positions, cell = structure.positions, structure.cell
    # |S_k| is at most (distance + spread) / height of the periodic cell along k.
    reach = [0, 0, 0]
    spread = np.linalg.norm(positions[:, None] - positions, axis=-1).max()
    periodic = np.flatnonzero(structure.pbc)
    if len(periodic):
        dual = np.linalg.pinv(cell[periodic])  # columns: |dual_k| = 1/height
        for k, column in zip(periodic, dual.T, strict=True):
            reach[k] = int(np.ceil((cutoff + spread) * np.linalg.norm(column))) + 1
    found = []
    for shift in product(*(range(-n, n + 1) for n in reach)):
        offset = np.array(shift) @ cell
        vectors = positions[None] - positions[:, None] + offset
        distance = np.linalg.norm(vectors, axis=-1)
        for i, j in np.argwhere(distance < cutoff):
            if i != j or any(shift):
                found.append((int(i), int(j), *shift))
    return sorted(found)


def _assert_matches(structure: Structure, cutoff: float, what: str) -> Edges:
    edges = build(structure, cutoff)
    got = [
        (int(i), int(j), *map(int, s))
        for i, j, s in zip(edges.centre, edges.neighbour, edges.shift, strict=True)
    ]
    want = _brute_force(structure, cutoff)
    assert sorted(got) == want, f"{what}: {len(got)} edges, expected {len(want)}"
    assert got == sorted(got), f"{what}: not sorted by centre, neighbour, shift"
    vectors = (
        structure.positions[edges.neighbour]
        - structure.positions[edges.centre]
        + edges.shift @ structure.cell
    )
    error = np.abs(vectors - edges.vector).max(initial=0.0)
    scale = 1.0 + np.abs(structure.positions).max() + np.abs(structure.cell).max()
    assert error < 1e-13 * scale, f"{what}: vectors differ by {error:.1e} Å"
    counts = np.bincount(edges.centre, minlength=len(structure))
    np.testing.assert_array_equal(np.diff(edges.first), counts, what)
    assert edges.first[0] == 0 and edges.first[-1] == len(edges.centre)
    _assert_compiled(structure, cutoff, edges, what)
    return edges


def _assert_compiled(structure: Structure, cutoff: float, edges: Edges, what: str) -> None:
    """The compiled list is the same, knows reverses, and has a cut-off for every pair."""
    species = np.arange(len(structure)) % 2
    for cutoffs in (np.full((2, 2), cutoff), cutoff * np.array([[1.0, 0.7], [0.7, 0.0]])):
        (centre, neighbour, reverse), shift, vector = compiled(structure, species, cutoffs)
        r = np.linalg.norm(edges.vector, axis=1)
        kept = r < cutoffs[species[edges.centre], species[edges.neighbour]]
        for name, array in (("centre", centre), ("neighbour", neighbour), ("shift", shift)):
            np.testing.assert_array_equal(array, getattr(edges, name)[kept], what)
        scale = 1.0 + np.abs(structure.positions).max() + np.abs(structure.cell).max()
        np.testing.assert_allclose(vector, edges.vector[kept], atol=1e-15 * scale, rtol=1e-14)
        np.testing.assert_array_equal(vector[reverse], -vector, what)
        np.testing.assert_array_equal(shift[reverse], -shift, what)
        np.testing.assert_array_equal(centre[reverse], neighbour, what)


def _cell(rng: np.random.Generator, size: float) -> np.ndarray:
    while True:
        cell = size * (np.diag([1.0, 1.3, 0.7]) + rng.uniform(-0.6, 0.6, (3, 3)))
        if abs(np.linalg.det(cell)) > 0.3 * size**3:
            return cell * rng.choice([-1, 1])  # left-handed cells too


def _structure(
    rng: np.random.Generator, pbc: tuple[bool, ...], size: float, spread: float
) -> Structure:
    cell = _cell(rng, size)
    count = int(rng.integers(1, 13))
    positions = rng.uniform(-spread, spread + 1, (count, 3)) @ cell
    return Structure(rng.integers(1, 30, count), positions, cell, pbc)


@pytest.mark.parametrize("pbc", PERIODICITIES)
@pytest.mark.parametrize("size", [2.2, 5.0, 9.0])
def test_the_list_is_what_brute_force_finds(pbc, size):
    rng = np.random.default_rng([31, *map(int, pbc), int(size)])
    edges = 0
    for number in range(6):
        spread = (0.0, 1.5)[number % 2]
        structure = _structure(rng, pbc, size, spread)
        what = f"pbc {pbc}, size {size}, spread {spread}, number {number}"
        edges += len(_assert_matches(structure, rng.uniform(3.0, 6.5), what).centre)
    assert edges > 0


@pytest.mark.slow
@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_the_list_is_what_brute_force_finds_in_many_random_cases(pbc):
    rng = np.random.default_rng([32, *map(int, pbc)])
    for number in range(100):
        size, spread = rng.uniform(2.5, 10.0), rng.choice([0.0, 1.0, 2.0])
        structure = _structure(rng, pbc, size, spread)
        _assert_matches(structure, rng.uniform(2.0, 7.0), f"pbc {pbc}, number {number}")


@pytest.mark.parametrize("pbc", [p for p in PERIODICITIES if not all(p)])
def test_rows_of_directions_that_do_not_repeat_are_ignored(pbc):
    rng = np.random.default_rng([33, *map(int, pbc)])
    open_rows = ~np.array(pbc)
    for number in range(3):
        structure = _structure(rng, pbc, 3.0, 1.0)
        periodic_row = structure.cell[~open_rows][0] if any(pbc) else np.array([1.0, 2.0, 3.0])
        want = build(structure, 5.0)
        for kind, rows in (
            ("zero", 0.0),
            ("dependent", -1.7 * periodic_row),
            ("tiny", 1e-9 * structure.cell[open_rows]),
            ("huge", 1e6 * structure.cell[open_rows]),
        ):
            cell = np.array(structure.cell)
            cell[open_rows] = rows
            changed = Structure(structure.numbers, structure.positions, cell, pbc)
            what = f"pbc {pbc}, number {number}, {kind} rows"
            got = _assert_matches(changed, 5.0, what)
            np.testing.assert_array_equal(got.shift, want.shift, what)
            np.testing.assert_allclose(got.vector, want.vector, atol=1e-13, err_msg=what)


def test_every_edge_has_its_reverse():
    rng = np.random.default_rng(34)
    for pbc in PERIODICITIES:
        edges = build(_structure(rng, pbc, 3.0, 2.0), 5.0)
        forward = {
            (int(i), int(j), *map(int, s))
            for i, j, s in zip(edges.centre, edges.neighbour, edges.shift, strict=True)
        }
        assert forward == {(j, i, -a, -b, -c) for i, j, a, b, c in forward}, pbc


def test_a_needle_shaped_cell_has_all_its_images():
    """Heights far below the lengths of the edges: counting images by length would miss some."""
    cell = np.array([[6.0, 0.0, 0.0], [5.9, 1.1, 0.0], [5.8, 0.4, 1.2]])
    structure = Structure([14, 8], [[0.1, 0.2, 0.3], [9.0, -4.0, 0.7]], cell, True)
    edges = _assert_matches(structure, 5.0, "needle")
    assert np.abs(edges.shift).max() >= 4


def test_one_atom_in_a_cell_has_only_its_own_images():
    cell = _cell(np.random.default_rng(35), 3.0)
    edges = _assert_matches(Structure([14], [[20.0, -7.0, 3.0]], cell, True), 6.0, "one atom")
    assert len(edges.centre) > 20 and not edges.neighbour.any()


@pytest.mark.parametrize("pbc", [False, True])
def test_no_edges_is_an_empty_list_with_an_offset_for_every_atom(pbc):
    cell = np.diag([30.0, 31.0, 32.0]) + 0.5
    positions = [[0.0, 0.0, 0.0], [9.0, 1.0, 2.0], [1.0, 15.0, 8.0]]
    edges = build(Structure([1, 2, 3], positions, cell, pbc), 4.0)
    assert edges.centre.shape == edges.neighbour.shape == (0,)
    assert edges.vector.shape == edges.shift.shape == (0, 3)
    np.testing.assert_array_equal(edges.first, [0, 0, 0, 0])


def test_a_single_atom_without_cell_has_no_edges():
    edges = build(Structure([14], [[1.0, 2.0, 3.0]]), 5.0)
    np.testing.assert_array_equal(edges.first, [0, 0])


def test_isolated_atoms_between_others_keep_the_offsets_right():
    positions = [[50.0, 0, 0], [0, 0, 0], [0.0, 80.0, 0], [1.1, 0.4, 0.3], [0, 0, -90.0]]
    edges = _assert_matches(Structure([1] * 5, positions), 3.0, "isolated atoms")
    np.testing.assert_array_equal(edges.first, [0, 0, 1, 1, 2, 2])


def test_coinciding_atoms_are_refused_and_named():
    positions = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    with pytest.raises(InputError, match="train 7: atoms 1 and 2 sit at the same point"):
        build(Structure([1, 2, 3], positions, name="train 7"), 4.0)
    with pytest.raises(InputError, match="train 7: atoms 1 and 2 sit at the same point"):
        compiled(Structure([1, 2, 3], positions, name="train 7"), np.zeros(3), np.full((1, 1), 4.0))


def test_atoms_that_coincide_through_an_image_are_refused():
    cell = np.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.5, 0.25, 6.0]])
    positions = [[0.5, 0.25, 0.125], [5.5, 5.25, 0.125]]  # one lattice step a + b apart
    with pytest.raises(InputError, match="same point"):
        build(Structure([1, 2], positions, cell, True), 4.0)
    # The same atoms are far apart where the cell does not repeat.
    assert len(build(Structure([1, 2], positions, cell, (True, False, True)), 3.9).centre) == 0


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_impossible_cutoffs_are_refused(cutoff):
    with pytest.raises(InputError, match="cutoff"):
        build(Structure([1], [[0.0, 0.0, 0.0]]), cutoff)


def test_nobody_changes_the_structure():
    structure = _structure(np.random.default_rng(36), (True, False, True), 3.0, 2.0)
    before = [a.copy() for a in (structure.positions, structure.cell, structure.pbc)]
    build(structure, 5.0)
    after = (structure.positions, structure.cell, structure.pbc)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_list_is_the_same_every_time():
    structure = _structure(np.random.default_rng(37), (True, True, True), 2.5, 3.0)
    first, second = build(structure, 6.0), build(structure, 6.0)
    for name in ("centre", "neighbour", "vector", "shift", "first"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), name)


# ------------------------------------------------------------------ shortest distances


def test_shortest_distances_are_those_of_the_list():
    rng = np.random.default_rng(61)
    for _ in range(150):
        count = int(rng.integers(1, 9))
        cell = rng.normal(size=(3, 3)) * rng.uniform(1, 3) + 3 * np.eye(3)
        structure = Structure(
            rng.choice([1, 8, 14], count), rng.normal(size=(count, 3)) * 5, cell,
            rng.integers(0, 2, 3).astype(bool),
        )  # fmt: skip
        edges = build(structure, 4.0)
        lengths = np.linalg.norm(edges.vector, axis=1)
        ends = structure.numbers[np.stack((edges.centre, edges.neighbour))]
        found = nearest(structure, 4.0)
        pairs = {tuple(int(z) for z in sorted(pair)) for pair in ends.T}
        assert found.keys() == pairs
        for (a, b), length in found.items():
            assert length == pytest.approx(
                lengths[(ends[0] == a) & (ends[1] == b)].min(), abs=1e-12
            )


def test_shortest_distances_of_equivalent_cells_are_equal():
    rng = np.random.default_rng(62)
    positions = rng.normal(size=(20, 3)) * 3
    cell = np.array([[5.0, 0.1, 0.0], [0.3, 5.2, 0.2], [0.0, 0.4, 4.9]])
    sheared = np.array([[1, 0, 0], [100, 1, 0], [0, 140, 1]]) @ cell
    numbers = rng.choice([8, 14], 20)
    one = nearest(Structure(numbers, positions, cell, True), 4.0)
    other = nearest(Structure(numbers, positions, sheared, True), 4.0)
    assert one == pytest.approx(other, abs=1e-9)


def test_coinciding_atoms_are_named_by_the_shortest_distances():
    with pytest.raises(InputError, match="atoms 0 and 1 sit at the same point"):
        nearest(Structure([8, 14], np.zeros((2, 3))), 4.0)


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_atoms_that_are_far_apart_and_long_cells_have_their_neighbours(pbc):
    """Two pairs 1e6 Å apart along all directions; the library's cells would fill the memory."""
    cell = np.array([[4.0, 0.5, 0.0], [0.2, 5.0, 0.3], [1e6, 2e5, 1e6]])
    far = 0.5 * cell[2]
    places = [[0.1, 0.2, 0.3], [1.3, 0.9, 1.4], far, far + [0.4, 1.1, 0.9]]
    near = build(Structure([14, 8], places[:2], cell, pbc), 5.0)
    edges = build(Structure([14, 8, 14, 8], places, cell, pbc), 5.0)
    assert len(edges.centre) >= 2 * len(near.centre) > 0
    for name in ("centre", "neighbour", "shift", "vector"):
        mine = getattr(edges, name)[: len(near.centre)]
        np.testing.assert_array_equal(mine, getattr(near, name), name)
    _assert_compiled(Structure([14, 8, 14, 8], places, cell, pbc), 5.0, edges, "far")
    back = {
        (int(i), int(j), *map(int, s))
        for i, j, s in zip(edges.centre, edges.neighbour, edges.shift, strict=True)
    }
    assert back == {(j, i, -a, -b, -c) for i, j, a, b, c in back}


@pytest.mark.parametrize("pbc", [p for p in PERIODICITIES if sum(p) > 1])
def test_equivalent_cells_have_the_same_neighbours(pbc):
    rng = np.random.default_rng([38, *map(int, pbc)])
    for size in (2.5, 6.0):
        plain = _structure(rng, pbc, size, 1.0)
        for _ in range(4):
            steps = np.tril(rng.integers(-300, 300, (3, 3)), -1) + np.eye(3, dtype=int)
            order = rng.permutation(3)
            steps = steps[order][:, order] * np.outer(pbc, pbc)  # unimodular
            np.fill_diagonal(steps, 1)
            sheared = Structure(plain.numbers, plain.positions, steps @ plain.cell, pbc)
            want, got = build(plain, 5.0), build(sheared, 5.0)
            _assert_compiled(sheared, 5.0, got, "sheared")
            named = [
                sorted(
                    zip(e.centre, e.neighbour, *(e.shift @ m).T, *np.round(e.vector, 6).T,
                        strict=True)
                )
                for e, m in ((want, np.eye(3, dtype=int)), (got, steps))
            ]  # fmt: skip
            np.testing.assert_allclose(named[0], named[1], atol=2e-6)
            assert len(want.centre) == len(got.centre) > 0


def test_the_reduced_cell_is_as_short_as_any_and_a_multiple_of_the_given_one():
    rng = np.random.default_rng(39)
    for _ in range(60):
        cell = _cell(rng, 4.0)
        steps = np.tril(rng.integers(-50, 50, (3, 3)), -1) + np.eye(3, dtype=int)
        short, sums = reduced(steps.T @ cell, np.array([True] * 3))
        assert round(np.linalg.det(sums)) in (-1, 1)
        np.testing.assert_allclose(sums @ steps.T @ cell, short, atol=1e-9)
        trials = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)))
        lengths = np.linalg.norm(trials @ short, axis=1)
        for k in range(3):
            # Minkowski: no vector that completes a basis of the lattice is shorter.
            others = lengths[trials[:, k] == 1]
            assert others.min() >= np.linalg.norm(short[k]) * (1 - 1e-8)
    kept = np.diag([3.0, 4.0, 5.0])
    np.testing.assert_array_equal(reduced(kept, np.array([True] * 3))[0], kept)


def test_vectors_that_span_no_volume_are_refused_however_far_they_can_be_shortened():
    # In a plane and of lengths without a common measure: multiples soon leave 64 bits.
    plane = [[6.1, 8.2304273, 0.0], [1.3, 0.0, 0.0], [-0.9, -1.61621265, 0.0]]
    rng = np.random.default_rng(40)
    cells = [np.array(plane)]
    for digits in (0, 1e-15):
        for _ in range(20):
            flat = rng.normal(size=(3, 2)) @ rng.normal(size=(2, 3))
            cells.append(10.0 ** rng.uniform(-2, 2) * (flat + digits * rng.normal(size=(3, 3))))
    for cell in cells:
        with pytest.raises(InputError, match="no volume|shorter than"):
            Structure([14], [[0, 0, 0]], cell, True)
