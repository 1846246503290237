"""Surfaces and point defects: geometry, and energies that do not depend on how they are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.properties.crystals import crystal, repeated
from acepot.properties.members import Members, open_model
from acepot.properties.point_defects import at_rest, interstitials, vacancies
from acepot.properties.relaxation import relaxed
from acepot.properties.surfaces import slab, surface
from acepot.uncertainty.posterior import Posterior
from acepot.uncertainty.posterior_file import save_posterior

MODEL = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"


@pytest.fixture(scope="module")
def members() -> Members:
    return open_model(MODEL, count=4)


@pytest.fixture(scope="module")
def rest(members: Members) -> acepot.Structure:
    start = crystal("Si:diamond", members.potential)
    return relaxed(members.potential, start, cell="free").structure


@pytest.mark.parametrize("miller", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (-1, 1, 1)])
def test_slabs_are_bulk_inside(
    miller: tuple[int, int, int], members: Members, rest: acepot.Structure
) -> None:
    """Thicker slabs have the energy of so much more bulk: they are crystal, cut the same way."""
    thin, thick = slab(rest, miller, 14.0), slab(rest, miller, 28.0)
    bulk = members.potential.compute(rest).energy / len(rest)
    energies = [members.potential.compute(one).energy for one in (thin, thick)]
    areas = [np.linalg.norm(np.cross(*one.cell[:2])) for one in (thin, thick)]
    a = rest.cell[0, 0]
    assert areas[0] == pytest.approx(areas[1])
    assert energies[1] - energies[0] == pytest.approx(bulk * (len(thick) - len(thin)), abs=1e-6)
    if miller == (1, 1, 1):  # the cut is between the planes that are far apart
        assert areas[0] == pytest.approx(np.sqrt(3) * a**2)
        nearest = np.linalg.norm(thin.positions[:, None] - thin.positions, axis=-1)
        assert nearest[nearest > 0.1].min() == pytest.approx(np.sqrt(3) / 4 * a, rel=1e-6)


def test_surfaces_relax(members: Members, rest: acepot.Structure) -> None:
    energy = members.potential.compute(rest).energy
    found = surface(members.potential, rest, energy, (1, 1, 1))
    assert found.relaxed.is_at_rest
    assert 0 < found.energy < found.unrelaxed < 0.2


def test_holes_of_diamond_and_fcc(members: Members, rest: acepot.Structure) -> None:
    names = [one.name for one in interstitials(rest, members.potential)]
    assert names[:2] == ["interstitial Si 4-fold", "interstitial Si 6-fold"]
    fcc = crystal("Si:fcc:3.9", members.potential)
    names = [one.name for one in interstitials(fcc, members.potential)]
    assert names[:2] == ["interstitial Si 6-fold", "interstitial Si 4-fold"]
    assert names[2:] == [f"dumbbell Si {d}" for d in ("100", "110", "111")]


def test_sites_that_differ_have_their_own_vacancies(members: Members) -> None:
    hexagonal = crystal("Si:hcp:2.7", members.potential)
    assert [one.name for one in vacancies(members.potential, hexagonal)] == ["vacancy Si"]
    double = repeated(hexagonal, np.array([2, 1, 1]))
    broken = double.moved(double.positions + 0.3 * np.eye(4, 3))
    assert len(vacancies(members.potential, broken)) > 1


def test_a_vacancy_has_one_atom_less_and_the_energy_of_the_reservoir(
    members: Members, rest: acepot.Structure
) -> None:
    mu = {14: members.potential.compute(rest).energy / len(rest)}
    (vacancy,) = vacancies(members.potential, rest)
    found = at_rest(members.potential, rest, vacancy, 64, mu)
    assert len(found.relaxed.structure) == found.atoms - 1 == 63
    assert found.energy == pytest.approx(found.relaxed.energy - 63 * mu[14])
    assert 2 < found.energy < found.unrelaxed < 5


def test_errors_to_first_order_are_those_of_members_that_relax(
    members: Members, rest: acepot.Structure
) -> None:
    """What is left out is of second order: small beside what members differ by."""
    (vacancy,) = vacancies(members.potential, rest)
    mu = {14: members.potential.compute(rest).energy / len(rest)}
    found = at_rest(members.potential, rest, vacancy, 64, mu)
    at_model = members.energies(found.relaxed.structure) - 63 * members.energies(rest) / len(rest)
    alone = []
    for one in members.each:
        own = relaxed(one, rest, cell="free")
        own_mu = {14: own.energy / len(rest)}
        alone.append(at_rest(one, own.structure, vacancy, 64, own_mu).energy)
    spread = np.std(alone)
    assert spread > 1e-3
    assert np.abs(np.array(alone) - at_model).max() < 0.35 * spread


def test_members_are_those_of_the_committee_or_draws(tmp_path: Path) -> None:
    model = acepot.load(MODEL)
    assert model.committee is not None
    assert np.array_equal(open_model(MODEL, count=3).coefficients, model.committee[:3])
    rng = np.random.default_rng(0)
    size = model.coefficients.shape[2]
    posterior = Posterior(model, rng.normal(size=(size, 3)) / 1e4, 1.0)
    save_posterior(posterior, tmp_path / "posterior.acepot")
    drawn = open_model(MODEL, tmp_path / "posterior.acepot", count=4000)
    off = drawn.coefficients - posterior.mean
    assert np.linalg.matrix_rank(off) == 3
    expected = np.linalg.norm(posterior.factor, axis=1)
    assert np.allclose(off.std(axis=0), expected, rtol=0.08)
