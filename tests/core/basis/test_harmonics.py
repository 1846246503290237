"""Real harmonics against scipy's complex ones, finite differences and the addition theorem."""

import numpy as np
import pytest
from scipy.special import eval_legendre, sph_harm_y

from acepot.basis.harmonics import complex_from_real, complex_harmonics, real_harmonics

LMAX = 14


def _directions(seed: int, count: int = 40) -> np.ndarray:
    """Random unit vectors, the six axes, and vectors next to the poles."""
    rng = np.random.default_rng(seed)
    near = np.column_stack((rng.normal(size=(6, 2)) * 1e-7, np.tile([1.0, -1.0], 3)))
    vectors = np.concatenate((rng.normal(size=(count, 3)), near, np.eye(3), -np.eye(3)))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def _scipy(unit: np.ndarray, l: int) -> np.ndarray:
    theta = np.arctan2(np.hypot(unit[:, 0], unit[:, 1]), unit[:, 2])
    phi = np.arctan2(unit[:, 1], unit[:, 0])
    return np.stack([sph_harm_y(l, m, theta, phi) for m in range(-l, l + 1)], axis=1)


def test_complex_harmonics_are_those_of_scipy():
    unit = _directions(1)
    got = complex_harmonics(unit, LMAX)
    for l in range(LMAX + 1):
        error = np.abs(got[:, l * l : (l + 1) ** 2] - _scipy(unit, l)).max()
        assert error < 5e-13, f"l = {l}: {error:.1e}"


def test_real_harmonics_are_scipys_through_the_unitary():
    """Y_m = Σ_m' conj(U[m', m]) Y^c_m', with scipy on the right-hand side only."""
    unit = _directions(2)
    got = real_harmonics(unit, LMAX)[0]
    for l in range(LMAX + 1):
        want = _scipy(unit, l) @ complex_from_real(l).conj()
        assert np.abs(want.imag).max() < 5e-13, f"l = {l}: not real"
        error = np.abs(got[:, l * l : (l + 1) ** 2] - want.real).max()
        assert error < 5e-13, f"l = {l}: {error:.1e}"


def test_index_is_l_squared_plus_l_plus_m_with_known_polynomials():
    unit = _directions(3)
    x, y, z = unit.T
    values = real_harmonics(unit, 2)[0]
    p, d = np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    known = {
        (0, 0): np.full_like(x, np.sqrt(1 / (4 * np.pi))),
        (1, -1): p * y,
        (1, 0): p * z,
        (1, 1): p * x,
        (2, -2): d * x * y,
        (2, -1): d * y * z,
        (2, 0): d / np.sqrt(12) * (3 * z * z - 1),
        (2, 1): d * x * z,
        (2, 2): d / 2 * (x * x - y * y),
    }
    assert len(known) == values.shape[1]
    for (l, m), want in known.items():
        np.testing.assert_allclose(values[:, l * l + l + m], want, atol=1e-15, err_msg=f"{l} {m}")


def test_a_smaller_lmax_gives_the_first_functions_of_a_larger_one():
    unit = _directions(4)
    values, gradients = real_harmonics(unit, LMAX)
    for lmax in (0, 1, 5):
        few, few_gradients = real_harmonics(unit, lmax)
        np.testing.assert_array_equal(few, values[:, : (lmax + 1) ** 2])
        np.testing.assert_array_equal(few_gradients, gradients[:, : (lmax + 1) ** 2])


def test_the_unitary_is_unitary():
    for l in range(LMAX + 1):
        u = complex_from_real(l)
        assert np.abs(u @ u.conj().T - np.eye(2 * l + 1)).max() < 1e-15, f"l = {l}"


def test_complex_harmonics_of_opposite_m_are_conjugates_up_to_sign():
    values = complex_harmonics(_directions(5), 9)
    for l in range(10):
        for m in range(l + 1):
            plus, minus = values[:, l * l + l + m], values[:, l * l + l - m]
            assert np.abs(minus - (-1) ** m * plus.conj()).max() < 1e-14, (l, m)


def test_harmonics_are_orthonormal_on_the_sphere():
    """Exact quadrature: Gauss-Legendre in cos θ times equidistant φ."""
    nodes, weights = np.polynomial.legendre.leggauss(LMAX + 1)
    phi = 2 * np.pi * (np.arange(2 * LMAX + 1) + 0.3) / (2 * LMAX + 1)
    z, f = (a.ravel() for a in np.meshgrid(nodes, phi, indexing="ij"))
    s = np.sqrt(1 - z * z)
    values = real_harmonics(np.column_stack((s * np.cos(f), s * np.sin(f), z)), LMAX)[0]
    weight = np.repeat(weights, len(phi)) * 2 * np.pi / len(phi)
    gram = (values * weight[:, None]).T @ values
    assert np.abs(gram - np.eye(len(gram))).max() < 1e-12


def test_addition_theorem():
    """Σ_m Y_lm(a) Y_lm(b) = (2l + 1)/(4π) P_l(a·b)."""
    a, b = _directions(6), _directions(7)
    ya, yb = real_harmonics(a, LMAX)[0], real_harmonics(b, LMAX)[0]
    cosine = np.clip(np.einsum("ex,ex->e", a, b), -1, 1)
    for l in range(LMAX + 1):
        block = slice(l * l, (l + 1) ** 2)
        got = (ya[:, block] * yb[:, block]).sum(axis=1)
        want = (2 * l + 1) / (4 * np.pi) * eval_legendre(l, cosine)
        assert np.abs(got - want).max() < 2e-13 * (2 * l + 1), f"l = {l}"


def test_gradients_of_the_extension_are_its_derivatives():
    """The extension is a polynomial in x, y, z: differences off the sphere must agree with it."""
    unit = _directions(8)
    gradient = real_harmonics(unit, LMAX)[1]
    step = 1e-3
    for axis in range(3):
        shift = step * np.eye(3)[axis]

        def slope(h: float, shift=shift) -> np.ndarray:
            plus = real_harmonics(unit + h * shift, LMAX)[0]
            return (plus - real_harmonics(unit - h * shift, LMAX)[0]) / (2 * h * step)

        want = (64 * slope(0.25) - 20 * slope(0.5) + slope(1.0)) / 45
        size = np.abs(gradient).max(axis=(0, 2))
        error = (np.abs(gradient[..., axis] - want) / np.maximum(size, 1e-3)).max()
        assert error < 1e-9, f"axis {axis}: {error:.1e}"


@pytest.mark.parametrize("length", [0.3, 2.7])
def test_gradient_normal_to_r_over_r_is_the_gradient_of_the_function_of_direction(length):
    """d/dr Y(r/|r|) = (1 - r̂ r̂ᵀ) g / |r|, by fourth-order differences, to l = 14."""
    unit = _directions(9)
    vectors = length * unit
    g = real_harmonics(unit, LMAX)[1]
    got = (g - (g @ unit[:, :, None]) * unit[:, None, :]) / length
    step = 1e-3 * length
    for axis in range(3):
        shift = step * np.eye(3)[axis]

        def slope(h: float, shift=shift) -> np.ndarray:
            ends = [vectors + s * h * shift for s in (1, -1)]
            plus, minus = (
                real_harmonics(v / np.linalg.norm(v, axis=1)[:, None], LMAX)[0] for v in ends
            )
            return (plus - minus) / (2 * h * step)

        want = (64 * slope(0.25) - 20 * slope(0.5) + slope(1.0)) / 45
        size = np.abs(got).max(axis=(0, 2))
        error = (np.abs(got[..., axis] - want) / np.maximum(size, 1e-3 / length)).max()
        assert error < 1e-8, f"axis {axis}: {error:.1e}"


def test_parity_is_minus_one_to_the_l():
    unit = _directions(10)
    here, there = real_harmonics(unit, LMAX)[0], real_harmonics(-unit, LMAX)[0]
    for l in range(LMAX + 1):
        block = slice(l * l, (l + 1) ** 2)
        np.testing.assert_allclose(there[:, block], (-1) ** l * here[:, block], atol=1e-13)


def test_no_vectors_give_empty_arrays():
    values, gradients = real_harmonics(np.zeros((0, 3)), 4)
    assert values.shape == (0, 25) and gradients.shape == (0, 25, 3)
