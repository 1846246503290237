"""Rows of blocks between atoms: which blocks share functions, and what their rows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.bond import BondSpec
from acepot.basis.irrep import Irrep
from acepot.basis.spec import BasisSpec
from acepot.evaluate.blocks import irreducible
from acepot.evaluate.bond_coupling import BondCoupling
from acepot.evaluate.bonds import Bonds, bonds_of
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints, Sites, require
from acepot.fitting.problem import Accumulator
from acepot.hamiltonian.matrices import Blocks, OrbitalMatrix
from acepot.orbitals import Orbitals
from acepot.structure import Structure
from acepot.tables import Tables

#: Rows of bonds that are made at once.
_BONDS = 2000
#: What n² and l² add to the roughness of a function.
_ROUGH = 0.1
#: Roughness of a constant, which is as good as free.
_CONSTANT = 1e-6
#: What the roughness of functions of the bond alone is multiplied by.
_ALONE = 0.01


@dataclass(frozen=True, eq=False)
class Family:
    """Blocks that share functions.

    Args:
        pair: atomic numbers, ascending.
        irrep: of them.
        same: whether a shell with itself, between atoms of one element.
        targets: number of the output with both shells, of each.
    """

    pair: tuple[int, int]
    irrep: Irrep
    same: bool
    targets: list[tuple[int, int, int]]

    @property
    def sign(self) -> int:
        """Of what is read at the other end: (-1)^(l_α + l_β - L)."""
        return self.irrep.parity * int((-1) ** self.irrep.l)


def families(orbitals: Orbitals, parts: tuple[tuple[int, int], ...], irrep: Irrep) -> list[Family]:
    """All blocks of an (L, parity), grouped."""
    found = []
    for a in orbitals.numbers:
        for b in (z for z in orbitals.numbers if z >= a):
            every = having(parts, orbitals, (a, b), irrep)
            if a == b:
                found.append(Family((a, b), irrep, True, [t for t in every if t[1] == t[2]]))
                every = [t for t in every if t[1] < t[2]]
            found.append(Family((a, b), irrep, False, every))
    return [one for one in found if one.targets]


@dataclass(frozen=True, eq=False)
class Seen:
    """One matrix with functions of its sites and bonds, and the bonds' blocks by elements.

    Bonds within the cut-off that a matrix has no block for have one of zeros.
    """

    structure: Structure
    sites: Sites
    bonds: Bonds
    blocks: dict[tuple[int, int], tuple[Ints, Floats]]

    @classmethod
    def of(
        cls,
        matrix: OrbitalMatrix,
        known: NDArray[np.bool_],
        tables: Tables,
        spec: BondSpec,
        evaluator: NativeEvaluator,
    ) -> Seen:
        """The functions of a matrix's bonds between atoms that are known."""
        structure, kinds = matrix.structure, matrix.structure.numbers
        (sites,) = require(evaluator.values([structure]))
        bonds = bonds_of(structure, tables, spec)
        index = np.column_stack([bonds.centre, bonds.neighbour, bonds.shift])
        blocks = {}
        for a in np.unique(kinds).tolist():
            for b in (z for z in np.unique(kinds).tolist() if z >= a):
                mine = (kinds[bonds.centre] == a) & (kinds[bonds.neighbour] == b)
                which = np.flatnonzero(mine & known[bonds.centre] & known[bonds.neighbour])
                given = matrix.pairs.get((a, b))
                if len(which) and given is not None:
                    blocks[a, b] = (which, matched(index[which], given))
        return cls(structure, sites, bonds, blocks)


def matched(index: Ints, given: Blocks) -> Floats:
    """Blocks of bonds in their order; zeros where there is none."""
    every, place = np.unique(np.concatenate([given.index, index]), axis=0, return_inverse=True)
    where = np.full(len(every), -1)
    where[place.ravel()[: len(given.index)]] = np.arange(len(given.index))
    found = where[place.ravel()[len(given.index) :]]
    values = given.values[found]
    values[found < 0] = 0.0
    return np.asarray(values)


def bond_problem(
    seen: Sequence[Seen], coupling: BondCoupling, family: Family, orbitals: Orbitals
) -> Accumulator | None:
    """Rows and targets of all blocks of a family; None where no bond is theirs."""
    problem: Accumulator | None = None
    numbers = coupling.tables.numbers.tolist()
    a, b = (numbers.index(z) for z in family.pair)
    for one in seen:
        if family.pair not in one.blocks:
            continue
        which, values = one.blocks[family.pair]
        if family.same:  # one of both directions
            half = which < one.bonds.reverse[which]
            which, values = which[half], values[half]
        for start in range(0, len(which), _BONDS):
            mine = which[start : start + _BONDS]
            here = coupling.functions_of(one.sites, one.bonds, mine, a)
            there = coupling.functions_of(one.sites, one.bonds, one.bonds.reverse[mine], b)
            there *= family.sign
            rows = here + there if family.same else np.concatenate([here, there], axis=1)
            targets = parts_of(
                values[start : start + _BONDS], orbitals, family.pair, family.targets, family.irrep
            )
            if problem is None:
                problem = Accumulator(rows.shape[1], len(family.targets))
            problem.add(
                rows.transpose(0, 2, 1).reshape(-1, rows.shape[1]),
                targets.reshape(-1, len(family.targets)),
            )
    return problem


def places(tables: Tables, coupling: BondCoupling, family: Family) -> tuple[Ints, Ints]:
    """Which functions of a bond from either end the columns of a family are."""
    a, b = (tables.numbers.tolist().index(z) for z in family.pair)
    return coupling.columns(a, b), coupling.columns(b, a)


def having(
    parts: tuple[tuple[int, int], ...], orbitals: Orbitals, pair: tuple[int, int], irrep: Irrep
) -> list[tuple[int, int, int]]:
    """Outputs of an (L, parity) with their shells, of those that two elements have."""
    first, second = (orbitals.ls(z) for z in pair)
    return [
        (output, one, two)
        for output, (one, two) in enumerate(parts)
        if one < len(first) and two < len(second)
        and abs(first[one] - second[two]) <= irrep.l <= first[one] + second[two]
        and (-1) ** (first[one] + second[two]) == irrep.parity
    ]  # fmt: skip


def parts_of(
    blocks: Floats,
    orbitals: Orbitals,
    pair: tuple[int, int],
    targets: list[tuple[int, int, int]],
    irrep: Irrep,
) -> Floats:
    """h^L of blocks, shape (blocks, 2L + 1, targets)."""
    rows, columns = (orbitals.slices(z) for z in pair)
    first, second = (orbitals.ls(z) for z in pair)
    made = [
        irreducible(blocks[:, rows[one], columns[two]], first[one], second[two], irrep.l)
        for _, one, two in targets
    ]
    return np.stack(made, axis=2)


def site_roughness(basis: BasisSpec, tables: Tables) -> list[Floats]:
    """How fast the functions of each irrep of the sites vary: 1 + Σ_t (n² + l²)/10.

    The constant does not vary: its coefficient is the mean of blocks, which may be hundreds of eV
    and must not tell how large the others are.

    Args:
        basis: resolved.
        tables: the same, lowered.
    """
    labels = basis.expansion().labels
    used = labels.l >= 0
    square = (np.where(used, labels.n, 0) ** 2 + np.where(used, labels.l, 0) ** 2).sum(axis=1)
    ends = np.cumsum([0, *tables.sizes])
    each = zip(ends[:-1], ends[1:], strict=True)
    rough = np.where(used.any(axis=1), 1 + square * _ROUGH, _CONSTANT)
    return [rough[a:b] for a, b in each]


def roughness(coupling: BondCoupling, sites: list[Floats]) -> Floats:
    """How fast functions of bonds vary, shape (K,): the square of 1 + Σ (n² + l²)/10.

    The sum is over the factors of the site and the bond's own. What depends on the bond alone has
    a hundredth of it: that is most of a block, and its surroundings are a correction.

    Args:
        coupling: their functions.
        sites: of the functions of the sites.
    """
    found = [np.zeros(0)]
    for part in coupling.parts:
        n = np.arange(1, part.degree + 1)
        own = sites[part.site][part.functions]
        factor = np.where(own < 1, _ALONE, 1.0)[:, None, None]
        made = (np.maximum(own, 1.0)[:, None, None] + (n**2 + part.l**2) * _ROUGH) ** 2 * factor
        found.append(np.broadcast_to(made, part.shape).ravel())
    return np.concatenate(found)
