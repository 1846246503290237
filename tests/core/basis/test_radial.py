"""Radial functions: norms, transforms, derivatives, cut-offs, PACE's formulas and the tables."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import eval_chebyt, eval_legendre, roots_legendre

from acepot.basis.choices import Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope, RepulsiveEnvelope, ShiftedEnvelope
from acepot.basis.family import Radial
from acepot.basis.jet import Jet
from acepot.basis.pace_family import ChebExpCos, ChebLinear, ChebPow, SBessel
from acepot.basis.pace_radial import CoreRadial, InnerCutRadial, MixedRadial, ZblRadial
from acepot.basis.radial import Jacobi, Legendre, Orthonormal, ProductRadial
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.splines import Knots, equidistant, tabulate
from acepot.basis.transform import Agnesi, Identity, Morse, PolynomialTransform
from acepot.errors import InputError
from acepot.lowering import lower
from acepot.model import Model

R0, CUTOFF = 2.3, 5.2

TRANSFORMS = {
    "agnesi 2 4": Agnesi(2.0, 4.0),
    "agnesi 2 2": Agnesi(2.0, 2.0),
    "agnesi 1 3": Agnesi(1.0, 3.0),
    "agnesi 1 4": Agnesi(1.0, 4.0),
    "agnesi 3 5": Agnesi(3.0, 5.0),
    "polynomial": PolynomialTransform(2.0, offset=1.0),
    "polynomial 1.5": PolynomialTransform(1.5, offset=0.4),
    "morse": Morse(1.7),
    "identity": Identity(),
}
POLYNOMIAL = ("orthonormal", "jacobi", "legendre")
ENVELOPES = {
    "x 2 2": PolynomialEnvelope(2, 2),
    "x 0 1": PolynomialEnvelope(0, 1),
    "x 1 3": PolynomialEnvelope(1, 3),
    "r 2": RepulsiveEnvelope(2),
    "r 5": RepulsiveEnvelope(5),
    "r_shifted 1": ShiftedEnvelope(1),
    "r_shifted 3": ShiftedEnvelope(3),
}
PACE = {
    "cheb_exp_cos": ChebExpCos(exponent=5.25),
    "cheb_exp_cos, wide": ChebExpCos(exponent=1.0, smoothing=1.3),
    "cheb_exp_cos, no window": ChebExpCos(exponent=1.0, smoothing=0.0),
    "cheb_pow": ChebPow(exponent=2.0),
    "cheb_pow 1": ChebPow(exponent=1.0),
    "cheb_pow 3.5": ChebPow(exponent=3.5),
    "cheb_linear": ChebLinear(),
    "sbessel": SBessel(),
}
#: Every family with every transform and every envelope that it admits.
FAMILIES = {
    f"{family}, {t}, {e}": Radial.kinds[family](transform, envelope)
    for family in POLYNOMIAL
    for t, transform in TRANSFORMS.items()
    for e, envelope in ENVELOPES.items()
    if envelope.kind == "x" or family == "legendre"
} | PACE


def _coordinate(functions, r: np.ndarray) -> np.ndarray:
    """x(r) of a polynomial family."""
    return (
        functions.transform.coordinate(Jet.variable(r), functions.inner, functions.r0).value
        * functions.scale
        + functions.shift
    )


def _distances(functions, x: np.ndarray) -> np.ndarray:
    """r(x), by root search."""

    def gap(r: float, want: float) -> float:
        return float(_coordinate(functions, np.array([r]))[0]) - want

    low, high = functions.inner + 1e-12, functions.cutoff
    return np.array([brentq(gap, low, high, args=(v,), xtol=1e-15, rtol=1e-15) for v in x])


# ------------------------------------------------------------------ transforms


@pytest.mark.parametrize(
    ("p", "q", "a"),
    [(2, 2, 2 / 3), (2, 4, 0.7692307692307693), (1, 3, 0.2857142857142857), (1, 4, 3 / 11)],
)
@pytest.mark.parametrize("inner", [0.0, 0.9])
def test_agnesi_is_steepest_at_r0(p, q, a, inner):
    transform = Agnesi(float(p), float(q))
    # x(r0) = 1/(1 + a/2).
    at_r0 = transform.coordinate(Jet.variable(np.array([R0])), inner, R0)
    assert 2 * (1 / at_r0.value[0] - 1) == pytest.approx(a, rel=1e-14)
    r = np.linspace(inner + 0.01, 12.0, 20001)
    slope = np.abs(transform.coordinate(Jet.variable(r), inner, R0).first)
    assert r[slope.argmax()] == pytest.approx(R0, abs=1e-3)
    assert slope.max() <= abs(at_r0.first[0]) * (1 + 1e-12)
    assert abs(at_r0.second[0]) < 1e-13


@pytest.mark.parametrize("name", [n for n in TRANSFORMS if n.startswith("agnesi")])
def test_agnesi_has_its_two_limits(name):
    """x = 1 - a s^q at the inner cut-off, and falls as s^-p far away."""
    t = TRANSFORMS[name]
    p, q = t.p, t.q
    a = (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)
    # With q = p the two powers share the weight: s^(q-p) = 1.
    share = 2.0 if p == q else 1.0
    near = t.coordinate(Jet.variable(1.0 + (R0 - 1.0) * np.array([1e-2])), 1.0, R0).value
    assert 1 - near[0] == pytest.approx(a / share * 1e-2**q, rel=0.1 if q - p < 3 else 1e-2)
    far = t.coordinate(Jet.variable(1.0 + (R0 - 1.0) * np.array([1e4, 2e4])), 1.0, R0).value
    assert far[0] / far[1] == pytest.approx(2**p, rel=1e-3)
    below = t.coordinate(Jet.variable(np.array([0.2, 1.0])), 1.0, R0)
    np.testing.assert_array_equal(below.value, [1.0, 1.0])


@pytest.mark.parametrize("name", list(TRANSFORMS))
@pytest.mark.parametrize("inner", [0.0, 0.9])
def test_the_coordinate_runs_from_minus_one_to_one(name, inner):
    functions = Jacobi(TRANSFORMS[name]).functions(2, inner, R0, CUTOFF)
    x = _coordinate(functions, np.linspace(inner, CUTOFF, 400))
    assert x[0] == pytest.approx(-1, abs=1e-14) and x[-1] == pytest.approx(1, abs=1e-14)
    assert (np.diff(x) >= 0).all() and (np.diff(x[5:]) > 0).all()


def test_other_transforms_are_their_formulas():
    r = np.linspace(0.3, 6.0, 50)
    for name, want in {
        "polynomial": ((1.0 + R0) / (1.0 + r)) ** 2,
        "polynomial 1.5": ((0.4 + R0) / (0.4 + r)) ** 1.5,
        "morse": np.exp(-1.7 * r / R0),
        "identity": r,
    }.items():
        got = TRANSFORMS[name].coordinate(Jet.variable(r), 0.0, R0).value
        np.testing.assert_allclose(got, want, rtol=1e-14, err_msg=name)


# ------------------------------------------------------------------ norms


@pytest.mark.parametrize("name", ["identity", "agnesi 2 4", "polynomial"])
@pytest.mark.parametrize("envelope", ["x 2 2", "x 0 1", "x 1 3"])
def test_orthonormal_functions_are_orthonormal_on_their_nodes(name, envelope):
    nodes, count = 200, 15
    radial = Orthonormal(TRANSFORMS[name], ENVELOPES[envelope], nodes=nodes)
    functions = radial.functions(count, 0.7, R0, CUTOFF)
    x = -1 + (2 * np.arange(nodes) + 1) / nodes
    values = functions.evaluate(_distances(functions, x)).value
    gram = values @ values.T / nodes
    # Root search leaves 1e-15 Å, steep transforms amplify it.
    assert np.abs(gram - np.eye(count)).max() < 1e-11


@pytest.mark.parametrize("envelope", ["x 2 2", "x 0 1", "x 1 3"])
def test_jacobi_functions_are_orthonormal_on_the_interval(envelope):
    count = 15
    radial = Jacobi(TRANSFORMS["identity"], ENVELOPES[envelope])
    functions = radial.functions(count, 0.7, R0, CUTOFF)
    x, w = roots_legendre(40)
    values = functions.evaluate(0.7 + (x + 1) / 2 * (CUTOFF - 0.7)).value
    assert np.abs((values * w) @ values.T - np.eye(count)).max() < 1e-13


def test_many_nodes_take_orthonormal_to_sqrt_2_jacobi():
    r = np.linspace(0.5, CUTOFF, 50)
    fine = Orthonormal(nodes=100_000).functions(8, 0.0, R0, CUTOFF)
    limit = Jacobi().functions(8, 0.0, R0, CUTOFF)
    want = np.sqrt(2) * limit.evaluate(r).value
    np.testing.assert_allclose(fine.evaluate(r).value, want, atol=1e-6 * np.abs(want).max())


def test_legendre_functions_are_legendre_polynomials_times_the_envelope():
    r = np.linspace(0.5, CUTOFF - 1e-3, 60)
    s, end = r / R0, CUTOFF / R0
    for t, transform in TRANSFORMS.items():
        for e, envelope in ENVELOPES.items():
            radial = Legendre(transform, envelope)
            functions = radial.functions(9, 0.0, R0, CUTOFF)
            x, p = _coordinate(functions, r), envelope.outer
            factor = {
                "x": (1 + x) ** (envelope.powers or (0,))[0] * (1 - x) ** p,
                "r": s**-p - end**-p + p * end ** (-p - 1) * (s - end),
                "r_shifted": ((r / CUTOFF) ** -p - 1) * (1 - r / CUTOFF),
            }[envelope.kind]
            want = factor * eval_legendre(np.arange(9)[:, None], x)
            size = np.abs(want).max(axis=1, keepdims=True)
            error = (np.abs(functions.evaluate(r).value - want) / size).max()
            assert error < 1e-12, f"{t}, {e}: {error:.1e}"


@pytest.mark.parametrize("family", POLYNOMIAL)
def test_function_n_is_the_envelope_times_a_polynomial_of_degree_n_minus_1(family):
    radial = Radial.kinds[family](TRANSFORMS["identity"])
    functions = radial.functions(6, 0.0, R0, CUTOFF)
    x = np.linspace(-0.95, 0.95, 41)
    values = functions.evaluate((x + 1) / 2 * CUTOFF).value
    for n, row in enumerate(values):
        bare = row / (1 - x * x) ** 2
        polynomial = np.polynomial.Polynomial.fit(x, bare, n, domain=[-1, 1])
        assert polynomial.coef[n] > 1e-3, f"{family} {n}: no positive leading coefficient"
        np.testing.assert_allclose(
            polynomial(x) * (1 - x * x) ** 2, row, atol=1e-12 * np.abs(row).max()
        )


# ------------------------------------------------------------------ derivatives


@pytest.mark.parametrize("inner", [0.0, 0.8])
@pytest.mark.parametrize("name", list(FAMILIES))
def test_derivatives_are_finite_differences(name, inner):
    functions = FAMILIES[name].functions(7, inner, R0, CUTOFF)
    r = np.random.default_rng(41).uniform(max(inner, 0.3) + 0.01, CUTOFF - 0.03, 200)
    for jump in functions.breaks:
        r = r[np.abs(r - jump) > 0.01]
    jet = functions.evaluate(r)
    assert jet.value.shape == jet.first.shape == jet.second.shape == (7, len(r))
    _assert_derivatives(functions, r, f"{name}, inner {inner}")


def _assert_derivatives(functions, r: np.ndarray, what: str, step: float = 2e-3) -> None:
    """First and second derivatives against sixth-order central differences of the one below."""
    jet = functions.evaluate(r)

    def slope(kind: str, h: float) -> np.ndarray:
        ends = [getattr(functions.evaluate(r + s * h), kind) for s in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h)

    for kind, derivative in (("value", "first"), ("first", "second")):
        got = getattr(jet, derivative)
        want = (64 * slope(kind, step / 4) - 20 * slope(kind, step / 2) + slope(kind, step)) / 45
        # Linear functions have no curvature to compare with.
        size = np.maximum(np.abs(got).max(axis=1, keepdims=True), 1e-3)
        error = (np.abs(got - want) / size).max()
        assert error < 1e-8, f"{what}, {derivative}: {error:.1e}"


@pytest.mark.parametrize("name", ["switched", "mixed", "core", "switched core", "zbl"])
def test_what_pace_adds_to_its_families_has_the_derivatives_of_finite_differences(name):
    bessel = SBessel().functions(4, 0.0, R0, CUTOFF)
    mixing = np.random.default_rng(44).normal(size=(3, 4))
    functions = {
        "switched": InnerCutRadial(bessel, 1.6, 0.7),
        "mixed": MixedRadial(bessel, mixing),
        "core": CoreRadial(120.0, 0.9, CUTOFF),
        "switched core": CoreRadial(120.0, 0.9, CUTOFF, 1.6, 0.7),
        "zbl": ZblRadial(1.0, (14, 8), 2.1, 0.9),
    }[name]
    r = np.random.default_rng(45).uniform(0.4, functions.cutoff - 0.02, 200)
    for jump in (0.9, 1.2, 1.6):  # third derivatives of the switches jump here
        r = r[np.abs(r - jump) > 0.01]
    assert functions.evaluate(r).value.shape == (functions.count, len(r))
    _assert_derivatives(functions, r, name)
    beyond = functions.evaluate(np.array([functions.cutoff, functions.cutoff + 0.5]))
    assert not beyond.value.any() and not beyond.first.any()
    near = functions.evaluate(np.array([functions.cutoff - 1e-5]))
    size = np.abs(functions.evaluate(r).value).max()
    assert np.abs(near.value).max() < 1e-8 * size and np.abs(near.first).max() < 1e-3 * size


def test_products_have_the_derivatives_of_products():
    functions = SBessel().functions(5, 0.0, R0, CUTOFF)
    members = ((0,), (1, 3), (2, 2), (0, 1, 4), (3, 3, 3, 3))
    product = ProductRadial(functions, members)
    assert product.count == len(members)
    r = np.linspace(0.4, CUTOFF - 0.05, 60)
    jet, single = product.evaluate(r), functions.evaluate(r).value
    step = 1e-3
    for kind, derivative in (("value", "first"), ("first", "second")):
        steps = (-step, -step / 2, step / 2, step)
        ends = {h: getattr(product.evaluate(r + h), kind) for h in steps}
        coarse = (ends[step] - ends[-step]) / (2 * step)
        fine = (ends[step / 2] - ends[-step / 2]) / step
        got, want = getattr(jet, derivative), (4 * fine - coarse) / 3
        assert np.abs(got - want).max() < 1e-8 * np.abs(got).max(), derivative
    for row, indices in zip(jet.value, members, strict=True):
        np.testing.assert_allclose(row, single[list(indices)].prod(axis=0), rtol=1e-13)


# ------------------------------------------------------------------ cut-offs


@pytest.mark.parametrize("name", [n for n, r in FAMILIES.items() if r.envelope_order > 0])
def test_functions_vanish_at_the_cutoff_to_the_order_promised(name):
    """The d-th derivative falls at least as (rc - r)^(k - d), and is zero from rc on."""
    radial = FAMILIES[name]
    order = radial.envelope_order
    functions = radial.functions(5, 0.0, R0, CUTOFF)
    # Far enough from rc that rounding does not show, well inside the last cosine window.
    far = 4e-4 if radial.kind == "cheb_exp_cos" and radial.smoothing == 0.01 else 4e-3
    jets = [functions.evaluate(np.array([CUTOFF - d])) for d in (far, far / 2)]
    for derivative, kind in enumerate(("value", "first", "second")[:order]):
        a, b = (np.abs(getattr(jet, kind)[:, 0]) for jet in jets)
        size = np.abs(getattr(functions.evaluate(np.linspace(0.5, CUTOFF, 500)), kind)).max(axis=1)
        power = np.log2(a / b)
        assert (power > order - derivative - 0.03).all(), f"{name}, {kind}: powers {power}"
        assert (a < size).all(), f"{name}, {kind}"
    beyond = functions.evaluate(np.array([CUTOFF, CUTOFF + 1e-9, CUTOFF + 3.0]))
    for kind in ("value", "first", "second"):
        assert not getattr(beyond, kind).any(), f"{name}, {kind}"


@pytest.mark.parametrize("name", ["x 2 2", "x 0 1", "x 1 3", "r 2", "r_shifted 3"])
def test_polynomial_families_vanish_to_no_higher_order_than_promised(name):
    radial = Legendre(TRANSFORMS["agnesi 2 4"], ENVELOPES[name])
    functions = radial.functions(5, 0.0, R0, CUTOFF)
    a, b = (np.abs(functions.evaluate(np.array([CUTOFF - d])).value[:, 0]) for d in (4e-3, 2e-3))
    np.testing.assert_allclose(np.log2(a / b), radial.envelope_order, atol=0.03)


@pytest.mark.parametrize("family", POLYNOMIAL)
@pytest.mark.parametrize(("power", "transform"), [(1, "identity"), (2, "morse"), (3, "polynomial")])
def test_two_sided_envelopes_vanish_inside_the_inner_cutoff(family, power, transform):
    radial = Radial.kinds[family](TRANSFORMS[transform], PolynomialEnvelope(power, 2))
    functions = radial.functions(5, 1.1, R0, CUTOFF)
    assert functions.zero_inside
    inside = functions.evaluate(np.array([1e-3, 0.5, 1.1 - 1e-12, 1.1]))
    assert not inside.value.any() and not inside.first.any() and not inside.second.any()
    a, b = (np.abs(functions.evaluate(np.array([1.1 + d])).value[:, 0]) for d in (4e-3, 2e-3))
    np.testing.assert_allclose(np.log2(a / b), power, atol=0.1)


def test_agnesi_multiplies_the_power_at_the_inner_cutoff_by_q():
    radial = Jacobi(TRANSFORMS["agnesi 2 4"], PolynomialEnvelope(2, 2))
    functions = radial.functions(4, 1.1, R0, CUTOFF)
    a, b = (np.abs(functions.evaluate(np.array([1.1 + d])).value[:, 0]) for d in (4e-2, 2e-2))
    np.testing.assert_allclose(np.log2(a / b), 8, atol=0.2)


def test_one_sided_envelopes_do_not_vanish_inside():
    for name in ("x 0 1", "r 2", "r_shifted 1"):
        radial = Legendre(TRANSFORMS["agnesi 2 2"], ENVELOPES[name])
        functions = radial.functions(3, 1.1, R0, CUTOFF)
        assert not functions.zero_inside, name
        assert (np.abs(functions.evaluate(np.array([0.6, 1.1])).value) > 1e-3).all(), name


# ------------------------------------------------------------------ PACE's formulas


def test_cheb_exp_cos_is_its_formula():
    r, rate, width, rc = np.linspace(0.1, CUTOFF - 1e-6, 300), 5.25, 1.3, CUTOFF
    family = ChebExpCos(exponent=rate, smoothing=width)
    got = family.functions(8, 0.0, R0, rc).evaluate(r).value
    x = 1 - 2 * (np.exp(-rate * r / rc) - np.exp(-rate)) / (1 - np.exp(-rate))
    window = (1 + np.cos(np.pi * r / rc)) / 2
    window = np.where(
        r > rc - width, window * (1 + np.cos(np.pi * (r - rc + width) / width)) / 2, window
    )
    want = [window] + [(0.5 - eval_chebyt(n - 1, x) / 2) * window for n in range(2, 9)]
    np.testing.assert_allclose(got, want, atol=1e-14)


@pytest.mark.parametrize("rate", [1.0, 2.0, 3.5])
def test_cheb_pow_is_its_formula(rate):
    r = np.linspace(0.1, CUTOFF - 1e-6, 300)
    got = ChebPow(exponent=rate).functions(8, 0.0, R0, CUTOFF).evaluate(r).value
    x = 2 * (1 - (1 - r / CUTOFF) ** rate) - 1
    want = [0.5 - eval_chebyt(n, x) / 2 for n in range(1, 9)]
    np.testing.assert_allclose(got, want, atol=2e-14)


def test_cheb_linear_is_its_formula():
    r = np.linspace(0.1, CUTOFF - 1e-6, 300)
    got = ChebLinear().functions(8, 0.0, R0, CUTOFF).evaluate(r).value
    want = [0.5 - eval_chebyt(n, 1 - r / CUTOFF) / 2 for n in range(1, 9)]
    np.testing.assert_allclose(got, want, atol=1e-14)


def test_sbessel_is_its_formula():
    r, rc, count = np.linspace(1e-4, CUTOFF - 1e-6, 400), CUTOFF, 12
    got = SBessel().functions(count, 0.0, R0, rc).evaluate(r).value

    def bare(n: int) -> np.ndarray:
        a, b = n + 1, n + 2
        waves = np.sinc(r * a / rc) + np.sinc(r * b / rc)  # numpy's sinc holds the π
        return (-1) ** n * np.sqrt(2) * np.pi / rc**1.5 * a * b / np.sqrt(a * a + b * b) * waves

    d, want = [1.0], [bare(0)]
    for n in range(1, count):
        e = n * n * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
        d.append(1 - e / d[-1])
        want.append((bare(n) + np.sqrt(e / d[-2]) * want[-1]) / np.sqrt(d[-1]))
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_sbessel_functions_are_orthonormal_with_weight_r_squared():
    """What the recursion is for: ∫ g_m g_n r² dr = δ_mn."""
    x, w = roots_legendre(80)
    r, w = (x + 1) / 2 * CUTOFF, w * CUTOFF / 2
    values = SBessel().functions(12, 0.0, R0, CUTOFF).evaluate(r).value
    assert np.abs((values * w * r * r) @ values.T - np.eye(12)).max() < 1e-12


def test_sbessel_keeps_its_digits_at_short_distance():
    """The series of sinc and its derivatives meet the closed form where they are joined."""
    functions = SBessel().functions(4, 0.0, R0, CUTOFF)
    joints = 0.1 * CUTOFF / (np.pi * np.arange(1, 6))
    below, above = (functions.evaluate(joints * (1 + s * 1e-9)) for s in (-1, 1))
    for kind in ("value", "first", "second"):
        a, b = getattr(below, kind), getattr(above, kind)
        assert np.abs(a - b).max() < 1e-7 * np.abs(a).max(), kind
    assert np.abs(above.second - below.second).max() < 1e-9 * np.abs(above.second).max()


# ------------------------------------------------------------------ products in the span


@pytest.mark.parametrize("family", POLYNOMIAL)
@pytest.mark.parametrize("envelope", ["x 2 2", "x 0 1", "x 1 3"])
def test_degree_of_product_is_the_smallest_span_that_holds_the_product(family, envelope):
    radial = Radial.kinds[family](TRANSFORMS["identity"], ENVELOPES[envelope])
    r = np.linspace(0.001, CUTOFF, 300)
    for indices in ((1, 1), (2, 3), (4, 4), (1, 2, 3)):
        highest = radial.degree_of_product(indices)
        functions = radial.functions(highest, 0.0, R0, CUTOFF).evaluate(r).value
        product = np.prod([functions[n - 1] for n in indices], axis=0)
        for count, inside in ((highest, True), (highest - 1, False)):
            fit = np.linalg.lstsq(functions[:count].T, product)[0]
            residual = np.abs(functions[:count].T @ fit - product).max() / np.abs(product).max()
            assert bool(residual < 1e-11) is inside, (family, envelope, indices, count, residual)
    assert radial.degree_of_product((5,)) == 5


@pytest.mark.parametrize(
    "radial",
    [*PACE.values(), Legendre(TRANSFORMS["morse"], ENVELOPES["r 2"])],
    ids=[*PACE, "legendre r"],
)
def test_families_without_closed_products_say_so(radial):
    assert radial.degree_of_product((1, 2)) is None


# ------------------------------------------------------------------ refusals


def test_impossible_choices_are_refused():
    with pytest.raises(InputError, match="radial.nodes: expected at least 9, got 8"):
        Orthonormal(nodes=8).functions(9, 0.0, R0, CUTOFF)
    for envelope in (RepulsiveEnvelope(2), ShiftedEnvelope(2)):
        with pytest.raises(InputError, match="needs the family legendre, got 'jacobi'"):
            Jacobi(envelope=envelope)
    for inner, outer, match in ((-1, 2, "inner: expected 0 to 12"), (2, 0, "outer: expected 1 to")):
        with pytest.raises(InputError, match=match):
            PolynomialEnvelope(inner, outer)


@pytest.mark.parametrize(("p", "q"), [(2.0, 2.5), (4.0, 2.0), (1.0, 1.0), (2.5, 3.25)])
@pytest.mark.parametrize("inner", [0.0, 1.0])
def test_exponents_of_agnesi_that_are_not_smooth_are_refused(p, q, inner):
    """s^(q-p) has singular derivatives at s = 0 unless q - p is 0, 1, 2 or more."""
    with pytest.raises(InputError, match="agnesi needs q and q - p|expected q >= p"):
        Jacobi(Agnesi(p, q), PolynomialEnvelope(0, 2))


@pytest.mark.parametrize(("p", "q"), [(2.0, 2.0), (1.0, 2.0), (2.0, 4.0), (2.5, 4.5), (1.0, 3.5)])
@pytest.mark.parametrize("inner", [0.0, 1.0])
def test_other_exponents_of_agnesi_give_finite_functions(p, q, inner):
    radial = Jacobi(Agnesi(p, q), PolynomialEnvelope(0, 2))
    functions = radial.functions(4, inner, R0, CUTOFF)
    jet = functions.evaluate(np.array([0.2, 0.5, 1.0, 1.5, 3.0]))
    for kind in ("value", "first", "second"):
        assert np.isfinite(getattr(jet, kind)).all(), kind


@pytest.mark.parametrize(
    ("family", "rate"),
    [("cheb_pow", 0.0), ("cheb_pow", 0.5), ("cheb_pow", 0.99), ("cheb_exp_cos", 0.0)],
)
def test_chebyshev_exponents_without_finite_slope_are_refused(family, rate):
    """(1 - r/rc)^λ has an unbounded slope at rc for λ < 1, and λ = 0 is 0/0."""
    with pytest.raises(InputError, match="exponent: expected"):
        Radial.kinds[family](exponent=rate)


@pytest.mark.parametrize(
    ("family", "rate"),
    [("cheb_pow", 1.0), ("cheb_pow", 2.0), ("cheb_exp_cos", 0.5), ("cheb_exp_cos", 1.5)],
)
def test_other_chebyshev_exponents_give_finite_functions(family, rate):
    functions = Radial.kinds[family](exponent=rate).functions(4, 0.0, R0, CUTOFF)
    jet = functions.evaluate(np.array([0.5, 3.0, CUTOFF * (1 - 1e-14), CUTOFF]))
    size = np.abs(jet.second[:, :2]).max()
    assert np.isfinite(jet.second).all() and np.abs(jet.second).max() < 1e4 * max(size, 1.0)


# ------------------------------------------------------------------ tables


def _table_values(coefficients: np.ndarray, knots: Knots, r: np.ndarray, derivative: int = 0):
    """Value or derivative of a quintic table, shape (len(r), functions)."""
    t = (r - knots.begin) / knots.spacing
    index = np.clip(t.astype(int), 0, knots.bins - 1)
    u = t - index
    out = np.zeros((len(r), coefficients.shape[2]))
    for k in range(derivative, 6):
        factor = np.prod([k - i for i in range(derivative)], initial=1.0)
        out += factor * coefficients[index, k] * (u ** (k - derivative))[:, None]
    return out / knots.spacing**derivative


TABLED = {
    "agnesi": Orthonormal(),
    "morse": Legendre(TRANSFORMS["morse"]),
    "singular": Legendre(TRANSFORMS["agnesi 1 3"], RepulsiveEnvelope(2)),
    "sbessel": SBessel(),
    "cheb_exp_cos": ChebExpCos(exponent=5.25),
    "cheb_exp_cos, wide": ChebExpCos(exponent=5.25, smoothing=1.37),
    "cheb_pow": ChebPow(exponent=2.0),
}


@pytest.mark.parametrize("spacing", [0.02, 0.005])
@pytest.mark.parametrize("name", list(TABLED))
def test_tables_meet_their_stated_error(name, spacing):
    functions = TABLED[name].functions(8, 0.0, R0, CUTOFF)
    knots = equidistant(0.1, CUTOFF, spacing, functions.breaks)
    coefficients, stated = tabulate(functions.evaluate, knots)
    assert coefficients.shape == (knots.bins, 6, 8)
    r = np.random.default_rng(42).uniform(max(knots.begin, 0.1), CUTOFF, 20_000)
    want = functions.evaluate(r).value.T
    got = _table_values(coefficients, knots, r)
    middle = knots.begin + (np.arange(knots.bins) + 0.5) * knots.spacing
    size = np.abs(functions.evaluate(middle).value).max(axis=1)
    error = (np.abs(got - want) / size).max()
    # Half-way between knots is where a quintic Hermite polynomial is worst.
    assert error < 1.1 * stated.max() + 2e-13, (
        f"{name}: stated {stated.max():.1e}, found {error:.1e}"
    )


LOWERED = {
    "defaults": {},
    "one inner cut-off": {"inner": 1.0137},
    "one-sided, inner cut-off": {
        "inner": 1.0137,
        "radial": Orthonormal(envelope=PolynomialEnvelope(0, 2)),
    },
    "inner cut-off of one pair, agnesi": {"inner": {"Si-Si": 1.0137, "default": 0.0}},
    "inner cut-off of one pair, morse": {
        "inner": {"Si-Si": 1.0137, "default": 0.0},
        "radial": Orthonormal(transform=TRANSFORMS["morse"]),
    },
    "inner cut-off of one pair, weak envelope": {
        "inner": {"Si-Si": 1.0137, "default": 0.0},
        "radial": Orthonormal(
            transform=TRANSFORMS["polynomial"], envelope=PolynomialEnvelope(1, 2)
        ),
    },
    "agnesi 2 2.5, inner cut-off": {
        "inner": 1.0,
        "radial": {
            "family": "jacobi",
            "transform": {"kind": "agnesi", "p": 2.0, "q": 2.5},
            "envelope": {"kind": "x", "inner": 0, "outer": 2},
        },
    },
    "cheb_pow 1.02": {"radial": {"family": "cheb_pow", "exponent": 1.02}},
    "cheb_pow 1.2": {"radial": {"family": "cheb_pow", "exponent": 1.2}},
    "cheb_pow 1.98": {"radial": {"family": "cheb_pow", "exponent": 1.98}},
    "cheb_pow 1.5": {"radial": {"family": "cheb_pow", "exponent": 1.5}},
    "cheb_exp_cos": {"radial": ChebExpCos(exponent=5.25)},
    "sbessel": {"radial": SBessel()},
}


#: Coordinates without finite curvature.
REFUSED = {"agnesi 2 2.5, inner cut-off"}


@pytest.mark.parametrize("name", list(LOWERED))
def test_lowered_tables_meet_their_tolerance_or_the_model_is_refused(name):
    """A spacing is searched for; a family that no spacing serves must not pass in silence."""
    fields = {"elements": ("O", "Si"), "order": 1, "degree": 5, "r0": 2.0, "cutoff": 5.0}
    fields |= {"pair": Pair(degree=0)} | LOWERED[name]
    if name in REFUSED:
        with pytest.raises(InputError, match="agnesi needs"):
            resolve(BasisSpec(**fields))
        return
    spec = resolve(BasisSpec(**fields))
    (table,) = lower(Model(spec, np.zeros(basis_size(spec)["total"]), np.zeros(2))).radial
    assert np.isfinite(table.coefficients).all(), name
    assert table.error <= 1e-7, f"{name}: {table.error:.1e} with {table.bins.max()} intervals"


@pytest.mark.parametrize("q", [2.0, 3.0])
def test_a_knot_meets_an_inner_cutoff_that_is_not_zero_inside(q):
    """Agnesi is constant below `inner`: its curvature (q = 2) or what follows it jumps there."""
    radial = Orthonormal(Agnesi(2.0, q), PolynomialEnvelope(0, 2))
    fields = {"elements": ("Si",), "order": 1, "degree": 5, "r0": R0, "cutoff": CUTOFF}
    spec = resolve(BasisSpec(**fields, inner=1.0137, radial=radial, pair=Pair(degree=0)))
    (table,) = lower(Model(spec, np.zeros(5), np.zeros(1))).radial
    functions = radial.functions(5, 1.0137, R0, CUTOFF)
    knots = Knots(table.begin[0, 0], table.spacing[0, 0], int(table.bins[0, 0]))
    r = 1.0137 + np.random.default_rng(46).uniform(-0.03, 0.03, 20_000)
    values = functions.evaluate(r)
    size = np.abs(functions.evaluate(np.linspace(0.5, CUTOFF, 2000)).first).max(axis=1)
    slope = _table_values(table.coefficients[0, 0], knots, r, derivative=1)
    error = (np.abs(slope - values.first.T) / size).max()
    # Elsewhere slopes of tables that meet 1e-8 err by some 1e-7.
    assert error < 1e-6, f"slopes err by {error:.1e} beside the inner cut-off"
    assert knots.bins < 2000, f"{knots.bins} intervals, because no knot meets the inner cut-off"


def test_errors_fall_with_the_sixth_power_of_the_spacing():
    functions = TABLED["sbessel"].functions(8, 0.0, R0, CUTOFF)
    coarse, fine = (
        tabulate(functions.evaluate, equidistant(0.1, CUTOFF, h, ()))[1].max() for h in (0.16, 0.08)
    )
    assert np.log2(coarse / fine) == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("name", list(TABLED))
def test_tables_are_twice_continuously_differentiable_across_knots(name):
    """Value, slope and curvature agree from both sides; curvature only where there is no jump."""
    functions = TABLED[name].functions(8, 0.0, R0, CUTOFF)
    knots = equidistant(0.1, CUTOFF, 0.02, functions.breaks)
    coefficients, _ = tabulate(functions.evaluate, knots)
    at = knots.begin + np.arange(1, knots.bins) * knots.spacing
    powers = np.arange(6)
    for derivative in range(3):
        factor = np.array([np.prod(k - np.arange(derivative), initial=1.0) for k in powers])
        left = np.einsum("bkf,k->bf", coefficients[:-1], factor)
        right = coefficients[1:, derivative] * [1.0, 1.0, 2.0][derivative]
        size = np.abs(right).max(axis=0)
        smooth = np.ones(len(at), dtype=bool)
        if derivative == 2:
            for jump in functions.breaks:
                smooth &= np.abs(at - jump) > 1e-6
            assert smooth.sum() >= len(at) - 1
        error = (np.abs(left - right) / size)[smooth].max()
        # Rounding of values enters the curvature divided by h².
        assert error < (1e-13, 1e-12, 1e-9)[derivative], f"{name}, {derivative}: {error:.1e}"


def test_tables_hold_value_slope_and_curvature_at_the_knots():
    functions = TABLED["agnesi"].functions(6, 0.0, R0, CUTOFF)
    knots = equidistant(0.1, CUTOFF, 0.02, ())
    coefficients, _ = tabulate(functions.evaluate, knots)
    jet = functions.evaluate(knots.begin + np.arange(knots.bins) * knots.spacing)
    h = knots.spacing
    for k, want in enumerate((jet.value, h * jet.first, h * h * jet.second / 2)):
        np.testing.assert_allclose(
            coefficients[:, k], want.T, atol=1e-12 * np.abs(want).max(), rtol=0
        )


def test_tables_reproduce_polynomials_of_degree_five():
    rng = np.random.default_rng(43)
    polynomials = [np.polynomial.Polynomial(rng.normal(size=6)) for _ in range(3)]

    def evaluate(r: np.ndarray) -> Jet:
        kinds = ([p.deriv(d)(r) if d else p(r) for p in polynomials] for d in range(3))
        return Jet(*(np.array(k) for k in kinds))

    knots = Knots(0.3, 0.25, 9)
    coefficients, error = tabulate(evaluate, knots)
    r = rng.uniform(0.3, knots.end, 500)
    np.testing.assert_allclose(
        _table_values(coefficients, knots, r), evaluate(r).value.T, rtol=1e-11, atol=1e-11
    )
    assert error.max() < 1e-13


@pytest.mark.parametrize("breaks", [(), (4.0,), (5.19,), (3.3333,)])
@pytest.mark.parametrize("spacing", [0.02, 0.017, 0.3])
@pytest.mark.parametrize("begin", [0.1, 1.0 / 3.0])
def test_grids_end_at_the_cutoff_and_meet_the_break(breaks, spacing, begin):
    knots = equidistant(begin, CUTOFF, spacing, breaks)
    assert knots.end == pytest.approx(CUTOFF, abs=1e-13)
    assert knots.spacing <= spacing * (1 + 1e-12)
    assert knots.begin <= begin + 1e-12 and knots.begin > begin - spacing
    if not breaks:
        assert knots.begin == begin
    for jump in breaks:
        place = (jump - knots.begin) / knots.spacing
        assert abs(place - round(place)) < 1e-9, f"break {jump} is {place} intervals in"
