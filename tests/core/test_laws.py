"""check(): good models pass on any structure, and each law catches a model that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

import acepot.laws as checks
from acepot import Model, Potential, Result, Structure
from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.pace_family import SBessel
from acepot.basis.pace_radial import BesselRadial, ZblRadial
from acepot.basis.radial import Orthonormal
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.laws import Finding, check, sample_structures

Spoil = Callable[[Structure, Result], Result]


def make(**fields: object) -> Model:
    basis = {"elements": ("Si", "O"), "order": 2, "degree": 5.0, "cutoff": 4.0}
    spec = resolve(BasisSpec(**(basis | fields)))
    rng = np.random.default_rng(3)
    coefficients = rng.normal(size=basis_size(spec)["total"]) / 20
    return Model(spec, coefficients, rng.normal(size=len(spec.elements)))


def failed(findings: Sequence[Finding]) -> set[str]:
    return {finding.law for finding in findings if not finding.passed}


@pytest.fixture(scope="module")
def model() -> Model:
    return make()


@pytest.fixture(scope="module")
def random_structures() -> list[Structure]:
    """Triclinic, low symmetry, one with a single atom and one with none near it."""
    rng = np.random.default_rng(9)
    cell = np.array([[4.1, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 5.0]])
    sites = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]]) @ cell
    shaken = [sites + rng.normal(scale=0.15, size=sites.shape) for _ in range(2)]
    return [
        Structure([8, 14, 14, 8], shaken[0], cell, True, name="bulk"),
        Structure([8, 8, 14, 14], shaken[1] + 7.0, cell, (True, False, True), name="outside"),
        Structure([14], [[0.1, 0.2, 0.3]], 0.6 * cell, True, name="one atom"),
        Structure([8, 14], [[0, 0, 0], [30.0, 1, 2]], name="far apart"),
    ]


def spoiled(monkeypatch: pytest.MonkeyPatch, spoil: Spoil) -> None:
    """What every potential says from now on, after `spoil` had a go at it."""
    honest = Potential.compute_all

    def lying(self: Potential, structures: Sequence[Structure], **options: bool) -> list[Result]:
        results = honest(self, structures, **options)
        return [spoil(s, r) for s, r in zip(structures, results, strict=True)]

    monkeypatch.setattr(Potential, "compute_all", lying)


# ------------------------------------------------------------------ good models


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"formulation": "canonical"},
        {"radial": SBessel(), "elements": ("Si",)},
        {"order": 3, "elements": ("H", "O", "Si"), "degree": 4.0, "pair": Pair(degree=0)},
    ],
)
def test_a_good_model_obeys_every_law(fields: dict[str, object]) -> None:
    findings = list(check(make(**fields)))
    assert failed(findings) == set()
    assert {f.structure for f in findings} == {"atom", "crystal", "slab", "molecule", "dimer"}


def test_a_good_model_obeys_every_law_on_given_structures(
    model: Model, random_structures: list[Structure]
) -> None:
    findings = list(check(model, random_structures))
    assert failed(findings) == set()
    names = {s.name for s in random_structures}
    assert {f.structure for f in findings} == names | {"atom"}
    periodic = {f.structure for f in findings if "supercell" in f.law}
    assert periodic == {"bulk", "outside", "one atom"}


def test_samples_hold_every_element_and_repeat_with_their_seed(model: Model) -> None:
    for many in (model, make(elements=("H", "C", "N", "O"), degree=3.0, cutoff=3.0)):
        one = sample_structures(many, np.random.default_rng(4))
        other = sample_structures(many, np.random.default_rng(4))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)
            np.testing.assert_array_equal(a.numbers, b.numbers)
        for structure in one[:-1]:
            assert set(structure.numbers) == set(many.numbers)
    first = [(f.law, f.error) for f in check(model, seed=1)]
    assert first == [(f.law, f.error) for f in check(model, seed=1)]


def test_structures_keep_their_labels(model: Model, random_structures: list[Structure]) -> None:
    labelled = replace(random_structures[0], energy=1.0, forces=np.ones((4, 3)), virial=np.eye(3))
    before = labelled.positions.copy()
    assert failed(list(check(model, [labelled]))) == set()
    np.testing.assert_array_equal(labelled.positions, before)
    assert labelled.energy == 1.0


def test_an_element_the_model_does_not_know_is_an_error(model: Model) -> None:
    with pytest.raises(InputError, match="Ge"):
        list(check(model, [Structure([32], [[0, 0, 0]])]))


# ------------------------------------------------------------------ ZBL: windows and kinks


def zbl(window: float = 0.3, begin: float = 1.0) -> Model:
    """Functions that switch to ZBL over 1.5 Å where the nearest neighbour is beyond `begin`."""
    radial = BesselRadial(3, 4.0)
    products = (ExplicitProduct(0, ((0, 1, 0, 0),)), ExplicitProduct(0, ((0, 3, 0, 0),)))
    core = ZblRadial(1.0, (14, 14), 4.0, window)
    inner = np.array([[[begin, 1.5]]])
    linear = Embedding("FinnisSinclairShiftedScaled", (1.0,), (1.0,))
    nonlinear = Nonlinear((linear,), "zbl", ((core,),), inner)
    basis = ExplicitBasis((14,), ((radial,),), products)
    return Model(basis, np.array([-0.7, 0.4]), np.zeros(1), nonlinear=nonlinear)


def square() -> Structure:
    """Every atom has two nearest neighbours at the same distance."""
    corners = 2.0 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    return Structure([14] * 4, corners, name="square")


def test_a_narrow_window_is_no_broken_law() -> None:
    """A pair in a window of 0.01 Å bends within the first step of the differences."""
    near = Structure([14, 14, 14], [[0, 0, 0], [3.9895, 0, 0], [1.1, 2.3, 0.4]], name="window")
    findings = list(check(zbl(0.01, 3.0), [near]))
    assert failed(findings) == set()


def test_tied_neighbours_are_moved_off_the_kink_of_zbl() -> None:
    findings = list(check(zbl(), [square()]))
    assert failed(findings) == set()
    assert {f.structure for f in findings} == {"atom", "square shaken (neighbours tied)"}
    model = zbl()
    assert model.nonlinear is not None
    linear = replace(model, nonlinear=None)
    assert {f.structure for f in check(linear, [square()])} == {"atom", "square"}


def test_wrong_derivatives_are_found_in_models_with_kinks(monkeypatch: pytest.MonkeyPatch) -> None:
    spoiled(
        monkeypatch,
        lambda s, r: replace(r, forces=r.forces * 1.00001, virials=r.virials * 1.00001),
    )
    for window in (0.01, 0.3):
        assert failed(list(check(zbl(window)))) >= {"forces are -dE/dr", "the virial is -dE/dε"}


# ------------------------------------------------------------------ sabotage


def shear(result: Result) -> np.ndarray:
    w = result.virials.copy()
    w[:, 0, 1] += 1e-3
    return w


SABOTAGE: dict[str, tuple[Spoil, str]] = {
    "forces 0.1 % too large": (
        lambda s, r: replace(r, forces=r.forces * 1.001),
        "forces are -dE/dr",
    ),
    "forces of the other sign": (
        lambda s, r: replace(r, forces=-r.forces),
        "forces are -dE/dr",
    ),
    "virials of the other sign": (
        lambda s, r: replace(r, virials=-r.virials),
        "the virial is -dE/dε",
    ),
    "a virial that is not symmetric": (
        lambda s, r: replace(r, virials=shear(r)),
        "a rotation turns forces and virial",
    ),
    "an energy that depends on the direction of x": (
        lambda s, r: replace(r, energies=r.energies + 1e-4 * np.ptp(s.positions[:, 0])),
        "a rotation turns forces and virial",
    ),
    "an energy that depends on the handedness": (
        lambda s, r: replace(r, energies=r.energies + 1e-4 * handedness(s)),
        "a reflection turns forces and virial",
    ),
    "an energy that depends on the order of atoms": (
        lambda s, r: replace(r, energies=r.energies + 1e-4 * (s.numbers[0] == 8) * s.positions[0]
                             @ s.positions[0]),
        "renumbering atoms renumbers forces",
    ),
    "an energy that depends on the image": (
        lambda s, r: replace(r, energies=r.energies + 1e-4 * np.sum(s.positions**2)),
        "a lattice vector changes nothing",
    ),
    "an energy that grows with the square of the size": (
        lambda s, r: replace(r, energies=r.energies * len(s)),
        "a supercell has twice the energy",
    ),
    "an atom alone that is a little off": (
        lambda s, r: replace(r, energies=r.energies + 1e-12 * (len(s) == 1)),
        "an atom alone has the energy E0",
    ),
    "energies that the oracle does not find": (
        lambda s, r: replace(r, energies=r.energies + 1e-5),
        "the oracle agrees",
    ),
    "energies that the fit did not find": (
        lambda s, r: replace(r, energies=r.energies * (1 + 1e-6)),
        "design rows times coefficients",
    ),
}  # fmt: skip


def handedness(structure: Structure) -> float:
    """A pseudoscalar that no rotation changes."""
    a, b, c = structure.positions[1:4] - structure.positions[0] if len(structure) > 3 else np.eye(3)
    return float(np.sign(a @ np.cross(b, c)))


@pytest.mark.parametrize("name", SABOTAGE)
def test_sabotage_is_found(name: str, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil, law = SABOTAGE[name]
    spoiled(monkeypatch, spoil)
    assert law in failed(list(check(model)))


@pytest.mark.parametrize("part", ["energies", "forces", "virials"])
def test_numbers_that_are_not_finite_do_not_pass(
    part: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's max() forgets NaN."""

    def spoil(structure: Structure, result: Result) -> Result:
        values = getattr(result, part).copy()
        values[-1] = np.nan
        return replace(result, **{part: values})

    spoiled(monkeypatch, spoil)
    findings = []
    with pytest.raises(InputError, match="not finite"):
        for finding in check(model):
            findings.append(finding)
    assert [f.passed for f in findings] == [False, False]


def test_numbers_that_are_not_finite_only_now_and_then_do_not_pass(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(10**6))

    def spoil(structure: Structure, result: Result) -> Result:
        bad = structure.name == "crystal" and next(calls) == 1  # the first after the honest one
        return replace(result, forces=np.full_like(result.forces, np.nan)) if bad else result

    spoiled(monkeypatch, spoil)
    assert "a rotation turns forces and virial" in failed(list(check(model)))


def test_a_basis_that_is_not_invariant_is_found() -> None:
    """Products written out one by one, which nothing couples."""
    radial = Orthonormal().functions(3, 0.0, 2.2, 3.8)
    products = (ExplicitProduct(0, ((0, 1, 2, 1),)), ExplicitProduct(0, ((0, 1, 0, 0),)))
    basis = ExplicitBasis((14,), ((radial,),), products)
    found = failed(list(check(Model(basis, np.array([0.3, 0.2]), np.zeros(1)))))
    assert found >= {"a rotation turns forces and virial", "a reflection turns forces and virial"}
    assert not found & {"forces are -dE/dr", "a lattice vector changes nothing"}


def test_limits_are_those_of_rounding_and_finite_differences(model: Model) -> None:
    findings = list(check(model))
    exact = [f for f in findings if f.limit == checks._EXACT]
    assert exact and all(f.error < 1e-12 for f in exact)
    numeric = [f for f in findings if f.limit == checks._DIFFERENCE]
    assert numeric and all(f.error < 1e-8 for f in numeric)
