"""Products written as a quadratic form: every product is one node times another.

A node is 1, an A, a pair of A's or a triple (a pair times an A), so orders up to six are
ρ_p = Σ_T weights[p, T] Re x_row x_column, the form that libraries of arrays evaluate best. The
splits are chosen so that few nodes serve many products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.tables import Products, Tables

Ints = NDArray[np.int64]

#: Rounds in which splits are chosen anew by how often the nodes of the last round were used.
_ROUNDS = 4
_LARGEST_ORDER = 6


@dataclass(frozen=True, eq=False)
class Contraction:
    """The products of one central species as nodes and a sparse quadratic form.

    Nodes are numbered 0: the constant 1; then the V functions `single`, the pairs, the triples.

    Args:
        single: the A_v that enter products, shape (V,).
        pairs: places in `single` of both factors, shape (N2, 2).
        triples: place in `pairs` of the first factor, in `single` of the second, shape (N3, 2).
        row, column: nodes whose product is the term, shape (T',).
        term: its number in `Products.weights`, shape (T',).
        two_body: terms that are one A with l = 0 and were set apart, shape (D,).
        two_body_function: that A, shape (D,).
    """

    single: Ints
    pairs: Ints
    triples: Ints
    row: Ints
    column: Ints
    term: Ints
    two_body: Ints
    two_body_function: Ints

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return 1 + len(self.single) + len(self.pairs) + len(self.triples)


def contract(tables: Tables, products: Products, *, two_body: bool) -> Contraction:
    """Choose the nodes of one central species.

    Args:
        tables: what the products belong to.
        products: those of the species.
        two_body: set terms that are one A with l = 0 apart: in an energy they are sums over
            the neighbours of functions of the distance.

    Raises:
        InputError: products of more than six factors.
    """
    base = len(tables.a_l)
    factors = np.sort(products.factors.astype(np.int64), axis=1)
    order = (factors < base).sum(axis=1)
    if factors.shape[1] > _LARGEST_ORDER:
        raise InputError(
            f"products: expected at most {_LARGEST_ORDER} factors, got {factors.shape[1]}"
        )
    if not factors.shape[1]:  # the constant alone
        factors = np.full((len(factors), 1), base, dtype=np.int64)
    scalar = two_body & (order == 1) & (np.append(tables.a_l, 1)[factors[:, 0]] == 0)
    apart = np.flatnonzero(scalar)
    terms, left, right = _split(factors, order, scalar, base)
    triple = np.unique(np.concatenate([k[s == 3] for s, k in (left, right)]))
    pair_of, rest_of = _shorten(triple, np.concatenate([k[s == 2] for s, k in (left, right)]), base)
    pair = np.unique(np.concatenate([pair_of, *(k[s == 2] for s, k in (left, right))]))
    single = np.unique(
        np.concatenate([rest_of, *np.divmod(pair, base), *(k[s == 1] for s, k in (left, right))])
    )
    node = [_place(side, single, pair, triple) for side in (left, right)]
    return Contraction(
        single,
        np.searchsorted(single, np.stack(np.divmod(pair, base), axis=1)),
        np.stack((np.searchsorted(pair, pair_of), np.searchsorted(single, rest_of)), axis=1),
        node[0],
        node[1],
        terms,
        apart,
        factors[apart, 0],
    )


#: Sizes of some sub-products (0: the constant) and their keys Σ v_t A^t.
_Side = tuple[Ints, Ints]


def _split(
    factors: Ints, order: Ints, skip: NDArray[np.bool_], base: int
) -> tuple[Ints, _Side, _Side]:
    """Terms in two parts each, chosen by how often a part is used."""
    none = np.zeros(0, dtype=np.int64)
    groups = []
    for nu in range(factors.shape[1] + 1):
        terms = np.flatnonzero((order == nu) & ~skip)
        size = nu - nu // 2
        ways = list(combinations(range(nu), size))
        both = [ways, [tuple(t for t in range(nu) if t not in way) for way in ways]]
        keys = np.array(
            [[_key(factors[terms][:, list(part)], base) for part in parts] for parts in both]
        )
        groups.append((terms, (size, nu // 2), keys))  # keys: [side, way, term]
    chosen = [k for _, _, k in groups]
    for _ in range(_ROUNDS):
        counts = {}
        for size in (2, 3):
            used = [
                keys[side].ravel()
                for (_, sizes, _), keys in zip(groups, chosen, strict=True)
                for side in (0, 1)
                if sizes[side] == size
            ]
            counts[size] = np.unique(np.concatenate([none, *used]), return_counts=True)
        chosen = [_most_used(sizes, keys, counts) for _, sizes, keys in groups]
    terms = np.concatenate([t for t, _, _ in groups])
    sides = [
        (
            np.concatenate([np.full(len(t), sizes[side]) for t, sizes, _ in groups]),
            np.concatenate([keys[side, 0] for keys in chosen]),
        )
        for side in (0, 1)
    ]
    return terms, sides[0], sides[1]


def _most_used(sizes: tuple[int, int], keys: Ints, counts: dict[int, tuple[Ints, Ints]]) -> Ints:
    """Of every term the split whose parts are used most, shape (2, 1, terms)."""
    score = np.zeros(keys.shape[1:])
    for size, part in zip(sizes, keys, strict=True):
        if size in counts and part.size:
            known, count = counts[size]
            place = np.minimum(np.searchsorted(known, part), len(known) - 1)
            score += np.where(known[place] == part, count[place], 0)
    best = score.argmax(axis=0)
    return np.take_along_axis(keys, best[None, None], axis=1)


def _shorten(triples: Ints, pairs: Ints, base: int) -> tuple[Ints, Ints]:
    """Every triple as a pair, preferably one that is there anyway, and what is left of it."""
    v = np.stack([triples % base, triples // base % base, triples // base**2], axis=1)
    ways = [([0, 1], 2), ([0, 2], 1), ([1, 2], 0)]
    keys = np.array([_key(v[:, kept], base) for kept, _ in ways])
    known, count = np.unique(np.concatenate([pairs, keys.ravel()]), return_counts=True)
    score = count[np.searchsorted(known, keys)] + len(keys.T) * np.isin(keys, pairs)
    best = score.argmax(axis=0)
    rest = np.array([v[:, left] for _, left in ways])
    row = np.arange(len(triples))
    return keys[best, row], rest[best, row]


def _key(part: Ints, base: int) -> Ints:
    """One number for each row of factors."""
    return np.asarray(part @ base ** np.arange(part.shape[1], dtype=np.int64))


def _place(side: _Side, single: Ints, pair: Ints, triple: Ints) -> Ints:
    """Node numbers of sub-products."""
    size, key = side
    out = np.zeros(len(key), dtype=np.int64)
    start = 1
    for length, known in ((1, single), (2, pair), (3, triple)):
        out[size == length] = start + np.searchsorted(known, key[size == length])
        start += len(known)
    return out
