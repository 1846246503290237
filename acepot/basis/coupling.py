"""Generalised Clebsch–Gordan coefficients: products of harmonics coupled to a total L.

For harmonics l_1 … l_ν the coupled functions are B^LM = Σ_m u[m_1 … m_ν; M] Π_t Y_{l_t m_t}
with orthonormal u. Factors that carry the same labels may be exchanged; only the part of
the coupled space that is symmetric under these exchanges survives the product, and its
dimension is what is left after the permutation copies are removed.

The basis inside one coupled space is fixed by rule, not by an eigensolver, because stored
coefficients refer to it: left-to-right coupling trees in lexicographic order of their
intermediate L are symmetrised and orthonormalised one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from acepot.basis.harmonics import complex_from_real
from acepot.budget import MORE, allowed
from acepot.errors import InputError

Array = NDArray[np.float64]

#: Squared length below which a symmetrised tree adds nothing new. The true values are zero
#: or algebraic numbers of order 1/(number of permutations); rounding leaves 1e-28.
_DEPENDENT = 1e-10
#: Entries of all coupling trees of one set of angular momenta: 0.5 GB, and twice that to make them.
_MAX_TENSOR = 60_000_000


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Array:
    """<l1 m1 l2 m2 | l3 m3> by Racah's formula in exact integers.

    Args:
        l1: first angular momentum.
        l2: second angular momentum.
        l3: total angular momentum.

    Returns:
        Coefficients indexed [m1 + l1, m2 + l2, m3 + l3]; zero off the triangle rule.
    """
    out = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    out.flags.writeable = l3 in range(abs(l1 - l2), l1 + l2 + 1)
    if not out.flags.writeable:
        return out
    f = factorial
    triangle = f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(-l1 + l2 + l3) * (2 * l3 + 1)
    total = f(l1 + l2 + l3 + 1)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            m3 = m1 + m2
            low = max(0, l2 - l3 - m1, l1 + m2 - l3)
            high = min(l1 + l2 - l3, l1 - m1, l2 + m2)
            # A common denominator keeps the alternating sum exact.
            top = f(high) * f(l1 + l2 - l3 - low) * f(l1 - m1 - low) * f(l2 + m2 - low)
            top *= f(l3 - l2 + m1 + high) * f(l3 - l1 - m2 + high)
            series = sum(
                (-1) ** k
                * top
                // (f(k) * f(l1 + l2 - l3 - k) * f(l1 - m1 - k) * f(l2 + m2 - k))
                // (f(l3 - l2 + m1 + k) * f(l3 - l1 - m2 + k))
                for k in range(low, high + 1)
            )
            weight = f(l1 + m1) * f(l1 - m1) * f(l2 + m2) * f(l2 - m2) * f(l3 + m3) * f(l3 - m3)
            square = series * series * triangle * weight
            out[m1 + l1, m2 + l2, m3 + l3] = np.sign(series) * sqrt(square / (total * top * top))
    out.flags.writeable = False
    return out


@cache
def real_clebsch_gordan(l1: int, l2: int, total: int) -> Array:
    """T that couples real harmonics: (X ⊗ Y)^L_M = Σ T[m1, m2, M] X_m1 Y_m2.

    T = i^s Σ_μ <l1 μ1 l2 μ2|L μ> U_l1[μ1, m1] U_l2[μ2, m2] conj U_L[μ, M] with the unitary U from
    real to complex harmonics and s = 1 where l1 + l2 + L is odd, which makes T real. It is
    orthonormal, and T^{l2 l1 L}[m2, m1, M] = (-1)^(l1 + l2 - L) T^{l1 l2 L}[m1, m2, M] exactly.

    Args:
        l1: first angular momentum.
        l2: second angular momentum.
        total: L.

    Returns:
        Indexed [m1 + l1, m2 + l2, M + L]; zero off the triangle rule.
    """
    if l1 > l2:  # so that the exchange is exact
        sign = (-1.0) ** (l1 + l2 - total)
        out = np.ascontiguousarray(sign * real_clebsch_gordan(l2, l1, total).transpose(1, 0, 2))
    else:
        phase = 1j if (l1 + l2 + total) % 2 else 1.0
        u1, u2, u = (complex_from_real(l) for l in (l1, l2, total))  # noqa: E741
        coupled = np.einsum("abc,ax,by,cz->xyz", clebsch_gordan(l1, l2, total), u1, u2, u.conj())
        out = np.ascontiguousarray((phase * coupled).real)
        if l1 == l2 and (l1 + l2 - total) % 2:
            out = (out - out.transpose(1, 0, 2)) / 2
        elif l1 == l2:
            out = (out + out.transpose(1, 0, 2)) / 2
        out[np.abs(out) < 1e-15] = 0.0  # zero by selection rules
    out.flags.writeable = False
    return out


@cache
def product_coefficients(ls: tuple[int, ...], total: int) -> Array:
    """G with Π_t Y_{l_t m_t}(r̂) = Σ_L g^L[m_1 …] Y_{L, Σm}(r̂), all on one direction.

    Complex harmonics with ∫|Y|² = 1, by the Gaunt formula
    Y_l1 Y_l2 = Σ_L √((2l1+1)(2l2+1)/(4π(2L+1))) <l1 0 l2 0|L 0> <l1 m1 l2 m2|L M> Y_LM.

    Args:
        ls: angular momenta of the factors.
        total: L of the result.

    Returns:
        Array indexed [m_1 + l_1, …], shape (2l_1+1, …).
    """
    if len(ls) == 1:
        return np.ones(2 * ls[0] + 1) if ls[0] == total else np.zeros(2 * ls[0] + 1)
    head, last = ls[:-1], ls[-1]
    out = np.zeros(tuple(2 * l + 1 for l in ls))  # noqa: E741
    ms = np.indices(out.shape[:-1]).reshape(len(head), -1).T - np.array(head)
    for middle in range(abs(total - last), min(total + last, sum(head)) + 1):
        first = product_coefficients(head, middle)
        if not first.any():
            continue
        gaunt = clebsch_gordan(middle, last, total)
        zero = gaunt[middle, last, total]
        factor = zero * sqrt((2 * middle + 1) * (2 * last + 1) / (4 * np.pi * (2 * total + 1)))
        # <middle M last m | total M+m> summed over its only possible third index
        table = gaunt.sum(axis=2)
        m_sum = ms.sum(axis=1)
        inside = np.abs(m_sum) <= middle
        rows = np.where(inside[:, None], table[np.clip(m_sum + middle, 0, 2 * middle)], 0.0)
        out += (factor * first.reshape(-1, 1) * rows).reshape(out.shape)
    return out


@dataclass(frozen=True, eq=False)
class Coupling:
    """The coupled functions of one set of angular momenta.

    Args:
        ms: the m of every factor, shape (T, ν).
        values: coefficients of Π Y^complex_{l_t m_t}, shape (q, 2L + 1, T): q independent
            functions whose 2L + 1 components are real harmonics components.
    """

    ms: NDArray[np.int64]
    values: NDArray[np.complex128]


@cache
def couplings(ls: tuple[int, ...], groups: tuple[int, ...], total: int) -> Coupling:
    """All independent functions of total L from harmonics l_1 … l_ν.

    Args:
        ls: angular momenta.
        groups: sizes of consecutive runs of factors with equal labels, Σ = ν; each run has
            one l.
        total: L. The parity of the result is (-1)^Σl.

    Returns:
        Orthonormal couplings times √|Stab| (Stab: the exchanges of equal factors), the
        normalisation of ACE1. Σl + L odd carries a factor i, so that every component is real.
    """
    paths = multiplicity(ls, (1,) * len(ls), total)
    size = paths * prod(2 * l + 1 for l in (*ls, total))  # noqa: E741
    if size > (most := allowed(_MAX_TENSOR)):
        raise InputError(
            f"coupling of l = {list(ls)} takes {size:.0e} numbers, more than {most:.0e}; "
            f"lower max_l or the order; {MORE}"
        )
    trees = _trees(ls, total)  # [q, m_1 … m_ν, M]
    weights = _symmetric_basis(trees[..., total], groups)
    phase = 1j if (sum(ls) + total) % 2 else 1.0
    scale = phase * sqrt(prod(factorial(g) for g in groups))
    tensors = np.tensordot(weights, trees, axes=1) @ (scale * complex_from_real(total).conj())
    count = len(weights)
    flat = tensors.reshape(count, prod(2 * l + 1 for l in ls), 2 * total + 1)  # noqa: E741
    # Exact zeros are zero by selection rules; the rest is rounding.
    used = np.flatnonzero((np.abs(flat) > 1e-13).any(axis=(0, 2)))
    ms = np.array(np.unravel_index(used, tensors.shape[1:-1])).reshape(len(ls), -1).T - ls
    return Coupling(ms.astype(np.int64), np.ascontiguousarray(flat[:, used].transpose(0, 2, 1)))


def _trees(ls: tuple[int, ...], total: int) -> Array:
    """Left-to-right coupling trees, shape (trees, 2l_1+1, …, 2l_ν+1, 2L+1), orthonormal."""
    partial: dict[tuple[int, ...], Array] = {(ls[0],): np.eye(2 * ls[0] + 1)}
    for k, l in enumerate(ls[1:], start=1):  # noqa: E741
        rest = ls[k + 1 :]
        new: dict[tuple[int, ...], Array] = {}
        for path, tensor in partial.items():
            last = path[-1]
            for middle in range(abs(last - l), last + l + 1):
                if _reaches(middle, rest, total):
                    new[(*path, middle)] = np.tensordot(
                        tensor, clebsch_gordan(last, l, middle), axes=1
                    )
        partial = new
    if len(ls) == 1 and ls[0] != total:
        partial = {}
    shape = (*(2 * l + 1 for l in ls), 2 * total + 1)  # noqa: E741
    if not partial:
        return np.zeros((0, *shape))
    return np.stack([partial[path] for path in sorted(partial)])


def _reaches(start: int, rest: tuple[int, ...], total: int) -> bool:
    """Whether `start` can be coupled with the rest to `total`."""
    reachable = {start}
    for l in rest:  # noqa: E741
        reachable = {x for s in reachable for x in range(abs(s - l), s + l + 1)}
    return total in reachable


def _symmetric_basis(trees: Array, groups: tuple[int, ...]) -> Array:
    """Orthonormal combinations of trees that exchanges inside the groups leave unchanged.

    The exchanges act on the coupled space as orthogonal matrices D; its symmetric part is the
    common eigenvalue-one space of the transpositions of neighbours.

    Args:
        trees: one component M of every tree, shape (q, 2l_1+1, …).
        groups: sizes of consecutive runs of equal factors.

    Returns:
        Combinations, shape (independent functions, q).
    """
    count = len(trees)
    flat = trees.reshape(count, trees[:1].size if count else 0)
    starts = np.cumsum((0, *groups))
    pairs = [i for s, e in zip(starts[:-1], starts[1:], strict=True) for i in range(s, e - 1)]
    if not pairs or not count:
        return np.eye(count)
    exchange = np.zeros((count, count))
    for i in pairs:
        exchange += np.swapaxes(trees, i + 1, i + 2).reshape(count, -1) @ flat.T
    values, vectors = np.linalg.eigh((exchange + exchange.T) / 2)
    # The next eigenvalue is at least 2 - 2 cos(π/6) = 0.27 below for groups of up to six.
    symmetric = vectors[:, values > len(pairs) - 0.1]
    projector = symmetric @ symmetric.T
    basis: list[Array] = []
    for column in projector.T:
        for _ in range(2):  # twice is enough (Kahan)
            for b in basis:
                column = column - (b @ column) * b
        if (square := column @ column) > _DEPENDENT:
            basis.append(column / sqrt(square))
    return np.array(basis).reshape(len(basis), count)


@cache
def multiplicity(ls: tuple[int, ...], groups: tuple[int, ...], total: int) -> int:
    """How many independent functions `couplings` finds, by counting weights alone.

    The number of states with Σm = M in the symmetric power of a group is a coefficient of a
    Gaussian binomial; the number of times L occurs is (states of M = L) - (states of M = L+1).
    """
    weights = np.array([1], dtype=object)
    start = 0
    for size in groups:
        weights = np.convolve(weights, _gaussian_binomial(2 * ls[start] + size, size))
        start += size
    centre = (len(weights) - 1) // 2
    padded = np.concatenate((weights[centre:], np.zeros(total + 2, dtype=object)))
    return int(padded[total] - padded[total + 1])


@cache
def _gaussian_binomial(n: int, k: int) -> NDArray[np.object_]:
    """Coefficients of the Gaussian binomial [n, k]_q, by Pascal's rule."""
    if k == 0 or k == n:
        return np.array([1], dtype=object)
    out = np.zeros(k * (n - k) + 1, dtype=object)
    left, right = _gaussian_binomial(n - 1, k - 1), _gaussian_binomial(n - 1, k)
    out[: len(left)] += left
    out[k : k + len(right)] += right
    return out
