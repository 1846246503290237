"""Rows that are added up in the metric of a triangle lose no more than reflections would."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import lapack

from acepot.errors import InputError
from acepot.fitting import elimination
from acepot.fitting.problem import Accumulator
from acepot.fitting.solvers import BLR, blr, solve

Floats = NDArray[np.float64]
EPS = float(np.finfo(float).eps)


def graded(rows: int, columns: int, decades: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Rows of a condition number 10^decades, and the directions of their singular values."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(rows, columns)))[0]
    right = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    return left * np.logspace(0, -decades, columns) @ right, right


def added(accumulator: Accumulator, rows: Floats, targets: Floats, size: int) -> Accumulator:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        accumulator.add(rows[start : start + size], targets[start : start + size])
    return accumulator


def triangle(rows: Floats, size: int = 100) -> tuple[Floats, int]:
    """R, and how many rows were eliminated by reflections."""
    made = added(Accumulator(rows.shape[1]), rows, np.zeros(len(rows)), size)
    return made.finish().triangle, made.reflected


def lost(found: Floats, rows: Floats, directions: Floats) -> float:
    """The largest error of |R v| among directions v, in units of rounding of the rows.

    A triangle of a backward stable method has a few times √K; the one of normal equations has
    1/(singular value) times as much.
    """
    exact = [
        np.linalg.norm(np.asarray(one, np.longdouble) @ directions.T.astype(np.longdouble), axis=0)
        for one in (found, rows)
    ]
    return float(np.abs(exact[0] - exact[1]).max()) / (EPS * float(np.linalg.norm(rows, 2)))


@pytest.mark.parametrize("decades", [2, 5, 8, 11, 14, 16])
def test_every_direction_is_as_right_as_by_reflections(decades: float) -> None:
    rows, directions = graded(6000, 40, decades)
    rows = rows[np.random.default_rng(1).permutation(6000)]
    found, reflected = triangle(rows)
    assert reflected < 1500, "most rows are to be added up in the metric of a triangle"
    assert lost(found, rows, directions) < 30
    reference = np.triu(lapack.dgeqrf(rows)[0][:40])
    assert lost(reference, rows, directions) < 30


def test_normal_equations_would_lose_small_directions() -> None:
    rows, directions = graded(6000, 40, 7)
    assert lost(np.linalg.cholesky(rows.T @ rows).T, rows, directions) > 1e4


@pytest.mark.parametrize("size", [1, 37, 511, 512, 513, 5000])
def test_how_rows_are_cut_does_not_matter(size: int) -> None:
    rows, directions = graded(5000, 30, 9, seed=2)
    assert lost(triangle(rows, size)[0], rows, directions) < 30


def test_columns_may_have_any_unit() -> None:
    rows, directions = graded(4000, 30, 6, seed=3)
    units = 10.0 ** np.random.default_rng(3).uniform(-40, 40, 30)
    found, reflected = triangle(rows * units)
    assert reflected < 1500
    assert lost(found / units, rows, directions) < 100


def test_rows_in_new_directions_are_reflected_and_counted() -> None:
    """The second half has components of which the first half has 1e-9."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(8192, 24))
    rows[:4096, 12:] = rows[:4096, :12] @ rng.normal(size=(12, 12)) + 1e-9 * rows[:4096, 12:]
    found, reflected = triangle(rows)
    directions = np.linalg.svd(rows)[2]
    assert lost(found, rows, directions) < 30
    _, before = triangle(rows[:4096])
    assert before < 1000 < reflected < 1500


def test_one_row_of_another_kind_does_not_spoil_the_others() -> None:
    rows, directions = graded(4096, 20, 12, seed=5)
    rows[3000] = 1e6 * np.random.default_rng(5).normal(size=20)
    found, reflected = triangle(rows)
    assert reflected < 1500
    others = np.vstack([rows[:3000], rows[3001:]])
    size = np.linalg.norm(rows[3000])
    assert lost(found, rows, directions) < 30
    # Directions across that row still say what the others say, to rounding of that row.
    across = directions - np.outer(directions @ rows[3000], rows[3000]) / size**2
    exact = np.linalg.norm(others @ across.T, axis=0)
    assert np.abs(np.linalg.norm(found @ across.T, axis=0) - exact).max() < 100 * EPS * size


def test_weights_of_very_different_size() -> None:
    rng = np.random.default_rng(6)
    rows, targets = rng.normal(size=(6000, 15)), rng.normal(size=6000)
    weights = 10.0 ** rng.choice([-6, 0, 6], size=6000)
    made = Accumulator(15)
    for start in range(0, 6000, 90):
        part = slice(start, start + 90)
        made.add(rows[part], targets[part], weights[part])
    expected = np.linalg.lstsq(rows * weights[:, None], targets * weights, rcond=None)[0]
    problem = made.finish()
    found = np.linalg.solve(problem.triangle, problem.targets)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


def test_equal_columns_and_columns_of_zeros() -> None:
    rng = np.random.default_rng(7)
    rows, targets = rng.normal(size=(6000, 12)), rng.normal(size=6000)
    rows[:, 5], rows[:, 8], rows[:, 9] = rows[:, 2], 0.0, rows[:, 2] + rows[:, 3]
    made = added(Accumulator(12), rows, targets, 70)
    assert made.reflected < 1500
    problem = made.finish()
    assert not problem.triangle[:, 8].any() and np.isfinite(problem.triangle).all()
    gram = problem.triangle.T @ problem.triangle
    np.testing.assert_allclose(gram, rows.T @ rows, atol=1e-11)
    np.testing.assert_allclose(problem.triangle.T @ problem.targets, rows.T @ targets, atol=1e-11)
    best = rows @ np.linalg.lstsq(rows, targets, rcond=None)[0] - targets
    found = np.linalg.lstsq(problem.triangle, problem.targets, rcond=1e-10)[0]
    assert problem.residual(found) == pytest.approx(best @ best, rel=1e-12)


def test_a_function_that_is_seen_late() -> None:
    rng = np.random.default_rng(8)
    rows, targets = rng.normal(size=(6000, 12)), rng.normal(size=6000)
    rows[:5000, [0, 7]] = 0.0
    problem = added(Accumulator(12), rows, targets, 70).finish()
    np.testing.assert_allclose(
        np.linalg.solve(problem.triangle, problem.targets),
        np.linalg.lstsq(rows, targets, rcond=None)[0],
        rtol=1e-10,
    )


def test_targets_that_functions_describe_exactly() -> None:
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(4000, 10))
    problem = added(Accumulator(10), rows, rows @ np.arange(10.0), 64).finish()
    assert problem.outside < 1e-24 * float(problem.targets @ problem.targets)
    assert added(Accumulator(10), rows, np.zeros(4000), 64).finish().outside == 0.0


@pytest.mark.parametrize("many", [0, 511, 700, 1500, 3300])
def test_going_on_from_a_state_gives_the_same_bits(many: int) -> None:
    """Also where rows are aside, waiting for reflections."""
    rows, _ = graded(4000, 20, 8, seed=10)
    rows[1000:1100] += 1e3 * np.random.default_rng(0).normal(size=(100, 20))
    targets = rows.sum(axis=1)
    whole = added(Accumulator(20), rows, targets, 25)
    begun = added(Accumulator(20), rows[:many], targets[:many], 25)
    state = {name: value.copy() for name, value in begun.state().items()}
    gone_on = added(Accumulator.restored(state), rows[many:], targets[many:], 25)
    assert gone_on.reflected == whole.reflected
    first, second = whole.finish(), gone_on.finish()
    assert first.triangle.tobytes() == second.triangle.tobytes()
    assert first.targets.tobytes() == second.targets.tobytes() and first.outside == second.outside


def test_a_state_of_an_earlier_version_is_read() -> None:
    """Then it was a triangle, with anything below its diagonal, and a block."""
    rng = np.random.default_rng(11)
    rows, targets = rng.normal(size=(2000, 9)), rng.normal(size=2000)
    all_of_it = np.column_stack([rows, targets])
    upper = np.asfortranarray(lapack.dgeqrf(all_of_it[:1536])[0][:10])
    counts, block = np.array([9, 1, 1700]), all_of_it[1536:1700]
    made = Accumulator.restored({"counts": counts, "triangle": upper, "block": block})
    made.add(rows[1700:], targets[1700:])
    problem = made.finish()
    np.testing.assert_allclose(
        np.linalg.solve(problem.triangle, problem.targets),
        np.linalg.lstsq(rows, targets, rcond=None)[0],
        rtol=1e-10,
    )
    assert problem.rows == 2000
    with pytest.raises(InputError, match="state: expected 10 columns"):
        Accumulator.restored({"counts": counts, "triangle": upper[:, :4], "block": block})


def test_what_is_written_now_is_not_mistaken_by_an_earlier_version() -> None:
    """It looks for `triangle`, and begins anew where that is missing."""
    assert "triangle" not in Accumulator(3).state()


@pytest.mark.parametrize("rows", [20, 41, 600, 3000])
def test_problems_wider_than_a_block(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acepot.fitting.problem._WIDE", 20)
    monkeypatch.setattr("acepot.fitting.problem._LEAST_ROWS", 16)
    matrix, directions = graded(max(rows, 40), 40, 6, seed=rows)
    matrix = matrix[:rows]
    found, reflected = triangle(matrix, 7)
    assert lost(found, matrix, directions) < 50
    assert rows < 3000 or reflected < 1000


def test_threads_agree_to_rounding(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from acepot.fitting.problem import Accumulator;"
        "rows = np.random.default_rng(0).normal(size=(1500, 160)) * np.logspace(0, -9, 160);"
        "rows = rows @ np.linalg.qr(np.random.default_rng(1).normal(size=(160, 160)))[0];"
        "made = Accumulator(160); made.add(rows, rows.sum(axis=1));"
        "np.savez(sys.argv[1], rows=rows, found=made.finish().triangle)"
    )
    for count in "12":
        command = [sys.executable, "-c", code, str(tmp_path / f"{count}.npz")]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": count})
    for count in "12":
        with np.load(tmp_path / f"{count}.npz") as file:
            directions = np.linalg.svd(file["rows"])[2]
            assert lost(file["found"], file["rows"], directions) < 50


def test_limits_are_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, directions = graded(4000, 20, 8, seed=12)
    monkeypatch.setattr(elimination, "_NEAR", 0.0)
    found, reflected = triangle(rows)
    assert reflected == 4000
    assert lost(found, rows, directions) < 30


def test_coefficients_do_not_have_the_rounding_of_singular_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against the normal equations in 64 bits of mantissa, refined until they stand."""
    rng = np.random.default_rng(13)
    steep = np.arange(40) < 5  # as pair functions, whose envelope grows towards small distances
    rows = graded(3000, 40, 2, seed=13)[0] * np.where(steep, 1e11, np.logspace(2, 0, 40))
    targets = rows @ (rng.normal(size=40) * np.where(steep, 1e-10, 1)) + rng.normal(size=3000)
    made = added(Accumulator(40), rows, targets, 100)
    solution = solve(made.finish(), None, BLR())
    assert solution.prior_variance is not None
    ratio = np.longdouble(solution.noise / solution.prior_variance)
    wide, right = rows.astype(np.longdouble), targets.astype(np.longdouble)
    half = solution.factor / np.sqrt(solution.noise)
    exact = solution.coefficients.astype(np.longdouble)
    for _ in range(10):
        slope = (right - wide @ exact) @ wide - ratio * exact
        step = half @ (half.T @ slope.astype(float))
        exact += step
    deviation = np.linalg.norm(solution.factor, axis=1)

    def error(coefficients: Floats) -> float:
        return float(np.max(np.abs(coefficients - exact) / deviation))

    assert np.abs(step / deviation).max() < 1e-14, "the reference stands"
    assert error(solution.coefficients) < 1e-11
    monkeypatch.setattr(blr, "_COARSE", np.inf)
    assert error(solve(made.finish(), None, BLR()).coefficients) > 1e-7
