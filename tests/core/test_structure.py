"""Structure: absurd cells are refused where they enter."""

import numpy as np
import pytest

from acepot import Structure
from acepot.errors import InputError


@pytest.mark.parametrize("length", [1e8, 1e121, 1e160, 1e300])
@pytest.mark.parametrize("pbc", [True, (True, False, False), (False, True, True)])
def test_cells_beyond_the_reach_of_the_evaluators_are_refused(length, pbc):
    cell = np.diag([length] * 3)
    cell[1, 0] = cell[2, 1] = 1.0
    with pytest.raises(InputError, match="cell: expected vectors shorter than 1e"):
        Structure([14], [[0, 0, 0]], cell, pbc)


@pytest.mark.parametrize("length", [0.0, 1e-200, 1e-320])
def test_cells_without_volume_are_refused(length):
    with pytest.raises(InputError, match="span no volume"):
        Structure([14], [[0, 0, 0]], np.diag([4.0, 4.0, length]), True)
