"""Clebsch–Gordan coefficients and what is built from them, checked as functions on vectors."""

from itertools import combinations_with_replacement, product
from math import factorial, prod, sqrt

import numpy as np
import pytest

from acepot.basis.coupling import clebsch_gordan, couplings, multiplicity, product_coefficients
from acepot.basis.harmonics import complex_harmonics

# ------------------------------------------------------------------ Clebsch–Gordan


def _step(l: int, m: int) -> float:
    """<l m-1|J-|l m>."""
    return sqrt((l + m) * (l - m + 1))


def _by_lowering(l1: int, l2: int, l3: int) -> np.ndarray:
    """<l1 m1 l2 m2|l3 m3> from ladder operators alone.

    |l3 l3> is the state of m = l3 that J+ annihilates, with the Condon–Shortley sign
    <l1 l1 l2 l3-l1|l3 l3> > 0; J- takes it down.
    """
    out = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    pairs = [(m1, l3 - m1) for m1 in range(-l1, l1 + 1) if abs(l3 - m1) <= l2]
    raised: dict[tuple[int, int], np.ndarray] = {}
    for column, (m1, m2) in enumerate(pairs):
        steps = {(m1 + 1, m2): _step(l1, m1 + 1), (m1, m2 + 1): _step(l2, m2 + 1)}
        for target, factor in steps.items():
            if target[0] <= l1 and target[1] <= l2:
                raised.setdefault(target, np.zeros(len(pairs)))[column] += factor
    raising = np.array(list(raised.values())).reshape(-1, len(pairs))
    top = np.linalg.svd(raising)[2][-1] if len(raising) else np.ones(1)
    top = top * np.sign(top[max(range(len(pairs)), key=lambda i: pairs[i][0])])
    for value, (m1, m2) in zip(top, pairs, strict=True):
        out[m1 + l1, m2 + l2, 2 * l3] = value
    for m3 in range(l3, -l3, -1):
        state = out[:, :, m3 + l3]
        below = np.zeros_like(state)
        for m1, m2 in product(range(-l1, l1 + 1), range(-l2, l2 + 1)):
            value = state[m1 + l1, m2 + l2]
            if m1 > -l1:
                below[m1 + l1 - 1, m2 + l2] += _step(l1, m1) * value
            if m2 > -l2:
                below[m1 + l1, m2 + l2 - 1] += _step(l2, m2) * value
        out[:, :, m3 + l3 - 1] = below / _step(l3, m3)
    return out


@pytest.mark.parametrize("l1", range(6))
@pytest.mark.parametrize("l2", range(6))
def test_clebsch_gordan_are_what_ladder_operators_give(l1, l2):
    for l3 in range(abs(l1 - l2), l1 + l2 + 1):
        error = np.abs(clebsch_gordan(l1, l2, l3) - _by_lowering(l1, l2, l3)).max()
        assert error < 1e-12, f"({l1} {l2}|{l3}): {error:.1e}"


@pytest.mark.parametrize(
    ("ls", "ms", "square", "sign"),
    [
        ((1, 1, 0), (0, 0), 1 / 3, -1),
        ((1, 1, 0), (1, -1), 1 / 3, 1),
        ((1, 1, 1), (1, 0), 1 / 2, 1),
        ((1, 1, 1), (0, 0), 0.0, 1),
        ((1, 1, 2), (0, 0), 2 / 3, 1),
        ((2, 1, 1), (2, -1), 3 / 5, 1),
        ((2, 1, 1), (1, 0), 3 / 10, -1),
        ((2, 1, 1), (0, 1), 1 / 10, 1),
        ((2, 1, 3), (2, -1), 1 / 15, 1),
        ((2, 2, 0), (2, -2), 1 / 5, 1),
        ((2, 2, 2), (0, 0), 2 / 7, -1),
        ((2, 2, 4), (0, 0), 18 / 35, 1),
        ((3, 2, 1), (0, 0), 9 / 35, 1),
    ],
)
def test_clebsch_gordan_known_values(ls, ms, square, sign):
    (l1, l2, l3), (m1, m2) = ls, ms
    got = clebsch_gordan(l1, l2, l3)[m1 + l1, m2 + l2, m1 + m2 + l3]
    assert got == pytest.approx(sign * sqrt(square), abs=1e-15)


@pytest.mark.parametrize(("l1", "l2"), [(0, 0), (3, 2), (5, 5), (7, 4), (14, 9), (20, 20)])
def test_clebsch_gordan_matrix_is_orthogonal(l1, l2):
    """Together they are a change of basis, also where factorials are enormous."""
    size = (2 * l1 + 1) * (2 * l2 + 1)
    columns = [
        clebsch_gordan(l1, l2, l3).reshape(size, -1) for l3 in range(abs(l1 - l2), l1 + l2 + 1)
    ]
    matrix = np.concatenate(columns, axis=1)
    assert matrix.shape == (size, size)
    assert np.abs(matrix.T @ matrix - np.eye(size)).max() < 1e-13


def test_clebsch_gordan_exchange_and_reflection_signs():
    for l1, l2 in product(range(5), repeat=2):
        for l3 in range(abs(l1 - l2), l1 + l2 + 1):
            table, sign = clebsch_gordan(l1, l2, l3), (-1) ** (l1 + l2 - l3)
            swapped = clebsch_gordan(l2, l1, l3).transpose(1, 0, 2)
            assert np.abs(table - sign * swapped).max() < 1e-15
            assert np.abs(table - sign * table[::-1, ::-1, ::-1]).max() < 1e-15


def test_clebsch_gordan_vanish_off_the_triangle():
    for ls in ((1, 1, 3), (4, 1, 2), (0, 2, 1)):
        assert not clebsch_gordan(*ls).any(), ls


# ------------------------------------------------------------------ products on one direction


@pytest.mark.parametrize(
    "ls", [(2,), (1, 1), (3, 2), (5, 4), (1, 2, 3), (2, 2, 2), (1, 1, 1, 2), (1, 1, 2, 1, 1)]
)
def test_product_coefficients_expand_products_of_harmonics(ls):
    """Π_t Y_{l_t m_t}(r̂) = Σ_L g^L[m_1 …] Y_{L, Σm}(r̂) for every choice of m."""
    rng = np.random.default_rng(51)
    unit = rng.normal(size=(9, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    top = sum(ls)
    y = complex_harmonics(unit, top)
    tables = [product_coefficients(ls, total) for total in range(top + 1)]
    worst = 0.0
    for ms in product(*(range(-l, l + 1) for l in ls)):
        want = np.prod([y[:, l * l + l + m] for l, m in zip(ls, ms, strict=True)], axis=0)
        index, m = tuple(m + l for l, m in zip(ls, ms, strict=True)), sum(ms)
        got = np.zeros(len(unit), dtype=complex)
        for total in range(abs(m), top + 1):
            got += tables[total][index] * y[:, total * total + total + m]
        worst = max(worst, np.abs(got - want).max())
        for total in range(min(abs(m), top + 1)):
            assert tables[total][index] == 0.0, f"L = {total} below |Σm| = {m}"
    assert worst < 1e-13, f"{ls}: {worst:.1e}"


def test_product_coefficients_conserve_parity_and_the_triangle():
    for ls in ((2, 1), (4, 1), (3, 2, 2)):
        for total in range(sum(ls) + 2):
            present = bool(np.abs(product_coefficients(ls, total)).max() > 1e-12)
            reachable = 2 * max(ls) - sum(ls) <= total <= sum(ls)
            assert present is (reachable and (sum(ls) + total) % 2 == 0), (ls, total)


# ------------------------------------------------------------------ couplings


def _groupings(ls: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every way to call neighbouring factors of one l equal."""
    if not ls:
        return [()]
    out = []
    for size in range(1, len(ls) + 1):
        if len(set(ls[:size])) == 1:
            out += [(size, *rest) for rest in _groupings(ls[size:])]
    return out


def _cases(order: int, lmax: int, totals: tuple[int, ...]) -> list[tuple]:
    return [
        (ls, groups, total)
        for ls in combinations_with_replacement(range(lmax + 1), order)
        for groups in _groupings(ls)
        for total in totals
    ]


def _name(case: tuple) -> str:
    ls, groups, total = case
    return f"l {ls}, groups {groups}, L {total}"


ALL_L = (0, 1, 2, 3, 4)
CASES = [
    *_cases(1, 5, ALL_L),
    *_cases(2, 4, ALL_L),
    *_cases(3, 3, ALL_L),
    *_cases(4, 2, ALL_L),
    ((1, 1, 3, 3), (2, 2), 0),
    ((3, 3, 3, 3), (4,), 0),
    ((2, 2, 3, 3), (1, 1, 2), 1),
    ((1, 1, 1, 1, 2), (4, 1), 0),
    ((1, 1, 2, 2, 2), (2, 3), 0),
    ((1, 1, 2, 2, 2), (1, 1, 2, 1), 2),
    ((2, 2, 2, 2, 2), (5,), 0),
    ((1, 1, 1, 1, 1, 1), (6,), 0),
    ((1, 1, 1, 1, 1, 1), (1, 2, 3), 1),
    ((0, 0, 1, 1, 2, 2), (2, 2, 2), 0),
    ((1, 1, 1, 1, 2, 2), (4, 2), 0),
]
LARGE = [
    *_cases(3, 5, ALL_L),
    *_cases(4, 3, ALL_L),
    *_cases(5, 2, (0, 1, 2)),
    *_cases(6, 1, ALL_L),
    ((2, 2, 2, 2, 2, 2), (6,), 0),
    ((2, 2, 2, 2, 2, 2), (1, 2, 3), 0),
    ((1, 1, 2, 2, 3, 3), (2, 2, 2), 0),
    ((4, 4, 4, 4), (4,), 0),
    ((4, 4, 5, 5), (2, 2), 0),
]


def _characters(l: int, angle: np.ndarray) -> np.ndarray:
    return sum(np.cos(m * angle) for m in range(-l, l + 1))


def _symmetric_characters(l: int, size: int, angle: np.ndarray) -> np.ndarray:
    """Character of the symmetric power, h_k = (1/k) Σ_i p_i h_(k-i) with p_i = χ(i θ)."""
    h = [np.ones_like(angle)]
    for k in range(1, size + 1):
        h.append(sum(_characters(l, i * angle) * h[k - i] for i in range(1, k + 1)) / k)
    return h[size]


def _count_by_characters(ls: tuple[int, ...], groups: tuple[int, ...], total: int) -> float:
    """(1/π) ∫_0^2π sin²(θ/2) χ_L Π χ_Sym dθ; the equidistant sum is exact."""
    points = 2 * (sum(ls) + total + 2) + 1
    angle = 2 * np.pi * np.arange(points) / points
    value = 2 * np.sin(angle / 2) ** 2 * _characters(total, angle)
    start = 0
    for size in groups:
        value = value * _symmetric_characters(ls[start], size, angle)
        start += size
    return float(value.mean())


def _tensors(case: tuple, unit: np.ndarray) -> np.ndarray:
    """Σ_m u Π_t Y_{l_t m_t}(unit_t), one vector per factor: shape (q, 2L+1, samples)."""
    ls, groups, total = case
    coupling = couplings(*case)
    terms = np.ones((len(coupling.ms), len(unit)), dtype=complex)
    for t, l in enumerate(ls):
        terms *= complex_harmonics(unit[:, t], l)[:, l * l + l + coupling.ms[:, t]].T
    return coupling.values @ terms


def _unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _check_norm_and_count(case: tuple) -> None:
    ls, groups, total = case
    coupling = couplings(*case)
    count = len(coupling.values)
    by_characters = _count_by_characters(*case)
    assert abs(by_characters - round(by_characters)) < 1e-9
    assert count == multiplicity(*case) == round(by_characters), _name(case)
    if count == 0:
        return
    assert coupling.values.shape == (count, 2 * total + 1, len(coupling.ms))
    assert (np.abs(coupling.ms) <= np.array(ls)).all()
    # The product basis is orthonormal, so the overlap is the plain scalar product.
    flat = coupling.values.reshape(count * (2 * total + 1), -1)
    stabiliser = prod(factorial(g) for g in groups)
    overlap = flat.conj() @ flat.T
    error = np.abs(overlap - stabiliser * np.eye(len(flat))).max()
    assert error < 1e-12 * stabiliser, f"{_name(case)}: {error:.1e}"


@pytest.mark.parametrize("order", range(1, 7))
def test_couplings_are_orthonormal_up_to_the_stabiliser_and_as_many_as_characters_say(order):
    cases = [c for c in CASES if len(c[0]) == order]
    assert len(cases) > 2
    for case in cases:
        _check_norm_and_count(case)


@pytest.mark.slow
@pytest.mark.parametrize("order", range(3, 7))
def test_large_couplings_are_orthonormal_and_complete(order):
    for case in LARGE:
        if len(case[0]) == order:
            _check_norm_and_count(case)


def _check_equivariance(case: tuple, rotation, wigner, rng: np.random.Generator) -> None:
    ls, _, total = case
    unit = _unit(rng, 6, len(ls))
    before = _tensors(case, unit)
    if before.size == 0:
        return
    size = np.abs(before).max()
    assert np.abs(before.imag).max() < 1e-12 * size, f"{_name(case)}: not real"
    parity = (-1) ** sum(ls)
    for proper in (True, False):
        q = rotation(rng, proper)
        d = wigner(q if proper else -q, total) * (1 if proper else parity)
        want = np.einsum("MN,qNs->qMs", d, before)
        error = np.abs(_tensors(case, unit @ q.T) - want).max() / size
        what = "rotation" if proper else "reflection"
        assert error < 1e-12, f"{_name(case)}, {what}: {error:.1e}"
    error = np.abs(_tensors(case, -unit) - parity * before).max() / size
    assert error < 1e-12, f"{_name(case)}, inversion: {error:.1e}"


@pytest.mark.parametrize("order", range(1, 7))
def test_couplings_turn_with_wigner_d_and_have_the_parity_of_their_l(order, rotation, wigner):
    rng = np.random.default_rng(52)
    for case in CASES:
        if len(case[0]) == order:
            _check_equivariance(case, rotation, wigner, rng)


@pytest.mark.slow
@pytest.mark.parametrize("order", range(3, 7))
def test_large_couplings_turn_with_wigner_d(order, rotation, wigner):
    rng = np.random.default_rng(53)
    for case in LARGE:
        if len(case[0]) == order:
            _check_equivariance(case, rotation, wigner, rng)


def test_couplings_are_symmetric_under_exchanges_inside_a_group():
    rng = np.random.default_rng(54)
    for case in CASES:
        ls, groups, _ = case
        if len(ls) > 4 or max(groups) == 1:
            continue
        unit = _unit(rng, 4, len(ls))
        before = _tensors(case, unit)
        start = 0
        for size in groups:
            for t in range(start, start + size - 1):
                order = list(range(len(ls)))
                order[t], order[t + 1] = t + 1, t
                after = _tensors(case, unit[:, order])
                error = np.abs(after - before).max(initial=0.0)
                assert error < 1e-12, f"{_name(case)}, factors {t} and {t + 1}: {error:.1e}"
            start += size


def _atomic_products(case: tuple, rng: np.random.Generator, samples: int) -> np.ndarray:
    """Σ_m u Π_t A_t, one A = Σ_j w_j Y(r̂_j) per *group*: shape (q, 2L+1, samples)."""
    ls, groups, _ = case
    coupling = couplings(*case)
    out = np.empty((*coupling.values.shape[:2], samples), dtype=complex)
    for sample in range(samples):
        terms = np.ones(len(coupling.ms), dtype=complex)
        t = 0
        for size in groups:
            l = ls[t]
            a = rng.normal(size=len(ls) + 4) @ complex_harmonics(_unit(rng, len(ls) + 4), l)
            for _ in range(size):
                terms = terms * a[l * l + l + coupling.ms[:, t]]
                t += 1
        out[..., sample] = coupling.values @ terms
    return out


def _check_independence(case: tuple, rng: np.random.Generator) -> None:
    count = multiplicity(*case)
    if count == 0:
        return
    # Components of one function on one configuration are samples of the same combination.
    values = _atomic_products(case, rng, 4 * count + 8)
    assert np.abs(values.imag).max() < 1e-11 * np.abs(values).max(), f"{_name(case)}: not real"
    flat = values.real.reshape(count, -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    singular = np.linalg.svd(flat, compute_uv=False)
    assert singular[-1] > 1e-5 * singular[0], f"{_name(case)}: {singular}"


@pytest.mark.parametrize("order", range(1, 7))
def test_couplings_are_independent_as_functions_of_sums_over_neighbours(order):
    """Products of equal A are symmetric: a coupling that lives off their order would vanish."""
    rng = np.random.default_rng(55)
    for case in CASES:
        if len(case[0]) == order:
            _check_independence(case, rng)


@pytest.mark.slow
@pytest.mark.parametrize("order", range(3, 7))
def test_large_couplings_are_independent(order):
    rng = np.random.default_rng(56)
    for case in LARGE:
        if len(case[0]) == order:
            _check_independence(case, rng)


@pytest.mark.parametrize(
    ("case", "count"),
    [
        (((1,), (1,), 0), 0),
        (((0, 0, 0), (3,), 0), 1),
        (((1, 1), (2,), 1), 0),
        (((1, 1), (1, 1), 1), 1),
        (((1, 1, 1), (3,), 0), 0),
        (((1, 1, 1), (1, 1, 1), 0), 1),
        (((1, 1, 1, 1), (4,), 0), 1),
        (((1, 1, 1, 1), (1, 1, 1, 1), 0), 3),
        (((2, 2, 2, 2), (4,), 0), 1),
        (((4, 4, 4), (3,), 0), 1),
        (((6, 6, 6, 6), (4,), 0), 3),
    ],
)
def test_known_numbers_of_invariants(case, count):
    assert multiplicity(*case) == len(couplings(*case).values) == count


def test_couplings_do_not_depend_on_what_was_asked_before():
    """Stored coefficients refer to them: the same numbers, whatever else was coupled first."""
    case = ((1, 1, 2, 2), (2, 2), 0)
    couplings.cache_clear()
    first = couplings(*case).values
    couplings.cache_clear()
    couplings((2, 2, 2), (3,), 2)
    clebsch_gordan.cache_clear()
    np.testing.assert_array_equal(first, couplings(*case).values)
