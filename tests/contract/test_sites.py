"""The laws of site outputs: equivariance, derivatives, adjoints, several outputs over the same A's.

Every evaluator that has the verbs is held to them, and to the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from acepot.basis.choices import Pair, resolve
from acepot.basis.pace_family import ChebExpCos, ChebPow, SBessel
from acepot.basis.radial import Jacobi, Legendre, Orthonormal
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model, TensorModel
from acepot.structure import Structure
from acepot.tables import Tables

#: Largest error of an equivariant value, relative to the largest value. Measured: 2e-14.
EQUIVARIANCE = 1e-11
#: Of derivatives against finite differences of fourth order. Measured: 3e-10.
DIFFERENCE = 1e-7
#: Of ⟨a, J u⟩ = ⟨Jᵀ a, u⟩, relative to the sum of magnitudes. Measured: 3e-15.
ADJOINT = 1e-12

#: Every evaluator that is held to the laws; torch is held to the oracle elsewhere.
EVALUATORS: dict[str, Callable[[Tables], ReferenceEvaluator | NativeEvaluator]] = {
    "reference": ReferenceEvaluator,
    "native": partial(NativeEvaluator, threads=2),
}

ALL_L = tuple(f"{l}{p}" for l in range(5) for p in "eo")  # noqa: E741 - the field's own symbol
ELEMENTS = {
    1: {"elements": ("Si",), "r0": 2.1, "cutoff": 3.8, "order": 3, "degree": 7.0},
    2: {"elements": ("Si", "O"), "r0": 1.9, "cutoff": 3.6, "order": 3, "degree": 5.5},
    3: {"elements": ("H", "O", "Si"), "r0": 1.8, "cutoff": 3.6, "order": 2, "degree": 5.5},
}
RADIALS = {
    "orthonormal": Orthonormal(),
    "jacobi": Jacobi(),
    "legendre": Legendre(),
    "cheb_exp_cos": ChebExpCos(exponent=2.3),
    "cheb_pow": ChebPow(exponent=2.0),
    "sbessel": SBessel(),
}


def basis(count: int, **more: object) -> BasisSpec:
    """A basis of every L up to 4 and both parities, with the constant and pair functions."""
    fields = ELEMENTS[count] | {"wl": 1.0, "irreps": ALL_L, "constant": True}
    return resolve(BasisSpec(**fields | {"pair": Pair(degree=2)} | more))


def model_tables(spec: BasisSpec, seed: int, outputs: int = 2, members: int = 1) -> Tables:
    """Random outputs of every irrep, the functions scaled to even sizes."""
    rng = np.random.default_rng(seed)
    tables = lower(spec)
    return tables.read_out([rng.normal(size=(members, outputs, n)) for n in tables.sizes])


def chosen(structures: dict[str, Structure]) -> list[Structure]:
    """A crystal, a slab, a molecule and an atom alone."""
    return [structures[name] for name in ("triclinic", "slab", "molecule", "one atom")]


def largest(arrays: tuple[np.ndarray, ...]) -> float:
    """The largest magnitude."""
    return max(float(np.abs(a).max(initial=0.0)) for a in arrays)


@pytest.fixture(params=EVALUATORS)
def evaluator_of(
    request: pytest.FixtureRequest,
) -> Callable[[Tables], ReferenceEvaluator | NativeEvaluator]:
    """Makes an evaluator of Tables."""
    return EVALUATORS[request.param]


# ------------------------------------------------------------------ laws


@pytest.mark.parametrize("count", ELEMENTS)
def test_every_irrep_has_functions_of_several_orders_or_is_empty_by_rule(count):
    """What couples to nothing within the order is empty: no error, no functions."""
    spec = basis(count)
    sizes = dict(zip(map(str, spec.symmetries), lower(spec).sizes, strict=True))
    assert sizes["0e"] > 20 and sizes["4e"] > 3 and sizes["1o"] > 3
    assert (sizes["0o"] == 0) == (spec.order < 3 or spec.degree[2] < 9)
    assert lower(basis(1, order=1, degree=6.0)).sizes[2] == 0  # 1e


@pytest.mark.parametrize("family", RADIALS)
@pytest.mark.parametrize("count", ELEMENTS)
def test_values_turn_with_wigner_d(structures_of, rotation, wigner, count, family, evaluator_of):
    spec = basis(count, radial=RADIALS[family])
    evaluator = evaluator_of(lower(spec))
    rng = np.random.default_rng([3, count])
    for structure in chosen(structures_of(spec.numbers)):
        (before,) = require(evaluator.values([structure]))
        for proper in (True, False):
            q = rotation(rng, proper)
            turned = replace(
                structure, positions=structure.positions @ q.T, cell=structure.cell @ q.T
            )
            (after,) = require(evaluator.values([turned]))
            for irrep, old, new in zip(spec.symmetries, before.values, after.values, strict=True):
                d = wigner(q if proper else -q, irrep.l) * (1 if proper else irrep.parity)
                size = max(np.abs(old).max(initial=0.0), 1e-3)
                error = np.abs(new - old @ d.T).max(initial=0.0) / size
                assert error < EQUIVARIANCE, f"{structure.name}, {irrep}: {error:.1e}"


def difference(values: Callable[[float], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Derivatives at 0 by central differences of sixth order."""
    h = 1e-3
    steps = {k: values(k * h) for k in (-3, -2, -1, 1, 2, 3)}
    weights = {1: 45.0, 2: -9.0, 3: 1.0}
    return tuple(
        sum(w * (steps[k][i] - steps[-k][i]) for k, w in weights.items()) / (60 * h)
        for i in range(len(steps[1]))
    )


@pytest.mark.parametrize("family", RADIALS)
@pytest.mark.parametrize("count", ELEMENTS)
def test_jvp_is_the_derivative_along_displacements_and_strain(
    structures_of, count, family, evaluator_of
):
    tables = model_tables(basis(count, radial=RADIALS[family]), count, members=2)
    evaluator = evaluator_of(tables)
    rng = np.random.default_rng([4, count])
    for structure in chosen(structures_of(tuple(tables.numbers.tolist()))):
        u, strain = rng.normal(size=(len(structure), 3)), rng.normal(size=(3, 3)) / 3

        def moved(h: float, s=structure, u=u, e=strain) -> tuple[np.ndarray, ...]:
            change = np.eye(3) + h * e
            # r -> r (1 + h ε), and then h u: to first order what jvp says.
            positions = s.positions @ change + h * u
            found = evaluator.values([replace(s, positions=positions, cell=s.cell @ change)])
            return require(found)[0].values

        (found,) = require(evaluator.jvp([structure], [u], [strain]))
        expected = difference(moved)
        size = max(largest(expected), 1e-3)
        error = largest(tuple(a - b for a, b in zip(found.values, expected, strict=True))) / size
        assert error < DIFFERENCE, f"{structure.name}: {error:.1e}"


@pytest.mark.parametrize("family", RADIALS)
@pytest.mark.parametrize("count", ELEMENTS)
def test_pullback_is_the_adjoint_of_jvp(structures_of, count, family, evaluator_of):
    tables = model_tables(basis(count, radial=RADIALS[family]), count, outputs=3, members=2)
    for one in (tables, tables.basis):
        evaluator = evaluator_of(one)
        rng = np.random.default_rng([5, count])
        structures = chosen(structures_of(tuple(tables.numbers.tolist())))
        u = [rng.normal(size=(len(s), 3)) for s in structures]
        strains = [rng.normal(size=(3, 3)) for _ in structures]
        adjoints = [
            [
                rng.normal(size=(len(s), w, i.dim))
                for w, i in zip(one.widths, one.irreps, strict=True)
            ]
            for s in structures
        ]
        pulled = require(evaluator.pullback(structures, adjoints))
        pushed = require(evaluator.jvp(structures, u, strains))
        for s, a, p, y, d, e in zip(structures, adjoints, pulled, pushed, u, strains, strict=True):
            left = sum(float((x * v).sum()) for x, v in zip(a, y.values, strict=True))
            right = -float((p.forces * d).sum()) - float((p.virial * e).sum())
            size = sum(float(np.abs(x * v).sum()) for x, v in zip(a, y.values, strict=True))
            assert abs(left - right) <= ADJOINT * max(size, 1e-9), f"{s.name}: {left} {right}"


@pytest.mark.parametrize("count", ELEMENTS)
def test_pullback_is_the_finite_difference_of_a_loss(structures_of, count, evaluator_of):
    tables = model_tables(basis(count), count)
    evaluator = evaluator_of(tables)
    structure = structures_of(tuple(tables.numbers.tolist()))["triclinic"]
    rng = np.random.default_rng([6, count])
    weights = [
        rng.normal(size=(len(structure), w, i.dim))
        for w, i in zip(tables.widths, tables.irreps, strict=True)
    ]

    def loss(positions: np.ndarray, cell: np.ndarray) -> float:
        """½ Σ w y², whose adjoint is w y."""
        (sites,) = require(evaluator.values([replace(structure, positions=positions, cell=cell)]))
        return sum(
            0.5 * float((w * y**2).sum()) for w, y in zip(weights, sites.values, strict=True)
        )

    (sites,) = require(evaluator.values([structure]))
    adjoint = [w * y for w, y in zip(weights, sites.values, strict=True)]
    (pulled,) = require(evaluator.pullback([structure], [adjoint]))
    size = np.abs(pulled.forces).max()
    for _ in range(3):
        d = rng.normal(size=structure.positions.shape)
        (slope,) = difference(
            lambda h, d=d: (np.array([loss(structure.positions + h * d, structure.cell)]),)
        )
        assert abs(slope[0] + (pulled.forces * d).sum()) < DIFFERENCE * size
    strain = rng.normal(size=(3, 3)) / 3

    def strained(h: float) -> tuple[np.ndarray, ...]:
        change = np.eye(3) + h * strain
        return (np.array([loss(structure.positions @ change, structure.cell @ change)]),)

    (slope,) = difference(strained)
    assert abs(slope[0] + (pulled.virial * strain).sum()) < DIFFERENCE * max(size, slope[0])


@pytest.mark.parametrize("count", ELEMENTS)
def test_several_outputs_over_one_set_of_a_are_the_separate_ones(
    structures_of, count, evaluator_of
):
    together = evaluator_of(lower(basis(count)))
    structures = chosen(structures_of(tuple(together.tables.numbers.tolist())))
    joint = require(together.values(structures))
    for number, irrep in enumerate(together.tables.irreps):
        more = {"irreps": (), "total_l": irrep.l, "parity": irrep.parity}
        if str(irrep) != "0e":
            more["constant"] = False
        separate = evaluator_of(lower(basis(count, **more)))
        assert separate.tables.sizes == (together.tables.sizes[number],)
        for one, other in zip(joint, require(separate.values(structures)), strict=True):
            size = max(np.abs(other.values[0]).max(initial=0.0), 1e-3)
            error = np.abs(one.values[number] - other.values[0]).max(initial=0.0) / size
            assert error < 1e-13, f"{irrep}: {error:.1e}"


def test_the_constant_function_is_one_on_every_atom_of_its_element(structures_of, evaluator_of):
    spec = basis(2)
    tables = lower(spec)
    structure = structures_of(spec.numbers)["slab"]
    (sites,) = require(evaluator_of(tables).values([structure]))
    columns = sites.values[0][..., 0]
    constant = [k for k in range(columns.shape[1]) if set(columns[:, k]) <= {0.0, 1.0}]
    assert len(constant) >= 2
    found = {tuple(columns[:, k]) for k in constant}
    for number in spec.numbers:
        assert tuple((structure.numbers == number).astype(float)) in found


# ------------------------------------------------------------------ readers


def test_outputs_are_coefficients_times_functions(structures_of, evaluator_of):
    tables = model_tables(basis(2), 9, outputs=3, members=2)
    rng = np.random.default_rng(9)
    coefficients = [rng.normal(size=(2, 3, n)) for n in tables.sizes]
    structure = structures_of((8, 14))["molecule"]
    (functions,) = require(evaluator_of(tables.basis).values([structure]))
    (outputs,) = require(evaluator_of(tables).values([structure]))
    for c, b, y in zip(coefficients, functions.values, outputs.values, strict=True):
        expected = np.einsum("mok,nkx->nmox", c, b).reshape(y.shape)
        np.testing.assert_allclose(y, expected, atol=1e-12 * max(np.abs(expected).max(), 1))


def test_an_energy_is_a_reader_of_site_outputs(any_case, evaluator_of):
    """E_i = E0 + y_i, and forces and virials the pullback of ones."""
    evaluator = any_case.evaluator
    tables = any_case.tables.read_out(any_case.model.coefficients[:1])
    alone = evaluator_of(tables)
    for structure in any_case.structures.values():
        (result,) = require(evaluator.evaluate([structure]))
        (sites,) = require(alone.values([structure]))
        e0 = any_case.model.e0[any_case.species(structure)]
        np.testing.assert_allclose(sites.values[0][:, 0, 0] + e0, result.energies, atol=1e-13)
        (pulled,) = require(alone.pullback([structure], [[np.ones((len(structure), 1, 1))]]))
        # The forces on an atom whose neighbours are its own images are what is left of its virial.
        size = max(np.abs(result.virials).max(), np.abs(result.forces).max(), 1.0)
        np.testing.assert_allclose(pulled.forces, result.forces, atol=1e-12 * size)
        np.testing.assert_allclose(pulled.virials, result.virials, atol=1e-12 * size)


def test_one_pullback_serves_a_whole_committee(any_case, evaluator_of):
    """The adjoint of a combination of members is their sum: the bias of active learning."""
    structure = any_case.structures["triclinic"]
    (result,) = require(any_case.evaluator.evaluate([structure], committee=True))
    members = any_case.tables.members
    weight = np.linspace(0.3, -0.8, members)
    adjoint = np.tile(weight[:, None], (len(structure), 1, 1))
    (pulled,) = require(evaluator_of(any_case.tables).pullback([structure], [[adjoint]]))
    expected = weight[0] * result.forces + np.einsum(
        "m,mnx->nx", weight[1:], result.committee.forces
    )
    size = max(np.abs(expected).max(), np.abs(result.forces).max())
    np.testing.assert_allclose(pulled.forces, expected, atol=1e-12 * size)


@pytest.mark.parametrize("count", ELEMENTS)
def test_rows_are_derivatives_of_weighted_sums_of_sites(structures_of, count):
    tables = lower(basis(count))
    evaluator = ReferenceEvaluator(tables)
    structure = structures_of(tuple(tables.numbers.tolist()))["triclinic"]
    n = len(structure)
    rng = np.random.default_rng(count)
    charges = rng.normal(size=(1, n))
    weights = np.concatenate((np.ones((1, n)), charges, np.eye(n)))
    (rows,) = require(evaluator.rows([structure], [weights]))
    (sites,) = require(evaluator.values([structure]))
    u, strain = rng.normal(size=(n, 3)), rng.normal(size=(3, 3))
    (along,) = require(evaluator.jvp([structure], [u], [strain]))
    for made, b, d in zip(rows.irreps, sites.values, along.values, strict=True):
        np.testing.assert_allclose(
            made.values, np.einsum("si,ikx->sxk", weights, b), atol=1e-12, rtol=1e-12
        )
        moved = np.einsum("sfxk,f->sxk", made.forces, u.ravel())
        moved += np.einsum("suvxk,uv->sxk", made.virial, strain)
        expected = -np.einsum("si,ikx->sxk", weights, d)
        size = max(np.abs(expected).max(initial=0.0), 1.0)
        assert np.abs(moved - expected).max(initial=0.0) < 1e-12 * size


# ------------------------------------------------------------------ one bad structure


def test_one_bad_structure_does_not_stop_the_others(any_case, evaluator_of):
    evaluator = evaluator_of(any_case.tables)
    good = any_case.structures["molecule"]
    unknown = Structure([92, 92], [[0, 0, 0], [0, 0, 2.0]], name="uranium")
    same = Structure(good.numbers[:1].repeat(2), np.zeros((2, 3)), name="twice")
    batch = [good, unknown, same, good]
    results = evaluator.evaluate(batch)
    assert [r.error is None for r in results] == [True, False, False, True]
    assert str(results[1].error).startswith("uranium: atom 0 is U, which this model does not know")
    assert "atoms 0 and 1 sit at the same point" in str(results[2].error)
    assert np.isnan(results[1].energy) and np.isnan(results[2].forces).all()
    np.testing.assert_array_equal(results[0].forces, results[3].forces)
    sites = evaluator.values(batch)
    assert [s.error is None for s in sites] == [True, False, False, True]
    assert sites[1].values[0].shape == (2, any_case.tables.widths[0], 1)
    adjoints = [[np.ones((len(s), any_case.tables.widths[0], 1))] for s in batch]
    pulled = evaluator.pullback(batch, adjoints)
    assert [p.error is None for p in pulled] == [True, False, False, True]
    moved = evaluator.jvp(batch, [None] * 4)
    assert [m.error is None for m in moved] == [True, False, False, True]
    with pytest.raises(InputError, match="uranium: atom 0 is U"):
        require(results)


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda e, s: e.pullback([s], [[np.ones((1, 2, 3))]]), "adjoint: expected finite numbers"),
        (lambda e, s: e.jvp([s], [np.ones((1, 3))]), "displacement: expected finite numbers"),
        (lambda e, s: e.jvp([s], [None], [np.full((3, 3), np.nan)]), "strain: expected finite"),
        (lambda e, s: e.rows([s], [np.ones(3)]), "weights: expected finite numbers of shape"),
    ],
)
def test_what_does_not_fit_a_structure_is_named(case_named, verb, message, evaluator_of):
    case = case_named("order-1")
    (result,) = verb(evaluator_of(case.tables), case.structures["slab"])
    assert message in str(result.error) and str(result.error).startswith("slab: ")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (("0e", "0e"), "irreps: expected each once"),
        (("1",), "expected L from 0 to 12 and e"),
        (("13e",), "expected L from 0 to 12"),
    ],
)
def test_irreps_that_are_none_are_refused(written, message):
    with pytest.raises(InputError, match=message):
        resolve(BasisSpec(("Si",), irreps=written))


def test_coefficients_that_do_not_fit_are_refused():
    spec = basis(1)
    tables = lower(spec)
    sizes = tables.sizes
    with pytest.raises(InputError, match="coefficients: expected shapes"):
        tables.read_out([np.ones((1, 1, n + 1)) for n in sizes])
    with pytest.raises(InputError, match="coefficients: expected finite"):
        tables.read_out([np.full((1, 1, n), np.nan) for n in sizes])
    plain = basis(1, constant=False)
    with pytest.raises(InputError, match="energies are true scalars, 0e, got 0e, 0o"):
        lower(Model(plain, np.ones(lower(plain).functions), np.zeros(1)))
    with pytest.raises(InputError, match=r"expected \[member, output, k\] for each of 0e, 0o"):
        TensorModel(spec, (np.ones((1, 1, sizes[0])),))
    with pytest.raises(InputError, match="not together with total_l and parity"):
        resolve(BasisSpec(("Si",), irreps=("0e",), total_l=1, parity=-1))
    with pytest.raises(InputError, match="the constant function is a scalar"):
        resolve(BasisSpec(("Si",), irreps=("1o",), constant=True))


# ------------------------------------------------------------------ corners


def test_several_outputs_are_no_energy(structures_of):
    """E would be one of them and the forces those of their sum."""
    spec = basis(1, irreps=(), constant=False)
    tables = lower(spec)
    two = tables.read_out(np.ones((1, 2, tables.functions)))
    for evaluator in EVALUATORS.values():
        with pytest.raises(InputError, match="only models of true scalars have an energy"):
            evaluator(two).evaluate([structures_of((14,))["slab"]])
    torch = pytest.importorskip("acepot.evaluate.torch.evaluator", exc_type=ImportError)
    with pytest.raises(InputError, match="only models of true scalars have an energy"):
        torch.TorchEvaluator(two).evaluate([structures_of((14,))["slab"]])


def test_bases_of_nothing_or_of_constants_alone_are_evaluated(structures_of):
    structure = structures_of((14,))["slab"]
    torch = pytest.importorskip("acepot.evaluate.torch.evaluator", exc_type=ImportError)
    fields = ELEMENTS[1] | {"order": 1, "pair": Pair(degree=0)}
    nothing = lower(resolve(BasisSpec(**fields | {"irreps": ("0o",)})))
    constant = {"irreps": ("0e",), "constant": True, "degree": 0.0}
    alone = lower(resolve(BasisSpec(**fields | constant)))
    alone = alone.read_out(np.array([[[2.5]]]))
    for evaluator in (*EVALUATORS.values(), torch.TorchEvaluator):
        (empty,) = require(evaluator(nothing).values([structure]))
        assert empty.values[0].shape == (len(structure), 0, 1)
        (rows,) = require(evaluator(nothing).rows([structure]))
        assert rows.irreps[0].forces.shape == (1, 3 * len(structure), 1, 0)
        (sites,) = require(evaluator(alone).values([structure]))
        np.testing.assert_array_equal(sites.values[0], np.full((len(structure), 1, 1), 2.5))
        (pulled,) = require(evaluator(alone).pullback([structure], [sites.values]))
        assert not pulled.forces.any()


def test_numbers_that_are_not_finite_are_said_by_every_evaluator(structures_of):
    spec = basis(1, irreps=(), constant=False, order=1, degree=4.0)
    tables = lower(spec)
    huge = tables.read_out(np.full((1, 1, tables.functions), 1e308))
    structure = structures_of((14,))["triclinic"]
    torch = pytest.importorskip("acepot.evaluate.torch.evaluator", exc_type=ImportError)
    for kind in (*EVALUATORS.values(), torch.TorchEvaluator):
        (result,) = kind(huge).evaluate([structure])
        assert "finite" in str(result.error) and np.isnan(result.energy)
        (sites,) = kind(huge).values([structure])
        assert "finite" in str(sites.error) and np.isnan(sites.values[0]).all()


def test_arrays_of_strains_and_weights_are_taken(structures_of):
    evaluator = ReferenceEvaluator(lower(basis(1)))
    structure = structures_of((14,))["slab"]
    (one,) = require(evaluator.jvp([structure], [None], np.full((1, 3, 3), 0.1)))
    (other,) = require(evaluator.jvp([structure], [None], [np.full((3, 3), 0.1)]))
    np.testing.assert_array_equal(one.values[0], other.values[0])
    assert len(require(evaluator.rows([structure], np.ones((1, 1, len(structure)))))) == 1


def test_what_is_no_number_does_not_stop_a_batch(structures_of, evaluator_of):
    evaluator = evaluator_of(model_tables(basis(1), 1))
    structure = structures_of((14,))["slab"]
    bad, good = evaluator.jvp([structure] * 2, ["here", None])
    assert "displacement: expected real numbers" in str(bad.error) and good.error is None


def test_no_members_are_no_outputs():
    tables = lower(basis(1, irreps=(), constant=False))
    with pytest.raises(InputError, match="the same number of members"):
        tables.read_out(np.zeros((0, 1, tables.functions)))
    with pytest.raises(InputError, match="an energy has E0 for a constant"):
        Model(basis(1, irreps=()), np.ones(3), np.zeros(1))
    for written in ("01o", "١o"):
        with pytest.raises(InputError, match="expected L from 0 to 12"):
            BasisSpec(("Si",), irreps=(written,))
