"""Products of A in the oracle, and their adjoints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.evaluate.protocol import Floats
from acepot.tables import Products, Tables

Ints = NDArray[np.int64]


class Unitary:
    """Real A -> complex A, function by function: A^c_v = α_v A_v + β_v A_v', m' = -m."""

    def __init__(self, tables: Tables) -> None:
        m = tables.a_m.astype(np.int64)
        sign = (1.0 - 2.0 * (m % 2)) / np.sqrt(2)
        half = 1 / np.sqrt(2)
        self.partner = np.arange(len(m)) - 2 * m
        self.alpha = np.where(m > 0, sign, np.where(m < 0, -1j * half, 1.0))
        self.beta = np.where(m > 0, 1j * sign, np.where(m < 0, half, 0.0))

    def to_complex(self, a: Floats) -> NDArray[np.complex128]:
        """Complex A with a last row of ones for padded factors, shape (A + 1, a)."""
        out = np.ones((len(a) + 1, a.shape[1]), dtype=complex)
        out[:-1] = self.alpha[:, None] * a + self.beta[:, None] * a[self.partner]
        return out


class SiteProducts:
    """The products of one central species and their adjoints."""

    def __init__(self, products: Products, rows: int, unitary: Unitary) -> None:
        self.weights = products.weights
        factors = products.factors.astype(np.int64)
        padding = len(unitary.alpha)
        order = (factors < padding).sum(axis=1)
        # Terms are sorted by order; each order is one range with its own number of factors.
        starts = np.flatnonzero(np.diff(order, prepend=0))
        self._ranges = [
            (int(begin), int(end), int(order[begin]))
            for begin, end in zip(starts, [*starts, len(order)][1:], strict=True)
        ]
        self._factors = factors
        slots = []  # (term, factor) of every partial product, in the order `products` makes them
        for begin, end, nu in self._ranges:
            slots += [(np.arange(begin, end), factors[begin:end, t]) for t in range(nu)]
        term = np.concatenate([s[0] for s in slots]) if slots else np.zeros(0, dtype=np.int64)
        factor = np.concatenate([s[1] for s in slots]) if slots else np.zeros(0, dtype=np.int64)
        shape = (rows, len(factors))
        place = (products.function, products.term)
        self.real = csr_array((products.real, place), shape=shape)
        self.imaginary = csr_array((products.imaginary, place), shape=shape)
        self._unitary = unitary
        self._adjoints = [
            [
                _adjoint_map(np.zeros_like(term), factor, w[term].astype(complex), unitary)
                for w in output
            ]
            for output in products.weights
        ]
        # Every coefficient C_kT meets every slot of its term.
        per_term = np.argsort(term, kind="stable")
        bounds = np.searchsorted(term[per_term], np.arange(len(factors) + 1))
        repeat = np.diff(bounds)[products.term]
        entry = np.repeat(np.arange(len(products.term)), repeat)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        slot = per_term[bounds[products.term][entry] + within]
        coefficient = products.real + 1j * products.imaginary
        self._jacobian = _adjoint_map(
            products.function.astype(np.int64)[entry],
            factor[slot],
            coefficient[entry],
            unitary,
            slot,
            len(term),
        )

    def products(
        self, a: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Π_t A_{v_t}, shape (T, a), and for every slot the product of the other factors."""
        values = np.empty((len(self._factors), a.shape[1]), dtype=complex)
        partial = []
        for begin, end, nu in self._ranges:
            factors = [a[self._factors[begin:end, t]] for t in range(nu)]
            before = [np.ones_like(factors[0])]
            for f in factors[:-1]:
                before.append(before[-1] * f)
            values[begin:end] = before[-1] * factors[-1]
            after = np.ones_like(factors[0])
            others = []
            for t in range(nu - 1, -1, -1):
                others.append(before[t] * after)
                after = after * factors[t]
            partial += others[::-1]
        if not partial:
            return values, np.zeros((0, a.shape[1]), dtype=complex)
        return values, np.concatenate(partial)

    def adjoint(self, output: int, partial: NDArray[np.complex128], slope: Floats | None) -> Floats:
        """dE/dA_v of one output with respect to the real A, shape (A, a).

        Args:
            output: 0 for the model, 1 … for the committee.
            partial: of `products`.
            slope: dE/dρ_p, shape (P, a); None for ones.
        """
        both = np.concatenate((partial.real, partial.imag))
        out = np.zeros((len(self._unitary.alpha), partial.shape[1]))
        for p, (indices, matrix) in enumerate(self._adjoints[output]):
            each = matrix @ both
            out[indices[1]] += each if slope is None else each * slope[p]
        return out

    def jacobian(self, partial: NDArray[np.complex128], size: int) -> csr_array:
        """dB_k/dA_v of all atoms side by side, shape (K, a A)."""
        (function, factor), matrix = self._jacobian
        data = matrix @ np.concatenate((partial.real, partial.imag))  # [(k, v), a]
        atoms = partial.shape[1]
        column = factor[:, None] + size * np.arange(atoms)
        functions = self.real.shape[0]
        pointer = np.searchsorted(function, np.arange(functions + 1)) * atoms
        return csr_array((data.ravel(), column.ravel(), pointer), shape=(functions, size * atoms))


def _adjoint_map(
    function: Ints,
    factor: Ints,
    coefficient: NDArray[np.complex128],
    unitary: Unitary,
    slot: Ints | None = None,
    slots: int | None = None,
) -> tuple[Ints, csr_array]:
    """The real matrix that takes [Re; Im] of the partial products to d(function)/dA_v.

    With B = Re Σ c Π A and A^c_v = α A_v + β A_v', one slot adds Re(c α P) to dB/dA_v and
    Re(c β P) to dB/dA_v'.

    Returns:
        The pairs (function, v) that can be non-zero, shape (2, pairs), and the matrix of
        shape (pairs, 2 slots).
    """
    slot = np.arange(len(factor)) if slot is None else slot
    slots = len(factor) if slots is None else slots
    own, other = coefficient * unitary.alpha[factor], coefficient * unitary.beta[factor]
    value = np.concatenate((own.real, -own.imag, other.real, -other.imag))
    target = np.concatenate((factor, factor, unitary.partner[factor], unitary.partner[factor]))
    key = np.tile(function, 4) * len(unitary.alpha) + target
    source = np.concatenate((slot, slot + slots, slot, slot + slots))
    kept = value != 0.0
    unique, row = np.unique(key[kept], return_inverse=True)
    matrix = csr_array((value[kept], (row, source[kept])), shape=(len(unique), 2 * slots))
    return np.array(np.divmod(unique, len(unitary.alpha))), matrix
