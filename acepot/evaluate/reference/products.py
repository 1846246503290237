"""Products of A in the oracle, their derivatives, and what is read out of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.evaluate.protocol import Floats, Ints
from acepot.tables import Products, Tables

Complex = NDArray[np.complex128]


class Unitary:
    """Real A -> complex A, function by function: A^c_v = α_v A_v + β_v A_v', m' = -m."""

    def __init__(self, tables: Tables) -> None:
        m = tables.a_m.astype(np.int64)
        sign = (1.0 - 2.0 * (m % 2)) / np.sqrt(2)
        half = 1 / np.sqrt(2)
        self.partner = np.arange(len(m)) - 2 * m
        self.alpha = np.where(m > 0, sign, np.where(m < 0, -1j * half, 1.0))
        self.beta = np.where(m > 0, 1j * sign, np.where(m < 0, half, 0.0))

    def to_complex(self, a: Floats) -> Complex:
        """Complex A, shape (A, a)."""
        return np.asarray(self.alpha[:, None] * a + self.beta[:, None] * a[self.partner])

    def pullback(self, adjoint: Complex) -> Floats:
        """The adjoint of the real A, from g with dLoss = Re Σ g dA^c, shape (A, a)."""
        out = (self.alpha[:, None] * adjoint).real
        np.add.at(out, self.partner, (self.beta[:, None] * adjoint).real)
        return np.asarray(out)


class SiteProducts:
    """The products Π_T = Π_t A_{v_t} of one central species.

    A slot is one factor of one product; P_slot is the product of the other factors, so that
    dΠ_T = Σ_slots P_slot dA_v.

    Args:
        products: of the species.
        count: number of one-particle functions A.
    """

    def __init__(self, products: Products, count: int) -> None:
        factors = products.factors.astype(np.int64)
        order = (factors < count).sum(axis=1)
        # Terms are sorted by order; each order is one range with its own number of factors.
        starts = np.flatnonzero(np.diff(order, prepend=-1))
        self._ranges = [
            (int(begin), int(end), int(order[begin]))
            for begin, end in zip(starts, [*starts, len(order)][1:], strict=True)
        ]
        self._factors = factors
        none = np.zeros(0, dtype=np.int64)
        slots = [(none, none)]  # (term, v) in the order in which `products` makes them
        for begin, end, nu in self._ranges:
            slots += [(np.arange(begin, end), factors[begin:end, t]) for t in range(nu)]
        self.term = np.concatenate([s[0] for s in slots])
        self.factor = np.concatenate([s[1] for s in slots])
        one = np.ones(len(self.term))
        slot = np.arange(len(self.term))
        self._to_term = csr_array((one, (self.term, slot)), shape=(len(factors), len(slot)))
        self._to_factor = csr_array((one, (self.factor, slot)), shape=(count, len(slot)))

    def products(self, a: Complex) -> tuple[Complex, Complex]:
        """Π_T, shape (T, a), and P of every slot, shape (slots, a)."""
        values = np.ones((len(self._factors), a.shape[1]), dtype=complex)
        partial = [np.zeros((0, a.shape[1]), dtype=complex)]
        for begin, end, nu in self._ranges:
            factors = [a[self._factors[begin:end, t]] for t in range(nu)]
            for t in range(nu):
                others = np.ones_like(factors[0])
                for f in factors[:t] + factors[t + 1 :]:
                    others = others * f
                partial.append(others)
            for f in factors:
                values[begin:end] *= f
        return values, np.concatenate(partial)

    def jvp(self, partial: Complex, moved: Complex) -> Complex:
        """dΠ_T for dA, shape (T, a)."""
        return np.asarray(self._to_term @ (partial * moved[self.factor]))

    def pullback(self, partial: Complex, weight: Complex) -> Complex:
        """g_v with Σ_T w_T dΠ_T = Σ_v g_v dA_v, shape (A, a), for w of shape (T, a)."""
        return np.asarray(self._to_factor @ (weight[self.term] * partial))


class ReadOut:
    """y = Re Σ_T w_T Π_T: outputs of a model, or functions of a basis, row by row.

    Rows run over irreps, in each over outputs of all members or functions, in each over M.

    Args:
        tables: of a model or a basis.
        products: of one central species.
    """

    def __init__(self, tables: Tables, products: Products) -> None:
        shape = (
            sum(n * irrep.dim for n, irrep in zip(tables.sizes, tables.irreps, strict=True)),
            len(products.factors),
        )
        if tables.members == 0:
            place = (products.function, products.term)
            self.real = csr_array((products.real, place), shape=shape)
            self.imaginary = csr_array((products.imaginary, place), shape=shape)
            return
        # From [member, output, M] of all irreps to irreps, in each [member, output, M].
        dims = [n * irrep.dim for n, irrep in zip(tables.outputs, tables.irreps, strict=True)]
        number = np.arange(tables.members * sum(dims)).reshape(tables.members, -1)
        parts = np.split(number, np.cumsum(dims)[:-1], axis=1)
        rows = np.concatenate([part.ravel() for part in parts])
        self.real = products.weights.reshape(len(rows), shape[1])[rows]
        self.imaginary = csr_array(self.real.shape)
        if products.weights_imaginary.shape[1]:
            self.imaginary = products.weights_imaginary.reshape(len(rows), shape[1])[rows]

    def values(self, products: Complex) -> Floats:
        """y, shape (rows, a)."""
        return np.asarray(self.real @ products.real - self.imaginary @ products.imag)

    def pullback(self, adjoint: Floats) -> Complex:
        """W with Σ_rows a dy = Re Σ_T w_T dΠ_T, shape (T, a), for a of shape (rows, a)."""
        return np.asarray(self.real.T @ adjoint + 1j * (self.imaginary.T @ adjoint))

    def row(self, rows: slice) -> ReadOut:
        """Some of the rows."""
        part = object.__new__(ReadOut)
        part.real, part.imaginary = self.real[rows], self.imaginary[rows]
        return part


class Jacobian:
    """dB_k/dA_v of the real A of one central species, all atoms of a block side by side.

    Args:
        products: of the species.
        sites: the same.
        unitary: from real to complex A.
        rows: number of rows of the functions.
    """

    def __init__(
        self, products: Products, sites: SiteProducts, unitary: Unitary, rows: int
    ) -> None:
        # Every coefficient C_kT meets every slot of its term.
        by_term = np.argsort(sites.term, kind="stable")
        bounds = np.searchsorted(sites.term[by_term], np.arange(len(products.factors) + 1))
        repeat = np.diff(bounds)[products.term]
        entry = np.repeat(np.arange(len(products.term)), repeat)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        slot = by_term[bounds[products.term][entry] + within]
        coefficient = (products.real + 1j * products.imaginary)[entry]
        function, v = products.function.astype(np.int64)[entry], sites.factor[slot]
        # With B = Re Σ C Π and A^c_v = α A_v + β A_v', a slot adds Re(C α P) to dB/dA_v and
        # Re(C β P) to dB/dA_v'.
        own, other = coefficient * unitary.alpha[v], coefficient * unitary.beta[v]
        value = np.concatenate((own.real, -own.imag, other.real, -other.imag))
        target = np.concatenate((v, v, unitary.partner[v], unitary.partner[v]))
        count, slots = len(unitary.alpha), len(sites.term)
        key = np.tile(function, 4) * count + target
        source = np.concatenate((slot, slot + slots, slot, slot + slots))
        kept = value != 0.0
        unique, row = np.unique(key[kept], return_inverse=True)
        self._matrix = csr_array((value[kept], (row, source[kept])), shape=(len(unique), 2 * slots))
        self._function, self._v = np.divmod(unique, max(count, 1))
        self._rows, self._count = rows, count

    def __call__(self, partial: Complex, weight: Floats) -> csr_array:
        """w_i dB_k/dA_v, shape (rows, a A).

        Args:
            partial: P of every slot, shape (slots, a).
            weight: of every atom, shape (a,).
        """
        data = self._matrix @ np.concatenate((partial.real, partial.imag)) * weight  # [(k, v), a]
        atoms = partial.shape[1]
        column: Ints = self._v[:, None] + self._count * np.arange(atoms)
        pointer = np.searchsorted(self._function, np.arange(self._rows + 1)) * atoms
        shape = (self._rows, self._count * atoms)
        return csr_array((data.ravel(), column.ravel(), pointer), shape=shape)
