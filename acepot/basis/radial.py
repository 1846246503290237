"""Radial functions R_n(r) of one ordered pair of elements, analytic to second derivative.

Conventions and formulas: docs/conventions.md, "Radial functions".
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from acepot.basis.envelope import Envelope, PolynomialEnvelope
from acepot.basis.family import FORMER, Radial, RadialFunctions
from acepot.basis.jet import Array, Jet
from acepot.basis.transform import Agnesi, Transform
from acepot.errors import InputError

#: Most quadrature points of `Orthonormal`.
MAX_NODES = 100_000

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
        return self.envelope.vanishes_inside and self.inner > 0

    @property
    def breaks(self) -> tuple[float, ...]:
        """The inner cut-off, where the curvature of some coordinates jumps."""
        bent = self.transform.flat_inside and self.inner > 0 and not self.zero_inside
        return (self.inner,) if bent else ()

    @property
    def seams(self) -> tuple[float, ...]:
        """The same."""
        return self.breaks

    def evaluate(self, r: Array) -> Jet:
        """Values and derivatives at distances r in Å, shape (count, len(r))."""
        distance = Jet.variable(r)
        x = self.transform.coordinate(distance, self.inner, self.r0) * self.scale + self.shift
        inside = r < self.cutoff
        if self.zero_inside:
            inside &= r > self.inner
        a, b, c = self.recurrence
        envelope = self.envelope.factor(distance, x, self.r0, self.cutoff)
        functions = [(envelope * a[0]).where(inside, 0.0)]
        for n in range(1, self.count):
            term = (x * a[n] + b[n]) * functions[n - 1]
            functions.append(term + functions[n - 2] * c[n] if n > 1 else term)
        return Jet.stack(functions)


@dataclass(frozen=True)
class PolynomialFamily(Radial):
    """Polynomials in a transformed distance, times an envelope.

    Args:
        transform: the coordinate.
        envelope: the factor.
    """

    transform: Transform = field(default_factory=Agnesi)
    envelope: Envelope = field(default_factory=lambda: PolynomialEnvelope(2, 2))

    @abstractmethod
    def recurrence(self, count: int) -> Array:
        """The coefficients of the first `count` polynomials, as in `PolynomialRadial`."""

    def check(self) -> None:
        """Refuse a transform of infinite curvature."""
        self.transform.check_smooth()

    def functions(self, count: int, inner: float, r0: float, cutoff: float) -> PolynomialRadial:
        """As the base says."""
        recurrence = self.recurrence(count)
        with np.errstate(all="ignore"):
            reach = Jet.variable(np.array([inner, cutoff]))
            begin, end = self.transform.coordinate(reach, inner, r0).value
            scale = 2.0 / (end - begin)
        if not np.isfinite((begin, end, scale)).all():
            raise InputError(
                f"radial.transform: expected a coordinate that tells {inner} Å from {cutoff} Å, "
                f"got {begin:g} and {end:g}; choose smaller exponents or r0 = {r0:g} Å nearer to "
                "them"
            )
        return PolynomialRadial(
            recurrence, self.transform, float(scale), float(-1.0 - scale * begin), self.envelope,
            inner, r0, cutoff,
        )  # fmt: skip

    @property
    def envelope_order(self) -> int:
        """That of the envelope."""
        return self.envelope.order

    def degree_of_product(self, indices: tuple[int, ...]) -> int | None:
        """The highest n whose span holds R_{n1} R_{n2} …, or None if no n does.

        env² p_a p_b = env · (env p_a p_b): with the envelope (1+x)^i (1-x)^o the product of k
        functions is env times a polynomial of degree Σ(n-1) + (k-1)(i+o).
        """
        if self.envelope.powers is None:
            return None
        k = len(indices)
        return int(sum(indices)) + (k - 1) * (sum(self.envelope.powers) - 1)

    @property
    def repulsion(self) -> int | None:
        """That of the envelope."""
        return self.envelope.repulsion

    @property
    def title(self) -> str:
        """The family and its coordinate."""
        return f"{self.kind}, {self.transform.kind} transform"


@dataclass(frozen=True)
class Legendre(PolynomialFamily, kind="legendre"):
    """Plain Legendre polynomials P_{n-1}, times any envelope."""

    former = FORMER

    def recurrence(self, count: int) -> Array:
        """As the base says."""
        n = np.arange(count)
        recurrence = np.zeros((3, count))
        recurrence[0, 0] = 1.0
        recurrence[0, 1:] = (2 * n[1:] - 1) / n[1:]
        recurrence[2, 1:] = -(n[1:] - 1) / n[1:]
        return recurrence


@dataclass(frozen=True)
class _OrthogonalFamily(PolynomialFamily):
    """Polynomials that are orthonormal with their envelope, which has to be one in x."""

    def check(self) -> None:
        """Refuse other envelopes, too."""
        super().check()
        if self.envelope.powers is None:
            raise InputError(
                f"envelope.kind: {self.envelope.kind!r} needs the family legendre, "
                f"got {self.kind!r}"
            )

    @property
    def powers(self) -> tuple[int, int]:
        """Of 1 + x and 1 - x in the envelope."""
        return self.envelope.powers or (0, 0)


@dataclass(frozen=True)
class Orthonormal(_OrthogonalFamily, kind="orthonormal"):
    """Polynomials orthonormal on midpoint nodes, envelope included.

    Stieltjes' procedure with the discrete product <f, g> = mean over nodes of f g
    (ACEpotentials.jl's discrete orthonormal family).

    Args:
        transform: the coordinate.
        envelope: the factor.
        nodes: number of quadrature points.
    """

    nodes: int = 1000
    former = FORMER

    def check(self) -> None:
        """Refuse no nodes and too many, too."""
        super().check()
        if not 1 <= self.nodes <= MAX_NODES:
            raise InputError(f"nodes: expected 1 to {MAX_NODES}, got {self.nodes}")

    def recurrence(self, count: int) -> Array:
        """As the base says."""
        nodes, (inner, outer) = self.nodes, self.powers
        if count > nodes:
            raise InputError(f"radial.nodes: expected at least {count}, got {nodes}")
        x = -1.0 + 2.0 * (np.arange(nodes) + 0.5) / nodes
        weight = (1.0 + x) ** inner * (1.0 - x) ** outer
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


@dataclass(frozen=True)
class Jacobi(_OrthogonalFamily, kind="jacobi"):
    """Jacobi polynomials, orthonormal under (1-x)^2o (1+x)^2i: the limit of many nodes."""

    former = FORMER

    def recurrence(self, count: int) -> Array:
        """As the base says."""
        from scipy.special import roots_jacobi

        inner, outer = self.powers
        # Gauss quadrature with enough points makes the discrete procedure exact.
        x, w = roots_jacobi(count + 1, 2.0 * outer, 2.0 * inner)
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


# ---------------------------------------------------------------- products


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
