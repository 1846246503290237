"""Real spherical harmonics, their gradients, and the unitary to the complex convention.

Index lm = l² + l + m. Orthonormal on the sphere, no Condon–Shortley sign:
Y_10 ∝ z, Y_11 ∝ x, Y_1-1 ∝ y. The complex harmonics carry the Condon–Shortley sign.
"""

from __future__ import annotations

from functools import cache
from math import factorial, pi, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@cache
def normalisation(lmax: int) -> Array:
    """N_lm = √((2l+1)/(4π) (l-m)!/(l+m)!), times √2 for m > 0, shape (lmax+1, lmax+1)."""
    norms = np.zeros((lmax + 1, lmax + 1))
    for l in range(lmax + 1):  # noqa: E741 - the field's own symbol
        for m in range(l + 1):
            ratio = factorial(l - m) / factorial(l + m)
            norms[l, m] = sqrt((2 * l + 1) / (4 * pi) * ratio) * (sqrt(2.0) if m else 1.0)
    norms.flags.writeable = False
    return norms


def _parts(unit: Array, lmax: int) -> tuple[Array, Array, Array]:
    """Q_lm(z), with one m more than there are l, and c_m, s_m of unit vectors."""
    x, y, z = np.ascontiguousarray(unit.T)
    count = len(unit)
    q = np.zeros((lmax + 2, lmax + 2, count))  # [l, m, e]
    q[0, 0] = 1.0
    for l in range(1, lmax + 1):  # noqa: E741
        q[l, l] = (2 * l - 1) * q[l - 1, l - 1]
        q[l, l - 1] = (2 * l - 1) * z * q[l - 1, l - 1]
        for m in range(l - 1):
            q[l, m] = ((2 * l - 1) * z * q[l - 1, m] - (l + m - 1) * q[l - 2, m]) / (l - m)
    c = np.zeros((lmax + 1, count))
    s = np.zeros((lmax + 1, count))
    c[0] = 1.0
    for m in range(1, lmax + 1):
        c[m] = x * c[m - 1] - y * s[m - 1]
        s[m] = x * s[m - 1] + y * c[m - 1]
    return q, c, s


def harmonics(unit: Array, lmax: int) -> Array:
    """Y_lm on the unit sphere.

    Args:
        unit: unit vectors, shape (E, 3).
        lmax: largest l.

    Returns:
        Shape (E, (lmax+1)²).
    """
    q, c, s = _parts(unit, lmax)
    norms = normalisation(lmax)
    values = np.empty(((lmax + 1) ** 2, len(unit)))
    for l in range(lmax + 1):  # noqa: E741
        for m in range(l + 1):
            nq = norms[l, m] * q[l, m]
            np.multiply(nq, c[m], out=values[l * l + l + m])
            if m:
                np.multiply(nq, s[m], out=values[l * l + l - m])
    return np.ascontiguousarray(values.T)


def real_harmonics(unit: Array, lmax: int) -> tuple[Array, Array]:
    """Y_lm on the unit sphere, with the gradient of a smooth extension off it.

    With Q_lm(z) = d^m P_l/dz^m and c_m + i s_m = (x + iy)^m,
    Y_lm = N_lm Q_lm c_m (m >= 0) and N_l|m| Q_l|m| s_|m| (m < 0). Because dQ_lm/dz = Q_l,m+1
    the extension's gradient needs no further recursion.

    Args:
        unit: unit vectors, shape (E, 3).
        lmax: largest l.

    Returns:
        Values, shape (E, (lmax+1)²), and gradients of the extension, shape
        (E, (lmax+1)², 3). The gradient of Y(r/|r|) is its part normal to r, over |r|.
    """
    q, c, s = _parts(unit, lmax)
    norms = normalisation(lmax)
    values = np.empty((len(unit), (lmax + 1) ** 2))
    gradients = np.zeros((len(unit), (lmax + 1) ** 2, 3))
    for l in range(lmax + 1):  # noqa: E741
        for m in range(l + 1):
            n, plus, minus = norms[l, m], l * l + l + m, l * l + l - m
            nq, ndq = n * q[l, m], n * q[l, m + 1]
            values[:, plus] = nq * c[m]
            gradients[:, plus, 2] = ndq * c[m]
            if m:
                values[:, minus] = nq * s[m]
                gradients[:, minus, 2] = ndq * s[m]
                gradients[:, plus, 0] = m * nq * c[m - 1]
                gradients[:, plus, 1] = -m * nq * s[m - 1]
                gradients[:, minus, 0] = m * nq * s[m - 1]
                gradients[:, minus, 1] = m * nq * c[m - 1]
    return values, gradients


@cache
def complex_from_real(l: int) -> NDArray[np.complex128]:  # noqa: E741
    """The unitary U with Y^complex_m = Σ_m' U[m+l, m'+l] Y^real_m' (Condon–Shortley).

    Y^c_m = (-1)^m (Y_m + i Y_-m)/√2 and Y^c_-m = (Y_m - i Y_-m)/√2 for m > 0.
    """
    u = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    u[l, l] = 1.0
    for m in range(1, l + 1):
        sign = (-1) ** m
        u[l + m, l + m] = sign / sqrt(2.0)
        u[l + m, l - m] = 1j * sign / sqrt(2.0)
        u[l - m, l + m] = 1.0 / sqrt(2.0)
        u[l - m, l - m] = -1j / sqrt(2.0)
    u.flags.writeable = False
    return u


def complex_harmonics(unit: Array, lmax: int) -> NDArray[np.complex128]:
    """Complex harmonics with the Condon–Shortley sign, shape (E, (lmax+1)²)."""
    real = harmonics(unit, lmax)
    out = np.empty(real.shape, dtype=complex)
    for l in range(lmax + 1):  # noqa: E741
        block = slice(l * l, (l + 1) ** 2)
        out[:, block] = real[:, block] @ complex_from_real(l).T
    return out
