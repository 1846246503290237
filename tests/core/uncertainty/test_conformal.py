"""Intervals from errors of other structures."""

from __future__ import annotations

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.uncertainty.conformal import held, likely_scale, widths


def test_errors_that_are_not_normal_have_intervals_that_hold() -> None:
    """Laplace's have more large ones: normal intervals of 68 % hold for 76 % of them."""
    rng = np.random.default_rng(3)
    sigmas = [rng.uniform(0.5, 2, 800) for _ in range(30)]
    errors = [rng.laplace(scale=3 * s) for s in sigmas]
    for level, part in held(errors, sigmas).items():
        assert part == pytest.approx(level, abs=0.01)
    for level, width in widths(errors, sigmas).items():
        assert width == pytest.approx(-3 * np.log(1 - level), rel=0.05)
    assert likely_scale(errors, sigmas) == pytest.approx(3 * np.sqrt(2), rel=0.02)


def test_a_structure_is_judged_by_the_others() -> None:
    sigmas = [np.ones(100), np.ones(100)]
    found = held([np.linspace(0, 1, 100), np.full(100, 9.0)], sigmas)
    assert found == {0.68: 0.5, 0.9: 0.5, 0.95: 0.5}
    assert held([np.linspace(0, 1, 101)], [np.ones(101)])[0.9] == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("sigmas", [[], [np.zeros(2)]])
def test_deviations_must_be_there(sigmas: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="above 0"):
        widths([np.ones(len(s)) for s in sigmas], sigmas)
