"""Strange surroundings, stretched bonds above all."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import InputError
from acepot.model import Model
from acepot.structure import Structure
from acepot.uncertainty.extrapolation import ActiveSet, SiteFunctions
from acepot.uncertainty.surroundings import LIMIT, Surroundings

DATA = Path(__file__).parents[3] / "examples" / "data"


def _functions(elements: tuple[str, ...], cutoff: float = 4.5) -> SiteFunctions:
    spec = acepot.resolve(
        acepot.BasisSpec(elements=elements, order=3, degree=(9, 7, 6), cutoff=cutoff)
    )
    size = acepot.basis_size(spec)["total"]
    return SiteFunctions.of_model(Model(spec, np.zeros(size), np.zeros(len(elements))), threads=1)


def _dimer(numbers: tuple[int, int], length: float) -> Structure:
    return Structure(numbers, [[0.0, 0, 0], [0.6 * length, 0.8 * length, 0]])


@pytest.fixture(scope="module")
def silicon() -> tuple[list[Structure], list[Structure]]:
    structures, _ = acepot.read_structures(DATA / "Si_test.extxyz.xz")
    return structures[::2], structures[1::2]


def test_a_stretched_dimer_is_strange_at_every_length(silicon) -> None:
    functions = _functions(("Si",))
    data, others = silicon
    known = Surroundings.of(functions, data)
    lengths = np.append(np.arange(2.4, 4.5, 0.05), [4.499, 4.6, 9.0])
    dimers = [_dimer((14, 14), r) for r in lengths]
    assert min(g.min() for g in known.grades(dimers)) > LIMIT
    # Plain grades say that long bonds are nothing new; that is what this is for.
    plain = ActiveSet.chosen(functions, data).grades(functions, dimers)
    assert min(g.max() for g in plain) < 0.1
    frames = [g.max() for g in known.grades(others)]
    assert np.mean(np.array(frames) < LIMIT) > 0.9


def _molecules(count: int, seed: int) -> list[Structure]:
    """Water-like and silane-like molecules, shaken."""
    rng = np.random.default_rng(seed)
    shapes = (
        ([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
        ([14, 1, 1, 8], [[0, 0, 0], [1.4, 0.3, 0], [-0.4, 1.4, 0], [-0.6, -0.8, 1.2]]),
    )
    made = []
    for numbers, places in (shapes[k % 2] for k in range(count)):
        shaken = np.array(places) + rng.normal(scale=0.06, size=(len(numbers), 3))
        made.append(Structure(numbers, shaken))
    return made


@pytest.mark.parametrize("pair", [(a, b) for a, b in product((1, 8, 14), repeat=2) if a <= b])
def test_a_stretched_dimer_of_every_pair_of_elements_is_strange(pair: tuple[int, int]) -> None:
    known = Surroundings.of(_functions(("H", "O", "Si")), _molecules(60, 0))
    dimers = [_dimer(pair, r) for r in np.arange(1.9, 4.8, 0.1)]
    assert min(g.max() for g in known.grades(dimers)) > LIMIT


def test_atoms_of_the_data_are_familiar() -> None:
    data = _molecules(60, 0)
    known = Surroundings.of(_functions(("H", "O", "Si")), data)
    assert max(g.max() for g in known.grades(data)) <= 1.01 * (1 + 1e-6)


def test_a_bond_that_the_data_have_is_familiar_and_a_free_atom_where_they_have_one() -> None:
    functions = _functions(("Si",))
    lengths = np.arange(2.0, 4.4, 0.02)
    data = [_dimer((14, 14), r) for r in lengths]
    alone = Structure([14], [[0.0, 0, 0]])
    known, bound = Surroundings.of(functions, [*data, alone]), Surroundings.of(functions, data)
    between = [_dimer((14, 14), r) for r in lengths[:-1] + 0.01]
    assert max(g.max() for g in known.grades(between)) < 1.2
    assert known.grades([alone])[0] == [0.0] and bound.grades([alone])[0] == [np.inf]


def test_grades_are_unchanged_by_rotation(silicon) -> None:
    known = Surroundings.of(_functions(("Si",)), silicon[0])
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    s = silicon[1][0]
    moved = Structure(s.numbers, s.positions @ turn, s.cell @ turn, s.pbc)
    one, other = known.grades([s, moved])
    assert other == pytest.approx(one, rel=1e-5)


def test_without_data_nothing_is_familiar() -> None:
    with pytest.raises(InputError, match="structures: expected at least one"):
        Surroundings.of(_functions(("Si",)), [])
    known = Surroundings.of(_functions(("O", "Si")), [_dimer((14, 14), r) for r in (2.2, 2.4)])
    grades = known.grades([_dimer((8, 14), 1.6)])[0]
    assert grades[0] == np.inf
