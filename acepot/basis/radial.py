"""Radial functions R_n(r) of one ordered pair of elements, analytic to second derivative.

Conventions and formulas: docs/conventions.md, "Radial functions".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.family import RadialFunctions
from acepot.basis.jet import Array, Jet
from acepot.basis.pace_radial import BesselRadial, ChebyshevRadial
from acepot.basis.spec import Envelope, Radial, Transform
from acepot.errors import InputError

#: Largest exponents of a transform: beyond, powers of distances overflow.
MAX_EXPONENT = 50.0
#: Narrowest window of cheb_exp_cos in Å: it sets the distance of the knots.
MIN_WINDOW = 1e-3

# ---------------------------------------------------------------- transformed distances


def transformed(transform: Transform, inner: float, r0: float, r: Jet) -> Jet:
    """The transformed distance before it is mapped to [-1, 1].

    agnesi: 1/(1 + a s^q/(1 + s^(q-p))), s = (r - inner)/(r0 - inner), 1 for r <= inner, with
    a = (-2q + p(4q - 2))/(p + p² + q + q²), which puts the steepest slope at r0
    (ACEpotentials.jl); polynomial: ((offset + r0)/(offset + r))^p; morse: exp(-p r/r0).

    Args:
        transform: kind and exponents.
        inner: inner cut-off in Å.
        r0: typical distance in Å.
        r: distances in Å.
    """
    p, q = transform.p, transform.q
    if transform.kind == "agnesi":
        a = (-2 * q + p * (4 * q - 2)) / (p + p**2 + q + q**2)
        s = ((r - inner) / (r0 - inner)).where(r.value > inner, 0.0)
        return (1.0 + a * s.power(q) / (1.0 + s.power(q - p))).power(-1.0)
    if transform.kind == "polynomial":
        return ((r + transform.offset) / (transform.offset + r0)).power(-p)
    if transform.kind == "morse":
        return (r * (-p / r0)).exp()
    return r


# ---------------------------------------------------------------- polynomial families


@dataclass(frozen=True, eq=False)
class PolynomialRadial:
    """R_n = env · p_n(x), p_1 = a_1, p_n = (a_n x + b_n) p_{n-1} + c_n p_{n-2}.

    Args:
        recurrence: a, b, c, shape (3, count).
        transform: coordinate, mapped by x = scale · t + shift.
        scale: slope of the map.
        shift: offset of the map.
        envelope: factor common to all functions.
        inner: inner cut-off in Å.
        r0: typical distance in Å.
        cutoff: outer cut-off in Å.
    """

    recurrence: Array
    transform: Transform
    scale: float
    shift: float
    envelope: Envelope
    inner: float
    r0: float
    cutoff: float

    @property
    def count(self) -> int:
        """Number of functions."""
        return int(self.recurrence.shape[1])

    @property
    def zero_inside(self) -> bool:
        """Whether the functions vanish below the inner cut-off."""
        return self.envelope.kind == "x" and self.envelope.inner > 0 and self.inner > 0

    @property
    def breaks(self) -> tuple[float, ...]:
        """Agnesi's coordinate is constant below the inner cut-off, where its curvature jumps."""
        bent = self.transform.kind == "agnesi" and self.inner > 0 and not self.zero_inside
        return (self.inner,) if bent else ()

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        distance = Jet.variable(r)
        x = transformed(self.transform, self.inner, self.r0, distance) * self.scale + self.shift
        inside = r < self.cutoff
        if self.zero_inside:
            inside &= r > self.inner
        a, b, c = self.recurrence
        functions = [(self._envelope(distance, x) * a[0]).where(inside, 0.0)]
        for n in range(1, self.count):
            term = (x * a[n] + b[n]) * functions[n - 1]
            functions.append(term + functions[n - 2] * c[n] if n > 1 else term)
        return Jet.stack(functions)

    def _envelope(self, r: Jet, x: Jet) -> Jet:
        kind, p = self.envelope.kind, float(self.envelope.outer)
        if kind == "x":
            # Both powers are whole numbers, so values just outside [-1, 1] stay finite.
            return (x + 1.0).power(self.envelope.inner) * (1.0 - x).power(self.envelope.outer)
        if kind == "r":
            s, end = r / self.r0, self.cutoff / self.r0
            core: Jet = s.power(-p) - end**-p + (s - end) * (p * end ** (-p - 1))
            return core
        shifted: Jet = ((r / self.cutoff).power(-p) - 1.0) * (1.0 - r / self.cutoff)
        return shifted


def _orthonormal(count: int, envelope: Envelope, nodes: int) -> Array:
    """Recurrence of the polynomials orthonormal on midpoint nodes, envelope included.

    Stieltjes' procedure with the discrete product <f, g> = mean over nodes of f g
    (ACEpotentials.jl's discrete orthonormal family).
    """
    if count > nodes:
        raise InputError(f"radial.nodes: expected at least {count}, got {nodes}")
    x = -1.0 + 2.0 * (np.arange(nodes) + 0.5) / nodes
    weight = (1.0 + x) ** envelope.inner * (1.0 - x) ** envelope.outer
    recurrence = np.zeros((3, count))
    recurrence[0, 0] = 1.0 / np.sqrt(np.mean(weight**2))
    previous, current = np.zeros_like(x), recurrence[0, 0] * weight
    for n in range(1, count):
        b = np.mean(x * current**2)
        c = np.mean(x * current * previous)
        new = (x - b) * current - c * previous
        norm = np.sqrt(np.mean(new**2))
        recurrence[:, n] = 1.0 / norm, -b / norm, -c / norm
        previous, current = current, new / norm
    return recurrence


def _jacobi(count: int, alpha: float, beta: float) -> Array:
    """Recurrence of the Jacobi polynomials, orthonormal under (1-x)^alpha (1+x)^beta."""
    from scipy.special import roots_jacobi

    # Gauss quadrature with enough points makes the discrete procedure exact.
    x, w = roots_jacobi(count + 1, alpha, beta)
    recurrence = np.zeros((3, count))
    recurrence[0, 0] = 1.0 / np.sqrt(w.sum())
    previous, current = np.zeros_like(x), np.full_like(x, recurrence[0, 0])
    for n in range(1, count):
        b = w @ (x * current**2)
        c = w @ (x * current * previous)
        new = (x - b) * current - c * previous
        norm = np.sqrt(w @ new**2)
        recurrence[:, n] = 1.0 / norm, -b / norm, -c / norm
        previous, current = current, new / norm
    return recurrence


def _legendre(count: int) -> Array:
    """Recurrence of the plain Legendre polynomials P_{n-1}."""
    n = np.arange(count)
    recurrence = np.zeros((3, count))
    recurrence[0, 0] = 1.0
    recurrence[0, 1:] = (2 * n[1:] - 1) / n[1:]
    recurrence[2, 1:] = -(n[1:] - 1) / n[1:]
    return recurrence


# ---------------------------------------------------------------- products and the door


@dataclass(frozen=True, eq=False)
class ProductRadial:
    """Products R_a R_b … of one family, as the canonical formulation needs them.

    Args:
        factors: the family.
        members: for each product the 0-based indices of its factors.
    """

    factors: RadialFunctions
    members: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """Number of products."""
        return len(self.members)

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        single = self.factors.evaluate(r)
        products = []
        for members in self.members:
            jets = [Jet(single.value[i], single.first[i], single.second[i]) for i in members]
            product = jets[0]
            for jet in jets[1:]:
                product = product * jet
            products.append(product)
        return Jet.stack(products)


def radial_functions(
    radial: Radial, count: int, inner: float, r0: float, cutoff: float
) -> RadialFunctions:
    """The first `count` functions of a family for one ordered pair of elements.

    Args:
        radial: family, transform and envelope.
        count: number of functions.
        inner: inner cut-off in Å.
        r0: typical distance in Å.
        cutoff: outer cut-off in Å.

    Raises:
        InputError: the envelope does not fit the family.
    """
    if radial.family == "sbessel":
        return BesselRadial(count, cutoff)
    if radial.family in ("cheb_exp_cos", "cheb_pow", "cheb_linear"):
        rate = radial.exponent
        if not (rate > 0 if radial.family == "cheb_exp_cos" else rate == 1 or rate >= 2):
            raise InputError(
                "radial.exponent: expected more than 0 for cheb_exp_cos, 1 or at least 2 (finite "
                f"curvature at the cut-off) for cheb_pow, got {rate}"
            )
        if radial.smoothing != 0 and not MIN_WINDOW <= radial.smoothing <= cutoff:
            raise InputError(
                f"radial.smoothing: expected 0 or {MIN_WINDOW} Å to the cut-off {cutoff} Å, "
                f"got {radial.smoothing}"
            )
        return ChebyshevRadial(radial.family, count, radial.exponent, radial.smoothing, cutoff)
    envelope = radial.envelope
    if envelope.kind != "x" and radial.family != "legendre":
        raise InputError(
            f"radial.envelope.kind: {envelope.kind!r} needs the family legendre, "
            f"got {radial.family!r}"
        )
    if envelope.inner < 0 or envelope.outer < 1:
        raise InputError(
            "radial.envelope: expected inner >= 0 and outer >= 1, "
            f"got {envelope.inner} and {envelope.outer}"
        )
    if radial.family == "orthonormal":
        recurrence = _orthonormal(count, envelope, radial.nodes)
    elif radial.family == "jacobi":
        recurrence = _jacobi(count, 2.0 * envelope.outer, 2.0 * envelope.inner)
    else:
        recurrence = _legendre(count)
    check_transform(radial.transform)
    with np.errstate(all="ignore"):
        reach = Jet.variable(np.array([inner, cutoff]))
        begin, end = transformed(radial.transform, inner, r0, reach).value
        scale = 2.0 / (end - begin)
    if not np.isfinite((begin, end, scale)).all():
        raise InputError(
            f"radial.transform: expected a coordinate that tells {inner} Å from {cutoff} Å, got "
            f"{begin:g} and {end:g}; choose smaller exponents or r0 = {r0:g} Å nearer to them"
        )
    return PolynomialRadial(
        recurrence,
        radial.transform,
        float(scale),
        float(-1.0 - scale * begin),
        envelope,
        inner,
        r0,
        cutoff,
    )


def check_transform(transform: Transform) -> None:
    """Refuse exponents for which the coordinate is constant or has infinite curvature.

    Raises:
        InputError: the message says which exponents can be.
    """
    p, q = transform.p, transform.q
    if max(p, q, transform.offset) > MAX_EXPONENT:
        raise InputError(
            f"radial.transform: expected p, q and offset up to {MAX_EXPONENT:g}, "
            f"got {p}, {q} and {transform.offset}"
        )
    if transform.kind == "agnesi":
        smooth = all(x in (0.0, 1.0) or x >= 2.0 for x in (q, q - p))
        if not (smooth and p > 0 and -2 * q + p * (4 * q - 2) > 0):
            raise InputError(
                "radial.transform: agnesi needs p > 0 and q >= p with q and q - p each 0, 1 or at "
                f"least 2, and not p = q = 1; got p = {p}, q = {q}"
            )
    elif transform.kind != "identity" and not p > 0:
        raise InputError(f"radial.transform.p: expected more than 0, got {p}")
    elif transform.kind == "polynomial" and transform.offset < 0:
        raise InputError(f"radial.transform.offset: expected 0 or more, got {transform.offset}")


def envelope_order(radial: Radial) -> int:
    """How many derivatives, from the value on, vanish at the cut-off: C^(k-1) for k."""
    if radial.family == "sbessel":
        return 2
    if radial.family in ("cheb_exp_cos", "cheb_pow", "cheb_linear"):
        if radial.family == "cheb_exp_cos":
            return 4 if radial.smoothing > 0 else 2
        return 1 if radial.family == "cheb_pow" else 0
    if radial.envelope.kind == "x":
        return radial.envelope.outer
    return 2


def degree_of_product(radial: Radial, indices: NDArray[np.int64] | tuple[int, ...]) -> int | None:
    """The highest n whose span holds R_{n1} R_{n2} …, or None if no n does.

    env² p_a p_b = env · (env p_a p_b): with the envelope (1+x)^i (1-x)^o the product of k
    functions is env times a polynomial of degree Σ(n-1) + (k-1)(i+o).
    """
    if radial.family in ("orthonormal", "jacobi", "legendre") and radial.envelope.kind == "x":
        k = len(indices)
        powers = radial.envelope.inner + radial.envelope.outer
        return int(sum(indices)) - (k - 1) + (k - 1) * powers
    return None
