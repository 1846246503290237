"""Canonical functions are sums over distinct neighbours, and span what products of A span."""

from collections.abc import Callable, Iterable
from itertools import permutations, product

import numpy as np
import pytest

from acepot.basis.choices import Pair, pair_number
from acepot.basis.coupling import couplings
from acepot.basis.envelope import ShiftedEnvelope
from acepot.basis.harmonics import complex_harmonics
from acepot.basis.pace_family import ChebExpCos, ChebPow, SBessel
from acepot.basis.radial import Jacobi, Legendre, Orthonormal
from acepot.basis.selection import group_sizes, select
from acepot.basis.species import SYMBOLS
from acepot.basis.transform import Agnesi, Identity, Morse, PolynomialTransform

#: Tables so fine that only rounding is left between products of tables and tables of products.
TABLES = 1e-13

RADIALS = {
    "orthonormal": Orthonormal(),
    "jacobi": Jacobi(PolynomialTransform(2.0)),
    "legendre": Legendre(Morse(1.7)),
    "legendre-r": Legendre(Agnesi(2.0, 2.0), ShiftedEnvelope(1)),
    "cheb_exp_cos": ChebExpCos(exponent=2.3, smoothing=0.5),
    "cheb_pow": ChebPow(exponent=2.0),
    "sbessel": SBessel(),
}

ELEMENTS = {
    "one element": {"elements": ("Si",), "r0": 2.1, "cutoff": 3.8},
    "two elements": {
        "elements": ("O", "Si"),
        "r0": {"Si-Si": 2.2, "O-Si": 1.7, "default": 1.9},
        "cutoff": {"Si-Si": 3.8, "O-Si": 3.4, "Si-O": 3.6, "O-O": 3.2},
    },
}


def _both(site_basis, tolerance: float = TABLES, **fields):
    """The same selection in both formulations: (self-interaction, canonical)."""
    fields = {"pair": Pair(degree=0)} | fields
    return tuple(
        site_basis(tolerance, formulation=formulation, **fields)
        for formulation in ("self-interaction", "canonical")
    )


# ------------------------------------------------------------------ fewer neighbours


@pytest.mark.parametrize("radial", list(RADIALS))
@pytest.mark.parametrize("elements", list(ELEMENTS))
def test_functions_vanish_with_fewer_neighbours_than_their_order(
    site_basis, random_cluster, elements, radial
):
    order, degree = (5, 6.0) if elements == "one element" else (4, 5.0)
    fields = ELEMENTS[elements] | {"order": order, "degree": degree, "wl": 0.7}
    products, canonical = _both(site_basis, radial=RADIALS[radial], **fields)
    orders = canonical.expansion.labels.order
    assert set(orders) == set(range(1, order + 1))
    rng = np.random.default_rng(21)
    numbers = tuple(canonical.spec.numbers)
    size = np.zeros(len(orders))
    worst = np.zeros(len(orders))  # where the function must vanish
    alive = np.zeros(len(orders))  # where it need not
    for count in range(1, order + 1):
        for number in range(8):
            centre = numbers[number % len(numbers)]
            cluster = random_cluster(rng, numbers, count, 1.0, 3.3, centre=centre)
            size = np.maximum(size, np.abs(products(cluster)[:, 0]))
            value = np.abs(canonical(cluster)[:, 0])
            worst = np.where(count < orders, np.maximum(worst, value), worst)
            alive = np.where(count >= orders, np.maximum(alive, value), alive)
    seen = size > 1e-6 * np.median(size)
    assert seen.mean() > 0.9, "the clusters leave too many functions at zero"
    ratio = np.where(seen, worst / np.where(seen, size, 1.0), 0.0)
    k = int(ratio.argmax())
    assert ratio[k] < 1e-10, f"function {k} of order {orders[k]}: {ratio[k]:.1e} of its size"
    # The law is not kept by vanishing altogether.
    assert (alive > 1e-5 * size)[seen].mean() > 0.8


def test_self_interaction_functions_do_not_vanish_with_one_neighbour(site_basis, random_cluster):
    products, canonical = _both(site_basis, order=3, degree=6.0, **ELEMENTS["one element"])
    cluster = random_cluster(np.random.default_rng(22), (14,), 1, 1.5, 2.5)
    high = products.expansion.labels.order > 1
    values = np.abs(products(cluster)[high])
    assert (values > 1e-4 * values.max()).mean() > 0.5
    assert np.abs(canonical(cluster)[high]).max() < 1e-10 * values.max()


def test_canonical_functions_vanish_to_the_tolerance_of_ordinary_tables(site_basis, random_cluster):
    """Products are tabulated on their own, so that ordinary tables leave their own error."""
    products, canonical = _both(site_basis, 1e-8, order=4, degree=8.0, **ELEMENTS["one element"])
    rng = np.random.default_rng(23)
    orders = canonical.expansion.labels.order
    size, worst = np.zeros(len(orders)), np.zeros(len(orders))
    for count in (1, 2, 3) * 5:
        cluster = random_cluster(rng, (14,), count, 1.0, 3.6)
        size = np.maximum(size, np.abs(products(cluster)[:, 0]))
        value = np.abs(canonical(cluster)[:, 0])
        worst = np.where(count < orders, np.maximum(worst, value), worst)
    usual = np.median(size)
    assert (worst / np.maximum(size, 1e-3 * usual)).max() < 1e-6


# ------------------------------------------------------------------ distinct neighbours


Tuples = Callable[[range, int], Iterable[tuple[int, ...]]]


def _sums(functions, cluster, tuples: Tuples) -> np.ndarray:
    """Σ over tuples of neighbours, from analytic radials and Σ_m u Π R Y alone."""
    spec, total_l = functions.spec, functions.spec.total_l
    centre = list(spec.numbers).index(int(cluster.numbers[0]))
    species = np.array([list(spec.numbers).index(int(z)) for z in cluster.numbers[1:]])
    vectors = cluster.positions[1:] - cluster.positions[0]
    distance = np.linalg.norm(vectors, axis=1)
    harmonics = complex_harmonics(vectors / distance[:, None], 8)
    symbols = [SYMBOLS[z] for z in spec.numbers]

    def one_particle(factor) -> np.ndarray:
        l, radials, z = factor
        pair = (symbols[centre], symbols[z])
        r0, cutoff = pair_number(spec.r0, *pair, "r0"), pair_number(spec.cutoff, *pair, "cutoff")
        radial = spec.radial.functions(max(radials), 0.0, r0, cutoff)
        values = radial.evaluate(distance).value[[n - 1 for n in radials]].prod(axis=0)
        return (values * (species == z))[:, None] * harmonics[:, l * l : (l + 1) ** 2]

    out = []
    for s, chosen in select(spec).items():
        for factors in chosen:
            ls = tuple(f[0] for f in factors)
            coupling = couplings(ls, group_sizes(factors), total_l)
            if s != centre:
                out += [np.zeros(2 * total_l + 1)] * len(coupling.values)
                continue
            phi = [one_particle(f) for f in factors]
            total = np.zeros((len(coupling.values), 2 * total_l + 1), dtype=complex)
            for members in tuples(range(len(species)), len(factors)):
                term = np.ones(len(coupling.ms), dtype=complex)
                for t, j in enumerate(members):
                    term = term * phi[t][j, coupling.ms[:, t] + ls[t]]
                total += coupling.values @ term
            assert np.abs(total.imag).max() < 1e-11 * max(np.abs(total.real).max(), 1.0)
            out += list(total.real)
    return np.array(out)


SUMS = {
    "order 4": {"elements": ("Si",), "r0": 2.1, "cutoff": 3.8, "order": 4, "degree": 7.5},
    "order 3, two elements": ELEMENTS["two elements"] | {"order": 3, "degree": 5.5},
    "order 3, sbessel": ELEMENTS["two elements"]
    | {"order": 3, "degree": 5.0, "radial": RADIALS["sbessel"]},
    "order 3, exp_cos, extended": ELEMENTS["one element"]
    | {"order": 3, "degree": 4.5, "radial": RADIALS["cheb_exp_cos"], "extend_lower_orders": True},
    "order 3, vectors": ELEMENTS["two elements"]
    | {"order": 3, "degree": 5.0, "total_l": 1, "parity": -1, "wl": 1.0},
    "order 3, pseudotensors": ELEMENTS["one element"]
    | {"order": 3, "degree": 7.0, "total_l": 2, "parity": -1, "wl": 1.0},
}


@pytest.mark.parametrize("name", list(SUMS))
def test_functions_are_sums_over_distinct_neighbours(site_basis, random_cluster, name):
    fields = {"pair": Pair(degree=0), "formulation": "canonical"} | SUMS[name]
    functions = site_basis(TABLES, **fields)
    rng = np.random.default_rng(24)
    numbers = tuple(functions.spec.numbers)
    values, sums = [], []
    for centre in numbers:
        for count in (3, 6):
            cluster = random_cluster(rng, numbers, count, 1.0, 3.3, centre=centre)
            values.append(functions(cluster))
            sums.append(_sums(functions, cluster, permutations))
    got, want = np.array(values), np.array(sums)
    assert got.shape == want.shape and len(got[0]) > 5
    size = np.abs(want).max(axis=(0, 2))
    usual = np.median(size)
    error = np.abs(got - want).max(axis=(0, 2)) / np.maximum(size, 1e-2 * usual)
    assert error.max() < 1e-9, f"function {int(error.argmax())}: {error.max():.1e}"


def test_self_interaction_functions_are_sums_over_all_tuples(site_basis, random_cluster):
    """The same brute force with repeated neighbours: |tuples| = n^ν instead of n!/(n-ν)!."""
    functions = site_basis(
        TABLES, **ELEMENTS["two elements"] | {"order": 3, "degree": 5.0, "pair": Pair(degree=0)}
    )
    cluster = random_cluster(np.random.default_rng(25), (8, 14), 5, 1.0, 3.3, centre=14)
    want = _sums(functions, cluster, lambda items, count: product(items, repeat=count))
    assert np.abs(functions(cluster) - want).max() < 1e-10 * np.abs(want).max()


# ------------------------------------------------------------------ equal spans

SPANS = {
    "jacobi, order 2": ELEMENTS["one element"]
    | {"order": 2, "degree": 8.0, "radial": RADIALS["jacobi"]},
    "orthonormal, identity, order 3": ELEMENTS["one element"]
    | {"order": 3, "degree": 6.0, "radial": Orthonormal(Identity())},
    "legendre, two elements, order 3": ELEMENTS["two elements"]
    | {"order": 3, "degree": 4.0, "radial": RADIALS["legendre"]},
    "jacobi, order 3, vectors": ELEMENTS["one element"]
    | {"order": 3, "degree": 4.0, "total_l": 1, "parity": -1, "radial": RADIALS["jacobi"]},
    "sbessel, order 2": ELEMENTS["one element"]
    | {"order": 2, "degree": 5.0, "radial": RADIALS["sbessel"]},
    "sbessel, order 3": ELEMENTS["one element"]
    | {"order": 3, "degree": 4.5, "radial": RADIALS["sbessel"]},
    "cheb_exp_cos, two elements, order 2": ELEMENTS["two elements"]
    | {"order": 2, "degree": 4.0, "radial": RADIALS["cheb_exp_cos"]},
}


def _predictions(site_basis, random_cluster, fields: dict) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of fits without prior in both formulations, on clusters not fitted."""
    bases = _both(site_basis, **{"wl": 1.0} | fields)
    spec = bases[0].spec
    rng = np.random.default_rng(26)
    centre = max(spec.numbers)
    count = 2 * bases[0].expansion.size + 60
    clusters = [
        random_cluster(rng, tuple(spec.numbers), 1 + i % 7, 0.3, 3.8, centre=centre)
        for i in range(count)
    ]
    designs = [np.array([basis(c)[:, 0] for c in clusters]) for basis in bases]
    # Any target outside the spans does: the fits are the projections on them.
    target = np.array([_target(c) for c in clusters])
    fitted = slice(0, count - 40)
    predictions = []
    for design in designs:
        scale = np.abs(design).max(axis=0)
        used = scale > 0  # functions of the other central element
        scaled = design[:, used] / scale[used]
        solution = np.linalg.lstsq(scaled[fitted], target[fitted], rcond=1e-14)[0]
        predictions.append(scaled[fitted.stop :] @ solution)
    return predictions[0], predictions[1]


def _target(cluster) -> float:
    vectors = cluster.positions[1:] - cluster.positions[0]
    distance = np.linalg.norm(vectors, axis=1)
    weight = (3.8 - distance) ** 2 * np.sqrt(cluster.numbers[1:])
    along = (vectors[:, 1] / distance) @ weight
    return float(np.sin(weight.sum()) + np.tanh(along) + weight.sum() ** 2 / 50)


@pytest.mark.parametrize("name", list(SPANS))
def test_both_formulations_span_the_same_space_when_lower_orders_are_added(
    site_basis, random_cluster, name
):
    fields = SPANS[name] | {"extend_lower_orders": True}
    one, other = _predictions(site_basis, random_cluster, fields)
    difference = np.abs(one - other).max() / np.abs(one).max()
    assert difference < 1e-8, f"{name}: {difference:.1e}"


@pytest.mark.parametrize("name", list(SPANS))
def test_the_spans_differ_without_the_added_lower_orders(site_basis, random_cluster, name):
    one, other = _predictions(site_basis, random_cluster, SPANS[name])
    difference = np.abs(one - other).max() / np.abs(one).max()
    assert difference > 1e-4, f"{name}: {difference:.1e}"
