"""Nothing a user gives becomes another number on its way into an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.arrays import booleans, floats, integers
from acepot.errors import InputError

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
PLACES = [[0.0, 0.0, 0.0], [1.5, 1.5, 1.5]]
MASKED = np.ma.masked_array([1.0, 2.0], mask=[True, False])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([1 + 1j]), "complex"),
        ([1 + 0j], "complex"),
        (["1.0"], "text"),
        (b"1", "text"),
        (np.zeros(2, "M8[s]"), "dates"),
        (MASKED, "masked"),
        (np.ma.masked, "masked"),
        ([1.0, None], "'None'"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous"),
        (np.array([1.0, "a"], dtype=object), "'a'"),
        ([True], "truth values"),
        ({1: 2}, "{1: 2}"),
    ],
)
def test_what_is_no_real_number_is_refused(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"x: expected.*{words}"):
        floats("x", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0), ([1, 2], [1.0, 2.0]), (np.float32(0.5), 0.5), (np.array([1], np.uint8), [1.0]),
        (np.array([1, 2.5], dtype=object), [1.0, 2.5]), (np.ma.masked_array([1.0], [False]), [1.0]),
        (np.inf, np.inf), (np.longdouble("1e400"), np.inf), (np.longdouble(0.5), 0.5),
    ],
)  # fmt: skip
def test_real_numbers_of_any_type_are_read(value: Any, expected: Any) -> None:
    found = floats("x", value)
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)
    assert found is not value


@pytest.mark.parametrize(
    "value", [14.5, np.nan, [2.0**60], True, "14", np.array([2**64 - 1], np.uint64), [1j], 10**30]
)
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="x: expected"):
        integers("x", value)


def test_whole_numbers_of_any_type_are_read() -> None:
    for value in ([14, 15], np.array([14.0, 15.0]), np.array([14, 15], np.uint64), (14, 15)):
        assert integers("x", value).tolist() == [14, 15]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("FFF", [False] * 3), ("TTF", [True, True, False]), ("T F T", [True, False, True]),
        ("True False T", [True, False, True]), ("F", False), ("true", True),
        (["F", "F", "T"], [False, False, True]), (np.array(["T", "F"]), [True, False]),
        ([b"T", b"F"], [True, False]), ([0, 1], [False, True]), (1.0, True), (True, True),
        (np.array([True, False], dtype=object), [True, False]),
    ],
)  # fmt: skip
def test_truth_is_read_as_it_is_written(value: Any, expected: Any) -> None:
    found = booleans("pbc", value)
    assert found.dtype == np.bool_
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("value", [np.nan, 2, [0, 2], "TXF", ["yes"], None, [None, True], "", 0.5])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="pbc: expected"):
        booleans("pbc", value)


def test_structures_take_nothing_else() -> None:
    cell = 3 * np.eye(3)
    assert not Structure([14, 14], PLACES, cell, "FFF").pbc.any()
    assert not Structure([14, 14], PLACES, cell, fixed=["F", "F"]).fixed.any()  # type: ignore[union-attr]
    for wrong in (
        {"pbc": np.nan}, {"energy": 1e101}, {"energy": "1.0"}, {"energy": np.ma.masked},
        {"forces": np.full((2, 3), 1e200)}, {"numbers": [14.5, 14]}, {"numbers": ["14", "14"]},
        {"positions": np.array(PLACES) + 1j}, {"charge": 1j}, {"virial": [["0"] * 3] * 3},
        {"positions": np.ma.masked_array(PLACES, np.eye(3)[:2])}, {"labels": {"dipole": ["a"]}},
    ):  # fmt: skip
        given: dict[str, Any] = {"numbers": [14, 14], "positions": PLACES, "cell": cell, **wrong}
        with pytest.raises(InputError):
            Structure(**given)


def test_bound_potentials_take_nothing_else() -> None:
    bound = acepot.Potential(acepot.load(SILICON)).bind([14, 14], "FFF")
    exact = bound.compute(np.array(PLACES), np.eye(3)).energy
    single = bound.compute(np.array(PLACES, dtype=np.float32), np.eye(3, dtype=int))
    assert single.energy == exact
    for positions in (np.array(PLACES) + 0j, np.ma.masked_array(PLACES, np.eye(3)[:2])):
        with pytest.raises(InputError, match="positions: expected"):
            bound.compute(positions, np.eye(3))
