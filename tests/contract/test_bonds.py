"""The laws of bond outputs: hermitian exactly, equivariant, brute-force sums, derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acepot.basis.bond import BondSpec, resolve_bonds
from acepot.basis.choices import Pair, resolve
from acepot.basis.coupling import real_clebsch_gordan
from acepot.basis.irrep import Irrep
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.blocks import block, irreducible
from acepot.evaluate.bond_coupling import BondCoupling, BondEvaluator, BondReadout
from acepot.evaluate.bonds import Bonds, bonds_of
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import BondModel
from acepot.structure import Structure

SITES = resolve(
    BasisSpec(
        ("O", "Si"),
        order=2,
        degree=4.0,
        wl=1.0,
        r0=1.9,
        cutoff={"Si-Si": 3.8, "O-Si": 3.4, "Si-O": 3.6, "O-O": 3.2},
        irreps=("0e", "1o", "1e", "2e", "2o"),
        constant=True,
        pair=Pair(degree=0),
    )
)
BONDS = resolve_bonds(BondSpec(degree=3, max_l=3, cutoff=3.1), SITES)
SHELLS = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]


@pytest.fixture(scope="module")
def sites() -> ReferenceEvaluator:
    """The basis of the sites."""
    return ReferenceEvaluator(lower(SITES))


def test_real_couplings_are_orthonormal_and_change_sign_by_rule():
    for l1 in range(4):
        for l2 in range(4):
            every = np.concatenate(
                [real_clebsch_gordan(l1, l2, L) for L in range(abs(l1 - l2), l1 + l2 + 1)], axis=2
            ).reshape((2 * l1 + 1) * (2 * l2 + 1), -1)
            np.testing.assert_allclose(every.T @ every, np.eye(every.shape[1]), atol=2e-15)
            for total in range(abs(l1 - l2), l1 + l2 + 1):
                np.testing.assert_array_equal(
                    real_clebsch_gordan(l2, l1, total),
                    (-1) ** (l1 + l2 - total)
                    * real_clebsch_gordan(l1, l2, total).transpose(1, 0, 2),
                )
    assert real_clebsch_gordan(1, 1, 0)[0, 0, 0] == pytest.approx(-1 / np.sqrt(3), abs=1e-15)
    y, z, x = 0, 1, 2
    assert real_clebsch_gordan(1, 1, 1)[z, x, y] == pytest.approx(-1 / np.sqrt(2), abs=1e-15)
    assert real_clebsch_gordan(1, 1, 1)[x, z, y] == pytest.approx(1 / np.sqrt(2), abs=1e-15)
    assert not real_clebsch_gordan(1, 1, 3).any()


def both_ends(there: np.ndarray, back: np.ndarray, bonds: Bonds, sign: int) -> np.ndarray:
    """h_ij = there_ij ± back_ji: outputs of a bond seen from both of its ends."""
    return there + sign * back[bonds.reverse]


def blocks(
    evaluator: ReferenceEvaluator, structure: Structure, l1: int, l2: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks (α, β) and (β, α) of every bond, and which bond is the reverse of which."""
    rng = np.random.default_rng(seed)
    (values,) = require(evaluator.values([structure]))
    bonds = bonds_of(structure, evaluator.tables, BONDS)
    parts: tuple[list, list] = ([], [])
    for total in range(abs(l1 - l2), l1 + l2 + 1):
        coupling = BondCoupling(evaluator.tables, BONDS, Irrep(total, (-1) ** (l1 + l2)))
        c = rng.normal(size=(2, 1, coupling.size)) / np.sqrt(coupling.size)
        ab, ba = (coupling.outputs(one, values, bonds)[:, 0] for one in c)
        sign = (-1) ** (l1 + l2 - total)
        parts[0].append((total, both_ends(ab, ba, bonds, sign)))
        parts[1].append((total, both_ends(ba, ab, bonds, sign)))
    return block(parts[0], l1, l2), block(parts[1], l2, l1), bonds.reverse


@pytest.mark.parametrize(("l1", "l2"), SHELLS)
def test_blocks_are_hermitian_exactly(sites, structures_of, l1, l2):
    for name in ("triclinic", "tiny cell", "slab", "molecule"):
        structure = structures_of((8, 14))[name]
        ab, ba, reverse = blocks(sites, structure, l1, l2, 3)
        assert len(ab) and np.abs(ab).max() > 1e-3
        np.testing.assert_array_equal(ab, ba[reverse].transpose(0, 2, 1), err_msg=name)


@pytest.mark.parametrize(("l1", "l2"), SHELLS)
def test_blocks_turn_with_both_shells(sites, structures_of, rotation, wigner, l1, l2):
    """H(Q R) = D^l1(Q) H(R) D^l2(Q)ᵀ; only with both parities of every L can it be."""
    rng = np.random.default_rng(4)
    for name in ("triclinic", "molecule"):
        structure = structures_of((8, 14))[name]
        before, _, _ = blocks(sites, structure, l1, l2, 5)
        for proper in (True, False):
            q = rotation(rng, proper)
            turned = replace(
                structure, positions=structure.positions @ q.T, cell=structure.cell @ q.T
            )
            after, _, _ = blocks(sites, turned, l1, l2, 5)
            d1, d2 = (wigner(q if proper else -q, l) * (-1) ** (l * (not proper)) for l in (l1, l2))
            error = np.abs(after - d1 @ before @ d2.T).max() / np.abs(before).max()
            assert error < 1e-11, f"{name}: {error:.1e}"


@pytest.mark.parametrize("irrep", [Irrep(0, 1), Irrep(1, -1), Irrep(1, 1), Irrep(2, 1)])
def test_functions_are_the_brute_force_sum(sites, structures_of, irrep):
    """Every F_k written out with loops, and outputs their sum with coefficients."""
    from acepot.basis.harmonics import real_harmonics

    structure = structures_of((8, 14))["triclinic"]
    (values,) = require(sites.values([structure]))
    bonds = bonds_of(structure, sites.tables, BONDS)
    coupling = BondCoupling(sites.tables, BONDS, irrep)
    made = coupling.functions(values, bonds)
    radial = BONDS.functions(SITES.elements)
    species = [SITES.numbers.index(z) for z in structure.numbers]
    for e in range(0, len(bonds.centre), 7):
        i, j, d = bonds.centre[e], bonds.neighbour[e], bonds.vector[e]
        length = np.linalg.norm(d)
        r = radial[species[i]][species[j]].evaluate(np.array([length])).value[:, 0]
        y = real_harmonics(d[None] / length, BONDS.max_l)[0][0]
        expected = []
        for site, other in enumerate(sites.tables.irreps):
            for l in range(BONDS.max_l + 1):  # noqa: E741 - the field's own symbol
                if not abs(other.l - l) <= irrep.l <= other.l + l:
                    continue
                if other.parity * (-1) ** l != irrep.parity:
                    continue
                t = real_clebsch_gordan(other.l, l, irrep.l)
                for b in values.values[site][i]:
                    for neighbour in range(2):
                        for n in range(BONDS.degree):
                            function = np.zeros(irrep.dim)
                            for m1 in range(other.dim):
                                for m in range(2 * l + 1):
                                    function += t[m1, m] * b[m1] * r[n] * y[l * l + m]
                            expected.append(function * (neighbour == species[j]))
        assert len(expected) == coupling.size == made.shape[1]
        np.testing.assert_allclose(made[e], expected, atol=1e-12 * np.abs(expected).max())
    c = np.random.default_rng(6).normal(size=(2, coupling.size))
    outputs = coupling.outputs(c, values, bonds)
    np.testing.assert_allclose(
        outputs, np.einsum("ok,ekx->eox", c, made), atol=1e-11 * np.abs(outputs).max()
    )


def test_the_constant_function_gives_what_depends_on_the_bond_alone(sites):
    """Two atoms far from all others: sites are constants, F = R_n Y_L up to the coupling."""
    bare = lower(replace(SITES, irreps=("0e",), order=1, degree=(0.5,)))
    assert bare.sizes == (2,)
    structure = Structure([8, 14], [[0, 0, 0], [0.6, 1.5, -0.9]])
    (values,) = require(ReferenceEvaluator(bare).values([structure]))
    bonds = bonds_of(structure, bare, BONDS)
    coupling = BondCoupling(bare, BONDS, Irrep(1, -1))
    # e, site, element of the neighbour, n, M
    made = coupling.functions(values, bonds).reshape(2, 2, 2, BONDS.degree, 3)
    np.testing.assert_allclose(made[0, 0, 1], bonds.radial[0][:, None] * bonds.harmonics[0, 1:4])
    assert not made[0, 1].any() and not made[0, :, 0].any()
    assert not made[1, 0].any() and not made[1, :, 1].any()


def test_what_depends_on_the_bond_alone_may_have_more_radial_functions(sites, structures_of):
    """With `alone` the constant functions stand apart; all others are what they were."""
    more = resolve_bonds(replace(BONDS, alone=5), SITES)
    structure = structures_of((8, 14))["triclinic"]
    (values,) = require(sites.values([structure]))
    same, wider = bonds_of(structure, sites.tables, BONDS), bonds_of(structure, sites.tables, more)
    np.testing.assert_array_equal(wider.radial[:, :3], same.radial)
    for irrep in (Irrep(0, 1), Irrep(2, 1), Irrep(1, 1)):
        plain = BondCoupling(sites.tables, BONDS, irrep)
        coupling = BondCoupling(sites.tables, more, irrep)
        constants = 2 if irrep in [Irrep(0, 1), Irrep(2, 1)] else 0
        assert coupling.size == plain.size + constants * 2 * (5 - 3)
        made = coupling.functions(values, wider)
        before = plain.functions(values, same)
        expected = {row.tobytes() for row in before.transpose(1, 0, 2)}
        found = {row.tobytes() for row in made.transpose(1, 0, 2)}
        assert expected <= found
        new = np.array([row for row in made.transpose(1, 0, 2) if row.tobytes() not in expected])
        # Of two elements and their neighbours of two: R_4 Y_L and R_5 Y_L.
        assert len(new) == constants * 2 * 2
        y = wider.harmonics[:, irrep.l**2 : (irrep.l + 1) ** 2]
        if constants:
            own = sum(new[0::2]), sum(new[1::2])
            for n in (0, 1):
                one = wider.radial[:, 3 + n, None] * y
                sign = np.sign((own[n] * one).sum())
                np.testing.assert_allclose(own[n], sign * one, atol=1e-13)


@pytest.mark.parametrize("irrep", [Irrep(0, 1), Irrep(1, 1), Irrep(2, -1)])
def test_derivatives_along_a_motion_are_adjoint_to_the_pullback(sites, structures_of, irrep):
    structure = structures_of((8, 14))["triclinic"]
    rng = np.random.default_rng(17)
    coupling = BondCoupling(sites.tables, BONDS, irrep)
    c = rng.normal(size=(3, coupling.size)) / np.sqrt(coupling.size)
    readout = BondReadout([coupling], [c])
    (values,) = require(sites.values([structure]))
    bonds = bonds_of(structure, sites.tables, BONDS)
    weight = rng.normal(size=(len(bonds.centre), 3, irrep.dim))
    adjoint, direct = readout.pullback(values, bonds, [weight])
    (indirect,) = require(sites.pullback([structure], [adjoint]))
    u, strain = rng.normal(size=(len(structure), 3)), rng.normal(size=(3, 3)) / 3
    (slopes,) = require(sites.jvp([structure], [u], [strain]))
    (along,) = readout.jvp(values, slopes, bonds, u, strain)
    expected = -((direct.forces + indirect.forces) * u).sum()
    expected -= ((direct.virial + indirect.virial) * strain).sum()
    assert (weight * along).sum() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("irrep", [Irrep(0, 1), Irrep(1, 1), Irrep(2, -1)])
def test_pullback_is_the_derivative(sites, structures_of, irrep):
    structure = structures_of((8, 14))["triclinic"]
    rng = np.random.default_rng(7)
    coupling = BondCoupling(sites.tables, BONDS, irrep)
    c = rng.normal(size=(2, coupling.size)) / np.sqrt(coupling.size)
    count = len(bonds_of(structure, sites.tables, BONDS).centre)
    weight = rng.normal(size=(count, 2, irrep.dim))

    def loss(h: float, u: np.ndarray, strain: np.ndarray) -> float:
        change = np.eye(3) + h * strain
        moved = replace(
            structure,
            positions=structure.positions @ change + h * u,
            cell=structure.cell @ change,
        )
        (values,) = require(sites.values([moved]))
        bonds = bonds_of(moved, sites.tables, BONDS)
        assert len(bonds.centre) == count
        return float((weight * coupling.outputs(c, values, bonds)).sum())

    (values,) = require(sites.values([structure]))
    bonds = bonds_of(structure, sites.tables, BONDS)
    adjoint, direct = coupling.pullback(c, values, bonds, weight)
    (indirect,) = require(sites.pullback([structure], [adjoint]))
    forces, virial = direct.forces + indirect.forces, direct.virial + indirect.virial
    for _ in range(3):
        u, strain = rng.normal(size=forces.shape), rng.normal(size=(3, 3)) / 3
        h = 1e-3
        steps = {k: loss(k * h, u, strain) - loss(-k * h, u, strain) for k in (1, 2, 3)}
        slope = (45 * steps[1] - 9 * steps[2] + steps[3]) / (60 * h)
        expected = -float((forces * u).sum()) - float((virial * strain).sum())
        assert slope == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_a_model_of_bonds_is_evaluated_like_its_parts(sites, structures_of):
    rng = np.random.default_rng(9)
    irreps = (Irrep(0, 1), Irrep(2, -1))
    couplings = [BondCoupling(sites.tables, BONDS, irrep) for irrep in irreps]
    c = tuple(rng.normal(size=(2, 3, one.size)) for one in couplings)
    model = BondModel(SITES, BONDS, irreps, c)
    good = structures_of((8, 14))["slab"]
    bad = Structure([8, 92], [[0, 0, 0], [0, 0, 2.0]], name="uranium")
    one, other = BondEvaluator(model).values([good, bad])
    assert other.error is not None and str(other.error).startswith("uranium: atom 1 is U")
    (values,) = require(sites.values([good]))
    bonds = bonds_of(good, sites.tables, BONDS)
    np.testing.assert_array_equal(one.bonds.reverse, bonds.reverse)
    for found, coupling, each in zip(one.values, couplings, c, strict=True):
        for member in range(2):
            expected = coupling.outputs(each[member], values, bonds)
            np.testing.assert_allclose(
                found[:, 3 * member : 3 * member + 3], expected, atol=1e-13 * np.abs(expected).max()
            )


def test_no_outputs_are_no_numbers(sites, structures_of):
    structure = structures_of((8, 14))["slab"]
    coupling = BondCoupling(sites.tables, BONDS, Irrep(0, 1))
    (values,) = require(sites.values([structure]))
    bonds = bonds_of(structure, sites.tables, BONDS)
    none = np.zeros((0, coupling.size))
    assert coupling.outputs(none, values, bonds).shape == (len(bonds.centre), 0, 1)
    adjoint, direct = coupling.pullback(none, values, bonds, np.zeros((len(bonds.centre), 0, 1)))
    assert not direct.forces.any() and not any(a.any() for a in adjoint)


def test_cutoffs_that_differ_by_direction_are_refused(sites, structures_of):
    uneven = replace(BONDS, cutoff={"Si-O": 3.0, "O-Si": 2.0, "default": 3.0})
    with pytest.raises(InputError, match="expected one for both orders of a pair"):
        bonds_of(structures_of((8, 14))["slab"], sites.tables, uneven)


def test_blocks_and_their_parts_are_inverse():
    rng = np.random.default_rng(8)
    for l1, l2 in SHELLS:
        h = rng.normal(size=(4, 2 * l1 + 1, 2 * l2 + 1))
        parts = [
            (total, irreducible(h, l1, l2, total)) for total in range(abs(l1 - l2), l1 + l2 + 1)
        ]
        np.testing.assert_allclose(block(parts, l1, l2), h, atol=1e-14)


def test_what_cannot_be_is_refused(sites):
    with pytest.raises(InputError, match="degree: expected 1 to"):
        BondSpec(degree=0)
    with pytest.raises(InputError, match="bonds.cutoff and bonds.r0 of O-O"):
        resolve_bonds(BondSpec(cutoff=0.01), SITES)
    coupling = BondCoupling(sites.tables, BONDS, Irrep(0, 1))
    structure = Structure([8, 14], [[0, 0, 0], [0.6, 1.5, -0.9]])
    (values,) = require(sites.values([structure]))
    with pytest.raises(InputError, match="coefficients: expected finite numbers of shape"):
        coupling.outputs(np.ones((1, 3)), values, bonds_of(structure, sites.tables, BONDS))
