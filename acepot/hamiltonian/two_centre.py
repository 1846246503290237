"""Whether an overlap matrix fits its geometry: S_ij depends on d alone, so only two-centre parts.

h^L_M(S_ij) is a multiple of Y_LM(d̂) where l1 + l2 + L is even, and zero elsewhere. A wrong order
of orbitals, sign, lattice vector or cell breaks this; what is right has rounding errors alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.basis.harmonics import real_harmonics
from acepot.errors import InputError
from acepot.evaluate.blocks import irreducible
from acepot.hamiltonian.matrices import Floats, Ints, OrbitalMatrix
from acepot.hamiltonian.orders import PROGRAMS, from_acepot, rearranged, to_acepot
from acepot.orbitals import Orbitals
from acepot.units import BOHR

#: Residual above which an overlap matrix is refused: single precision gives 1e-7, what is wrong
#: in any of the ways below 0.1 to 1.
LIMIT = 1e-3
#: Å below which two orbitals have the same centre.
_SAME = 1e-6
#: Blocks whose parts are held at once, and the largest ones of each pair with which cures are
#: tried.
_AT_ONCE, _TRIED = 20000, 100


@dataclass(frozen=True, eq=False)
class _Part:
    """Blocks of two elements with what their displacements are made of."""

    pair: tuple[int, int]
    index: Ints
    values: Floats


@dataclass(frozen=True)
class _Geometry:
    """Positions and cell, and how T is understood."""

    positions: Floats
    cell: Floats
    pbc: NDArray[np.bool_]
    reverse: bool = False
    wrap: float | None = None
    unwrap: bool = False

    def vectors(self, index: Ints) -> Floats:
        shift = -index[:, 2:] if self.reverse else index[:, 2:]
        if self.wrap is not None:
            homes = homes_of(self.positions, self.cell, self.pbc, self.wrap)
            homes = -homes if self.unwrap else homes
            shift = shift + homes[index[:, 1]] - homes[index[:, 0]]
        there = self.positions[index[:, 1]] + shift @ self.cell
        return np.asarray(there - self.positions[index[:, 0]])


def homes_of(positions: Floats, cell: Floats, pbc: NDArray[np.bool_], lowest: float) -> Ints:
    """Lattice vectors that bring atoms into one cell.

    Args:
        positions: in Å, shape (n, 3).
        cell: vectors as rows in Å.
        pbc: periodic directions, shape (3,).
        lowest: fractional coordinates are to be in [lowest, lowest + 1).

    Returns:
        w of r + w·cell, shape (n, 3).
    """
    if not pbc.any():
        return np.zeros((len(positions), 3), dtype=np.int64)
    fractional = positions @ np.linalg.pinv(np.where(pbc[:, None], cell, 0.0))
    homes = -np.floor(fractional - lowest).astype(np.int64)
    return np.where(pbc, homes, 0)


def residual(overlap: OrbitalMatrix) -> float:
    """√(Σ |h_⊥|² / Σ |h|²) over all blocks, h_⊥ what two-centre integrals cannot have.

    Args:
        overlap: S(T).
    """
    parts = [_Part(pair, one.index, one.values) for pair, one in overlap.pairs.items()]
    return _residual(parts, overlap.orbitals, _geometry(overlap))


def require_two_centre(overlap: OrbitalMatrix, order: str, name: str) -> float:
    """The residual of S, or what is wrong with it.

    Args:
        overlap: S(T), as it was understood.
        order: the program whose order of orbitals was assumed.
        name: how the error begins.

    Returns:
        The residual.

    Raises:
        InputError: it is above `LIMIT`; the message says what would cure it.
    """
    found = residual(overlap)
    if found <= LIMIT:
        return found
    cure, after = best_cure(overlap, order)
    if after <= LIMIT:
        hint = f"it is {after:.1e} with {cure}"
    else:
        hint = (
            "no other order of the orbitals, sign of T or way of wrapping atoms cures it (the best "
            f"is {after:.1e} with {cure}): are these the shells and the structure of this matrix?"
        )
    raise InputError(
        f"{name}: the overlap matrix does not fit the structure with the orbitals in the order of "
        f"{order}: expected a residual of at most {LIMIT:g}, got {found:.1e}; {hint}"
    )


def best_cure(overlap: OrbitalMatrix, order: str) -> tuple[str, float]:
    """Which other reading of an overlap matrix fits best.

    Args:
        overlap: S(T), as it was understood.
        order: the program whose order of orbitals was assumed.

    Returns:
        The reading in words, and its residual over the largest blocks: the first that is within
        `LIMIT`, with few changes before many.
    """
    parts = list(_largest(overlap))
    best = ("nothing changed", np.inf)
    for words, geometry in _geometries(_geometry(overlap)):
        for program in (order, *(p for p in PROGRAMS if p != order)):
            try:
                moved = [_reread(part, overlap.orbitals, order, program) for part in parts]
            except InputError:  # a shell that the program does not have
                continue
            found = _residual(moved, overlap.orbitals, geometry)
            # Fewer changes come first: another one must be better by much.
            if found < 0.5 * best[1]:
                said = [f"the order of {program}"] if program != order else []
                best = (" and ".join(said + words) or "nothing changed", found)
            if found <= LIMIT:
                return best
    return best


def _geometries(given: _Geometry) -> Iterator[tuple[list[str], _Geometry]]:
    """Ways to read the geometry, the given one first."""
    wraps = {
        None: [],
        0.0: ["T of atoms wrapped into [0, 1)"],
        -0.5: ["T of atoms wrapped into [-1/2, 1/2)"],
    }
    for wrap, wrapping in wraps.items():
        for reverse, reversing in ((False, []), (True, ["T of the other sign"])):
            yield wrapping + reversing, replace(given, wrap=wrap, reverse=reverse)
    for wrap in (0.0, -0.5):
        yield ["T of atoms as they stand"], replace(given, wrap=wrap, unwrap=True)
    yield ["the cell's vectors as columns"], replace(given, cell=given.cell.T.copy())
    yield ["positions in Bohr"], replace(given, positions=given.positions * BOHR)
    yield ["the cell in Bohr"], replace(given, cell=given.cell * BOHR)


def _reread(part: _Part, orbitals: Orbitals, assumed: str, program: str) -> _Part:
    """The same numbers in another program's order."""
    if program == assumed:
        return part
    rows, columns = (
        from_acepot(assumed, orbitals.ls(z)).then(to_acepot(program, orbitals.ls(z)))
        for z in part.pair
    )
    return replace(part, values=rearranged(part.values, rows, columns))


def _largest(overlap: OrbitalMatrix) -> Iterator[_Part]:
    for pair, one in overlap.pairs.items():
        size = np.where(one.onsite, -1.0, np.einsum("nxy,nxy->n", one.values, one.values))
        most = np.argsort(-size)[:_TRIED]
        yield _Part(pair, one.index[most], one.values[most])


def _geometry(overlap: OrbitalMatrix) -> _Geometry:
    structure = overlap.structure
    return _Geometry(structure.positions, structure.cell, structure.pbc)


def _residual(parts: list[_Part], orbitals: Orbitals, geometry: _Geometry) -> float:
    wrong = total = 0.0
    for part in parts:
        for start in range(0, len(part.index), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            vectors = geometry.vectors(part.index[some])
            wrong += _excess(part.values[some], vectors, orbitals, part.pair)
        total += float(np.einsum("nxy,nxy->", part.values, part.values))
    return float(np.sqrt(wrong / total)) if total > 0.0 else 0.0


def _excess(values: Floats, vectors: Floats, orbitals: Orbitals, pair: tuple[int, int]) -> float:
    """Σ |h_⊥|² of blocks between two elements."""
    first, second = pair
    length = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(length > _SAME, length, 1.0)[:, None]
    most = max(orbitals.ls(first)) + max(orbitals.ls(second))
    harmonics, _ = real_harmonics(unit, most)
    harmonics[length <= _SAME, 1:] = 0.0  # about one centre only L = 0 is left
    found = 0.0
    for l1, rows in zip(orbitals.ls(first), orbitals.slices(first), strict=True):
        for l2, columns in zip(orbitals.ls(second), orbitals.slices(second), strict=True):
            block = values[:, rows, columns]
            for total in range(abs(l1 - l2), l1 + l2 + 1):
                h = irreducible(block, l1, l2, total)
                if (l1 + l2 + total) % 2 == 0:
                    y = harmonics[:, total**2 : (total + 1) ** 2]
                    y = y * np.sqrt(4 * np.pi / (2 * total + 1))  # of length one
                    h = h - np.einsum("nM,nM->n", h, y)[:, None] * y
                found += float(np.einsum("nM,nM->", h, h))
    return found
