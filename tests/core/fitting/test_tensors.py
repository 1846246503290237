"""Fits of charges, dipoles and tensors: what the basis can say is found again."""

from __future__ import annotations

import numpy as np
import pytest

import acepot
from acepot.errors import InputError
from acepot.evaluate.protocol import require
from acepot.fitting.priors import AlgebraicACE1, NoPrior
from acepot.fitting.solvers import QR
from acepot.fitting.tensors import SiteTarget, fit_tensors
from acepot.model import TensorModel
from acepot.structure import Structure

BASIS = {"order": 2, "degree": 4, "wl": 1.0, "cutoff": 3.6, "r0": 1.9, "pair": {"degree": 0}}
TARGETS = (
    {"label": "charges"},
    {"label": "dipole", "irrep": "1o", "per": "structure"},
    {"label": "spin", "irrep": "1e", "weight": 2.0},
    {"label": "quadrupole", "irrep": "2e"},
)


def truth(seed: int = 1) -> TensorModel:
    """Random outputs of every irrep that a target has."""
    spec = acepot.resolve(
        acepot.BasisSpec(
            ("O", "Si"), order=2, degree=4, wl=1.0, cutoff=3.6, r0=1.9,
            pair=acepot.basis.choices.Pair(degree=0), irreps=("0e", "1o", "1e", "2e"),
            constant=True,
        )
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    c = tuple(rng.normal(size=(1, 1, n)) for n in acepot.lower(spec).sizes)
    return TensorModel(spec, c)


def labelled(count: int, structures_of) -> list[Structure]:
    """Molecules and crystals with labels that the model made."""
    made = []
    evaluator = acepot.site_evaluator(truth())
    rng = np.random.default_rng(2)
    kinds = [structures_of((8, 14))[name] for name in ("triclinic", "molecule", "slab")]
    for k in range(count):
        one = kinds[k % 3]
        places = one.positions + rng.normal(scale=0.05, size=one.positions.shape)
        bare = Structure(one.numbers, places, one.cell, one.pbc, name=f"frame {k}")
        (sites,) = require(evaluator.values([bare]))
        q, p, s, t = (v[:, 0] for v in sites.values)
        labels = {
            "charges": q,
            "dipole": p.sum(axis=0)[[2, 0, 1]],  # y z x -> x y z
            "spin": s[:, [2, 0, 1]],
            "quadrupole": t,
        }
        if k == 3:
            del labels["spin"]
        made.append(
            Structure(one.numbers, places, one.cell, one.pbc, labels=labels, name=bare.name)
        )
    return made


@pytest.fixture(scope="module")
def data(structures_of) -> list[Structure]:
    return labelled(40, structures_of)


def test_what_the_basis_can_say_is_found_again(data):
    basis = BASIS | {"constant": True}
    fit = fit_tensors(data[:36], basis, TARGETS, solver=QR(damping=0), prior=NoPrior(), unit="e")
    assert fit.model.unit == "e"
    assert fit.model.names == (("charges",), ("dipole",), ("spin",), ("quadrupole",))
    assert max(fit.errors.values()) < 1e-9
    found = require(acepot.site_evaluator(fit.model).values(data[36:]))
    for structure, sites in zip(data[36:], found, strict=True):
        labels = structure.labels
        q, p, s, t = (v[:, 0] for v in sites.values)
        np.testing.assert_allclose(q[:, 0], labels["charges"].ravel(), atol=1e-6)
        np.testing.assert_allclose(p.sum(axis=0)[[2, 0, 1]], labels["dipole"], atol=1e-6)
        np.testing.assert_allclose(s[:, [2, 0, 1]], labels["spin"], atol=1e-6)
        np.testing.assert_allclose(t, labels["quadrupole"], atol=1e-6)


def test_outputs_of_one_irrep_stand_side_by_side_and_are_saved(data, tmp_path):
    targets = [SiteTarget("charges"), {"label": "other"}, {"label": "dipole", "irrep": "1o",
               "per": "structure"}]  # fmt: skip
    more = [
        Structure(s.numbers, s.positions, s.cell, s.pbc,
                  labels=dict(s.labels) | {"other": 2.0 * s.labels["charges"] + 1.0})
        for s in data[:30]
    ]  # fmt: skip
    basis = acepot.BasisSpec(**BASIS | {"pair": acepot.basis.choices.Pair(degree=0)})
    fit = fit_tensors(more, basis, targets, prior=AlgebraicACE1())
    assert [c.shape[:2] for c in fit.model.coefficients] == [(1, 2), (1, 1)]
    assert fit.model.names == (("charges", "other"), ("dipole",))
    assert all(0 < error < 1.5 for error in fit.errors.values())
    acepot.save(fit.model, tmp_path / "charges.acepot")
    again = acepot.load(tmp_path / "charges.acepot", TensorModel)
    (one,), (other,) = (
        require(acepot.site_evaluator(m).values(more[:1])) for m in (fit.model, again)
    )
    for a, b in zip(one.values, other.values, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "targets: expected one or more"),
        ([{"label": "charges"}, {"label": "charges"}], "each label once"),
        ([{"label": "nothing"}], "targets: nothing: no structure has this label"),
        ([{"label": "charges", "irrep": "0o"}], "the basis no function of 0o"),
        ([{"label": "charges", "irrep": "1x"}], "irreps: expected L from 0"),
        ([{"label": "charges", "weight": 0.0}], "weight: expected more than 0"),
        ([{"label": "charges", "irrep": "1o"}], "frame 0: charges: expected 5 times 3 numbers"),
    ],
)
def test_targets_that_cannot_be_are_refused(data, targets, message):
    with pytest.raises(InputError, match=message):
        fit_tensors(data[:3], BASIS, targets)
