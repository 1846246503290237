"""Weights of structures: against their formulas, and what they do to a fit."""

from __future__ import annotations

import numpy as np
import pytest

from acepot import Structure
from acepot.errors import InputError
from acepot.fitting.fit import fit
from acepot.fitting.recipe import Recipe, Weights
from acepot.fitting.weighting import FACTORS, EnergyBased, FromFile, Uniform

E0 = {"O": -5.0, "Si": -3.0}
CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])


def structure(numbers: list[int], each: float, force: float = 0.0) -> Structure:
    """With an energy per atom and forces of one size."""
    forces = np.full((len(numbers), 3), force / np.sqrt(3))
    return Structure(
        numbers, SITES[: len(numbers)] @ CELL, CELL, True, energy=each * len(numbers),
        forces=forces,
    )  # fmt: skip


def test_the_hull_is_the_lowest_mixture():
    """Of O at -6, Si at -4 and SiO2 at -6 per atom; Si2O2 lies on the line of SiO2 and Si."""
    some = [
        structure([8], -6.0), structure([8, 8], -5.5), structure([14], -4.0),
        structure([14, 8, 8], -6.0), structure([14, 14, 8, 8], -5.2),
    ]  # fmt: skip
    line = 0.75 * -6.0 + 0.25 * -4.0  # of SiO2 and Si, in atoms
    above = EnergyBased().above(some, E0)
    np.testing.assert_allclose(above, [0.0, 0.5, 0.0, 0.0, -5.2 - line], atol=1e-9)
    cohesive = np.array([-1.0, -0.5, -1.0, -6.0 + 13 / 3, -5.2 + 4.0])
    found = EnergyBased(reference="cohesive").above(some, E0)
    np.testing.assert_allclose(found, cohesive - cohesive.min(), atol=1e-12)


def test_factors_are_those_of_the_formula():
    some = [structure([14], e, f) for e, f in ((-4.0, 0.0), (-3.5, 2.0), (-2.0, 1.0), (20.0, 0.0))]
    found = EnergyBased(energy=0.5, forces=2.0, highest=10.0, low=1.0, share=0.6).factors(some, E0)
    above = np.array([0.0, 0.5, 2.0])
    energies = 1 / (above + 0.5) ** 2
    low = energies[:2].sum()
    energies *= np.array([0.6 / low, 0.6 / low, 0.4 / energies[2]])
    forces = energies / (np.array([0.0, 4.0, 1.0]) + 4.0)
    np.testing.assert_allclose(found[:3, 0] ** 2, 3 * energies, rtol=1e-12)
    np.testing.assert_allclose(found[:3, 1] ** 2, 3 * forces / forces.sum(), rtol=1e-12)
    np.testing.assert_array_equal(found[:, 2], found[:, 0])
    assert not found[3].any()
    assert (found[:3, :2] ** 2).mean(axis=0) == pytest.approx([1.0, 1.0])


def test_factors_multiply_the_weights_of_the_config_type(tmp_path):
    (tmp_path / "weights.txt").write_text("# first\n2\n0.5 3 0  # energy, forces, virial\n")
    weighting = FromFile(str(tmp_path / "weights.txt"))
    some = weighting.weighed([structure([14], -4.0), structure([8], -6.0)], E0)
    recipe = Recipe(weights={"default": Weights(10.0, 2.0, 4.0)}, weighting=weighting)
    assert recipe.weights_of(some[0]) == Weights(20.0, 4.0, 8.0)
    assert recipe.weights_of(some[1]) == Weights(5.0, 6.0, 0.0)
    assert Uniform().weighed(some, E0) == some
    assert recipe.weights_of(structure([14], -4.0)) == Weights(10.0, 2.0, 4.0)


def test_a_fit_follows_the_structures_that_count(tmp_path):
    """Two labels of one crystal that contradict each other: the heavier one is fitted."""
    rng = np.random.default_rng(1)
    some = [
        Structure(
            [14] * 4, SITES @ CELL + rng.normal(scale=0.1, size=(4, 3)), CELL, True, energy=-16.0
        )
        for _ in range(6)
    ]
    both = [one.labelled(energy=-16.0 + shift) for shift in (0.0, 4.0) for one in some]
    for heavy, wanted in ((0, -16.0), (1, -12.0)):
        weights = np.where(np.arange(12) // 6 == heavy, 1.0, 1e-3)
        (tmp_path / "weights.txt").write_text("\n".join(map(str, weights)))
        done = fit(
            both, {"order": 1, "degree": 4, "cutoff": 4.0}, observables=["energy"],
            e0={"Si": -3.0}, solver={"kind": "qr", "damping": 1e-6},
            weighting={"kind": "file", "file": str(tmp_path / "weights.txt")},
            threads=1, accept_labels=True,
        )  # fmt: skip
        assert done.potential.compute(some[0]).energy == pytest.approx(wanted, abs=0.05)
        assert FACTORS in done.train[0].labels
        with pytest.raises(InputError, match="expected a line for each of the 13 training"):
            done.add(some[:1])


@pytest.mark.parametrize(
    ("weighting", "message"),
    [
        (EnergyBased(), "needs the energy of every training structure"),
        (FromFile("nowhere.txt"), "cannot read the weights"),
    ],
)
def test_what_cannot_be_weighed_is_said(weighting, message):
    bare = Structure([14], [[0, 0, 0]], name="a.xyz frame 3")
    with pytest.raises(InputError, match=message):
        weighting.factors([bare], E0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n", "line 1: expected one number or three, got 2"),
        ("1\n2\n", "expected a line for each of the 1 training structures, got 2"),
        ("-1\n", "line 1: expected 0 or more"),
        ("one\n", "line 1: expected one number or three, got 'one'"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(text, message, tmp_path):
    (tmp_path / "w.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        FromFile(str(tmp_path / "w.txt")).factors([structure([14], -4.0)], E0)
