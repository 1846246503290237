"""What is fitted when: adding in turn is adding one after the other, to the last bit."""

import numpy as np
import pytest
from hal_cases import lennard_jones

import acepot
from acepot.structure import Structure


@pytest.mark.parametrize("solver", ["blr", "qr"])
def test_parts_added_in_turn_are_parts_added_one_after_the_other(solver):
    random = np.random.default_rng(0)
    places = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) * 3.5
    data = [
        lennard_jones(
            Structure([18] * 4, places + 0.1 * random.normal(size=(4, 3)), 3.5 * np.eye(3), True)
        )
        for _ in range(9)
    ]
    how = {"threads": 1, "e0": {"Ar": 0.0}, "solver": solver, "accept_labels": True}
    first = acepot.fit(data[:4], {"order": 2, "degree": 5, "cutoff": 4.0}, **how)
    one = first.add(data[4:6]).add(data[6:7]).add(data[7:])
    turn = first.add_in_turn([data[4:6], data[6:7], data[7:]])
    assert np.array_equal(one.solution.coefficients, turn.solution.coefficients)
    assert np.array_equal(one.solution.factor, turn.solution.factor)
    assert len(turn.train) == 9 and len(first.train) == 4
