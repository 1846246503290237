"""Short runs of systems whose thermodynamics is known; benchmarks/nested_exact.py has long ones.

Walks are long enough for a clone to leave its parent in its first: where many walkers still lie
beside their parents the highest of them is too low, and ln Z too large.
"""

from __future__ import annotations

import exact_cases as cases
import numpy as np
import pytest
from exact_cases import Case, Found


def check(case: Case, found: Found, betas: slice = slice(None)) -> None:
    """Every number within four standard deviations of one run, which are not large."""
    away = (np.abs(found.mean - case.exact) / found.error)[:, betas]
    assert not (away > 4).any(), away
    assert (found.error[:, betas, 0] < 1.5).all(), found.error


@pytest.mark.parametrize("shape", ["fixed", pytest.param("free", marks=pytest.mark.slow)])
def test_an_ideal_gas(shape: str) -> None:
    case = cases.ideal_gas(shape)
    found = case.run(1, 30, 8 * (16 if shape == "fixed" else 24), batch=8, coldest=1.0)
    check(case, found, slice(0, 2))


def test_an_ideal_gas_from_a_prior_without_weight_of_the_volume() -> None:
    """ln Z is that of V^N after reweighting: the spread of the weights makes it less sure."""
    case = cases.ideal_gas(flat=True)
    found = case.run(2, 120, 64, batch=16)
    check(case, found)


def test_a_harmonic_system() -> None:
    case = cases.harmonic()
    check(case, case.run(0, 40, 16 * 16, batch=16))


def test_a_walk_that_does_not_move_gives_wrong_answers() -> None:
    """So that the test above is one of mixing: ln Z is off by far more than its error."""
    case = cases.harmonic()
    found = case.run(0, 30, 16 * 8, batch=16, each=cases.stuck, interval=0, coldest=1.0)
    with pytest.raises(AssertionError):
        check(case, found, slice(0, 2))
    assert found.mean[0, 1, 0] < case.exact[0, 1, 0] - 10


@pytest.mark.parametrize(("batch", "length"), [(1, 30), (16, 64)])
def test_one_atom_and_its_images(batch: int, length: int) -> None:
    case = cases.one_atom()
    check(case, case.run(3, 30, length, batch=batch))


@pytest.mark.parametrize("exchange", [0, 1])
def test_two_particles_on_a_line_at_three_pressures(exchange: int) -> None:
    """With replica exchange nothing changes.

    At the lowest temperature few walkers decide between the two periods: that is for long runs.
    """
    case = cases.line()
    found = case.run(5, 30, 8 * 24, batch=8, exchange=exchange, coldest=0.4)
    check(case, found, slice(0, 2))


def test_six_atoms() -> None:
    """The peak of the heat capacity, 44.5 near kT = 0.35 (reference by parallel tempering).

    Where it is steepest, the error of <U> of one run of 48 walkers is near 0.8.
    """
    case = cases.six_atoms()
    found = case.run(1, 48, 16 * 16, batch=16, coldest=0.28).mean[0, 7:]
    exact = case.exact[0, 7:]
    assert (np.abs(found[:, 1] - exact[:, 1]) < 2.0).all(), found[:, 1]
    assert 30 < found[:, 2].max() < 60
    assert 0.28 < 1 / case.betas[7:][found[:, 2].argmax()] < 0.41
