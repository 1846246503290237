"""Site outputs in torch: the four verbs are held to the oracle, to each other and to autograd."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.structure import Structure
from acepot.tables import Tables

torch = pytest.importorskip("torch", reason="needs acepot[torch]")
torch.set_num_threads(1)

from acepot.evaluate.torch.edges import forces_and_virials  # noqa: E402
from acepot.evaluate.torch.evaluator import TorchEvaluator  # noqa: E402
from acepot.evaluate.torch.module import AceModule  # noqa: E402
from acepot.evaluate.torch.sites import SiteModule  # noqa: E402

#: L = 0 … 4 of both parities; every one has functions in one of the cases below at least.
ALL = tuple(f"{l}{parity}" for l in range(5) for parity in "eo")
CASES = {
    1: {"elements": ("Si",), "degree": 9.0, "wl": 1.0},
    2: {"elements": ("O", "Si"), "degree": 5.0, "wl": 0.6},
    3: {"elements": ("H", "O", "Si"), "degree": (3.0, 3.0, 4.5), "wl": 0.5},
}
MORE = {"order": 3, "r0": {"default": 2.0}, "cutoff": {"default": 3.6}, "constant": True}
#: Of the largest number of an array, or of 1.
ORACLE = 1e-11


@cache
def _basis(elements: int, irreps: tuple[str, ...] = ALL) -> Tables:
    return lower(
        resolve(
            BasisSpec(irreps=irreps, pair=Pair(degree=3, cutoff=4.2), **CASES[elements], **MORE)
        )
    )


@cache
def _tables(elements: int, kind: str) -> Tables:
    """A basis of all irreps, or a model of those with functions: 2 members, 1 to 3 outputs."""
    basis = _basis(elements)
    if kind == "basis":
        return basis
    present = tuple(str(i) for i, n in zip(basis.irreps, basis.sizes, strict=True) if n)
    basis, rng = _basis(elements, present), np.random.default_rng(elements)
    shapes = [(2, 1 + k % 3, n) for k, n in enumerate(basis.sizes)]
    return basis.read_out([rng.normal(size=shape) for shape in shapes])


def _assert_close(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], what: str):
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert a.shape == b.shape, f"{what}, array {k}: {a.shape} for {b.shape}"
        error = np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1.0)
        assert error < ORACLE, f"{what}, array {k}: {error:.1e}"


def _draw(tables: Tables, structures: Sequence[Structure]):
    """Displacements, strains and adjoints."""
    rng = np.random.default_rng(17)
    shapes = [(w, i.dim) for w, i in zip(tables.widths, tables.irreps, strict=True)]
    return (
        [rng.normal(size=(len(s), 3)) for s in structures],
        [rng.normal(size=(3, 3)) for _ in structures],
        [[rng.normal(size=(len(s), *shape)) for shape in shapes] for s in structures],
    )


def _arguments(tables: Tables, structure: Structure) -> list[torch.Tensor]:
    edges = build(structure, float(tables.cutoff.max()))
    species = np.searchsorted(tables.numbers, structure.numbers)
    return [torch.from_numpy(a) for a in (species, edges.centre, edges.neighbour, edges.vector)]


# ------------------------------------------------------------------ against the oracle


def test_every_irrep_has_functions_somewhere():
    sizes = np.sum([_basis(elements).sizes for elements in CASES], axis=0)
    assert _basis(1).irreps == _basis(3).irreps and (sizes > 0).all()


@pytest.mark.parametrize("kind", ["basis", "model"])
@pytest.mark.parametrize("elements", CASES)
def test_values_and_their_derivatives_are_those_of_the_oracle(elements, kind, structures_of):
    tables = _tables(elements, kind)
    structures = list(structures_of(tuple(tables.numbers.tolist())).values())
    moved, strains, adjoints = _draw(tables, structures)
    fast, slow = TorchEvaluator(tables), ReferenceEvaluator(tables)
    for call in (
        lambda e: e.values(structures),
        lambda e: e.jvp(structures, moved, strains),
        lambda e: e.jvp(structures, [None] * len(structures), strains),
    ):
        for structure, a, b in zip(structures, call(fast), call(slow), strict=True):
            _assert_close(a.values, b.values, structure.name)
    found, expected = fast.pullback(structures, adjoints), slow.pullback(structures, adjoints)
    for structure, a, b in zip(structures, found, expected, strict=True):
        _assert_close((a.forces, a.virials), (b.forces, b.virials), structure.name)


@pytest.mark.parametrize("elements", CASES)
def test_rows_are_those_of_the_oracle(elements, structures_of):
    tables = _tables(elements, "basis")
    every = structures_of(tuple(tables.numbers.tolist()))
    structures = [every[name] for name in ("slab", "molecule", "one atom", "one periodic atom")]
    rng = np.random.default_rng(elements)
    weights = [None, np.eye(6), rng.normal(size=(2, 1)), rng.normal(size=(3, 1))]
    fast, slow = TorchEvaluator(tables), ReferenceEvaluator(tables)
    found, expected = fast.rows(structures, weights), slow.rows(structures, weights)
    for structure, a, b in zip(structures, found, expected, strict=True):
        for irrep, one, other in zip(tables.irreps, a.irreps, b.irreps, strict=True):
            what = f"{structure.name}, {irrep}"
            _assert_close(
                (one.values, one.forces, one.virial), (other.values, other.forces, other.virial),
                what,
            )  # fmt: skip
    model = TorchEvaluator(_tables(elements, "model"))  # rows are those of its basis
    one, other = model.rows(structures[:1])[0], TorchEvaluator(model.tables.basis)
    _assert_close([one.irreps[0].forces], [other.rows(structures[:1])[0].irreps[0].forces], "model")


def test_products_without_symmetry_and_every_radial_path(any_case):
    """Complex coefficients, two radial tables, inner cut-offs, orders up to six."""
    structures = [any_case.structures[name] for name in ("triclinic", "molecule")]
    for tables in (any_case.tables, any_case.tables.basis):
        _, _, adjoints = _draw(tables, structures)
        fast, slow = TorchEvaluator(tables), ReferenceEvaluator(tables)
        for a, b in zip(fast.values(structures), slow.values(structures), strict=True):
            _assert_close(a.values, b.values, any_case.name)
        found, expected = fast.pullback(structures, adjoints), slow.pullback(structures, adjoints)
        for a, b in zip(found, expected, strict=True):
            _assert_close((a.forces, a.virials), (b.forces, b.virials), any_case.name)
    a, b = (e.rows(structures[1:])[0].irreps[0] for e in (fast, slow))
    _assert_close((a.forces, a.virial), (b.forces, b.virial), any_case.name)


def test_densities_of_nonlinear_models_are_site_outputs(structures_of):
    basis = BasisSpec(**CASES[2], **{**MORE, "constant": False})
    spec = resolve(basis)
    embedding = Embedding("FinnisSinclairShiftedScaled", (1.0, 0.4), (1.0, 0.5))
    coefficients = np.random.default_rng(1).normal(size=(spec.expansion().size, 2))
    how = Nonlinear((embedding, embedding))
    tables = lower(Model(spec, coefficients.T[None], np.zeros(2), nonlinear=how))
    structures = list(structures_of((8, 14)).values())
    fast, slow = TorchEvaluator(tables), ReferenceEvaluator(tables)
    for a, b in zip(fast.values(structures), slow.values(structures), strict=True):
        _assert_close(a.values, b.values, "densities")
    with pytest.raises(InputError, match="no design matrix"):
        fast.rows(structures)


def test_energies_may_hold_the_constant_function(structures_of):
    spec = resolve(BasisSpec(irreps=("0e",), pair=Pair(degree=3, cutoff=4.2), **CASES[2], **MORE))
    rng = np.random.default_rng(4)
    size = spec.expansion().size
    first, e0, others = (rng.normal(size=shape) for shape in (size, 2, (2, size)))
    for part in (slice(None), slice(0)):  # and nothing else
        kept = np.zeros(size)
        kept[:2], kept[part] = first[:2], first[part]
        tables = replace(lower(spec).read_out(np.vstack([kept, others])[:, None]), e0=e0)
        structures = list(structures_of((8, 14)).values())
        fast, slow = TorchEvaluator(tables), ReferenceEvaluator(tables)
        found = fast.evaluate(structures, committee=True)
        for a, b in zip(found, slow.evaluate(structures, committee=True), strict=True):
            both = [(r.energies, r.forces, r.virials, r.committee.forces) for r in (a, b)]
            _assert_close(*both, "constant")


@pytest.mark.parametrize("constant", [True, False])
def test_nothing_but_constants_or_nothing_at_all(constant, structures_of):
    """Whole irreps and all radial tables may be missing."""
    irreps = ("0e", "4o") if constant else ("4o",)
    fields = {"order": 1, "degree": 0.5, "irreps": irreps, "pair": Pair(degree=0)}
    spec = resolve(BasisSpec(("O", "Si"), **{**MORE, **fields, "constant": constant}))
    basis = lower(spec)
    assert basis.sizes == ((2, 0) if constant else (0,))
    structures = list(structures_of((8, 14)).values())
    for tables in (basis, basis.read_out([np.ones((1, 1, n)) for n in basis.sizes])):
        moved, strains, adjoints = _draw(tables, structures)
        fast, slow = TorchEvaluator(tables), ReferenceEvaluator(tables)
        for a, b in zip(fast.values(structures), slow.values(structures), strict=True):
            _assert_close(a.values, b.values, "constants")
        assert not any(v.any() for s in fast.jvp(structures, moved, strains) for v in s.values)
        assert not any(p.forces.any() for p in fast.pullback(structures, adjoints))
        assert not any(r.forces.any() for rows in fast.rows(structures) for r in rows.irreps)


# ------------------------------------------------------------------ against each other


@pytest.mark.parametrize("elements", CASES)
def test_pullback_is_the_transpose_of_jvp(elements, structures_of):
    tables = _tables(elements, "model")
    structures = list(structures_of(tuple(tables.numbers.tolist())).values())
    moved, strains, adjoints = _draw(tables, structures)
    evaluator = TorchEvaluator(tables)
    changes = evaluator.jvp(structures, moved, strains)
    pullbacks = evaluator.pullback(structures, adjoints)
    for change, back, u, strain, a in zip(
        changes, pullbacks, moved, strains, adjoints, strict=True
    ):
        terms = [(x * d).ravel() for x, d in zip(a, change.values, strict=True)]
        size = max(sum(np.abs(t).sum() for t in terms), 1.0)
        gap = sum(t.sum() for t in terms) + (back.forces * u).sum() + (back.virial * strain).sum()
        assert abs(gap) / size < 1e-12


def test_blocks_and_company_change_nothing(structures_of):
    """One atom at a time, alone or among others."""
    tables = _tables(2, "model")
    structures = list(structures_of((8, 14)).values())
    moved, strains, adjoints = _draw(tables, structures)
    whole, small = TorchEvaluator(tables), TorchEvaluator(tables)
    small._sites.block = small._rows.block = 1
    for name, *given in (("values",), ("jvp", moved, strains), ("rows",)):
        alone = [[[g[n]] for g in given] for n in range(len(structures))]
        found = [getattr(small, name)([s], *a)[0] for s, a in zip(structures, alone, strict=True)]
        for a, b in zip(found, getattr(whole, name)(structures, *given), strict=True):
            parts = [
                list(r.values) if name != "rows" else [one.forces for one in r.irreps]
                for r in (a, b)
            ]
            _assert_close(*parts, name)
    found, expected = (e.pullback(structures, adjoints) for e in (small, whole))
    for a, b in zip(found, expected, strict=True):
        _assert_close((a.forces, a.virials), (b.forces, b.virials), "pullback")


def test_a_linear_energy_is_one_reader_of_site_outputs(structures_of):
    spec = resolve(BasisSpec(**CASES[2], **MORE | {"constant": False}))
    coefficients = np.random.default_rng(5).normal(size=spec.expansion().size)
    tables = lower(Model(spec, coefficients, np.zeros(2)))
    structure = structures_of((8, 14))["triclinic"]
    *lists, vector = _arguments(tables, structure)
    energies, gradient = AceModule(tables)(*lists, vector)
    module = SiteModule(tables)
    (values,) = module(*lists, vector)
    torch.testing.assert_close(values[:, 0, 0], energies, rtol=1e-12, atol=1e-12)
    back = module.pullback(*lists, vector, torch.ones((len(structure), 1), dtype=vector.dtype))
    torch.testing.assert_close(back, gradient, rtol=1e-11, atol=1e-11)
    result = require(TorchEvaluator(tables).evaluate([structure]))[0]
    forces, _ = forces_and_virials(back, *lists[1:], vector, len(structure))
    np.testing.assert_allclose(forces, result.forces, rtol=1e-11, atol=1e-10)


# ------------------------------------------------------------------ autograd


@pytest.mark.parametrize("kind", ["basis", "model"])
def test_autograd_differentiates_twice(kind):
    basis = lower(
        resolve(
            BasisSpec(
                ("O", "Si"), order=2, degree=4.0, wl=1.0, irreps=("0e", "1o", "1e"),
                r0={"default": 2.0}, cutoff={"default": 3.6}, pair=Pair(degree=2),
            )
        )
    )  # fmt: skip
    rng = np.random.default_rng(8)
    shapes = [(1, 2, n) for n in basis.sizes]
    tables = basis if kind == "basis" else basis.read_out([rng.normal(size=s) for s in shapes])
    module = SiteModule(tables)
    structure = Structure([8, 14, 14], [[0, 0, 0], [1.6, 0.3, -0.2], [-0.4, 1.9, 0.7]])
    *lists, vector = _arguments(tables, structure)
    vector = vector.requires_grad_()

    def outputs(vector: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        for site, weight in zip(module.sites, weights, strict=False):
            site.read_out.weights = weight
        return torch.cat([part.flatten() for part in module(*lists, vector)])

    inputs = [vector]
    if kind == "model":
        inputs += [site.read_out.weights.clone().requires_grad_() for site in module.sites]
    assert torch.autograd.gradcheck(outputs, inputs, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(outputs, inputs, fast_mode=True)


def test_a_nonlinear_fit_is_one_line_of_autograd(structures_of):
    """The gradient of a loss in forces by the coefficients, through d²ρ/dr dc."""
    basis = _basis(1, ("0e",))
    structure = structures_of((14,))["molecule"]
    module = SiteModule(basis)
    *lists, vector = _arguments(basis, structure)
    vector.requires_grad_()
    rng = np.random.default_rng(9)
    labels = torch.from_numpy(rng.normal(size=vector.shape))
    first = torch.from_numpy(0.01 * rng.normal(size=basis.functions))

    def loss(c: torch.Tensor) -> torch.Tensor:
        density = module(*lists, vector)[0][:, :, 0] @ c
        energy = torch.sqrt(1.0 + density**2).sum()
        (slope,) = torch.autograd.grad(energy, vector, create_graph=True)
        return ((slope - labels) ** 2).sum()

    c = first.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(c), c)
    direction = torch.from_numpy(rng.normal(size=basis.functions))
    step = 1e-5 * direction / direction.norm()
    gap = (loss(first + step) - loss(first - step)).detach() / 2
    assert float(gap) == pytest.approx(float(slope @ step), rel=1e-6)


# ------------------------------------------------------------------ what cannot be


def test_one_bad_structure_does_not_stop_the_others(structures_of):
    tables = _tables(2, "model")
    good = structures_of((8, 14))["molecule"]
    bad = {
        "He": Structure([2, 8], [[0, 0, 0], [2, 0, 0]], name="helium"),
        "same point": Structure([8, 8], np.zeros((2, 3)), name="twice"),
        "0.05 Å apart": Structure([8, 14], [[0, 0, 0], [0, 0, 0.05]], name="close"),
    }
    structures = [good, *bad.values(), good]
    evaluator = TorchEvaluator(tables)
    moved, strains, adjoints = _draw(tables, structures)
    for found in (
        evaluator.values(structures),
        evaluator.jvp(structures, moved, strains),
        evaluator.pullback(structures, adjoints),
        evaluator.rows(structures),
    ):
        assert found[0].error is None and found[-1].error is None
        for result, structure, message in zip(found[1:-1], bad.values(), bad, strict=True):
            assert message in str(result.error) and structure.name in str(result.error)
            assert all(np.isnan(a).all() for a in getattr(result, "values", ()))
    moved[0] = moved[0][:-1]
    adjoints[0] = [*adjoints[0][:-1], np.full_like(adjoints[0][-1], np.nan)]
    weights = [np.ones((1, 99)), *[None] * 4]
    for found, message in (
        (evaluator.jvp(structures, moved), "displacement: expected"),
        (evaluator.pullback(structures, adjoints), "adjoint: expected"),
        (evaluator.rows(structures, weights), "weights: expected"),
    ):
        assert message in str(found[0].error) and found[-1].error is None
    assert evaluator.values([]) == [] and evaluator.values([bad["He"]])[0].error is not None


def test_what_is_no_energy_is_refused():
    for kind in ("basis", "model"):
        tables = _tables(2, kind)
        with pytest.raises(InputError, match="true scalars"):
            AceModule(tables)
        with pytest.raises(InputError, match="true scalars"):
            TorchEvaluator(tables).evaluate([])
    evaluator = TorchEvaluator(_basis(1))
    structure = Structure([14], [[0, 0, 0]])
    for call in (
        lambda: evaluator.jvp([structure], []),
        lambda: evaluator.pullback([structure], []),
        lambda: evaluator.rows([structure], [None, None]),
    ):
        with pytest.raises(InputError, match="for each structure"):
            call()
    with pytest.raises(InputError, match="float64 or float32"):
        SiteModule(_basis(1), torch.float16)
    with pytest.raises(InputError, match="device: torch cannot use 'nowhere'"):
        TorchEvaluator(_basis(1), "nowhere")


def test_single_precision_gives_the_same_outputs_to_its_digits(structures_of):
    tables = _tables(1, "model")
    structures = [structures_of((14,))["triclinic"]]
    double, single = TorchEvaluator(tables), TorchEvaluator(tables, single=True)
    for a, b in zip(
        single.values(structures)[0].values, double.values(structures)[0].values, strict=True
    ):
        assert 0 < np.abs(a - b).max() / np.abs(b).max() < 1e-4
