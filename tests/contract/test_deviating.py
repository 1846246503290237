"""Deviating sums are values of sites, their deviation, and one pullback of equal adjoints."""

from functools import cache

import numpy as np
import pytest

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.deviating import DeviatingSum, DeviatingSums
from acepot.evaluate.native import NativeEvaluator, instruction_sets
from acepot.evaluate.protocol import Floats, require
from acepot.lowering import lower
from acepot.structure import Structure
from acepot.tables import Tables

#: Of the largest force or virial, and of E and σ. Measured: 4e-15.
ALLOWED = 1e-12

CASES = {
    "one element": {"elements": ("Si",), "order": 3, "degree": 9.0},
    "three elements": {"elements": ("H", "O", "Si"), "order": 3, "degree": (4.0, 4.0, 4.0)},
    "pairs and a constant": {
        "elements": ("O", "Si"), "order": 2, "degree": 6.0, "constant": True, "bonds_once": False,
    },
    "high order": {"elements": ("O", "Si"), "order": 5, "degree": (5.0, 5.0, 5.0, 4.0, 4.0)},
}  # fmt: skip


@cache
def _tables(case: str) -> Tables:
    return lower(resolve(BasisSpec(cutoff=4.3, **CASES[case])))


def _structures(tables: Tables, sizes: tuple[int, ...], seed: int = 3) -> list[Structure]:
    """Atoms at random places that are not too close, in skew cells, and one cluster."""
    rng, made = np.random.default_rng(seed), []
    for number, n in enumerate(sizes):
        side = int(np.ceil(np.cbrt(n)))
        grid = np.stack(np.meshgrid(*3 * [np.arange(side)], indexing="ij"), axis=-1)
        places = 2.4 * grid.reshape(-1, 3)[:n] + rng.normal(scale=0.12, size=(n, 3))
        shear = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
        numbers = rng.choice(tables.numbers, size=n)
        made.append(Structure(numbers, places @ shear, 2.4 * side * shear, number != 1))
    return made


def _coefficients(tables: Tables, rank: int | None = None, seed: int = 5) -> tuple[Floats, Floats]:
    rng, count = np.random.default_rng(seed), tables.functions
    return rng.normal(size=count), rng.normal(scale=0.1, size=(count, rank or count + 2))


def _expected(
    tables: Tables, structure: Structure, mean: Floats, factor: Floats, weights: Floats
) -> DeviatingSum:
    """From values and a pullback."""
    evaluator = NativeEvaluator(tables, 1)
    b = require(evaluator.values([structure]))[0].values[0][..., 0].sum(axis=0)
    seen = factor.T @ b
    sigma = float(np.linalg.norm(seen))
    slope = weights[0] * mean + weights[1] * (factor @ seen) / sigma
    equal = np.broadcast_to(slope[:, None], (len(structure), len(slope), 1))
    (pulled,) = require(evaluator.pullback([structure], [(equal,)]))
    return DeviatingSum(float(mean @ b), sigma, pulled.forces, pulled.virial)


def _assert_near(found: DeviatingSum, expected: DeviatingSum, allowed: float = ALLOWED) -> None:
    assert found.error is None
    assert found.product == pytest.approx(expected.product, rel=allowed, abs=allowed)
    assert found.sigma == pytest.approx(expected.sigma, rel=allowed)
    scale = max(abs(expected.forces).max(), abs(expected.virial).max())
    assert abs(found.forces - expected.forces).max() < allowed * scale
    assert abs(found.virial - expected.virial).max() < allowed * scale


@pytest.mark.parametrize("case", CASES)
def test_they_are_values_and_one_pullback(case: str) -> None:
    tables = _tables(case)
    structures = _structures(tables, (6, 9, 1, 23))
    weights = np.array([[1.0, -2.0], [1.0, 0.5], [0.3, 1.0], [0.0, 1.0]])
    for rank in (None, 7):
        mean, factor = _coefficients(tables, rank)
        sums = DeviatingSums(mean, factor)
        assert sums.triangular == (rank is None)
        expected = [
            _expected(tables, s, mean, factor, w) for s, w in zip(structures, weights, strict=True)
        ]
        for isa in instruction_sets():
            for threads in (1, 3):
                evaluator = NativeEvaluator(tables, threads, isa)
                for _ in range(2):  # the second one with what the first has left
                    found = evaluator.deviating_sums(structures, sums, weights)
                    for one, other in zip(found, expected, strict=True):
                        _assert_near(one, other)


def test_more_atoms_than_are_kept_between_the_passes() -> None:
    tables = _tables("pairs and a constant")
    (structure,) = _structures(tables, (1331,))
    mean, factor = _coefficients(tables)
    weights = np.array([1.0, -1.0])
    expected = _expected(tables, structure, mean, factor, weights)
    for threads in (1, 2):
        evaluator = NativeEvaluator(tables, threads)
        (found,) = evaluator.deviating_sums([structure], DeviatingSums(mean, factor), weights[None])
        _assert_near(found, expected)


@pytest.mark.parametrize("precision", ["mixed", "single"])
def test_other_precisions_differ_by_their_rounding(precision: str) -> None:
    tables = _tables("three elements")
    (structure,) = _structures(tables, (30,))
    mean, factor = _coefficients(tables)
    weights = np.array([1.0, -1.0])
    evaluator = NativeEvaluator(tables, 1, precision=precision)
    (found,) = evaluator.deviating_sums([structure], DeviatingSums(mean, factor), weights[None])
    _assert_near(found, _expected(tables, structure, mean, factor, weights), 2e-4)


def test_no_number_depends_on_what_else_is_in_a_call() -> None:
    tables = _tables("three elements")
    structures = _structures(tables, (7, 5, 18, 6))
    sums = DeviatingSums(*_coefficients(tables))
    weights = np.random.default_rng(2).normal(size=(4, 2))
    evaluator = NativeEvaluator(tables, 1)
    together = evaluator.deviating_sums(structures, sums, weights)
    for k, found in enumerate(together):
        (alone,) = evaluator.deviating_sums(structures[k : k + 1], sums, weights[k : k + 1])
        assert (found.product, found.sigma) == (alone.product, alone.sigma)
        assert np.array_equal(found.forces, alone.forces)
        assert np.array_equal(found.virial, alone.virial)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_cannot_be_evaluated_stops_no_other(place: int) -> None:
    tables = _tables("one element")
    good = _structures(tables, (11, 13))
    close = np.array(good[0].positions)
    close[7] = close[2] + 1e-3
    sums, weights = DeviatingSums(*_coefficients(tables)), np.tile([1.0, -1.0], (3, 1))
    for bad in (
        Structure(good[0].numbers, close, good[0].cell, True),
        Structure([8], np.zeros((1, 3)), name="oxygen"),
    ):
        for threads in (1, 2):
            evaluator = NativeEvaluator(tables, threads)
            given = [*good[:place], bad, *good[place:]]
            found = evaluator.deviating_sums(given, sums, weights)
            refused = found.pop(place)
            assert refused.error is not None and np.isnan(refused.sigma)
            assert np.isnan(refused.forces).all() and np.isnan(refused.virial).all()
            expected = NativeEvaluator(tables, 1).deviating_sums(good, sums, weights[:2])
            for one, other in zip(found, expected, strict=True):
                _assert_near(one, other)


def test_without_a_deviation_there_is_no_slope() -> None:
    tables = _tables("one element")
    (structure,) = _structures(tables, (8,))
    mean, factor = _coefficients(tables)
    evaluator = NativeEvaluator(tables, 1)
    sure = DeviatingSums(mean, 0.0 * factor)
    plain, biased = (
        evaluator.deviating_sums([structure], sure, np.array([[1.0, w]]))[0] for w in (0.0, 3.0)
    )
    assert plain.sigma == 0.0 and np.array_equal(plain.forces, biased.forces)


def test_wrong_arrays_are_refused() -> None:
    tables = _tables("one element")
    structures = _structures(tables, (4, 4))
    mean, factor = _coefficients(tables)
    evaluator, sums = NativeEvaluator(tables, 1), DeviatingSums(mean, factor)
    with pytest.raises(InputError, match=r"finite numbers of shape \(2, 2\)"):
        evaluator.deviating_sums(structures, sums, np.ones((1, 2)))
    with pytest.raises(InputError, match=r"finite numbers of shape \(2, 2\)"):
        evaluator.deviating_sums(structures, sums, np.full((2, 2), np.nan))
    short = DeviatingSums(mean[1:], factor[1:])
    with pytest.raises(InputError, match=f"mean: expected {tables.functions} numbers, got"):
        evaluator.deviating_sums(structures, short, np.ones((2, 2)))
    assert evaluator.deviating_sums([], sums, np.ones((0, 2))) == []
