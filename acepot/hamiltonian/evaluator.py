"""From a model and a structure to H(T) and S(T), and back from adjoints to forces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from acepot.basis.coupling import real_clebsch_gordan
from acepot.basis.irrep import Irrep
from acepot.basis.species import SYMBOLS
from acepot.evaluate.bond_coupling import BondEvaluator
from acepot.evaluate.bonds import Bonds, bonds_of
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints, Pullback, Sites, require
from acepot.hamiltonian.matrices import Blocks, OrbitalMatrix
from acepot.lowering import lower
from acepot.model import BondModel, HamiltonianModel
from acepot.orbitals import Orbitals
from acepot.structure import Structure

#: Adjoints of blocks by atomic numbers, as `OrbitalMatrix.pairs` has blocks, shape (N, o, o).
Adjoint = Mapping[tuple[int, int], Floats]


@dataclass(frozen=True, eq=False)
class Matrices:
    """What a model says about one structure.

    Args:
        hamiltonian: H(T) in eV, of the model and of every member of its committee.
        overlap: S(T); None: orbitals of different atoms are orthonormal, those of an atom too.
    """

    hamiltonian: tuple[OrbitalMatrix, ...]
    overlap: OrbitalMatrix | None


class HamiltonianEvaluator:
    """Evaluates a model of a Hamiltonian.

    Args:
        model: orbitals with the models of their blocks.
        threads: as of `NativeEvaluator`.
    """

    def __init__(self, model: HamiltonianModel, threads: int | None = None) -> None:
        self.model = model
        self._onsite = NativeEvaluator(lower(model.onsite), threads)
        self._hopping = _BondMatrix(model.orbitals, model.hopping, threads)
        self._overlap = None
        if model.overlap is not None:
            self._overlap = _BondMatrix(model.orbitals, model.overlap, threads)

    @property
    def members(self) -> int:
        """The model and the members of its committee."""
        return len(self.model.onsite.coefficients[0])

    def matrices(self, structure: Structure) -> Matrices:
        """H(T) and S(T) of a structure.

        Raises:
            InputError: an unknown element, or atoms that are too close.
        """
        (sites,) = require(self._onsite.values([structure]))
        shells = _OnsiteShells(self.model)
        own = {z: shells.blocks(sites, structure, z) for z in self.model.numbers}
        bonds, values = self._hopping.values(structure)
        found = _joined(structure, bonds, own, values)
        hamiltonian = tuple(OrbitalMatrix(structure, self.model.orbitals, one) for one in found)
        return Matrices(hamiltonian, self._overlap_of(structure))

    def _overlap_of(self, structure: Structure) -> OrbitalMatrix | None:
        if self._overlap is None:
            return None
        bonds, values = self._overlap.values(structure)
        own = {
            z: np.repeat(
                self.model.onsite_overlap[SYMBOLS[z]][None, None],
                np.count_nonzero(structure.numbers == z),
                axis=1,
            )
            for z in self.model.numbers
        }
        (found,) = _joined(structure, bonds, own, values)
        return OrbitalMatrix(structure, self.model.orbitals, found)

    def pullback(
        self, structure: Structure, hamiltonian: Adjoint, overlap: Adjoint | None = None
    ) -> Pullback:
        """Forces and virials of a loss with given derivatives by the blocks of member 0.

        Args:
            structure: atoms and cell.
            hamiltonian: ∂Loss/∂H_ij(T), blocks as `matrices` gives them.
            overlap: ∂Loss/∂S_ij(T) likewise; None: no derivative.
        """
        shells = _OnsiteShells(self.model)
        adjoints = shells.adjoints(structure, hamiltonian, self.members)
        (sites,) = require(self._onsite.pullback([structure], [adjoints]))
        parts = [sites, *self._hopping.pullback(structure, hamiltonian)]
        if self._overlap is not None and overlap is not None:
            parts += self._overlap.pullback(structure, overlap)
        return Pullback(
            np.sum([one.forces for one in parts], axis=0),
            np.sum([one.virials for one in parts], axis=0),
        )

    def jvp(
        self, structure: Structure, displacement: Floats, strain: Floats | None = None
    ) -> Matrices:
        """Derivatives of H(T) and S(T) of member 0 along a motion of the atoms.

        Args:
            structure: atoms and cell.
            displacement: u of the atoms in Å, shape (n, 3).
            strain: ε of r -> r (1 + ε), vectors as rows, shape (3, 3); None: none.
        """
        strain = np.zeros((3, 3)) if strain is None else strain
        (sites,) = require(self._onsite.jvp([structure], [displacement], [strain]))
        shells = _OnsiteShells(self.model)
        own = {z: shells.blocks(sites, structure, z)[:1] for z in self.model.numbers}
        bonds, values = self._hopping.slopes(structure, displacement, strain)
        (found,) = _joined(structure, bonds, own, {p: v[:1] for p, v in values.items()})
        made, orbitals = None, self.model.orbitals
        if self._overlap is not None:
            bonds, values = self._overlap.slopes(structure, displacement, strain)
            none = {z: np.zeros_like(own[z]) for z in own}
            (other,) = _joined(structure, bonds, none, values)
            made = OrbitalMatrix(structure, orbitals, other)
        return Matrices((OrbitalMatrix(structure, orbitals, found),), made)


class _OnsiteShells:
    """Blocks of atoms with themselves from outputs of sites, and back."""

    def __init__(self, model: HamiltonianModel) -> None:
        self._model = model

    def _places(self, number: int) -> list[tuple[int, int, Irrep, int, int]]:
        """Number of the irrep, number of the output, the irrep and both shells."""
        ls = self._model.orbitals.ls(number)
        found = []
        for which, irrep in enumerate(self._model.onsite.irreps):
            parts = self._model.orbitals.onsite_parts()[irrep]
            for output, (one, two) in enumerate(parts):
                if two < len(ls) and _has(ls[one], ls[two], irrep):
                    found.append((which, output, irrep, one, two))
        return found

    def blocks(self, sites: Sites, structure: Structure, number: int) -> Floats:
        """Blocks of the atoms of an element, shape (members, atoms, o, o)."""
        orbitals, members = self._model.orbitals, len(self._model.onsite.coefficients[0])
        atoms = np.flatnonzero(structure.numbers == number)
        slices, ls = orbitals.slices(number), orbitals.ls(number)
        size = orbitals.count(number)
        made = np.zeros((members, len(atoms), size, size))
        for which, output, irrep, one, two in self._places(number):
            outputs = sites.values[which].shape[1] // members
            h = sites.values[which][atoms][:, output::outputs].transpose(1, 0, 2)
            part = h @ _flat(ls[one], ls[two], irrep.l).T
            part = part.reshape(members, len(atoms), 2 * ls[one] + 1, 2 * ls[two] + 1)
            made[:, :, slices[one], slices[two]] += part
            if one != two:
                made[:, :, slices[two], slices[one]] += part.transpose(0, 1, 3, 2)
        return made

    def adjoints(self, structure: Structure, blocks: Adjoint, members: int) -> list[Floats]:
        """Adjoints of the outputs of sites, of member 0, from those of blocks."""
        model = self._model
        found = [
            np.zeros((len(structure), c.shape[0] * c.shape[1], irrep.dim))
            for c, irrep in zip(model.onsite.coefficients, model.onsite.irreps, strict=True)
        ]
        for number in model.numbers:
            atoms = np.flatnonzero(structure.numbers == number)
            if not len(atoms):
                continue
            ls, slices = model.orbitals.ls(number), model.orbitals.slices(number)
            mine = blocks[number, number][: len(atoms)]  # what an atom has with itself is first
            for which, output, irrep, one, two in self._places(number):
                given = mine[:, slices[one], slices[two]]
                if one != two:
                    given = given + mine[:, slices[two], slices[one]].transpose(0, 2, 1)
                flat = given.reshape(len(atoms), -1) @ _flat(ls[one], ls[two], irrep.l)
                found[which][atoms, output] = flat
        return found


class _BondMatrix:
    """Blocks between atoms from outputs of bonds, and back."""

    def __init__(self, orbitals: Orbitals, model: BondModel, threads: int | None) -> None:
        self._orbitals, self._model = orbitals, model
        self._evaluator = BondEvaluator(model, threads)
        self._parts = orbitals.bond_parts()

    def _bonds(self, structure: Structure) -> tuple[Sites, Bonds]:
        (sites,) = require(self._evaluator.sites.values([structure]))
        return sites, bonds_of(structure, self._evaluator.sites.tables, self._model.bonds)

    def values(self, structure: Structure) -> tuple[Bonds, dict[tuple[int, int], Floats]]:
        """Blocks of the bonds between two elements, shape (members, e, o, o)."""
        sites, bonds = self._bonds(structure)
        return bonds, self._blocks(bonds, self._evaluator.readout.outputs(sites, bonds))

    def slopes(
        self, structure: Structure, displacement: Floats, strain: Floats
    ) -> tuple[Bonds, dict[tuple[int, int], Floats]]:
        """Their derivatives along a motion."""
        sites, bonds = self._bonds(structure)
        (slopes,) = require(self._evaluator.sites.jvp([structure], [displacement], [strain]))
        readout = self._evaluator.readout
        return bonds, self._blocks(bonds, readout.jvp(sites, slopes, bonds, displacement, strain))

    def pullback(self, structure: Structure, blocks: Adjoint) -> list[Pullback]:
        """Forces and virials of adjoints of blocks of member 0."""
        sites, bonds = self._bonds(structure)
        found = [
            np.zeros((len(bonds.centre), c.shape[0] * c.shape[1], irrep.dim))
            for c, irrep in zip(self._model.coefficients, self._model.irreps, strict=True)
        ]
        for pair, which in _by_elements(bonds, self._orbitals).items():
            skipped = np.count_nonzero(structure.numbers == pair[0]) if pair[0] == pair[1] else 0
            mine = blocks[pair][skipped:]
            for number, irrep, there, back, part in self._places(pair):
                given = mine[:, part[0], part[1]].reshape(len(which), -1) @ part[2]
                found[number][which, there] += given
                sign = irrep.parity * (-1) ** irrep.l
                found[number][bonds.reverse[which], back] += sign * given
        adjoint, direct = self._evaluator.readout.pullback(sites, bonds, found)
        (indirect,) = require(self._evaluator.sites.pullback([structure], [adjoint]))
        return [direct, indirect]

    def _places(
        self, pair: tuple[int, int]
    ) -> list[tuple[int, Irrep, int, int, tuple[slice, slice, Floats]]]:
        """Irrep, outputs read here and at the other end, place in blocks and coupling."""
        a, b = ((self._orbitals.ls(z), self._orbitals.slices(z)) for z in pair)
        found = []
        for number, irrep in enumerate(self._model.irreps):
            parts = self._parts[irrep]
            for output, (one, two) in enumerate(parts):
                if one < len(a[0]) and two < len(b[0]) and _has(a[0][one], b[0][two], irrep):
                    coupling = _flat(a[0][one], b[0][two], irrep.l)
                    place = (a[1][one], b[1][two], coupling)
                    found.append((number, irrep, output, parts.index((two, one)), place))
        return found

    def _blocks(self, bonds: Bonds, outputs: Sequence[Floats]) -> dict[tuple[int, int], Floats]:
        """Blocks of all bonds: one of every two is made, the other one is its transpose."""
        members, place = len(self._model.coefficients[0]), np.zeros(len(bonds.centre), int)
        groups = _by_elements(bonds, self._orbitals)
        found: dict[tuple[int, int], Floats] = {}
        for which in groups.values():
            place[which] = np.arange(len(which))
        for pair, which in groups.items():
            if pair[0] > pair[1]:
                continue
            half = which[which < bonds.reverse[which]] if pair[0] == pair[1] else which
            made = self._made(pair, bonds, half, outputs)
            other, back = pair[::-1], bonds.reverse[half]
            for key, chosen in ((pair, which), (other, groups[other])):
                sizes = tuple(self._orbitals.count(z) for z in key)
                found.setdefault(key, np.empty((members, len(chosen), *sizes)))
            found[pair][:, place[half]] = made
            found[other][:, place[back]] = made.transpose(0, 1, 3, 2)
        return found

    def _made(
        self, pair: tuple[int, int], bonds: Bonds, which: Ints, outputs: Sequence[Floats]
    ) -> Floats:
        """Blocks of some bonds between two elements, shape (members, e, o, o)."""
        members, back_of = len(self._model.coefficients[0]), bonds.reverse[which]
        sizes = tuple(self._orbitals.count(z) for z in pair)
        made = np.zeros((members, len(which), *sizes))
        for number, irrep, there, back, (rows, columns, coupling) in self._places(pair):
            width = outputs[number].shape[1] // members
            sign = irrep.parity * (-1) ** irrep.l
            h = outputs[number][which, there::width] + sign * outputs[number][back_of, back::width]
            part = h.transpose(1, 0, 2) @ coupling.T
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            made[:, :, rows, columns] += part.reshape(members, len(which), *shape)
        return made


def _has(l1: int, l2: int, irrep: Irrep) -> bool:
    """Whether blocks of two shells have a part of this (L, parity)."""
    return abs(l1 - l2) <= irrep.l <= l1 + l2 and (-1) ** (l1 + l2) == irrep.parity


def _flat(l1: int, l2: int, total: int) -> Floats:
    """T^{l1 l2 L} with m1 and m2 as one, shape ((2 l1 + 1)(2 l2 + 1), 2L + 1)."""
    return np.asarray(real_clebsch_gordan(l1, l2, total).reshape(-1, 2 * total + 1))


def _by_elements(bonds: Bonds, orbitals: Orbitals) -> dict[tuple[int, int], Ints]:
    """Numbers of the bonds between every two elements."""
    first, second = bonds.species[bonds.centre], bonds.species[bonds.neighbour]
    found = {}
    for a, one in enumerate(orbitals.numbers):
        for b, two in enumerate(orbitals.numbers):
            which = np.flatnonzero((first == a) & (second == b))
            if len(which):
                found[one, two] = which
    return found


def _joined(
    structure: Structure,
    bonds: Bonds,
    own: Mapping[int, Floats],
    between: Mapping[tuple[int, int], Floats],
) -> list[dict[tuple[int, int], Blocks]]:
    """Blocks of every member: those of atoms with themselves first, then those of bonds."""
    kinds = structure.numbers
    index = np.column_stack([bonds.centre, bonds.neighbour, bonds.shift])
    pairs = {(z, z) for z in own if (kinds == z).any()} | set(between)
    members = max(len(one) for one in (*own.values(), *between.values()))
    found: list[dict[tuple[int, int], Blocks]] = [{} for _ in range(members)]
    for pair in sorted(pairs):
        places, values = [], []
        if pair[0] == pair[1]:
            atoms = np.flatnonzero(kinds == pair[0])
            places.append(np.column_stack([atoms, atoms, np.zeros((len(atoms), 3), int)]))
            values.append(own[pair[0]])
        if pair in between:
            mine = (kinds[bonds.centre] == pair[0]) & (kinds[bonds.neighbour] == pair[1])
            places.append(index[mine])
            values.append(between[pair])
        place, value = np.concatenate(places), np.concatenate(values, axis=1)
        for member in range(members):
            found[member][pair] = Blocks(place, value[member])
    return found
