"""Tungsten of Finnis and Sinclair, and how a vacancy in it depends on the cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot.defects.cells import defect_cell
from acepot.defects.reference import Kept
from acepot.properties.crystals import crystal, repeated
from acepot.properties.elasticity import elasticity
from acepot.properties.relaxation import relaxed


def unit() -> acepot.Structure:
    return crystal("W:bcc:3.1652")


def test_constants_of_the_closed_form(tungsten: Any) -> None:
    found = tungsten.compute(unit())
    assert found.energy / 2 == pytest.approx(-8.9000024, abs=1e-7)
    assert abs(found.virial).max() / unit().volume < 1e-6
    c = elasticity(tungsten, unit()).constants
    assert c[0, 0] == pytest.approx(522.44, abs=0.06)
    assert c[0, 1] == pytest.approx(204.41, abs=0.01)
    assert c[3, 3] == pytest.approx(160.61, abs=0.01)


def test_forces_of_the_closed_form_are_slopes(tungsten: Any) -> None:
    rng = np.random.default_rng(0)
    whole = repeated(unit(), np.array([3, 3, 3]))
    moved = whole.moved(whole.positions + rng.normal(scale=0.05, size=whole.positions.shape))
    along = rng.normal(size=moved.positions.shape)
    h = 1e-5
    after, before = (
        tungsten.compute(moved.moved(moved.positions + s * h * along)).energy for s in (1, -1)
    )
    found = tungsten.compute(moved)
    assert -(found.forces * along).sum() == pytest.approx((after - before) / (2 * h), rel=1e-6)
    strain = rng.normal(size=(3, 3)) * h
    energies = [
        tungsten.compute(moved.moved(moved.positions @ d, moved.cell @ d)).energy
        for d in (np.eye(3) + strain, np.eye(3) - strain)
    ]
    slope = -(found.virial * strain).sum()
    assert slope == pytest.approx((energies[0] - energies[1]) / 2, rel=1e-5)


def test_a_vacancy_converges_with_its_cell(tungsten: Any) -> None:
    """Published to 1e-6 eV; ‖Du‖ grows towards 0.513 Å."""
    mu = tungsten.compute(unit()).energy / 2
    expected = {4: 3.633244, 6: 3.631574, 8: 3.631338}
    norms = []
    for size, energy in expected.items():
        cell = defect_cell(unit(), "vacancy", size)
        found = relaxed(tungsten, cell.structure, force=2e-7)
        assert found.is_at_rest
        assert found.energy - mu * len(cell.structure) == pytest.approx(energy, abs=2e-6)
        norms.append(cell.norm(found.structure.positions - cell.structure.positions))
    assert norms == sorted(norms) and norms[-1] == pytest.approx(0.5129, abs=5e-4)


@pytest.mark.parametrize(
    ("defect", "atoms"),
    [("vacancy", -1), ("divacancy", -2), ("dumbbell 111", 1), ("dumbbell 100", 1)],
)
def test_cells_know_their_lattice(defect: str, atoms: int) -> None:
    cell = defect_cell(unit(), defect, 4)
    assert len(cell.structure) == 128 + atoms
    on_lattice = len(cell.structure) - (2 if atoms > 0 else 0)
    assert len(np.unique(cell.first)) == on_lattice
    assert np.bincount(cell.first).max() == 8
    still = np.tile([0.3, -0.1, 0.2], (len(cell.structure), 1))
    assert cell.norm(still) == 0
    rng = np.random.default_rng(0)
    u = rng.normal(size=cell.structure.positions.shape)
    assert cell.norm(u) ** 2 == pytest.approx((cell.profile(u)[1] ** 2).sum())
    assert cell.norm(u, 5.0) < cell.norm(u) and cell.norm(u, 1e3) == 0
    near, far = cell.split(u, 5.0)
    assert near**2 + far**2 == pytest.approx((u**2).sum())


def test_no_calculation_is_made_twice(tungsten: Any, tmp_path: Path) -> None:
    calls = []

    class Counted:
        def compute(self, structure: acepot.Structure) -> Any:
            calls.append(len(structure))
            return tungsten.compute(structure)

    path, one = tmp_path / "kept.txt", unit()
    first = Kept(Counted(), path).compute(one)
    other = one.moved(one.positions + 1e-9 * np.eye(2, 3))
    with path.open("ab") as file:
        file.write(b"0123 cut o")  # killed while it wrote
    again = Kept(Counted(), path)
    assert np.array_equal(again.compute(one).forces, first.forces)
    assert again.compute(one).energy == pytest.approx(first.energy, abs=1e-12)
    again.compute(other)
    assert calls == [2, 2] and again.atoms == 6
    assert path.read_bytes().count(b"\n") == 2
