"""Matrices in atomic orbitals as sparse blocks H_ij(T), and their sums over lattice vectors.

A block is H_ij(T) = ⟨φ_i | H | φ_j(T)⟩, rows the orbitals of i, columns those of the image of j
at d = r_j - r_i + T·cell, whatever cell r_i and r_j are in. H(k) = Σ_T exp(2πi k·T) H(T).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.errors import InputError
from acepot.orbitals import Orbitals
from acepot.structure import Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complex = NDArray[np.complex128]

#: Numbers that sums over lattice vectors of several k may hold at once.
_AT_ONCE = 2e7


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks between atoms of two elements.

    Args:
        index: i, j and T of each, shape (N, 5).
        values: shape (N, orbitals of i, orbitals of j).
    """

    index: Ints
    values: Floats

    @property
    def onsite(self) -> NDArray[np.bool_]:
        """Which blocks are those of an atom with itself, shape (N,)."""
        same = self.index[:, 0] == self.index[:, 1]
        return np.asarray(same & ~self.index[:, 2:].any(axis=1))


@dataclass(frozen=True, eq=False)
class OrbitalMatrix:
    """H(T), or S(T), of one structure.

    Args:
        structure: atoms and cell.
        orbitals: of its elements.
        pairs: blocks by atomic numbers (Z_i, Z_j), each once, every block with its reverse.

    Raises:
        InputError: what does not fit together; the message says which.
    """

    structure: Structure
    orbitals: Orbitals
    pairs: Mapping[tuple[int, int], Blocks]

    @classmethod
    def of(
        cls,
        structure: Structure,
        orbitals: Orbitals,
        index: NDArray[np.integer[Any]],
        blocks: Sequence[Floats] | Floats,
        name: str = "matrix",
    ) -> OrbitalMatrix:
        """A matrix of blocks in any order.

        Args:
            structure: atoms and cell.
            orbitals: of its elements.
            index: i, j and T of each block, shape (N, 5).
            blocks: each of shape (orbitals of i, orbitals of j).
            name: how errors begin.

        Raises:
            InputError: blocks of wrong shapes, given twice, between atoms that are not there, in
                directions that are not periodic, or numbers that are not finite.
        """
        index = np.asarray(index)
        if index.ndim != 2 or index.shape[1] != 5 or index.dtype.kind not in "iu":
            raise InputError(
                f"{name}: expected whole numbers i, j and T for each block, shape (N, 5), "
                f"got {index.dtype} of shape {index.shape}"
            )
        if len(index) != len(blocks):
            raise InputError(f"{name}: expected a block for each of {len(index)} entries")
        place: Ints = index.astype(np.int64)
        atoms = place[:, :2]
        if len(place) and not (0 <= atoms.min() and atoms.max() < len(structure)):
            raise InputError(
                f"{name}: expected atoms 0 to {len(structure) - 1}, got {atoms.min()} to "
                f"{atoms.max()}; are they counted from 1?"
            )
        if place[:, 2:][:, ~structure.pbc].any():
            raise InputError(f"{name}: lattice vectors along directions that are not periodic")
        order = np.lexsort(place.T[::-1])
        place = place[order]
        if len(place) and not (np.diff(place, axis=0).any(axis=1)).all():
            twice = place[1:][~np.diff(place, axis=0).any(axis=1)][0].tolist()
            raise InputError(f"{name}: expected each block once, got {twice} twice")
        numbers = structure.numbers[place[:, :2]]
        pairs = {}
        for a, b in np.unique(numbers, axis=0).tolist():
            mine = np.flatnonzero((numbers == (a, b)).all(axis=1))
            shape = (orbitals.count(a), orbitals.count(b))
            values = _stacked([blocks[n] for n in order[mine]], shape, place[mine], name)
            pairs[a, b] = Blocks(place[mine], values)
        return cls(structure, orbitals, pairs)

    @cached_property
    def offsets(self) -> Ints:
        """Where the orbitals of each atom begin, shape (n + 1,)."""
        return self.orbitals.offsets(self.structure.numbers)

    @property
    def size(self) -> int:
        """Number of orbitals in the cell."""
        return int(self.offsets[-1])

    @property
    def count(self) -> int:
        """Number of blocks."""
        return sum(len(one.index) for one in self.pairs.values())

    @cached_property
    def lattice_vectors(self) -> Ints:
        """Every T of which there are blocks, shape (nT, 3)."""
        every = [one.index[:, 2:] for one in self.pairs.values()]
        return np.unique(np.concatenate(every), axis=0)

    @cached_property
    def _entries(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Number of T, row, column and value of every entry."""
        parts: list[list[Any]] = [[], [], [], []]
        vectors = self.lattice_vectors
        low = vectors.min(axis=0)
        span = vectors.max(axis=0) - low + 1
        known = _coded(vectors - low, span)
        for (a, b), one in self.pairs.items():
            rows = (
                self.offsets[one.index[:, 0], None, None]
                + np.arange(self.orbitals.count(a))[None, :, None]
            )
            columns = self.offsets[one.index[:, 1], None, None] + np.arange(self.orbitals.count(b))
            t = np.searchsorted(known, _coded(one.index[:, 2:] - low, span))
            shape = one.values.shape
            each = (t[:, None, None], rows, columns)
            for part, made in zip(parts, each, strict=False):
                part.append(np.broadcast_to(made, shape).ravel())
            parts[3].append(one.values.ravel())
        t, row, column, value = (np.concatenate(part) for part in parts)
        return t, row, column, value

    def real_space(self) -> Iterator[tuple[Ints, csr_array]]:
        """T and the sparse matrix H(T), for every T."""
        t, row, column, value = self._entries
        order = np.argsort(t, kind="stable")
        ends = np.searchsorted(t[order], np.arange(len(self.lattice_vectors) + 1))
        for number, vector in enumerate(self.lattice_vectors):
            mine = order[ends[number] : ends[number + 1]]
            yield vector, csr_array((value[mine], (row[mine], column[mine])), (self.size,) * 2)

    def sparse(self, k: Floats) -> csr_array:
        """H(k) as a sparse matrix; real where k is zero.

        Args:
            k: in units of the reciprocal lattice vectors, shape (3,).
        """
        t, row, column, value = self._entries
        if np.any(k):
            phase = np.exp(2j * np.pi * (self.lattice_vectors @ np.asarray(k, dtype=float)))
            value = phase[t] * value
        return csr_array((value, (row, column)), (self.size,) * 2)

    def at(self, ks: Floats) -> Iterator[Complex]:
        """H(k) as a dense matrix, for every k.

        Args:
            ks: in units of the reciprocal lattice vectors, shape (nk, 3).
        """
        ks = np.asarray(ks, dtype=float).reshape(-1, 3)
        t, row, column, value = self._entries
        size = self.size
        phases = np.exp(2j * np.pi * (ks @ self.lattice_vectors.T))  # [k, T]
        if size**2 * len(self.lattice_vectors) > _AT_ONCE:
            for k in ks:
                yield self.sparse(k).toarray().astype(complex)
            return
        dense = np.zeros((len(self.lattice_vectors), size * size))
        np.add.at(dense, (t, row * size + column), value)
        for start in range(0, len(ks), most := max(1, int(_AT_ONCE) // size**2)):
            yield from (phases[start : start + most] @ dense).reshape(-1, size, size)

    def asymmetry(self) -> float:
        """The largest |H_ij(T) - H_ji(-T)ᵀ|; infinite where a block lacks its reverse."""
        largest = 0.0
        for (a, b), one in self.pairs.items():
            other = self.pairs.get((b, a))
            if other is None or len(other.index) != len(one.index):
                return float("inf")
            back = np.column_stack([one.index[:, 1], one.index[:, 0], -one.index[:, 2:]])
            order, there = np.lexsort(back.T[::-1]), np.lexsort(other.index.T[::-1])
            if not np.array_equal(back[order], other.index[there]):
                return float("inf")
            difference = one.values[order].transpose(0, 2, 1) - other.values[there]
            largest = max(largest, float(np.abs(difference).max(initial=0.0)))
        return largest

    def vectors(self, pair: tuple[int, int]) -> Floats:
        """Displacements r_j - r_i + T·cell of the blocks of two elements in Å, shape (N, 3)."""
        index, places = self.pairs[pair].index, self.structure.positions
        there = places[index[:, 1]] + index[:, 2:] @ self.structure.cell
        return np.asarray(there - places[index[:, 0]])


def _stacked(given: list[Floats], shape: tuple[int, int], index: Ints, name: str) -> Floats:
    for one, place in zip(given, index, strict=True):
        if np.shape(one) != shape:
            raise InputError(
                f"{name}: block {place.tolist()}: expected shape {shape} for these orbitals, "
                f"got {np.shape(one)}"
            )
    values = np.array(given, dtype=float)
    finite = np.isfinite(values).all(axis=(1, 2))
    if not finite.all():
        where = index[~finite][0].tolist()
        raise InputError(f"{name}: block {where}: expected finite numbers")
    return values


def _coded(vectors: Ints, span: Ints) -> Ints:
    """One number for each vector of whole numbers from 0 to below `span`, in their order."""
    coded: Ints = (vectors[:, 0] * span[1] + vectors[:, 1]) * span[2] + vectors[:, 2]
    return coded


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What an electronic-structure program says about one structure.

    Args:
        hamiltonian: H(T) in eV.
        overlap: S(T); None: the orbitals are orthonormal.
        electrons: how many there are in the cell; None: not known.
        fermi: Fermi level in eV; None: not known.
        known: atoms whose blocks, with themselves and with each other, are to be fitted, shape
            (n,); None: all.
        name: where it came from, for messages.
    """

    hamiltonian: OrbitalMatrix
    overlap: OrbitalMatrix | None = None
    electrons: float | None = None
    fermi: float | None = None
    known: NDArray[np.bool_] | None = None
    name: str = ""

    @property
    def structure(self) -> Structure:
        """Atoms and cell."""
        return self.hamiltonian.structure

    @property
    def orbitals(self) -> Orbitals:
        """Of the elements."""
        return self.hamiltonian.orbitals

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Atoms whose blocks are fitted, shape (n,)."""
        return np.ones(len(self.structure), dtype=bool) if self.known is None else self.known
