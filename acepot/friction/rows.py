"""Rows of a fit: numbers of Γ as a quadratic form of the coefficients.

    Γ_ij = Σ_(p,q) Σ_kl C_k C_l φ_pk φ_qlᵀ

over pairs of blocks p of atom i and q of atom j that have one source of noise. Γ is linear in
G = C Cᵀ: where G has few numbers any amount of data is compressed once, to a triangle in them, and
Levenberg–Marquardt on C never sees the data again. Where it has many, rows and derivatives are made
of the blocks at every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.evaluate.protocol import Floats, Ints
from acepot.fitting.problem import Accumulator, Problem
from acepot.friction.data import FrictionData
from acepot.friction.functions import Blocks

__all__ = ["Direct", "Objective", "Quadratic", "Rows", "folded"]

Mask = NDArray[np.bool_]
#: Numbers that products of blocks may take at once.
_AT_ONCE = 10_000_000


class Objective(Protocol):
    """Σ (w (Γ(C) - Γ))² over all data, with C of shape (K, channels) for every coupling."""

    def loss(self, coefficients: Sequence[Floats]) -> float:
        """Its value."""
        ...

    def residuals(self, coefficients: Sequence[Floats]) -> Iterator[tuple[Floats, Floats]]:
        """Residuals in blocks, and their derivatives by all coefficients."""
        ...


class Rows:
    """The rows of one structure.

    Args:
        data: Γ.
        blocks: functions of every coupling on its structure.
        weights: w_ij of blocks, shape (n, n) over all atoms, symmetric.
    """

    def __init__(self, data: FrictionData, blocks: Sequence[Blocks], weights: Floats) -> None:
        atoms = len(data.structure)
        place = np.full(atoms, -1)
        place[data.atoms] = np.arange(len(data.atoms))
        known = data.mask[::3, ::3] > 0
        self._values = [one.values for one in blocks]
        self._pairs = [_pairs(one, place, known) for one in blocks]
        keys = [
            one.rows[p] * atoms + one.rows[q]
            for one, (p, q) in zip(blocks, self._pairs, strict=True)
        ]
        targets = np.unique(np.concatenate(keys))
        self._targets = [np.searchsorted(targets, key) for key in keys]
        i, j = targets // atoms, targets % atoms
        self.count = len(targets)
        self.scale = np.repeat(weights[i, j] * np.where(i == j, 1.0, np.sqrt(2)), 9)
        gamma = data.gamma.reshape(len(data.atoms), 3, -1, 3).transpose(0, 2, 1, 3)
        self.given = gamma[place[i], place[j]].ravel() * self.scale
        self.unreached = _unreached(data, gamma, known, targets, weights)
        self.traces = [np.einsum("bkxw,blxw->kl", one.values, one.values) for one in blocks]

    def by_g(self) -> Floats:
        """Rows in the numbers G_kl, k <= l, of all couplings, shape (9 targets, columns)."""
        made = []
        for values, (p, q), target in zip(self._values, self._pairs, self._targets, strict=True):
            k, l = np.triu_indices(values.shape[1])  # noqa: E741
            both = _summed(values, values, p, q, target, self.count)
            made.append(both[..., k, l] + np.where(k == l, 0.0, both[..., l, k]))
        rows = np.concatenate(made, axis=2)
        return np.asarray(rows.reshape(self.scale.size, rows.shape[2]) * self.scale[:, None])

    def at(self, coefficients: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Residuals of coefficients and their derivatives, the unreached part last."""
        found, slopes = -self.given, []
        every = zip(self._values, self._pairs, self._targets, coefficients, strict=True)
        for values, (p, q), target, c in every:
            sigma = np.einsum("bkxw,kr->brxw", values, c)
            right = _summed(values, sigma, p, q, target, self.count)  # [t, xy, k, r]
            left = _summed(sigma, values, p, q, target, self.count)  # [t, xy, r, k]
            # Σ_kr C_kr (∂Γ/∂C_kr) = 2 Γ
            found = found + np.einsum("txkr,kr->tx", right, c).ravel() * self.scale
            both = (right + left.transpose(0, 1, 3, 2)).reshape(self.scale.size, c.size)
            slopes.append(both * self.scale[:, None])
        jacobian = np.concatenate(slopes, axis=1)
        last = np.zeros((1, jacobian.shape[1]))
        return np.append(found, self.unreached), np.concatenate((jacobian, last))


class Direct:
    """The objective from the blocks of all structures.

    Args:
        rows: of each.
    """

    def __init__(self, rows: Sequence[Rows]) -> None:
        self._rows = list(rows)

    def loss(self, coefficients: Sequence[Floats]) -> float:
        """As the protocol says."""
        return float(sum(np.sum(r**2) for r, _ in self.residuals(coefficients)))

    def residuals(self, coefficients: Sequence[Floats]) -> Iterator[tuple[Floats, Floats]]:
        """As the protocol says."""
        for one in self._rows:
            yield one.at(coefficients)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """|Σ_kl A_kl G_kl - Γ|² of all data in compressed form.

    Args:
        problem: in the numbers G_kl, k <= l, of every coupling in turn.
    """

    problem: Problem

    @classmethod
    def of(cls, rows: Iterable[Rows], columns: int) -> Quadratic:
        """All rows compressed.

        Args:
            rows: of every structure.
            columns: numbers of G.
        """
        made = Accumulator(columns)
        for one in rows:
            made.add(one.by_g(), one.given)
            made.add(np.zeros((1, columns)), np.array([one.unreached]))
        return cls(made.finish())

    def loss(self, coefficients: Sequence[Floats]) -> float:
        """Sum of squares of residuals of coefficients, (K, channels) of each coupling."""
        g = np.concatenate([folded(c @ c.T) for c in coefficients])
        return self.problem.residual(g)

    def residuals(self, coefficients: Sequence[Floats]) -> Iterator[tuple[Floats, Floats]]:
        """Those within reach, in one block."""
        triangle, residual, slopes, start = self.problem.triangle, -self.problem.targets, [], 0
        for c in coefficients:
            count = len(c) * (len(c) + 1) // 2
            part = triangle[:, start : start + count]
            start += count
            residual = residual + part @ folded(c @ c.T)
            slopes.append(part @ _slopes(c))
        yield residual, np.concatenate(slopes, axis=1)


def folded(symmetric: Floats) -> Floats:
    """The numbers of a symmetric matrix with k <= l, shape (K (K + 1) / 2,)."""
    return np.asarray(symmetric[np.triu_indices(len(symmetric))])


def _slopes(c: Floats) -> Floats:
    """Derivatives of the numbers of G = C Cᵀ by those of C, shape (K (K + 1) / 2, K channels)."""
    k, l = np.triu_indices(len(c))  # noqa: E741
    made = np.zeros((len(k), *c.shape))
    every = np.arange(len(k))
    made[every, k] += c[l]
    made[every, l] += c[k]
    return made.reshape(len(k), -1)


def _unreached(
    data: FrictionData, gamma: Floats, known: Mask, targets: Ints, weights: Floats
) -> float:
    """The weighted norm of blocks that no function reaches: the loss has it, whatever C is."""
    missed = known.copy()
    place = np.full(len(data.structure), -1)
    place[data.atoms] = np.arange(len(data.atoms))
    i, j = place[targets // len(place)], place[targets % len(place)]
    missed[i, j] = missed[j, i] = False
    w = weights[np.ix_(data.atoms, data.atoms)]
    return float(np.sqrt(np.sum((gamma * w[:, :, None, None])[missed] ** 2)))


def _pairs(blocks: Blocks, place: Ints, known: Mask) -> tuple[Ints, Ints]:
    """Pairs of blocks with one source, for blocks of Γ that are known and not below the diagonal.

    Returns:
        Numbers p and q of blocks with rows i <= j.
    """
    order = np.argsort(blocks.columns, kind="stable")
    counts = np.bincount(blocks.columns, minlength=blocks.sources)
    first = np.concatenate(([0], np.cumsum(counts)))[:-1]
    own = counts[blocks.columns[order]]  # partners of each block
    p = np.repeat(order, own)
    begin = np.repeat(first[blocks.columns[order]], own)
    within = np.arange(len(p)) - np.repeat(np.cumsum(own) - own, own)
    q = order[begin + within]
    i, j = place[blocks.rows[p]], place[blocks.rows[q]]
    kept = (blocks.rows[p] <= blocks.rows[q]) & (i >= 0) & (j >= 0)
    kept[kept] = known[i[kept], j[kept]]
    return p[kept], q[kept]


def _summed(left: Floats, right: Floats, p: Ints, q: Ints, target: Ints, count: int) -> Floats:
    """Σ_(p,q) of a target left_pk right_qlᵀ, shape (targets, 9, k, l)."""
    k, l, width = left.shape[1], right.shape[1], left.shape[3]  # noqa: E741
    made = np.zeros((count, 9 * k * l))
    one, other = (m.reshape(len(m), m.shape[1] * 3, width) for m in (left, right))
    chunk = max(1, _AT_ONCE // (9 * k * l))
    for start in range(0, len(p), chunk):
        mine = slice(start, start + chunk)
        both = np.matmul(one[p[mine]], other[q[mine]].transpose(0, 2, 1))
        both = both.reshape(-1, k, 3, l, 3).transpose(0, 2, 4, 1, 3)  # [pair, x, y, k, l]
        number = len(both)
        sums = csr_array(
            (np.ones(number), (target[mine], np.arange(number))), shape=(count, number)
        )
        made += sums @ both.reshape(number, -1)
    return made.reshape(count, 9, k, l)
