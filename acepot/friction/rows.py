"""Rows of a fit: numbers of Γ as a quadratic form of the coefficients.

    Γ_ij = Σ_kl A_ij,kl G_kl,   G = C Cᵀ,   A_ij,kl = Σ_(p,q) φ_pk φ_qlᵀ

over pairs of blocks p of atom i and q of atom j that have one source of noise. Γ is linear in G, so
that any amount of data is compressed once, to a triangle in the numbers of G; Levenberg–Marquardt
on C then never sees the data again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from acepot.evaluate.protocol import Floats, Ints
from acepot.fitting.problem import Accumulator, Problem
from acepot.friction.data import FrictionData
from acepot.friction.functions import Blocks

__all__ = ["Quadratic", "folded", "rows_of"]

#: Numbers that products of blocks may take at once.
_AT_ONCE = 10_000_000


@dataclass(frozen=True, eq=False)
class Quadratic:
    """|Σ_kl A_kl G_kl - Γ|² of all data in compressed form.

    Args:
        problem: in the numbers G_kl, k <= l, of every coupling in turn.
        sizes: functions K of every coupling.
        traces: Σ_k φ_k φ_lᵀ over all blocks: the part in the trace of Γ, (K, K) of each coupling.
    """

    problem: Problem
    sizes: tuple[int, ...]
    traces: tuple[Floats, ...]

    def loss(self, coefficients: Sequence[Floats]) -> float:
        """Sum of squares of residuals of coefficients, (K, channels) of each coupling."""
        g = np.concatenate([folded(c @ c.T) for c in coefficients])
        return self.problem.residual(g)

    def residuals(self, coefficients: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Residuals within reach, and their derivatives by all coefficients."""
        triangle, residual, slopes, start = self.problem.triangle, -self.problem.targets, [], 0
        for c in coefficients:
            count = len(c) * (len(c) + 1) // 2
            part = triangle[:, start : start + count]
            start += count
            residual = residual + part @ folded(c @ c.T)
            slopes.append(part @ _slopes(c))
        return residual, np.concatenate(slopes, axis=1)


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


def rows_of(
    data: FrictionData, blocks: Sequence[Blocks], weights: Floats, out: Accumulator
) -> list[Floats]:
    """Add the rows of one structure.

    Args:
        data: Γ.
        blocks: functions of every coupling on its structure.
        weights: w_ij of blocks, shape (n, n) over all atoms, symmetric.
        out: takes them.

    Returns:
        For every coupling what its functions have in the trace of Γ, shape (K, K).
    """
    atoms = len(data.structure)
    place = np.full(atoms, -1)
    place[data.atoms] = np.arange(len(data.atoms))
    known = np.ones((len(data.atoms),) * 2, bool) if data.known is None else data.known
    pairs = [_pairs(one, place, known) for one in blocks]
    keys = [one.rows[p] * atoms + one.rows[q] for one, (p, q) in zip(blocks, pairs, strict=True)]
    targets = np.unique(np.concatenate(keys))
    i, j = targets // atoms, targets % atoms
    weight = weights[i, j] * np.where(i == j, 1.0, np.sqrt(2))
    made = np.concatenate(
        [
            _folded_rows(one.values, p, q, np.searchsorted(targets, key), len(targets))
            for one, (p, q), key in zip(blocks, pairs, keys, strict=True)
        ],
        axis=2,
    )  # [target, 9, kl]
    gamma = data.gamma.reshape(len(data.atoms), 3, -1, 3).transpose(0, 2, 1, 3)  # [i, j, x, y]
    values = gamma[place[i], place[j]].reshape(-1, 9)
    scale = np.repeat(weight, 9)
    out.add(made.reshape(len(scale), -1) * scale[:, None], values.ravel() * scale)
    rest = _unreached(data, gamma, known, targets, weights)
    out.add(np.zeros((1, made.shape[2])), np.array([rest]))
    return [np.einsum("bkxw,blxw->kl", one.values, one.values) for one in blocks]


def _unreached(
    data: FrictionData, gamma: Floats, known: Floats, targets: Ints, weights: Floats
) -> float:
    """The weighted norm of blocks that no function reaches: the loss has it, whatever C is."""
    missed = known.astype(bool)
    place = np.full(len(data.structure), -1)
    place[data.atoms] = np.arange(len(data.atoms))
    i, j = place[targets // len(place)], place[targets % len(place)]
    missed[i, j] = missed[j, i] = False
    w = weights[np.ix_(data.atoms, data.atoms)]
    return float(np.sqrt(np.sum((gamma * w[:, :, None, None])[missed] ** 2)))


def _pairs(blocks: Blocks, place: Ints, known: Floats) -> tuple[Ints, Ints]:
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


def _folded_rows(values: Floats, p: Ints, q: Ints, target: Ints, count: int) -> Floats:
    """Σ φ_pk φ_qlᵀ, k and l both ways in one column k <= l, shape (targets, 9, K (K + 1) / 2)."""
    size, width = values.shape[1], values.shape[3]
    k, l = np.triu_indices(size)  # noqa: E741
    made = np.zeros((count, 9, len(k)))
    chunk = max(1, _AT_ONCE // (9 * size * size))
    flat = values.reshape(len(values), size * 3, width)
    for start in range(0, len(p), chunk):
        mine = slice(start, start + chunk)
        both = np.matmul(flat[p[mine]], flat[q[mine]].transpose(0, 2, 1))
        both = both.reshape(-1, size, 3, size, 3).transpose(0, 2, 4, 1, 3)  # [pair, x, y, k, l]
        once = both[..., k, l] + np.where(k == l, 0.0, both[..., l, k])
        number = len(once)
        sums = csr_array(
            (np.ones(number), (target[mine], np.arange(number))), shape=(count, number)
        )
        made += (sums @ once.reshape(number, -1)).reshape(made.shape)
    return made
