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


def test_moved_atoms_are_those_of_a_new_structure_without_labels() -> None:
    one = Structure(
        [1, 8], np.eye(3)[:2], 4.0 * np.eye(3), True, energy=1.0, forces=np.zeros((2, 3)),
        labels={"dipole": np.zeros(3)}, charge=1.0,
    )  # fmt: skip
    places, cell = np.eye(3)[1:] + 0.1, 5.0 * np.eye(3)
    other = one.moved(places, cell)
    assert np.array_equal(other.positions, places) and np.array_equal(other.cell, cell)
    assert other.energy is other.forces is None and other.labels == {}
    assert other.charge == 1.0  # it is no label: it says which system this is
    assert one.energy == 1.0 and np.array_equal(one.positions, np.eye(3)[:2])
    assert not other.positions.flags.writeable
    with pytest.raises(InputError, match=r"positions: expected shape \(2, 3\)"):
        one.moved(np.eye(3))
    with pytest.raises(InputError, match="span no volume"):
        one.moved(places, np.zeros((3, 3)) + np.eye(3)[0])
