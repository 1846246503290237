"""Short runs of systems whose thermodynamics is known; benchmarks/nested_exact.py has long ones."""

from __future__ import annotations

import exact_cases as cases
import numpy as np
import pytest
from exact_cases import Case


def errors(case: Case, walkers: int) -> np.ndarray:
    """Standard deviation of ln Z of one run, √(D/K) with D = -ln Z - <H>/kT, shape (R, betas)."""
    d = -case.exact[..., 0] - case.betas * case.exact[..., 1]
    return np.sqrt(np.maximum(d, 0.5) / walkers)


def check(case: Case, found: np.ndarray, walkers: int, betas: slice, part: float) -> None:
    """Every ln Z within three standard deviations, all else within a part of itself."""
    away = np.abs(found - case.exact)[:, betas]
    assert (away[..., 0] < 3 * errors(case, walkers)[:, betas]).all(), found[..., 0]
    wrong = away[..., 1:] > part * np.maximum(np.abs(case.exact[:, betas, 1:]), 0.5)
    assert not wrong.any(), found


@pytest.mark.parametrize("shape", ["fixed", "free"])
def test_an_ideal_gas(shape: str) -> None:
    case = cases.ideal_gas(shape)
    found = case.run(1, 30, 16 * 6, batch=16, coldest=1.0)
    check(case, found, 30, slice(0, 2), 0.35)


def test_an_ideal_gas_from_a_prior_without_weight_of_the_volume() -> None:
    """ln Z is that of V^N after reweighting: the spread of the weights makes it less sure."""
    case = cases.ideal_gas(flat=True)
    found = case.run(2, 120, 64, batch=16)
    assert (np.abs(found - case.exact)[0, :, 0] < 1.0).all()
    np.testing.assert_allclose(found[0, :, 1:], case.exact[0, :, 1:], rtol=0.35)


def test_a_harmonic_system() -> None:
    case = cases.harmonic()
    check(case, case.run(0, 40, 16 * 16, batch=16), 40, slice(None), 0.35)


def test_a_walk_that_does_not_move_gives_wrong_answers() -> None:
    """So that the test above is one of mixing: ln Z is off by far more than its error."""
    case = cases.harmonic()
    found = case.run(0, 30, 16 * 8, batch=16, each=cases.stuck, interval=0, coldest=1.0)
    assert (found[0, :2, 0] < case.exact[0, :2, 0] - 4 * errors(case, 30)[0, :2]).all()


@pytest.mark.parametrize(("batch", "length"), [(1, 30), (16, 64)])
def test_one_atom_and_its_images(batch: int, length: int) -> None:
    case = cases.one_atom()
    check(case, case.run(3, 30, length, batch=batch), 30, slice(None), 0.35)


@pytest.mark.parametrize("exchange", [0, 1])
def test_two_particles_on_a_line_at_three_pressures(exchange: int) -> None:
    """With replica exchange nothing changes."""
    case = cases.line()
    found = case.run(5, 30, 16 * 8, batch=16, exchange=exchange)
    check(case, found, 30, slice(None), 0.45)


def test_six_atoms() -> None:
    """The peak of the heat capacity, 44.5 near kT = 0.35 (reference by parallel tempering).

    Where it is steepest, the error of <U> of one run of 48 walkers is near 0.8.
    """
    case = cases.six_atoms()
    found = case.run(1, 48, 16 * 16, batch=16, coldest=0.28)[0, 7:]
    exact = case.exact[0, 7:]
    assert (np.abs(found[:, 1] - exact[:, 1]) < 2.0).all(), found[:, 1]
    assert 30 < found[:, 2].max() < 60
    assert 0.28 < 1 / case.betas[7:][found[:, 2].argmax()] < 0.41
