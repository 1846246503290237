"""Energy and forces on one page (examples/ace_on_one_page.py) are those of every evaluator."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator

PAGE = Path(__file__).parents[2] / "examples" / "ace_on_one_page.py"
#: Every way in which functions come about, small enough for plain loops.
CASES = (
    "order-1", "envelope-r", "inner-cutoff", "pair-longer", "sbessel", "canonical-2", "extended",
    "two-elements-list-pairs", "three-elements-canonical", "four-elements-canonical",
    "explicit products",
)  # fmt: skip


def page():
    """The page as a module."""
    spec = importlib.util.spec_from_file_location("ace_on_one_page", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_one_page():
    assert len(PAGE.read_text().splitlines()) <= 200


@pytest.mark.parametrize("name", CASES)
def test_the_page_agrees_with_every_evaluator(case_named, name):
    torch = pytest.importorskip("acepot.evaluate.torch.evaluator", exc_type=ImportError)
    case = case_named(name)
    evaluators = {
        "oracle": ReferenceEvaluator(case.tables),
        "native": NativeEvaluator(case.tables, 1),
        "torch": torch.TorchEvaluator(case.tables),
    }
    for kind in ("triclinic", "slab", "one atom", "two atoms"):
        structure = case.structures[kind]
        energy, forces = page().energy_and_forces(case.tables, structure)
        size = max(abs(energy), np.abs(forces).max(), 1.0)
        for what, evaluator in evaluators.items():
            (result,) = require(evaluator.evaluate([structure]))
            where = f"{name}, {kind}, {what}"
            assert abs(energy - result.energy) < 1e-11 * size, where
            assert np.abs(forces - result.forces).max() < 1e-11 * size, where


def test_the_page_says_what_it_is_not_for(case_named):
    from acepot.basis.embedding import Embedding, Nonlinear
    from acepot.lowering import lower
    from acepot.model import Model

    case = case_named("order-1")
    one = Embedding("FinnisSinclairShiftedScaled", (1.0,), (0.5,))
    model = Model(
        case.model.basis, case.model.coefficients[:1], np.zeros(1), nonlinear=Nonlinear((one,))
    )
    with pytest.raises(ValueError, match="for linear models"):
        page().energy_and_forces(lower(model), case.structures["two atoms"])
