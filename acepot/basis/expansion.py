"""Basis specification -> Expansion: one-particle functions A, their products, and C.

B_k = Re Σ_T C_kT Π_t A_{v_t}, with A_v = Σ_j R(r_j) Y_lm(r̂_j) over neighbours of one species,
complex harmonics with the Condon–Shortley sign, and each term standing also for its complex
conjugate (A_{l,-m} = (-1)^m conj A_lm), so that only one of the two is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import factorial, pi, prod, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.choices import BasisChoices
from acepot.basis.coupling import couplings, product_coefficients
from acepot.basis.irrep import SCALAR, Irrep
from acepot.basis.selection import Factors, group_sizes, select
from acepot.budget import MORE, allowed
from acepot.errors import InputError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Labels:
    """What each of the K functions is, for priors and for people.

    Args:
        centre: species index of the central atom, shape (K,); for pair functions the lower of
            the two.
        order: correlation order, shape (K,); 0 for pair functions and the constant.
        n: radial indices (of a product radial their sum), shape (K, 6), 0 where unused.
        l: angular momenta, shape (K, 6), -1 where unused.
        z: species indices of the neighbours, shape (K, 6), -1 where unused.
    """

    centre: Ints
    order: Ints
    n: Ints
    l: Ints  # noqa: E741 - the field's own symbol
    z: Ints

    @property
    def pair(self) -> NDArray[np.bool_]:
        """Which are pair functions, shape (K,)."""
        return np.asarray((self.order == 0) & (self.z[:, 0] >= 0))


@dataclass(frozen=True, eq=False)
class Expansion:
    """A basis written out as products of one-particle functions.

    Functions of several (L, parity) share the products: first those of the first, then those of
    the second …

    Args:
        channels: radial functions by number: (n,) for R_n, (n, n', …) for a product of them,
            (-k,) for the pair function V_k.
        block_species: neighbour's species of each block of 2l + 1 one-particle functions.
        block_channel: its radial channel.
        block_l: its l. Function m of block b has the index offset[b] + m + l.
        terms: for each central species the factors of each product, shape (T, order), padded
            with the number of one-particle functions.
        real: for each central species Re C, shape (rows, T): one row for every component
            M = -L … L of every function in turn.
        imaginary: likewise Im C (all zero for energies).
        labels: what the K functions are.
        irreps: the (L, parity) of the functions.
        sizes: how many functions each has.
    """

    channels: tuple[tuple[int, ...], ...]
    block_species: Ints
    block_channel: Ints
    block_l: Ints
    terms: tuple[Ints, ...]
    real: tuple[csr_array, ...]
    imaginary: tuple[csr_array, ...]
    labels: Labels
    irreps: tuple[Irrep, ...]
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number K of functions, each with 2L + 1 components."""
        return len(self.labels.order)

    @property
    def offset(self) -> Ints:
        """First one-particle index of every block, and their number at the end."""
        return np.concatenate(([0], np.cumsum(2 * self.block_l + 1)))


Block = tuple[int, int, tuple[int, ...]]  # species, l, channel
_Added = tuple[tuple[int, ...], Ints, int | Ints, NDArray[np.complex128]]


#: Products, before equal ones are joined: so many, and so many for every function. Each takes 50
#: bytes or more; a canonical function of four factors of l = 6 has 10^6, others some hundreds.
_PRODUCTS, _PRODUCTS_EACH = 3_000_000, 20_000


class Assembly:
    """Collects products of one-particle functions and numbers them in the end.

    Products are added with blocks named by (species, l, channel) and the m of every factor.
    """

    def __init__(self, species: int) -> None:
        self.irreps: list[Irrep] = []
        self._sizes: list[int] = []
        self._rows = [0]  # the first row of every function, and that of the next
        self.labels: list[tuple[int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = []
        self._blocks: dict[Block, int] = {}
        self._products = 0
        # by centre: block numbers (ν,), ms (T, ν), functions () or (T,), values ((2L+1), T)
        self._added: list[list[_Added]] = [[] for _ in range(species)]

    def begin(self, irrep: Irrep) -> None:
        """Functions from here on have this (L, parity)."""
        self.irreps.append(irrep)
        self._sizes.append(0)

    def function(self, centre: int, order: int, factors: tuple[tuple[int, int, int], ...]) -> int:
        """Number of a new function with factors (n, l, z)."""
        n, l, z = zip(*factors, strict=True) if factors else ((), (), ())  # noqa: E741
        self.labels.append((centre, order, n, l, z))
        self._sizes[-1] += 1
        self._rows.append(self._rows[-1] + self.irreps[-1].dim)
        return len(self.labels) - 1

    def add(
        self,
        centre: int,
        function: int | Ints,
        blocks: tuple[Block, ...],
        ms: Ints,
        values: NDArray[np.complex128],
    ) -> None:
        """Add Σ_T values[M, T] Π_t A_{blocks[t], ms[T, t]} to a function, or each T to its own."""
        numbers = tuple(self._blocks.setdefault(b, len(self._blocks)) for b in blocks)
        self._added[centre].append((numbers, ms, function, values))

    def expect(self, products: int) -> None:
        """Be told how many products come.

        Raises:
            InputError: they are more than so many functions may have.
        """
        self._products += products
        most = _PRODUCTS + _PRODUCTS_EACH * len(self.labels)
        if self._products > most and self._products > allowed(most):  # asked of every function
            raise InputError(
                f"basis: the first {len(self.labels) + 1} functions take {self._products:.1e} "
                "products; lower max_l or the order, or leave out the canonical formulation; "
                f"{MORE}"
            )

    def add_constant(self, centre: int) -> None:
        """Add the function that is 1 on every atom of a species, the product of no factors."""
        one = np.ones((1, 1), dtype=complex)
        self.add(centre, self.function(centre, 0, ()), (), np.zeros((1, 0), dtype=np.int64), one)

    def add_pairs(self, count: int) -> None:
        """Add the pair functions V_1 … V_count of every unordered pair of species."""
        species = range(len(self._added))
        for a, b, k in product(species, species, range(1, count + 1)):
            if a > b:
                continue
            function = self.function(a, 0, ((k, 0, b),))
            for centre, neighbour in {(a, b), (b, a)}:
                # 1/2 V_k; √(4π) undoes the Y_00 that every one-particle function carries.
                self.add(
                    centre,
                    function,
                    ((neighbour, 0, (-k,)),),
                    np.zeros((1, 1), dtype=np.int64),
                    np.full((1, 1), 0.5 * sqrt(4 * pi), dtype=complex),
                )

    def finish(self) -> Expansion:
        """Sort blocks and products into their final numbering."""
        names = sorted(self._blocks, key=lambda b: (b[0], b[1], _channel_order(b[2])))
        channels = tuple(sorted({b[2] for b in names}, key=_channel_order))
        position = {b: i for i, b in enumerate(names)}
        renumber = np.array([position[b] for b in self._blocks], dtype=np.int64)
        block_l = np.array([b[1] for b in names], dtype=np.int64)
        offset = np.concatenate(([0], np.cumsum(2 * block_l + 1)))
        species = [self._number(added, renumber, block_l, offset) for added in self._added]
        return Expansion(
            channels,
            np.array([b[0] for b in names], dtype=np.int64),
            np.array([channels.index(b[2]) for b in names], dtype=np.int64),
            block_l,
            tuple(s[0] for s in species),
            tuple(s[1] for s in species),
            tuple(s[2] for s in species),
            _pack_labels(self.labels),
            tuple(self.irreps),
            tuple(self._sizes),
        )

    def _number(
        self,
        added: list[_Added],
        renumber: Ints,
        block_l: Ints,
        offset: Ints,
    ) -> tuple[Ints, csr_array, csr_array]:
        """Terms and coefficient matrices of one central species."""
        first, rows = np.array(self._rows), self._rows[-1]
        width = max((len(numbers) for numbers, *_ in added), default=1) or 1
        keys, functions, values = [], [], []
        for numbers, ms, function, value in added:
            blocks = renumber[list(numbers)]
            key, conjugate = _monomials(offset[blocks] + block_l[blocks], ms, int(offset[-1]))
            m, t = np.nonzero(value)
            kept = value[m, t]
            kept = np.where(conjugate[t], kept.conj() * (1 - 2 * (ms[t].sum(axis=1) % 2)), kept)
            padded = np.full((len(t), width), offset[-1])
            padded[:, : key.shape[1]] = key[t]
            keys.append(padded)
            each = function[t] if isinstance(function, np.ndarray) else function
            functions.append(first[each] + m)
            values.append(kept)
        if not keys:
            empty = csr_array((rows, 0))
            return np.zeros((0, 1), dtype=np.int64), empty, empty
        stacked = np.concatenate(keys)
        order = (stacked < offset[-1]).sum(axis=1)
        tagged = np.column_stack((order, stacked))
        unique, inverse = np.unique(tagged, axis=0, return_inverse=True)
        row, value = np.concatenate(functions), np.concatenate(values)
        shape = (rows, len(unique))
        matrices = []
        for part in (value.real, value.imag):
            matrix = csr_array((part, (row, inverse.ravel())), shape=shape)
            matrix.sum_duplicates()
            # Canonical corrections cancel exactly in theory; drop what rounding leaves.
            scale = np.abs(matrix.data).max(initial=0.0)
            matrix.data[np.abs(matrix.data) < 1e-14 * scale] = 0.0
            matrix.eliminate_zeros()
            matrices.append(matrix)
        used = np.unique(np.concatenate([m.indices for m in matrices]))
        return unique[used, 1:], matrices[0][:, used].tocsr(), matrices[1][:, used].tocsr()


def _channel_order(channel: tuple[int, ...]) -> tuple[bool, int, tuple[int, ...]]:
    """Ordinary radials first, then products, then pair functions by k."""
    pair = channel[0] < 0
    return pair, len(channel), tuple(-c for c in channel) if pair else channel


def _monomials(centres: Ints, ms: Ints, total: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Sorted factors of each product or of its conjugate, whichever sorts later.

    Args:
        centres: index of the m = 0 member of each factor's block, shape (ν,).
        ms: shape (T, ν).
        total: number of one-particle functions.

    Returns:
        Keys, shape (T, ν), and whether the conjugate was taken, shape (T,).
    """
    key = np.sort(centres + ms, axis=1)
    if len(centres) == 0:  # the constant
        return key, np.zeros(len(key), dtype=bool)
    mirrored = np.sort(centres - ms, axis=1)
    difference = key - mirrored
    first = (difference != 0).argmax(axis=1)
    conjugate = difference[np.arange(len(key)), first] < 0
    return np.where(conjugate[:, None], mirrored, key), conjugate


def _pack_labels(
    labels: list[tuple[int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]],
) -> Labels:
    count = len(labels)
    n = np.zeros((count, 6), dtype=np.int64)
    l = np.full((count, 6), -1, dtype=np.int64)  # noqa: E741
    z = np.full((count, 6), -1, dtype=np.int64)
    for k, (_, _, ns, ls, zs) in enumerate(labels):
        n[k, : len(ns)], l[k, : len(ls)], z[k, : len(zs)] = ns, ls, zs
    centre = np.array([label[0] for label in labels], dtype=np.int64)
    order = np.array([label[1] for label in labels], dtype=np.int64)
    return Labels(centre, order, n, l, z)


def expand(spec: BasisChoices, progress: Callable[[int, int], None] | None = None) -> Expansion:
    """Write a resolved basis out as products.

    The order of the K functions is part of the file format: (L, parity) by (L, parity); in each
    central species by species; in each by correlation order, then factors (l, n, z), then
    coupling. Among true scalars the constant comes first on each centre, and pair functions
    last, by unordered pair of species, then k.

    Args:
        spec: a resolved specification.
        progress: called with (functions done, functions in all).
    """
    assembly = Assembly(len(spec.elements))
    selected = [(irrep, select(spec, irrep)) for irrep in spec.symmetries]
    done, total = 0, sum(len(f) for _, chosen in selected for f in chosen.values())
    for irrep, chosen in selected:
        assembly.begin(irrep)
        for centre, functions in chosen.items():
            if spec.constant and irrep == SCALAR:
                assembly.add_constant(centre)
            for factors in functions:
                _add_coupled(assembly, centre, factors, irrep, spec.formulation == "canonical")
                done += 1
                if progress:
                    progress(done, total)
        if irrep == SCALAR:
            assembly.add_pairs(spec.pair.degree or 0)
    return assembly.finish()


def _add_coupled(
    assembly: Assembly, centre: int, factors: Factors, irrep: Irrep, canonical: bool
) -> None:
    """Add every independent coupling of some factors to L."""
    coupling = couplings(tuple(f[0] for f in factors), group_sizes(factors), irrep.l)
    names = tuple((sum(f[1]), f[0], f[2]) for f in factors)
    whole = [(1.0, tuple((t,) for t in range(len(factors))))]
    parts = _canonical_parts(factors) if canonical else whole
    sizes = [prod(map(len, _choices(factors, partition))) for _, partition in parts]
    assembly.expect(sum(sizes) * coupling.values.size)
    for values in coupling.values:
        function = assembly.function(centre, len(factors), names)
        for weight, partition in parts:
            for blocks, ms, scale in _merged(factors, partition, coupling.ms):
                assembly.add(centre, function, blocks, ms, values * (weight * scale))


def _canonical_parts(factors: Factors) -> list[tuple[float, tuple[tuple[int, ...], ...]]]:
    """Set partitions of the factors with their Möbius weights.

    Σ over distinct j of Π_t φ_t(j_t)
        = Σ_partitions Π_blocks (-1)^(|b|-1) (|b|-1)! Σ_j Π_{t∈b} φ_t(j);
    blocks that mix species vanish.
    """
    parts = []
    for partition in _set_partitions(len(factors)):
        if all(len({factors[t][2] for t in block}) == 1 for block in partition):
            weight = prod((-1) ** (len(b) - 1) * factorial(len(b) - 1) for b in partition)
            parts.append((float(weight), partition))
    return parts


def _set_partitions(count: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """All partitions of 0 … count-1 into blocks."""
    if count == 0:
        yield ()
        return
    last = count - 1
    for partition in _set_partitions(last):
        for i, block in enumerate(partition):
            yield (*partition[:i], (*block, last), *partition[i + 1 :])
        yield (*partition, (last,))


def _choices(factors: Factors, partition: tuple[tuple[int, ...], ...]) -> list[Sequence[int]]:
    """The L that the product of the harmonics of each block may have."""
    sums = [sum(factors[t][0] for t in block) for block in partition]
    return [
        range(whole % 2, whole + 1, 2) if len(block) > 1 else (whole,)
        for block, whole in zip(partition, sums, strict=True)
    ]


def _merged(
    factors: Factors, partition: tuple[tuple[int, ...], ...], ms: Ints
) -> Iterator[tuple[tuple[Block, ...], Ints, NDArray[np.float64]]]:
    """The products a partition gives: one factor per block, one product per choice of its L.

    Yields:
        Blocks, their m of shape (T, blocks), and a scale per term.
    """
    choices = _choices(factors, partition)
    m = np.stack([ms[:, list(block)].sum(axis=1) for block in partition], axis=1)
    for choice in product(*choices):
        scale = np.ones(len(ms))
        for block, l in zip(partition, choice, strict=True):  # noqa: E741
            if len(block) > 1:
                ls = tuple(factors[t][0] for t in block)
                table = product_coefficients(ls, l)
                scale = scale * table[tuple(ms[:, t] + factors[t][0] for t in block)]
        kept = np.flatnonzero((scale != 0) & (np.abs(m) <= np.array(choice)).all(axis=1))
        if len(kept) == 0:
            continue
        blocks = tuple(
            (factors[b[0]][2], l, tuple(sorted(sum((factors[t][1] for t in b), ()))))
            for b, l in zip(partition, choice, strict=True)
        )
        full = np.zeros(len(ms))
        full[kept] = scale[kept]
        yield blocks, np.where(full[:, None] != 0, m, 0), full
