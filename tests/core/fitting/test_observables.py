"""One table of observables: what is in it, and that one more class is all a new one takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acepot import Model, Potential, Structure, run_fit
from acepot.basis.choices import Pair, resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.protocol import Result
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.fitting.assembly import structure_rows
from acepot.fitting.config import Weights
from acepot.fitting.fit import fit
from acepot.fitting.folder import verify
from acepot.fitting.observables import DesignRows, Evaluate, Observable
from acepot.lowering import lower
from acepot.report.metrics import Errors, table
from acepot.report.parity import parity_data
from acepot.voigt import from_voigt, to_voigt

CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55]])
BASIS = {"order": 2, "degree": 4, "cutoff": 4.0, "pair": {"degree": 3}}


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Observables that a test adds are gone after it."""
    monkeypatch.setattr(Observable, "known", dict(Observable.known))


def truth() -> Model:
    spec = resolve(BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3)))
    c = np.random.default_rng(1).normal(size=basis_size(spec)["total"]) / 20
    return Model(spec, c, np.array([-5.0, -3.0]))


def sample(count: int, seed: int = 2) -> list[Structure]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        cell = CELL @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.12, size=(3, 3))
        found.append(Structure(rng.choice([8, 14], size=3), positions, cell, True))
    return found


def test_voigt_order_and_back() -> None:
    tensor = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(to_voigt(tensor), [0, 4, 8, 5, 2, 1])
    symmetric = np.random.default_rng(0).normal(size=(4, 3, 3))
    symmetric += np.swapaxes(symmetric, -1, -2)
    np.testing.assert_array_equal(from_voigt(to_voigt(symmetric)), symmetric)


def test_the_table_holds_what_reports_and_files_call_them() -> None:
    known = {n: (o.letter, o.unit, o.weight) for n, o in Observable.known.items()}
    assert known == {
        "energy": ("E", "eV/atom", 30.0),
        "forces": ("F", "eV/Å", 1.0),
        "virial": ("V", "eV/atom", 1.0),
        "elastic_constants": ("C", "GPa", 0.1),
        "force_constants": ("K", "eV/Å²", 1.0),
        "formation_energy": ("D", "eV", 30.0),
    }
    assert [o.size(7) for o in Observable.known.values()] == [1, 21, 6, 21, 21, 1]
    assert [len(o.components) for o in Observable.known.values()] == [1, 3, 6, 21, 3, 1]
    assert Observable.known["energy"].factor(30.0, 9) == 10.0
    assert Observable.known["forces"].factor(2.0, 9) == 2.0


@pytest.mark.parametrize("name", ["energy", "forces", "virial"])
def test_rows_times_coefficients_are_the_prediction(name: str) -> None:
    model, one = truth(), Observable.known[name]
    tables = lower(model)
    for structure in sample(3):
        e0 = float(model.e0[(structure.numbers == 14).astype(int)].sum())
        rows = one.rows(structure, DesignRows(ReferenceEvaluator(tables), tables.functions))
        result = Potential(model, threads=1).compute(structure)
        found = one.less_e0(one.predicted(structure, result, lambda _: []), e0)
        assert rows.shape == (one.size(3), tables.functions)
        np.testing.assert_allclose(rows @ model.coefficients[0, 0], found, atol=1e-10)


def add_trace() -> type[Observable]:
    class Trace(Observable, name="trace"):
        """Trace of the virial in eV: pressures without shear."""

        letter, unit, title = "T", "eV/atom", "Trace of the virial"
        extensive, weight = True, 2.0

        def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Any:
            return np.array([np.trace(result.virial)])

        def rows(self, structure: Structure, design: DesignRows) -> Any:
            return design.of(structure, ["virial"])[:3].sum(axis=0, keepdims=True)

    return Trace


def test_an_observable_is_one_class(tmp_path: Path) -> None:
    """Fitted and recovered, from a file with a key of its own, with weights and all reports."""
    add_trace()
    model = truth()
    potential = Potential(model, threads=1)
    lines = []
    for s in sample(120):
        trace = float(np.trace(potential.compute(s).virial))
        cell = " ".join(f"{x:.17g}" for x in s.cell.ravel())
        lines += ["3", f'Lattice="{cell}" Properties=species:S:1:pos:R:3 dft_trace={trace:.17g}']
        for z, r in zip(s.numbers, s.positions, strict=True):
            lines.append({8: "O", 14: "Si"}[int(z)] + " " + " ".join(f"{x:.17g}" for x in r))
    (tmp_path / "train.xyz").write_text("\n".join(lines) + "\n")
    (tmp_path / "fit.toml").write_text(
        """
        e0 = {O = -5.0, Si = -3.0}
        prior.kind = "none"
        solver = {kind = "qr", damping = 0}
        restraint.weight = 0
        data = {train = "train.xyz", fit = ["trace"], keys = {trace = "dft_trace"}}
        weights.default.trace = 5.0
        [basis]
        elements = ["O", "Si"]
        order = 2
        degree = 4
        cutoff = 4.0
        pair.degree = 3
        """
    )
    said: list[str] = []
    found = run_fit(tmp_path / "fit.toml", threads=1, say=said.append)
    assert "120 trace (dft_trace)" in said[0] and "fitting trace" in said
    errors = found.report["train"]["all"]
    assert set(errors) == {"T"} and errors["T"]["rmse"] < 1e-3 and errors["T"]["count"] == 120
    assert "T (meV/atom)" in table(found.report["train"])
    assert (
        found.recipe.weights_of(Structure([1], [[0, 0, 0]], config_type="x")).of(
            Observable.known["trace"]
        )
        == 5.0
    )
    assert found.model.provenance["fit"]["weights"]["default"]["trace"] == 5.0
    fresh = sample(3, seed=9)
    for one, other in zip(
        found.potential.compute_all(fresh), potential.compute_all(fresh), strict=True
    ):
        np.testing.assert_allclose(np.trace(one.virial), np.trace(other.virial), atol=1e-5)
    assert verify(found.potential, found.probes) < 1e-7
    wrong = replace(found.model, coefficients=found.model.coefficients * (1 + 1e-5))
    with pytest.raises(ConvergenceError, match="differs from the fit"):
        verify(Potential(wrong, threads=1), found.probes)
    (data,) = parity_data(found.potential, "train", found.train, found.train_results)
    assert data.quantity == "trace"
    np.testing.assert_allclose(data.reference, data.predicted, atol=1e-6)


def test_rows_of_a_new_observable_follow_those_of_the_compiled_ones() -> None:
    add_trace()
    model = truth()
    (s,) = sample(1)
    r = Potential(model, threads=1).compute(s)
    s = s.labelled(
        energy=r.energy, forces=r.forces, virial=r.virial, labels={"trace": np.trace(r.virial)}
    )
    names = ("trace", "virial", "forces", "energy")
    weights = Weights(7.0, 2.0, 3.0, {"trace": 4.0})
    block = structure_rows(s, model, ReferenceEvaluator(lower(model)), names, weights)
    assert block.quantities == ("energy", "forces", "virial", "trace")
    root = np.sqrt(3)
    np.testing.assert_allclose(
        block.weights, [7 / root, *[2.0] * 9, *[3 / root] * 6, 4 / root], rtol=1e-15
    )
    np.testing.assert_allclose(block.rows @ model.coefficients[0, 0], block.targets, atol=1e-10)


def test_what_is_not_named_has_the_weight_of_its_observable() -> None:
    add_trace()
    assert Weights().of(Observable.known["trace"]) == 2.0
    assert Weights(others={"trace": 0.0}).of(Observable.known["trace"]) == 0.0


def test_labels_of_a_wrong_size_and_observables_twice_are_refused() -> None:
    add_trace()
    with pytest.raises(InputError, match=r"here: trace: expected 1 numbers, got 2"):
        fit(
            [Structure([14], [[0, 0, 0]], name="here", labels={"trace": [1.0, 2.0]})],
            BASIS,
            observables=["trace"],
        )
    with pytest.raises(TypeError, match="'T' already"):

        class Torque(Observable, name="torque"):
            letter = "T"

            def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Any:
                return np.zeros(3)

    with pytest.raises(InputError, match="data.fit: trace is to be fitted, but no training"):
        from acepot.fitting.choice import choose
        from acepot.fitting.recipe import Recipe

        choose(Recipe(observables=("trace", "energy")), sample(1), [], "data.fit")
    errors = Errors()
    errors.add("x", 2, trace=[0.004])
    assert errors.report()["x"]["T"]["mae"] == pytest.approx(2.0)


def test_an_observable_without_rows_says_what_it_needs() -> None:
    class Charge(Observable, name="charges"):
        letter, unit, title, per_atom = "Q", "e", "Charges", True

        def predicted(self, structure: Structure, result: Result, evaluate: Evaluate) -> Any:
            return np.zeros(len(structure))

    (s,) = sample(1)
    assert Observable.known["charges"].size(3) == 3
    labelled = s.labelled(labels={"charges": [1.0, -0.5, -0.5]})
    with pytest.raises(NotImplementedError, match="Charge: give it a method rows"):
        fit([labelled], BASIS, observables=["charges"], threads=1)


def kinds_of_mistakes() -> Iterator[Any]:
    from acepot.fitting import config, priors, solvers

    data = config.Data
    yield pytest.param(lambda: data("a", fit=("charges",)), "data.fit = ['charges']", id="fit")
    yield pytest.param(lambda: data(()), "data.train = []", id="train")
    yield pytest.param(lambda: data("a", keys={"x": ""}), "data.keys.x = ''", id="keys")
    yield pytest.param(lambda: data("a", energy_key=""), "data.energy_key = ''", id="key")
    yield pytest.param(lambda: solvers.QR(damping=-1), "solver = {kind='qr', damping=-1}", id="qr")
    yield pytest.param(
        lambda: solvers.QR(tolerance=-1.0), "solver = {kind='qr', tolerance=-1.0}", id="qr 2"
    )
    yield pytest.param(lambda: solvers.BLR(floor=0.0), "solver.floor = 0.0", id="blr")
    yield pytest.param(lambda: solvers.BLR(floor="a"), "solver.floor = 'a'", id="blr type")
    yield pytest.param(lambda: priors.Algebraic(p=0.0), "prior.p = 0.0", id="algebraic")
    yield pytest.param(
        lambda: priors.Gaussian(wl=-1.0), "prior = {kind='gaussian', wl=-1.0}", id="gaussian"
    )
    yield pytest.param(
        lambda: priors.Exponential(wn=0.0), "prior = {kind='exponential', wn=0.0}", id="exponential"
    )
    for cls in (priors.AlgebraicACE1, priors.Algebraic06):
        text = f"prior = {{kind='{cls.kind}', p=-2.0}}"
        yield pytest.param(lambda cls=cls: cls(p=-2.0), text, id=cls.kind)
    yield pytest.param(lambda: config.Weights(forces=-1.0), "weights.x.forces = -1.0", id="weights")
    yield pytest.param(lambda: config.Restraint(distance=0.0), "restraint.distance = 0.0", id="r")
    yield pytest.param(lambda: config.Committee(size=256), "committee.size = 256", id="committee")
    yield pytest.param(lambda: config.Committee(size=2.5), "committee.size = 2.5", id="not whole")


@pytest.mark.parametrize(("make", "text"), list(kinds_of_mistakes()))
def test_python_refuses_with_the_message_of_toml(make: Any, text: str, tmp_path: Path) -> None:
    from acepot.fitting.config import load_config

    with pytest.raises(InputError) as python:
        make()
    path = tmp_path / "fit.toml"
    path.write_text(text if text.startswith("data.train") else f'data.train = "a"\n{text}\n')
    with pytest.raises(InputError) as toml:
        load_config(path)
    said, prefix = str(python.value), f"{path}: "
    found = str(toml.value).removeprefix(prefix)
    assert found != said and found.endswith(said)
    table = found.removesuffix(said)
    assert text.replace(" ", "").startswith(table.rstrip(".").split(".")[0])
