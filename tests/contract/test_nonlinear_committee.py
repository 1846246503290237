"""Committees of nonlinear models, Finnis-Sinclair with two densities: oracle and torch have them.

Neither a `Model` nor the compiled evaluator does: Tables of several members are put together here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from acepot.basis.choices import resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import require, spread_weights
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.torch.evaluator import TorchEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure
from acepot.tables import Tables

MEMBERS = 4


EMBEDDINGS = Nonlinear(
    tuple(
        Embedding(kind, (1.0, -0.7), (1.0, 0.5))
        for kind in ("FinnisSinclair", "FinnisSinclairShiftedScaled")
    )
)


@cache
def _spec() -> BasisSpec:
    return resolve(
        BasisSpec(("O", "Si"), order=3, degree=6.0, r0={"default": 2.0}, cutoff={"default": 3.9})
    )


@cache
def _member(number: int) -> Tables:
    """One of the models that the committee is made of."""
    rng = np.random.default_rng(31)
    coefficients = 0.05 * rng.normal(size=(MEMBERS, 1, 2, _spec().expansion().size))
    model = Model(_spec(), coefficients[number], rng.normal(size=2), nonlinear=EMBEDDINGS)
    return lower(model)


@cache
def tables() -> Tables:
    """The model and three members."""
    each = [_member(number) for number in range(MEMBERS)]
    products = tuple(
        replace(
            one[0],
            weights=np.concatenate([p.weights for p in one]),
            weights_imaginary=np.concatenate([p.weights_imaginary for p in one]),
        )
        for one in zip(*(t.products for t in each), strict=True)
    )
    return replace(each[0], products=products)


def structures() -> list[Structure]:
    """Triclinic cells, one atom, a molecule; no two atoms nearer than 1.2 Å."""
    rng, found = np.random.default_rng(8), []
    cell = np.array([[4.4, 0.3, 0.0], [-0.5, 4.1, 0.4], [0.2, 0.6, 4.7]])
    sites = np.array(list(np.ndindex(2, 2, 2))) / 2.0
    for n, pbc in ((8, True), (5, (True, False, True)), (1, True), (7, False)):
        positions = sites[:n] @ cell + rng.uniform(-0.25, 0.25, (n, 3))
        found.append(Structure(rng.choice([8, 14], n), positions, cell, pbc))
    return found


def test_tables_hold_several_members_of_two_densities() -> None:
    assert tables().members == MEMBERS and tables().outputs == (2,) and tables().is_energy


def test_models_and_the_compiled_evaluator_refuse_them() -> None:
    with pytest.raises(InputError, match="tables: a nonlinear model has no committee"):
        NativeEvaluator(tables(), 1)
    with pytest.raises(InputError, match="nonlinear models have no committee: expected one member"):
        Model(_spec(), np.zeros((2, 2, _spec().expansion().size)), [0, 0], nonlinear=EMBEDDINGS)


def test_every_member_is_that_of_the_oracle() -> None:
    some = structures()
    expected = require(ReferenceEvaluator(tables()).evaluate(some, committee=True))
    found = require(TorchEvaluator(tables()).evaluate(some, committee=True))
    for one, other in zip(found, expected, strict=True):
        close = {"rtol": 0, "atol": 1e-10 * max(1.0, np.abs(other.committee.forces).max())}
        for name in ("energies", "forces", "virials"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), **close)
            np.testing.assert_allclose(
                getattr(one.committee, name), getattr(other.committee, name), **close
            )
        assert len(other.committee.energies) == MEMBERS - 1


def test_a_member_is_the_model_of_its_coefficients() -> None:
    """Whose single energies, forces and virials the compiled evaluator gives, too."""
    some = structures()
    together = require(ReferenceEvaluator(tables()).evaluate(some, committee=True))
    for member in range(1, MEMBERS):
        alone = require(NativeEvaluator(_member(member), 2).evaluate(some))
        for one, all_of_them in zip(alone, together, strict=True):
            close = {"rtol": 0, "atol": 1e-10 * max(1.0, np.abs(one.forces).max())}
            others = all_of_them.committee
            np.testing.assert_allclose(one.energy, others.energies[member - 1], **close)
            np.testing.assert_allclose(one.forces, others.forces[member - 1], **close)
            np.testing.assert_allclose(one.virial, others.virials[member - 1], **close)


def test_forces_of_members_and_of_the_spread_are_derivatives() -> None:
    """Along a displacement and a strain; the spread is sqrt(mean (E_m - E)²)."""
    rng, evaluator = np.random.default_rng(4), ReferenceEvaluator(tables())
    for structure in structures()[:2]:
        along, strain = rng.normal(size=(len(structure), 3)), 0.2 * rng.normal(size=(3, 3))
        forces, virials, totals = _outputs(evaluator, structure)
        assert np.ptp(forces, axis=0).max() > 1e-2
        value, weights = spread_weights(totals)
        assert value > 1e-3

        def moved(t: float, structure=structure, along=along, strain=strain) -> np.ndarray:
            turn = np.eye(3) + t * strain
            positions = (structure.positions + t * along) @ turn
            cell = structure.cell @ turn
            totals = _outputs(evaluator, replace(structure, positions=positions, cell=cell))[2]
            return np.append(totals, spread_weights(totals)[0])

        slopes = -np.tensordot(forces, along, 2) - np.tensordot(virials, strain, 2)
        expected = np.append(slopes, weights @ slopes)
        step = 2e-4
        far, near = moved(2 * step) - moved(-2 * step), moved(step) - moved(-step)
        np.testing.assert_allclose((8 * near - far) / (12 * step), expected, rtol=1e-7, atol=1e-7)


def _outputs(evaluator: ReferenceEvaluator, structure: Structure) -> tuple[np.ndarray, ...]:
    """Forces, virials and energies, the model first."""
    (result,) = require(evaluator.evaluate([structure], committee=True))
    return (
        np.concatenate([result.forces[None], result.committee.forces]),
        np.concatenate([result.virial[None], result.committee.virials]),
        np.append(result.energy, result.committee.energies),
    )
