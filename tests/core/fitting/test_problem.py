"""The streamed QR decomposition against the rows it stands for."""

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.fitting.problem import Accumulator, Problem, joined


def _stream(rows, targets, chunks):
    accumulator = Accumulator(rows.shape[1])
    for part in np.array_split(np.arange(len(rows)), chunks):
        accumulator.add(rows[part], targets[part])
    return accumulator.finish()


@pytest.mark.parametrize(
    ("count", "columns", "chunks"),
    [
        (1, 1, 1), (3, 7, 2), (7, 7, 1), (8, 7, 3), (512, 9, 4), (513, 9, 1), (600, 7, 601),
        (3000, 20, 7), (511, 512, 3), (512, 511, 5), (512, 512, 1), (513, 512, 2), (1400, 600, 9),
    ],
)  # fmt: skip
def test_triangle_stands_for_the_rows(count, columns, chunks):
    rng = np.random.default_rng(count + columns)
    rows, targets = rng.normal(size=(count, columns)), rng.normal(size=count)
    problem = _stream(rows, targets, chunks)
    used = min(count, columns)
    assert problem.triangle.shape == (used, columns) and problem.targets.shape == (used,)
    assert problem.rows == count and problem.columns == columns
    assert np.array_equal(problem.triangle, np.triu(problem.triangle))
    scale = np.sqrt(count)
    gram = problem.triangle.T @ problem.triangle
    np.testing.assert_allclose(gram, rows.T @ rows, atol=1e-12 * scale**2)
    np.testing.assert_allclose(
        problem.triangle.T @ problem.targets, rows.T @ targets, atol=1e-12 * scale**2
    )
    total = problem.targets @ problem.targets + problem.outside
    np.testing.assert_allclose(total, targets @ targets, rtol=1e-12)
    trial = rng.normal(size=columns)
    np.testing.assert_allclose(
        problem.residual(trial), np.sum((rows @ trial - targets) ** 2), rtol=1e-11
    )


def test_accuracy_is_that_of_the_rows_not_of_their_square():
    rng = np.random.default_rng(4)
    left = np.linalg.qr(rng.normal(size=(2000, 30)))[0]
    right = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    rows = left * np.logspace(0, -11, 30) @ right
    singular = np.linalg.svd(_stream(rows, np.zeros(2000), 5).triangle, compute_uv=False)
    np.testing.assert_allclose(singular, np.logspace(0, -11, 30), rtol=1e-3)


def test_zero_columns_stay_exactly_zero():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(1500, 6))
    rows[:, [1, 4]] = 0
    triangle = _stream(rows, rng.normal(size=1500), 4).triangle
    assert not triangle[:, [1, 4]].any()


def test_rows_may_follow_after_finish():
    rng = np.random.default_rng(6)
    rows, targets = rng.normal(size=(1100, 5)), rng.normal(size=1100)
    accumulator = Accumulator(5)
    accumulator.add(rows[:700], targets[:700])
    first = accumulator.finish()
    accumulator.add(rows[700:], targets[700:])
    second = accumulator.finish()
    trial = np.ones(5)
    assert first.residual(trial) == pytest.approx(np.sum((rows[:700] @ trial - targets[:700]) ** 2))
    assert second.residual(trial) == pytest.approx(np.sum((rows @ trial - targets) ** 2))


def test_inputs_are_unchanged_and_may_have_any_layout():
    rng = np.random.default_rng(7)
    rows, targets = np.asfortranarray(rng.normal(size=(900, 4))), rng.normal(size=900)
    kept = rows.copy()
    accumulator = Accumulator(4)
    accumulator.add(rows[::2], targets[::2])
    accumulator.add(rows[1::2].astype(np.float32).tolist(), targets[1::2])
    accumulator.finish()
    np.testing.assert_array_equal(rows, kept)


def test_bad_rows_are_refused():
    accumulator = Accumulator(2)
    with pytest.raises(InputError, match=r"no rows to fit"):
        accumulator.finish()
    with pytest.raises(InputError, match=r"expected shapes \(m, 2\) and \(m,\), got \(1, 3\)"):
        accumulator.add(np.zeros((1, 3)), [0.0])
    with pytest.raises(InputError, match=r"rows at index \(1, 0\) is nan"):
        accumulator.add([[1, 2], [np.nan, 0]], [0.0, 0.0])
    with pytest.raises(InputError, match=r"targets at index \(0,\) is inf"):
        accumulator.add([[1, 2]], [np.inf])
    with pytest.raises(InputError, match=r"columns: expected 1 or more"):
        Accumulator(0)


@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("rows", [7, 29, 31, 512, 513, 1300])
def test_wide_problems_are_compressed_in_short_blocks(
    rows: int, dependent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns that are zero or the same as others included, where rows are few."""
    rng = np.random.default_rng(3)
    matrix, targets = rng.normal(size=(rows, 30)), rng.normal(size=rows)
    if dependent:
        matrix[:, [0, 4, 5]], matrix[:, 7] = 0.0, matrix[:, 6]

    def compressed() -> Problem:
        made = Accumulator(30)
        for start in range(0, rows, 70):
            made.add(matrix[start : start + 70], targets[start : start + 70])
        return Accumulator.restored(made.state()).finish()

    square = compressed()
    monkeypatch.setattr("acepot.fitting.problem._WIDE", 20)
    wide = compressed()
    assert wide.rows == rows
    c = rng.normal(size=30)
    expected = float(np.sum((matrix @ c - targets) ** 2))
    assert wide.residual(c) == pytest.approx(expected, rel=1e-12)
    if not dependent:  # else rows without a diagonal element may hold parts of it
        assert wide.outside == pytest.approx(square.outside, rel=1e-10, abs=1e-20)
    both = joined([wide, wide], [1.0, 0.5])
    assert both.residual(c) == pytest.approx(1.25 * expected, rel=1e-12)
