"""Site values of the compiled evaluator are those of the oracle: every irrep, path and thread."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator, instruction_sets
from acepot.evaluate.precision import Precision
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure
from acepot.tables import Tables

#: Of the largest number of each irrep, of forces, or of virials, over all structures. Measured:
#: 5e-15 on every instruction set.
ORACLE = 1e-11

ALL = tuple(f"{l}{parity}" for l in range(5) for parity in "eo")
CASES = {
    1: {"elements": ("Si",), "degree": 9.0, "wl": 1.0},
    2: {"elements": ("O", "Si"), "degree": 5.0, "wl": 0.6},
    3: {"elements": ("H", "O", "Si"), "degree": (3.0, 3.0, 4.5), "wl": 0.5},
}
MORE = {"order": 3, "r0": {"default": 2.0}, "cutoff": {"default": 3.6}, "constant": True}


@cache
def _basis(elements: int) -> Tables:
    """Every L up to 4 of both parities, the constant, and pair functions with their own reach."""
    pair = Pair(degree=3, cutoff=4.2)
    return lower(resolve(BasisSpec(irreps=ALL, pair=pair, **CASES[elements], **MORE)))


@cache
def _tables(elements: int, kind: str) -> Tables:
    """A basis, or a model of 2 members and 1 to 3 outputs of each irrep."""
    basis, rng = _basis(elements), np.random.default_rng(elements)
    shapes = [(2, 1 + k % 3, n) for k, n in enumerate(basis.sizes)]
    return basis if kind == "basis" else basis.read_out([rng.normal(size=s) for s in shapes])


def _assert_agree(
    tables: Tables, structures: Sequence[Structure], isa: str, threads: int,
    precision: Precision = "double", limit: float = ORACLE,
) -> None:  # fmt: skip
    """All three verbs against the oracle."""
    fast = NativeEvaluator(tables, threads, isa, precision)
    slow = ReferenceEvaluator(tables)
    rng = np.random.default_rng(17)
    u = [rng.normal(size=(len(s), 3)) for s in structures]
    strains = [rng.normal(size=(3, 3)) for _ in structures]
    adjoints = [
        [
            rng.normal(size=(len(s), w, i.dim))
            for w, i in zip(tables.widths, tables.irreps, strict=True)
        ]
        for s in structures
    ]
    rest = [None] * len(structures)
    for verb, found, expected in (
        ("values", fast.values(structures), slow.values(structures)),
        ("jvp", fast.jvp(structures, u, strains), slow.jvp(structures, u, strains)),
        ("jvp of strain", fast.jvp(structures, rest, strains), slow.jvp(structures, rest, strains)),
        ("jvp of none", fast.jvp(structures, rest), slow.jvp(structures, rest)),
    ):
        for k, irrep in enumerate(tables.irreps):
            arrays = [(a.values[k], b.values[k]) for a, b in zip(found, expected, strict=True)]
            _assert_close(arrays, limit, f"{verb}, {irrep}, {isa}, {threads} threads")
        assert [s.error is None for s in found] == [s.error is None for s in expected]
    pairs = list(
        zip(
            require(fast.pullback(structures, adjoints)),
            require(slow.pullback(structures, adjoints)),
            strict=True,
        )
    )
    where = f"{isa}, {threads} threads"
    _assert_close([(a.forces, b.forces) for a, b in pairs], limit, f"forces, {where}")
    _assert_close([(a.virials, b.virials) for a, b in pairs], limit, f"virials, {where}")


def _assert_close(arrays: Sequence[tuple[np.ndarray, np.ndarray]], limit: float, what: str) -> None:
    size = max((float(np.abs(b).max(initial=0.0)) for _, b in arrays), default=0.0)
    for a, b in arrays:
        assert a.shape == b.shape, f"{what}: {a.shape} for {b.shape}"
        error = float(np.abs(a - b).max(initial=0.0))
        assert error <= limit * max(size, 1e-3), f"{what}: {error / max(size, 1e-3):.1e}"


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("kind", ["basis", "model"])
@pytest.mark.parametrize("elements", CASES)
def test_every_irrep_of_every_structure(elements, kind, isa, structures_of):
    tables = _tables(elements, kind)
    structures = list(structures_of(tuple(tables.numbers.tolist())).values())
    for threads in (1, 2, 3):
        _assert_agree(tables, structures, isa, threads)
    missing = [s for s in structures if len(s) > 1]
    some = [replace(s, numbers=np.full(len(s), tables.numbers[-1])) for s in missing]
    _assert_agree(tables, some, isa, 1)  # other elements are not there


@pytest.mark.parametrize("isa", instruction_sets())
def test_every_construction_path(any_case, isa):
    """Complex coefficients, several radial tables, inner cut-offs, orders up to six."""
    structures = list(any_case.structures.values())
    for tables in (any_case.tables, any_case.tables.basis):
        _assert_agree(tables, structures, isa, 2)


@pytest.mark.parametrize("isa", instruction_sets())
def test_orders_four_of_vectors_and_tensors(isa, structures_of):
    spec = resolve(
        BasisSpec(("Si",), order=4, degree=(8.0, 7.0, 7.0, 6.0), wl=0.8, irreps=("1o", "2e", "1e"),
                  r0={"default": 2.0}, cutoff={"default": 3.6}, pair=Pair(degree=0))
    )  # fmt: skip
    tables = lower(spec)
    assert (tables.products[0].factors[:, 3] < len(tables.a_l)).any()
    structures = [structures_of((14,))[name] for name in ("triclinic", "slab", "molecule")]
    _assert_agree(tables, structures, isa, 2)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("outputs", [1, 5, 16, 40])
def test_any_number_of_outputs(outputs, isa, structures_of):
    tables = lower(
        resolve(BasisSpec(("O", "Si"), order=3, degree=6.0, r0={"default": 2.0},
                          cutoff={"default": 3.6}))
    )  # fmt: skip
    rng = np.random.default_rng(outputs)
    model = tables.read_out(rng.normal(size=(3, outputs, tables.functions)))
    structures = [structures_of((8, 14))[name] for name in ("triclinic", "molecule", "one atom")]
    _assert_agree(model, structures, isa, 2)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("densities", [1, 4, 16])
def test_values_of_a_nonlinear_model_are_its_densities(densities, isa, structures_of):
    spec = resolve(
        BasisSpec(("O", "Si"), order=3, degree=6.0, r0={"default": 2.0}, cutoff={"default": 3.6})
    )
    rng = np.random.default_rng(densities)
    weights, exponents = tuple(rng.normal(size=densities)), (1.0, 0.5, 0.8, 2.0) * 4
    nonlinear = Nonlinear(
        tuple(Embedding("FinnisSinclair", weights, exponents[:densities]) for _ in range(2))
    )
    coefficients = 0.05 * rng.normal(size=(densities, spec.expansion().size))
    tables = lower(Model(spec, coefficients[None], np.zeros(2), nonlinear=nonlinear))
    structures = [structures_of((8, 14))[name] for name in ("triclinic", "molecule", "one atom")]
    _assert_agree(tables, structures, isa, 2)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize(("precision", "limit"), [("mixed", 3e-5), ("single", 3e-5)])
def test_less_precision_errs_by_as_much(precision, limit, isa, structures_of):
    structures = [structures_of((14,))[name] for name in ("triclinic", "slab", "molecule")]
    _assert_agree(_tables(1, "model"), structures, isa, 2, precision, limit)


@pytest.mark.parametrize("isa", instruction_sets())
def test_numbers_do_not_depend_on_what_was_evaluated_before(isa, structures_of):
    structures = list(structures_of((8, 14)).values())
    evaluator = NativeEvaluator(_tables(2, "model"), 1, isa)
    first = evaluator.values(structures)
    evaluator.pullback(structures[:2], [s.values for s in first[:2]])
    evaluator.jvp(structures, [None] * len(structures))
    for one, other in zip(first, evaluator.values(structures), strict=True):
        for a, b in zip(one.values, other.values, strict=True):
            np.testing.assert_array_equal(a, b)


def test_rows_of_all_sites_are_those_of_the_oracle(case_named):
    case = case_named("two-elements")
    fast, slow = NativeEvaluator(case.tables.basis, 1), ReferenceEvaluator(case.tables.basis)
    structures = [case.structures[name] for name in ("triclinic", "molecule")]
    for one, other in zip(fast.rows(structures), slow.rows(structures), strict=True):
        for name in ("values", "forces", "virial"):
            a, b = getattr(one.irreps[0], name), getattr(other.irreps[0], name)
            np.testing.assert_allclose(a, b, atol=1e-11 * np.abs(b).max())
    weights = [np.eye(len(s)) for s in structures]
    (one, _), (other, _) = fast.rows(structures, weights), slow.rows(structures, weights)
    np.testing.assert_array_equal(one.irreps[0].forces, other.irreps[0].forces)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("irreps", np.array([[0, 1], [31, 1], [1, 1]]), "L from 0 to 30"),
        ("irreps", np.array([[0, 1], [1, 0], [1, 1]]), "parities 1 and -1"),
        ("sizes", np.array([1, -1, 2]), "impossible number of functions"),
        ("sizes", np.array([1 << 24, 1 << 24, 2]), "too many functions"),
        ("outputs", np.array([1, 2]), "do not fit together"),
        ("outputs", np.array([1, 2, 1 << 20]), "too many functions or outputs"),
        ("outputs", np.array([1, 2, 3]), "products0.weights has a wrong shape"),
    ],
)
def test_impossible_tensors_are_refused_by_name(name, value, message):
    basis = lower(
        resolve(BasisSpec(("Si",), order=2, degree=4.0, wl=1.0, irreps=("0e", "1o", "1e")))
    )
    tables = basis.read_out(
        [np.ones((2, o, n)) for o, n in zip((1, 2, 1), basis.sizes, strict=True)]
    )
    if name == "irreps":
        changed = replace(tables, irreps=tuple(map(tuple, value.tolist())))
    else:
        changed = replace(tables, **{name: tuple(value.tolist())})
    with pytest.raises(InputError, match=message):
        NativeEvaluator(changed, 1)
    assert len(table_bytes(tables)) > 0
