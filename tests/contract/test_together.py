"""Sums over neighbours of all elements: the same numbers as their sums written out, everywhere."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import acepot
from acepot import Model, Potential, Structure, load
from acepot.basis.choices import Pair, resolve
from acepot.basis.learned import LearnedBasis, channel_names
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator, NativeRowBuilder, instruction_sets
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.io import modelfile
from acepot.lowering import lower
from acepot.report.description import describe_model
from acepot.tables import Products, Tables

ELEMENTS = ("H", "O", "Si")
SPEC = resolve(
    BasisSpec(
        ELEMENTS, order=3, degree=(7.0, 7.0, 7.0), wl=1.0, together=True,
        cutoff={"H-H": 3.0, "default": 3.8}, pair=Pair(degree=3),
    )
)  # fmt: skip
TENSORS = resolve(
    replace(
        SPEC, irreps=("0e", "1o", "2e"), order=2, degree=(4.0, 4.0), max_n=None, pair=Pair(degree=2)
    )
)


def learned(spec: BasisSpec, by_l: bool = False) -> LearnedBasis:
    """With weights that differ from pair to pair."""
    rng, names = np.random.default_rng(3), channel_names(spec.expansion(), by_l)
    return LearnedBasis(spec, rng.normal(size=(3, 3, len(names), 7)), by_l)


def model(by_l: bool = False) -> Model:
    rng, count = np.random.default_rng(4), basis_size(SPEC)["total"]
    return Model(learned(SPEC, by_l), rng.normal(size=count) / 10, np.array([-1.0, -2.0, -3.0]))


def structures() -> list[Structure]:
    """Triclinic cells of several elements, one of them without hydrogen."""
    rng = np.random.default_rng(5)
    cell = np.array([[5.3, 0.3, -0.4], [0.6, 5.8, 0.5], [-0.3, 0.7, 5.1]])
    found = []
    for numbers in ([1, 8, 14, 1, 8, 14, 1], [8, 14, 8, 14], [14, 1, 1, 8, 8]):
        while True:
            positions = rng.random((len(numbers), 3)) @ cell
            one = Structure(numbers, positions, cell, True)
            apart = positions[:, None] - positions
            apart -= np.round(apart @ np.linalg.inv(cell)) @ cell
            if (np.linalg.norm(apart, axis=2) + 9 * np.eye(len(numbers))).min() > 1.3:
                found.append(one)
                break
    return found


def written_out(tables: Tables) -> Tables:
    """The same with products of sums over the neighbours of one element each."""
    species, count = len(tables.numbers), len(tables.a_l)
    whole = np.flatnonzero(tables.a_species < 0)
    single = np.flatnonzero(tables.a_species >= 0)
    number = {}
    for z in range(species):
        number |= {(int(v), z): z * len(whole) + k for k, v in enumerate(whole)}
    number |= {(int(v), None): species * len(whole) + k for k, v in enumerate(single)}
    total = species * len(whole) + len(single)
    made = []
    for products in tables.products:
        factors, origin = [], []
        for term, row in enumerate(products.factors.tolist()):
            used = [v for v in row if v < count]
            ways = [range(species) if tables.a_species[v] < 0 else (None,) for v in used]
            for way in product(*ways):
                names = sorted(number[v, z] for v, z in zip(used, way, strict=True))
                factors.append(names + [total] * (len(row) - len(names)))
                origin.append(term)
        pairs = [
            (k, c) for k, t in enumerate(products.term.tolist()) for c in np.flatnonzero(
                np.array(origin) == t
            )
        ]  # fmt: skip
        entry, copies = (np.array(side, dtype=int) for side in zip(*pairs, strict=True))
        made.append(
            Products(
                np.array(factors, dtype=np.int32),
                products.function[entry],
                copies.astype(np.int32),
                products.real[entry],
                products.imaginary[entry],
                *(
                    w[..., origin] if w.shape[2] else w
                    for w in (products.weights, products.weights_imaginary)
                ),
            )
        )

    def each(array: np.ndarray) -> np.ndarray:
        return np.concatenate([*[array[whole]] * species, array[single]])

    apart = np.repeat(np.arange(species, dtype=np.int32), len(whole))
    return replace(
        tables,
        a_species=np.concatenate([apart, tables.a_species[single]]).astype(np.int32),
        a_channel=each(tables.a_channel), a_l=each(tables.a_l), a_m=each(tables.a_m),
        products=tuple(made),
    )  # fmt: skip


@pytest.fixture(scope="module")
def energies() -> tuple[Tables, Tables]:
    tables = lower(model())
    return tables, written_out(tables)


def test_the_sums_are_those_of_all_elements(energies):
    together, apart = energies
    assert set(together.a_species[together.a_channel < together.radial[0].coefficients.shape[-1]]) \
        == {-1}  # fmt: skip
    assert sum(len(p.factors) for p in together.products) < 0.2 * sum(
        len(p.factors) for p in apart.products
    )
    found, wanted = (ReferenceEvaluator(t).evaluate(structures()) for t in (together, apart))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-11)
        np.testing.assert_allclose(a.energies, b.energies, atol=1e-11)


@pytest.mark.parametrize("isa", instruction_sets())
def test_compiled_energies_and_forces(energies, isa):
    found = NativeEvaluator(energies[0], 2, isa).evaluate(structures())
    wanted = ReferenceEvaluator(energies[1]).evaluate(structures())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-11)
        np.testing.assert_allclose(a.energies, b.energies, atol=1e-11)
        np.testing.assert_allclose(a.virial, b.virial, atol=1e-11)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("spec", [SPEC, TENSORS], ids=["energies", "tensors"])
def test_compiled_verbs_of_sites(spec, isa):
    rng, some = np.random.default_rng(6), structures()
    tables = lower(learned(spec))
    native, oracle = NativeEvaluator(tables, 2, isa), ReferenceEvaluator(written_out(tables))
    moves = [rng.normal(size=(len(s), 3)) for s in some]
    strains = [rng.normal(size=(3, 3)) / 10 for _ in some]
    for name, more in (("values", ()), ("jvp", (moves, strains))):
        found, wanted = (require(getattr(one, name)(some, *more)) for one in (native, oracle))
        for a, b in zip(found, wanted, strict=True):
            for one, other in zip(a.values, b.values, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-11)
    adjoints = [tuple(rng.normal(size=v.shape) for v in s.values) for s in native.values(some)]
    found, wanted = (require(one.pullback(some, adjoints)) for one in (native, oracle))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-10)
        np.testing.assert_allclose(a.virial, b.virial, atol=1e-10)


@pytest.mark.parametrize("isa", instruction_sets())
def test_compiled_rows(energies, isa):
    together, apart = (t.basis for t in energies)
    quantities = ("energy", "forces", "virial")
    for s in structures():
        shape = (7 + 3 * len(s), together.functions)
        found, wanted = np.empty(shape, order="F"), np.empty(shape, order="F")
        NativeRowBuilder(together, 1, isa).fill(s, quantities, found)
        ReferenceEvaluator(apart).fill(s, quantities, wanted)
        np.testing.assert_allclose(found, wanted, atol=1e-11)


def test_torch_says_the_same(energies):
    pytest.importorskip("torch")
    from acepot.evaluate.torch.evaluator import TorchEvaluator

    found = TorchEvaluator(energies[0]).evaluate(structures())
    wanted = ReferenceEvaluator(energies[1]).evaluate(structures())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-10)
        np.testing.assert_allclose(a.energies, b.energies, atol=1e-10)
    functions = lower(learned(TENSORS))
    found = require(TorchEvaluator(functions).values(structures()))
    wanted = require(ReferenceEvaluator(written_out(functions)).values(structures()))
    for a, b in zip(found, wanted, strict=True):
        for one, other in zip(a.values, b.values, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)


def test_files_keep_it():
    data = modelfile.model_bytes(model(by_l=True))
    again, (s, *_) = load(data), structures()
    assert again.basis.spec.together and modelfile.model_bytes(again) == data
    potential = Potential(model(by_l=True), threads=1)
    assert Potential(again, threads=1).compute(s).energy == potential.compute(s).energy


def test_it_is_described_and_not_written_for_pace(tmp_path):
    acepot.save(model(), tmp_path / "model.acepot")
    lines = dict(describe_model(tmp_path / "model.acepot"))
    assert lines["sums A"] == "over neighbours of all elements"
    assert lines["learned"] == "7 combinations of 7 radial functions, for all l"
    with pytest.raises(InputError, match="no sums over neighbours of all elements"):
        acepot.convert(tmp_path / "model.acepot", tmp_path / "model.yace")


def test_the_number_of_functions_grows_linearly():
    def functions(count: int, **more: bool) -> int:
        spec = BasisSpec(("H", "C", "N", "O", "Si", "S")[:count], degree=6.0, cutoff=4.0, **more)
        return basis_size(resolve(replace(spec, pair=Pair(degree=0))))["total"]

    one = functions(1)
    assert [functions(n, together=True) for n in (2, 4, 6)] == [2 * one, 4 * one, 6 * one]
    assert functions(4) > 30 * one


def test_products_of_both_kinds_of_sums_are_refused_by_the_compiled_code(energies):
    together = energies[0]
    first = int(np.flatnonzero(together.a_species >= 0)[0])
    spoilt = together.products[0].factors.copy()
    row = int(np.flatnonzero((spoilt < len(together.a_l)).sum(axis=1) > 1)[0])
    spoilt[row, 0] = first
    products = (replace(together.products[0], factors=spoilt), *together.products[1:])
    with pytest.raises(InputError, match="sums over neighbours of one species and of all"):
        NativeEvaluator(replace(together, products=products), 1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"bonds_once": True}, "bonds_once: not with together"),
        ({"formulation": "canonical"}, "formulation: not with together"),
        ({"extend_lower_orders": True}, "extend_lower_orders: not with together"),
    ],
)
def test_what_does_not_go_with_it_is_said(more, message):
    with pytest.raises(InputError, match=message):
        BasisSpec(("H", "O"), together=True, **more)
