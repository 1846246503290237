"""Which functions enter a basis, against enumeration and counting written anew."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.envelope import RepulsiveEnvelope
from acepot.basis.expansion import expand
from acepot.basis.pace_family import SBessel
from acepot.basis.radial import Legendre
from acepot.basis.selection import basis_size, group_sizes, select
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Morse
from acepot.errors import InputError

NO_PAIR = Pair(degree=0)


def _spec(**fields) -> BasisSpec:
    return resolve(BasisSpec(**{"elements": ("Si",), "r0": 2.2, "cutoff": 5.0} | fields))


# ------------------------------------------------------------------ counting written anew


def _count(factors: tuple, total_l: int) -> int:
    """Symmetric products with Σm = L less those with Σm = L + 1, listed one by one."""
    sums = {0: 1}
    runs: dict[tuple, int] = {}
    for factor in factors:
        runs[factor] = runs.get(factor, 0) + 1
    for (l, *_), size in runs.items():
        states: dict[int, int] = {}
        for ms in combinations_with_replacement(range(-l, l + 1), size):
            states[sum(ms)] = states.get(sum(ms), 0) + 1
        new: dict[int, int] = {}
        for (a, x), (b, y) in product(sums.items(), states.items()):
            new[a + b] = new.get(a + b, 0) + x * y
        sums = new
    return sums.get(total_l, 0) - sums.get(total_l + 1, 0)


def _enumerate(spec: BasisSpec, order: int) -> list[tuple]:
    """All admissible multisets of factors of one order, by filtering every combination."""
    degree = spec.degree[order - 1]
    max_n = spec.max_n[order - 1] if spec.max_n is not None else np.inf
    max_l = spec.max_l[order - 1] if spec.max_l is not None else np.inf
    top_l = int((degree - order) / spec.wl + 1e-9)
    factors = [
        (l, (n,), z)
        for l in range(top_l + 1)
        for n in range(1, int(degree) + 1)
        for z in range(len(spec.elements))
        if n <= max_n and l <= max_l
    ]
    out = []
    for chosen in combinations_with_replacement(factors, order):
        cost = sum(n + spec.wl * l for l, (n,), _ in chosen)
        even = (-1) ** sum(f[0] for f in chosen) == spec.parity
        if cost <= degree * (1 + 1e-9) and even and _count(chosen, spec.total_l) > 0:
            out.append(chosen)
    return sorted(out)


ENUMERATED = {
    "one element": {"order": 4, "degree": 8.0},
    "two elements": {"elements": ("Si", "O"), "order": 3, "degree": 6.0},
    "four elements": {"elements": ("H", "C", "N", "O"), "order": 2, "degree": 5.0},
    "order 5": {"order": 5, "degree": 7.0, "wl": 1.0},
    "order 6": {"order": 6, "degree": 8.0, "wl": 1.0},
    "degree per order": {"order": 3, "degree": (10.0, 8.0, 6.0)},
    "caps": {"order": 3, "degree": 10.0, "max_n": (8, 4, 2), "max_l": (0, 3, 2)},
    "one cap": {"order": 3, "degree": 9.0, "max_n": 3, "max_l": 1},
    "wl 1.1": {"order": 3, "degree": 3 * 1.1 + 3, "wl": 1.1},
    "wl 0.7": {"order": 2, "degree": 7.0, "wl": 0.7},
    "wl 3": {"order": 3, "degree": 12.0, "wl": 3.0},
    "vectors": {"order": 3, "degree": 7.0, "wl": 1.0, "total_l": 1, "parity": -1},
    "pseudovectors": {
        "elements": ("Si", "O"), "order": 2, "degree": 6.0, "wl": 1.0, "total_l": 1,
    },
    "tensors": {"order": 3, "degree": 7.0, "wl": 1.0, "total_l": 2},
    "pseudotensors": {"order": 3, "degree": 8.0, "wl": 1.0, "total_l": 2, "parity": -1},
    "L = 3 pseudo": {"order": 3, "degree": 8.0, "wl": 1.0, "total_l": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", list(ENUMERATED))
def test_selection_is_what_filtering_all_combinations_gives(name):
    spec = _spec(**ENUMERATED[name])
    chosen = select(spec)
    sizes = basis_size(spec)
    species = len(spec.elements)
    assert set(chosen) == set(range(species))
    for order in range(1, spec.order + 1):
        want = _enumerate(spec, order)
        for functions in chosen.values():
            assert [f for f in functions if len(f) == order] == want, f"order {order}"
        count = sum(_count(f, spec.total_l) for f in want) * species
        assert sizes[f"order {order}"] == count, f"order {order}"
    assert sizes["total"] == sum(v for k, v in sizes.items() if k != "total")
    assert any(sizes[f"order {k}"] for k in range(2, spec.order + 1))


@pytest.mark.parametrize("wl", [0.25, 0.4])
def test_small_weights_of_l_do_not_cut_l_off(wl):
    """Σ(n + wl l) <= degree alone decides: at wl < 1/2 some l exceed the degree itself."""
    spec = _spec(order=2, degree=8.0, wl=wl, pair=NO_PAIR)
    got = [f for f in select(spec)[0] if len(f) == 2]
    want = _enumerate(spec, 2)
    assert max(f[0][0] for f in want) == int((8.0 / 2 - 1) / wl)
    missing = sorted(set(want) - set(got))
    assert got == want, f"{len(missing)} missing, the first {missing[:1]}"


# ------------------------------------------------------------------ known sizes


def test_size_of_the_published_silicon_basis_of_order_4():
    """ACE1's acemodel test: 338 many-body functions of orders 1 to 4."""
    sizes = basis_size(_spec(order=4, degree=12.0, wl=1.5, pair=Pair(degree=3)))
    assert [sizes[f"order {k}"] for k in (1, 2, 3, 4)] == [12, 67, 132, 127]
    assert sizes["pair"] == 3 and sizes["total"] == 341
    functions = select(_spec(order=4, degree=12.0, wl=1.5))[0]
    assert max(l for f in functions for l, _, _ in f) == 3


def test_size_of_the_published_silicon_basis_of_order_3():
    """ACEpotentials' ace1_model(order = 3, totaldegree = 12): 211 many-body, 12 pair."""
    sizes = basis_size(_spec(order=3, degree=12.0))
    assert sizes["order 1"] + sizes["order 2"] + sizes["order 3"] == 211
    assert sizes["pair"] == 12 and sizes["total"] == 223


def test_sizes_with_a_degree_per_order():
    """Zuo's benchmark: about 300 functions for (20, 16, 12), about 1000 for (25, 21, 17)."""
    large = _spec(order=3, degree=(25.0, 21.0, 17.0), pair=NO_PAIR)
    assert basis_size(large) == {
        "order 1": 25, "order 2": 314, "order 3": 677, "pair": 0, "total": 1016,
    }  # fmt: skip
    small = basis_size(_spec(order=3, degree=(20.0, 16.0, 12.0), pair=NO_PAIR))
    assert (small["order 1"], small["order 2"], small["order 3"]) == (20, 147, 132)


def test_one_number_is_the_same_as_that_number_for_every_order():
    one, each = _spec(order=3, degree=9.0), _spec(order=3, degree=(9.0, 9.0, 9.0))
    assert select(one) == select(each)
    capped, caps = _spec(order=3, degree=9.0, max_n=4), _spec(order=3, degree=9.0, max_n=(4, 4, 4))
    assert select(capped) == select(caps)


def test_caps_hold_for_their_order_only():
    spec = _spec(order=3, degree=11.0, max_n=(9, 5, 3), max_l=(0, 2, 1))
    functions = select(spec)[0]
    for order, n, l in ((1, 9, 0), (2, 5, 2), (3, 3, 1)):
        factors = [f for function in functions if len(function) == order for f in function]
        assert max(f[1][0] for f in factors) == n and max(f[0] for f in factors) == l


def test_degrees_are_inclusive_up_to_rounding():
    """3 × 1.1 = 3.3000000000000003 must count as 3.3."""
    spec = _spec(order=2, degree=2 * (1 + 3 * 1.1), wl=1.1)
    assert 2 * (1 + 3 * 1.1) != 8.6 or 1 + 3 * 1.1 != 4.3
    for degree in (spec.degree[1], 8.6):
        functions = select(_spec(order=2, degree=degree, wl=1.1))[0]
        assert ((3, (1,), 0), (3, (1,), 0)) in functions, degree


def test_functions_are_ordered_by_correlation_order_then_factors():
    for functions in select(_spec(elements=("Si", "O"), order=3, degree=6.0)).values():
        assert functions == sorted(functions, key=lambda f: (len(f), f))
        assert all(f == tuple(sorted(f)) for f in functions)
        assert len(set(functions)) == len(functions)


def test_group_sizes_count_equal_neighbours_in_the_list():
    a, b, c = (0, (1,), 0), (1, (1,), 0), (1, (2,), 0)
    assert group_sizes((a, a, b, c, c)) == (2, 1, 2)
    assert group_sizes((b,)) == (1,)


# ------------------------------------------------------------------ sizes are those of the basis

BUILT = {
    "one element, order 4": {"order": 4, "degree": 8.0},
    "order 6": {"order": 6, "degree": 8.0, "wl": 1.0, "pair": NO_PAIR},
    "two elements": {"elements": ("O", "Si"), "order": 3, "degree": 6.0},
    "three elements": {"elements": ("H", "O", "Si"), "order": 3, "degree": 4.5},
    "four elements": {"elements": ("H", "C", "N", "O"), "order": 2, "degree": 5.0},
    "canonical": {"order": 4, "degree": 7.0, "formulation": "canonical"},
    "canonical, two elements": {
        "elements": ("O", "Si"), "order": 3, "degree": 5.5, "formulation": "canonical",
    },
    "extended": {"order": 3, "degree": 5.0, "extend_lower_orders": True},
    "extended canonical": {
        "elements": ("O", "Si"), "order": 3, "degree": 4.5, "extend_lower_orders": True,
        "formulation": "canonical",
    },
    "extended sbessel": {
        "order": 3, "degree": 5.0, "extend_lower_orders": True, "radial": SBessel(),
    },
    "vectors": {
        "elements": ("O", "Si"), "order": 3, "degree": 5.0, "wl": 1.0, "total_l": 1, "parity": -1,
    },
    "extended canonical tensors": {
        "order": 3, "degree": 6.0, "wl": 1.0, "total_l": 2, "extend_lower_orders": True,
        "formulation": "canonical",
    },
    "no pair part": {"order": 2, "degree": 6.0, "pair": NO_PAIR},
    "long pair part": {"elements": ("O", "Si"), "order": 1, "degree": 3.0, "pair": Pair(degree=9)},
    "degree per order": {"order": 3, "degree": (9.0, 7.0, 6.0), "max_l": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", list(BUILT))
def test_basis_size_is_the_size_of_the_expansion(name):
    spec = _spec(**BUILT[name])
    built, sizes = expand(spec), basis_size(spec)
    assert sizes["total"] == built.size
    orders = built.labels.order
    for order in range(1, spec.order + 1):
        assert sizes[f"order {order}"] == int((orders == order).sum()), f"order {order}"
    assert sizes["pair"] == int((orders == 0).sum())
    # Every function is there: no row of C is empty.
    rows = sum(abs(m).sum(axis=1) for parts in (built.real, built.imaginary) for m in parts)
    rows = np.asarray(rows).reshape(built.size, 2 * spec.total_l + 1)
    assert (rows.sum(axis=1) > 1e-3).all(), np.flatnonzero(rows.sum(axis=1) <= 1e-3)


def test_vectors_have_no_pair_part():
    sizes = basis_size(_spec(order=2, degree=6.0, wl=1.0, total_l=1, parity=-1))
    assert sizes["pair"] == 0 and sizes["total"] > 0


# ------------------------------------------------------------------ lower orders


def _pairs_of(functions, order: int) -> list:
    return [f for f in functions if len(f) == order]


def test_lower_orders_are_what_coinciding_neighbours_generate():
    """(l, n)(l', n') on one neighbour: (l'', k), l'' = |l - l'| … l + l', k to n + n' - 1 + 4."""
    chosen = (ChosenFunction("Si", ("Si", "Si", "Si"), (1, 2, 1), (1, 1, 2)),)
    spec = _spec(order=3, functions=chosen, extend_lower_orders=True, pair=NO_PAIR)
    functions = select(spec)[0]
    (triple,) = _pairs_of(functions, 3)
    assert triple == ((1, (1,), 0), (1, (2,), 0), (2, (1,), 0))
    want = set()
    # (l, n): (1,1)(1,2) -> (2, k <= 6) with (2,1); (1,1)(2,1) -> (1, k <= 5) with (1,2); and
    # (1,2)(2,1) -> (1, k <= 6) with (1,1).
    want |= {tuple(sorted(((2, (k,), 0), (2, (1,), 0)))) for k in range(1, 7)}
    want |= {tuple(sorted(((1, (k,), 0), (1, (2,), 0)))) for k in range(1, 6)}
    want |= {tuple(sorted(((1, (k,), 0), (1, (1,), 0)))) for k in range(1, 7)}
    assert set(_pairs_of(functions, 2)) == want
    # and each pair on one neighbour: n up to 6 + 1 - 1 + 4.
    assert _pairs_of(functions, 1) == [((0, (k,), 0),) for k in range(1, 11)]


def test_lower_orders_of_other_families_are_products_of_radials():
    chosen = (ChosenFunction("Si", ("Si", "Si", "O"), (1, 2, 1), (1, 1, 0)),)
    for radial in (
        SBessel(),
        Legendre(Morse(), RepulsiveEnvelope(2)),
    ):
        spec = _spec(
            elements=("O", "Si"), order=3, functions=chosen, extend_lower_orders=True,
            radial=radial, pair=NO_PAIR,
        )  # fmt: skip
        functions = select(spec)
        assert functions[0] == []
        # O does not meet Si on one site; only the two Si factors join.
        assert functions[1] == [
            ((0, (1,), 0), (0, (1, 2), 1)),
            ((0, (1,), 0), (1, (1,), 1), (1, (2,), 1)),
        ]


def test_extension_only_adds_and_is_closed():
    for fields in (
        {"order": 3, "degree": 5.0},
        {"elements": ("O", "Si"), "order": 3, "degree": 4.5, "radial": SBessel()},
    ):
        plain, more = select(_spec(**fields)), select(_spec(**fields, extend_lower_orders=True))
        for z in plain:
            assert set(plain[z]) < set(more[z])
            assert _pairs_of(plain[z], 3) == _pairs_of(more[z], 3)


# ------------------------------------------------------------------ the user's own list


def test_the_users_list_is_taken_as_it_is():
    chosen = (
        ChosenFunction("Si", ("O", "Si"), (2, 1), (1, 1)),
        ChosenFunction("Si", ("Si", "O"), (1, 2), (1, 1)),  # the same function
        ChosenFunction("Si", ("O",), (7,), (0,)),
        ChosenFunction("O", ("O", "O", "O"), (1, 1, 1), (2, 2, 2)),
    )
    spec = _spec(elements=("Si", "O"), order=3, degree=2.0, functions=chosen, pair=NO_PAIR)
    assert select(spec) == {
        0: [((2, (1,), 0), (2, (1,), 0), (2, (1,), 0))],
        1: [((0, (7,), 0),), ((1, (1,), 1), (1, (2,), 0))],
    }
    assert basis_size(spec)["total"] == expand(spec).size == 3


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (("Si", ("Ge",), (1,), (0,)), r"functions\[0\]: Ge is not among basis.elements"),
        (("Ge", ("Si",), (1,), (0,)), r"functions\[0\]: Ge is not among basis.elements"),
        (("Si", ("Si", "Si"), (1,), (0, 0)), "n and l of one length from 1 to 6, got 2, 1 and 2"),
        (("Si", (), (), ()), "of one length from 1 to 6"),
        (("Si", ("Si",) * 3, (1,) * 3, (0,) * 3), "of one length from 1 to the order 2"),
        (("Si", ("Si",), (0,), (0,)), r"^n: expected 1 to 200, got \[0\]"),
        (("Si", ("Si", "Si"), (1, 1), (-1, 1)), r"^l: expected 0 to 40, got \[-1, 1\]"),
        (("Si", ("Si",), (1,), (1,)), r"l = \[1\] cannot be coupled to L = 0 with parity \+1"),
        (("Si", ("Si", "Si"), (1, 1), (1, 2)), r"l = \[1, 2\] cannot be coupled"),
        (("Si", ("Si", "Si"), (1, 1), (1, 3)), r"l = \[1, 3\] cannot be coupled"),
    ],
)
def test_impossible_entries_of_the_users_list_are_named(function, message):
    with pytest.raises(InputError, match=message):
        select(_spec(order=2, functions=(ChosenFunction(*function),)))


def test_a_coupling_that_equal_factors_forbid_is_refused():
    """(1 1) -> L = 1 is antisymmetric: it exists for different factors only."""
    same = ChosenFunction("Si", ("Si", "Si"), (1, 1), (1, 1))
    other = ChosenFunction("Si", ("Si", "Si"), (1, 2), (1, 1))
    with pytest.raises(InputError, match=r"cannot be coupled to L = 1 with parity \+1"):
        select(_spec(order=2, total_l=1, functions=(same,)))
    assert basis_size(_spec(order=2, total_l=1, functions=(other,)))["total"] == 1


def test_an_empty_selection_is_refused():
    with pytest.raises(InputError, match="select no function; raise the degree or the caps"):
        select(_spec(order=2, degree=0.5))


def test_a_symmetry_that_nothing_couples_to_has_no_functions():
    for fields in (
        {"order": 1, "total_l": 1, "parity": 1},
        {"order": 2, "total_l": 0, "parity": -1},
    ):
        spec = _spec(degree=8.0, **fields)
        assert select(spec) == {0: []} and basis_size(spec)["total"] == 0


@pytest.mark.parametrize("fields", [{}, {"max_l": 3}], ids=["no cap", "cap"])
@pytest.mark.parametrize("wl", [0.0, -1.0, np.nan, np.inf])
def test_impossible_weights_of_l_are_refused(wl, fields):
    with pytest.raises(InputError, match="^wl: expected a (positive|finite) number"):
        select(_spec(order=2, degree=4.0, wl=wl, **fields))


@pytest.mark.parametrize("degree", [np.inf, np.nan, -3.0])
def test_impossible_degrees_are_refused(degree):
    with pytest.raises(InputError, match="degree"):
        select(_spec(order=2, degree=degree))


def test_a_pseudoscalar_needs_three_neighbours():
    """Below three vectors nothing tells left from right."""
    sizes = basis_size(_spec(order=3, degree=9.0, wl=1.0, parity=-1, pair=NO_PAIR))
    assert sizes["order 1"] == sizes["order 2"] == 0 and sizes["order 3"] > 0


# ------------------------------------------------------------------ equal sums over bonds


def test_bonds_are_counted_once_on_request():
    """Only functions of order 1 of a lighter neighbour go; without the setting nothing does."""
    choices = {"elements": ("O", "Si", "Ti"), "degree": 5.0, "order": 2, "pair": Pair(degree=2)}
    both, once = _spec(**choices), _spec(**choices, bonds_once=True)
    assert basis_size(both)["order 1"] == 3 * 3 * 5
    assert basis_size(once) == basis_size(both) | {
        "order 1": 6 * 5, "total": basis_size(both)["total"] - 3 * 5
    }  # fmt: skip
    gone = {z: set(select(both)[z]) - set(select(once)[z]) for z in range(3)}
    assert gone == {
        z: {((0, (n,), other),) for n in range(1, 6) for other in range(z)} for z in range(3)
    }
    labels = expand(once).labels
    assert len(labels.order) == basis_size(once)["total"]
    first = labels.order == 1
    assert (labels.centre[first] <= labels.z[first, 0]).all()


def test_bonds_of_the_users_own_list_go_only_with_their_equals():
    def one(centre, other, n):
        return ChosenFunction(centre, (other,), (n,), (0,))

    functions = (one("Si", "O", 1), one("O", "Si", 1), one("Si", "O", 2))
    spec = _spec(elements=("O", "Si"), functions=functions, pair=NO_PAIR, bonds_once=True)
    assert select(spec) == {0: [((0, (1,), 1),)], 1: [((0, (2,), 0),)]}


def test_bonds_of_different_lengths_are_different():
    with pytest.raises(InputError, match=r"basis.bonds_once: basis.r0 of O-Si is 1.6 and of Si-O"):
        _spec(elements=("O", "Si"), r0={"O-Si": 1.6, "Si-O": 1.7, "default": 2}, bonds_once=True)
    with pytest.raises(InputError, match="bonds_once: only energies are sums over bonds"):
        _spec(total_l=1, parity=-1, bonds_once=True)
