"""PACE potentials whose radial functions no equidistant table follows, in every evaluator.

Files and numbers were made with python-ace (data/README.md), whose cubic tables err by 1e-6 beside
a switch of 0.01 Å: energies agree better than forces.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acepot import Potential, load
from acepot.basis.pace_radial import ChebyshevRadial
from acepot.errors import InputError
from acepot.io.structures.datasets import read_structures
from acepot.lowering import lower
from acepot.tabulation import radial_table

DATA = Path(__file__).parent / "data" / "pace"
#: Energies in eV/atom, forces in eV/Å; those of power-1.5 are limited by its positions.
FILES = {"steep-switch": (5e-9, 5e-5), "power-1.5": (3.2e-8, 1e-4)}


@pytest.mark.parametrize("evaluator", ["reference", "native", "torch"])
@pytest.mark.parametrize("name", FILES)
def test_default_tables_give_the_numbers_of_the_original_evaluator(name, evaluator):
    if evaluator == "torch":
        pytest.importorskip("torch")
    structures, count = read_structures(DATA / f"{name}.yace.reference.extxyz.xz")
    assert count.energies == len(structures) == 7
    potential = Potential(load(DATA / f"{name}.yace"), evaluator)
    energy, force = FILES[name]
    for structure in structures:
        found = potential.compute(structure)
        assert abs(found.energy - structure.energy) / len(structure) < energy
        assert np.abs(found.forces - structure.forces).max() < force


@pytest.mark.parametrize("name", FILES)
def test_few_intervals_meet_the_tolerance(name):
    tables = lower(load(DATA / f"{name}.yace"))
    for table in (*tables.radial, *([] if tables.core is None else [tables.core])):
        assert table.error <= 1e-8
        assert table.bins.max() < 600


@pytest.mark.parametrize("end", [1.303, 1.30345678, 2.0 / 3.0 + 1.0])
@pytest.mark.parametrize("width", [0.001, 0.01, 0.0712345])
def test_switches_at_any_place_and_of_any_width_are_read(end, width, tmp_path):
    text = (DATA / "steep-switch.yace").read_text()
    path = tmp_path / "moved.yace"
    path.write_text(
        text.replace("rcut_in: 1.303", f"rcut_in: {end!r}").replace(
            "dcut_in: 0.01", f"dcut_in: {width!r}"
        )
    )
    assert path.read_text() != text or (end, width) == (1.303, 0.01)
    tables = lower(load(path))
    assert max(t.error for t in tables.radial) <= 1e-8


@pytest.mark.parametrize("exponent", [1.001, 1.05, 1.2, 1.5, 1.8, 1.95, 1.999])
def test_every_exponent_between_one_and_two_is_read(exponent):
    """The table's own values and slopes, against the formulas, up to the cut-off."""
    family = ChebyshevRadial("cheb_pow", 6, exponent, 0.0, 5.5)
    table = radial_table([[family]], [[family]], 1e-8, None, False, 1e8)
    assert table.error <= 1e-8 and np.isfinite(table.coefficients).all()
    rng = np.random.default_rng(3)
    r = np.concatenate((rng.uniform(0.7, 5.5, 20_000), 5.5 - 10 ** rng.uniform(-9, -1, 20_000)))
    jet = family.evaluate(r)
    t = (r - table.begin[0, 0]) / table.spacing[0, 0]
    knots = np.arange(table.bins[0, 0]) if table.knots is None else table.knots[0, 0, :-1]
    at = np.searchsorted(knots, t, side="right") - 1
    u, c = (t - knots[at])[:, None], table.coefficients[0, 0, at]
    value = sum(c[:, k] * u**k for k in range(6)).T
    slope = sum(k * c[:, k] * u ** (k - 1) for k in range(1, 6)).T / table.spacing[0, 0]
    assert np.abs(value - jet.value).max() < 1.1e-8 * np.abs(jet.value).max()
    far = r < 5.5 - 1e-3
    assert np.abs(slope - jet.first)[:, far].max() < 1e-5 * np.abs(jet.first).max()
    assert np.abs(slope).max() < 2 * np.abs(jet.first).max()


def test_what_errs_less_than_the_tables_of_its_own_program_is_read(monkeypatch):
    """With intervals halved once, a switch of 0.01 Å still errs less than cubics 0.001 Å wide."""
    monkeypatch.setattr("acepot.basis.refinement._HALVINGS", 1)
    monkeypatch.setattr("acepot.tabulation.REFUSED", 0.0)
    basis = load(DATA / "steep-switch.yace").basis
    assert basis.knots == 0.001
    found = lower(basis)
    assert found.radial[0].error > 1e-8
    with pytest.raises(InputError, match=r"tables still err by .* comes from elsewhere"):
        lower(replace(basis, knots=None))
    with pytest.raises(InputError, match=r"more than the .* of its own program's tables"):
        lower(replace(basis, knots=0.0001))
