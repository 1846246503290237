"""Structures: known crystals get their names, quenching finds the minimum it must find."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from acepot import Potential, Structure, load
from acepot.errors import InputError, MissingDependency
from acepot.sampling.analysis.phases import Label, label, require_packages, tally
from acepot.sampling.analysis.quench import _Search, quench

MODEL = Path(__file__).parents[4] / "models" / "Si-mlearn" / "model.acepot"

FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
BCC = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])
HCP = np.array([[1.0, 0.0, 0.0], [-0.5, np.sqrt(0.75), 0.0], [0.0, 0.0, np.sqrt(8 / 3)]])
ORIGIN = np.zeros((1, 3))
CORNERS = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
LAYERS = np.array([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
PAIR = np.array([[0.0, 0.0, 0.0], [0.25, 0.25, 0.25]])

#: Cell, fractions, numbers and what they are. Q of Voronoi cells: Mickel et al. (2013) for fcc and
#: hcp; bcc by the areas of the 8 hexagons and 6 squares of a truncated octahedron, below.
CRYSTALS = {
    "fcc": (3.6 * FCC, ORIGIN, [29], 225, 0.19094, 0.57452),
    "bcc": (3.2 * BCC, ORIGIN, [74], 229, None, None),
    "hcp": (3.0 * HCP, LAYERS, [12, 12], 194, 0.09722, 0.48476),
    "simple cubic": (3.3 * np.eye(3), ORIGIN, [84], 221, np.sqrt(7 / 12), np.sqrt(1 / 8)),
    "diamond": (5.43 * FCC, PAIR, [14, 14], 227, None, None),
    "B3 (zincblende)": (5.65 * FCC, PAIR, [31, 33], 216, None, None),
    "B1 (rock salt)": (5.64 * FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], [11, 17], 225, None, None),
    "B2 (CsCl)": (3.1 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [42, 73], 221, None, None),
    "L1_2 (Cu3Au)": (3.7 * np.eye(3), CORNERS, [79, 29, 29, 29], 221, 0.19094, 0.57452),
}  # fmt: skip


def _crystal(name: str) -> Structure:
    """Another cell of the same lattice, turned, atoms far outside of it."""
    cell, fractions, numbers = CRYSTALS[name][:3]
    turned, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    positions = (np.array(fractions) + [[3.0, -2.0, 0.3]]) @ cell @ turned
    sheared = np.array([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [-1.0, 1.0, 1.0]])
    return Structure(numbers, positions, sheared @ cell @ turned, True, name=name)


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_known_crystal_gets_its_name(name: str) -> None:
    pytest.importorskip("freud")
    pytest.importorskip("spglib")
    *_, number, q4, q6 = CRYSTALS[name]
    found = label(_crystal(name), 0.01)
    assert found.space_group == number
    assert found.prototype == name and found.name == f"{name}, {found.symbol}"
    for value, exact in ((found.q4, q4), (found.q6, q6)):
        if exact is not None:
            assert value == pytest.approx(exact, abs=1e-4)


def test_bond_order_of_bcc_is_that_of_a_truncated_octahedron() -> None:
    """By the sum over its faces with P_l of all their angles, 8 hexagons and 6 squares."""
    pytest.importorskip("freud")
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    normals = np.concatenate([signs / np.sqrt(3), np.eye(3), -np.eye(3)])
    areas = np.repeat([1.5 * np.sqrt(3), 1.0], [8, 6])
    cosines, weights = normals @ normals.T, np.outer(areas, areas) / areas.sum() ** 2
    found = label(_crystal("bcc"), 0.01)
    for value, degree in ((found.q4, 4), (found.q6, 6)):
        legendre = np.polynomial.Legendre.basis(degree)(cosines)
        assert value == pytest.approx(np.sqrt((weights * legendre).sum()), abs=1e-4)


def test_a_disordered_cell_has_no_name() -> None:
    pytest.importorskip("freud")
    pytest.importorskip("spglib")
    rng = np.random.default_rng(1)
    found = label(Structure([14] * 8, 6.0 * rng.random((8, 3)), 6.0 * np.eye(3), True))
    assert found.name == "disordered" and found.volume == pytest.approx(27.0)


def test_what_cannot_be_labelled_is_refused() -> None:
    pytest.importorskip("freud")
    pytest.importorskip("spglib")
    with pytest.raises(InputError, match="expected a structure periodic in all directions"):
        label(Structure([14], [[0, 0, 0]]))
    with pytest.raises(InputError, match="tolerance: expected more than 0 Å, got 0"):
        label(_crystal("fcc"), 0.0)
    close = Structure([14, 14], [[0, 0, 0], [0.01, 0, 0]], 5 * np.eye(3), True, name="close")
    with pytest.raises(InputError, match="close: spglib finds no space group within 0.5 Å"):
        label(close, 0.5)


@pytest.mark.parametrize("package", ["spglib", "freud"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("freud")
    pytest.importorskip("spglib")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=r"pip install acepot\[sampling\]"):
        require_packages()


def test_shares_of_labels_add_up() -> None:
    solid = Label(227, "Fd-3m", "diamond", 0.5, 0.4, 20.0)
    liquid = Label(1, "P1", "", 0.3, 0.4, 18.0)
    phase = tally(300.0, [(liquid, 1.0), (solid, 2.0), (solid, 1.0)])
    assert phase.names == {"diamond, Fd-3m": 0.75, "disordered": 0.25}
    assert phase.q4 == pytest.approx((0.45, np.sqrt(0.75 * 0.05**2 + 0.25 * 0.15**2)))
    assert phase.volume[0] == pytest.approx(19.5) and phase.configurations == 3


# ------------------------------------------------------------------ quenching


@pytest.fixture(scope="module")
def silicon() -> Potential:
    return Potential(load(MODEL), threads=1)


def _shaken() -> Structure:
    """Diamond silicon of 8 atoms in an odd cell, displaced and strained."""
    rng = np.random.default_rng(3)
    cell = np.diag([1.0, 2.0, 2.0]) @ FCC * 5.5
    places = np.array([[0, i, j] for i in range(2) for j in range(2)])
    positions = (PAIR[None] + places[:, None]).reshape(-1, 3) @ FCC * 5.5
    strain = np.eye(3) + 0.03 * rng.normal(size=(3, 3))
    return Structure([14] * 8, positions + 0.15 * rng.normal(size=(8, 3)), cell @ strain, True)


@pytest.mark.parametrize("pressure", [0.0, 0.05])
def test_shaken_silicon_is_quenched_to_diamond(silicon: Potential, pressure: float) -> None:
    pytest.importorskip("freud")
    pytest.importorskip("spglib")
    start = _shaken()
    assert label(start).name == "disordered"
    found = quench(silicon, start, pressure)
    assert found.converged and label(found.structure, 0.02).name == "diamond, Fd-3m"
    result = silicon.compute(found.structure)
    volume = found.structure.volume
    assert found.enthalpy == pytest.approx(result.energy + pressure * volume, abs=1e-9)
    assert abs(result.forces).max() < 2e-3
    np.testing.assert_allclose(result.virial / volume, pressure * np.eye(3), atol=2e-4)


def test_slopes_of_the_enthalpy_are_its_derivatives(silicon: Potential) -> None:
    search = _Search(silicon, _shaken(), 0.05)
    x = 0.05 * np.random.default_rng(1).normal(size=33)
    _, slopes = search.enthalpy(x)
    for i in range(33):
        step = 1e-4 * np.eye(33)[i]
        slope = (search.enthalpy(x + step)[0] - search.enthalpy(x - step)[0]) / 2e-4
        assert slopes[i] == pytest.approx(slope, abs=1e-6)


def test_a_quench_that_fails_ends_where_it_was(silicon: Potential) -> None:
    class Failing:
        calls = 0

        def compute(self, structure):
            self.calls += 1
            if self.calls == 4:
                raise InputError("too close")
            return silicon.compute(structure)

    found = quench(Failing(), _shaken(), 0.0)
    assert not found.converged
    assert found.enthalpy == pytest.approx(silicon.compute(found.structure).energy)
    with pytest.raises(InputError, match="periodic in all directions"):
        quench(silicon, Structure([14], [[0, 0, 0]]), 0.0)
