"""From a model and a structure to Σ and Γ, and their derivatives along motions of the atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.evaluate.bond_coupling import BondCoupling, BondReadout
from acepot.evaluate.bonds import Bonds, bonds_of
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints, Sites, require, species_of
from acepot.friction.functions import Blocks, cartesian, placed, two_sided
from acepot.friction.sigma import Factor, Sigma
from acepot.lowering import lower
from acepot.model import FrictionModel, FrictionPart
from acepot.structure import Structure

__all__ = ["CouplingFunctions", "FrictionEvaluator", "shapes_of"]


class FrictionEvaluator:
    """Evaluates a model of friction.

    Args:
        model: the couplings.
        threads: as of `NativeEvaluator`.
    """

    def __init__(self, model: FrictionModel, threads: int | None = None) -> None:
        self.model = model
        self._parts = [_Coupling(part, threads) for part in model.parts]

    def sigma(self, structure: Structure) -> Sigma:
        """Σ in √(amu/fs); Γ = Σ Σᵀ.

        Args:
            structure: atoms and cell.

        Raises:
            InputError: an unknown element, or coinciding atoms.
        """
        return Sigma(tuple(part.factor(structure, None) for part in self._parts))

    def slope(self, structure: Structure, displacement: Floats) -> Sigma:
        """The derivative of Σ along a motion of the atoms, block by block where Σ has them.

        Args:
            structure: atoms and cell.
            displacement: u in Å, shape (n, 3).
        """
        return Sigma(tuple(part.factor(structure, displacement) for part in self._parts))

    def gamma(self, structure: Structure) -> Floats:
        """Γ in amu/fs, shape (3n, 3n)."""
        return self.sigma(structure).dense()


def acts_of(part: FrictionPart, structure: Structure) -> Ints:
    """Whether an atom feels friction of a coupling, shape (n,)."""
    symbols = np.array(SYMBOLS, dtype=object)[structure.numbers]
    return np.isin(symbols, np.array(part.acts_on, dtype=object)).astype(np.int64)


class _Coupling:
    """One coupling of a model."""

    def __init__(self, part: FrictionPart, threads: int | None) -> None:
        self.part = part
        self._ends = self._sites = None
        if (bonds := part.bonds) is not None:
            self._ends = NativeEvaluator(lower(bonds.basis), threads)
            couplings = [BondCoupling(self._ends.tables, bonds.bonds, i) for i in bonds.irreps]
            self._readout = BondReadout(couplings, [c[0] for c in bonds.coefficients])
        if part.sites is not None:
            self._sites = NativeEvaluator(lower(part.sites), threads)

    def factor(self, structure: Structure, displacement: Floats | None) -> Factor:
        """Σ, or its derivative along a displacement."""
        part, bonds, y, own = self.part, None, None, None
        if part.bonds is not None and self._ends is not None:
            bonds = bonds_of(structure, self._ends.tables, part.bonds.bonds)
            outputs = self._outputs(self._ends, structure, bonds, displacement)
            found = cartesian(part.bonds.irreps, outputs)
            half = part.channels
            back = None if part.is_antisymmetric else found[:, half:]
            y = two_sided(part, bonds, found[:, :half], back)
        if part.sites is not None and self._sites is not None:
            values = _values(self._sites, structure, displacement).values
            own = cartesian(part.sites.irreps, values)
        blocks = placed(part, acts_of(part, structure), bonds, y, own)
        return blocks.factor(part, len(structure))

    def _outputs(
        self, ends: NativeEvaluator, structure: Structure, bonds: Bonds, along: Floats | None
    ) -> list[Floats]:
        sites = _values(ends, structure, None)
        if along is None:
            return self._readout.outputs(sites, bonds)
        slopes = _values(ends, structure, along)
        return self._readout.jvp(sites, slopes, bonds, along, np.zeros((3, 3)))


def _values(evaluator: NativeEvaluator, structure: Structure, along: Floats | None) -> Sites:
    if along is None:
        return require(evaluator.values([structure]))[0]
    return require(evaluator.jvp([structure], [along]))[0]


class CouplingFunctions:
    """The functions that blocks of Σ of one coupling are linear in.

    They are, irrep by irrep, those of bonds seen from i, where there are two sides those seen from
    j, and those of sites.

    Args:
        part: the coupling; its coefficients do not matter.
        threads: as of `NativeEvaluator`.
    """

    def __init__(self, part: FrictionPart, threads: int | None = None) -> None:
        self.part = part
        self._ends = self._sites = None
        self._couplings: list[BondCoupling] = []
        if (bonds := part.bonds) is not None:
            self._ends = NativeEvaluator(lower(bonds.basis), threads)
            self._couplings = [
                BondCoupling(self._ends.tables, bonds.bonds, i) for i in bonds.irreps
            ]
        if part.sites is not None:
            self._sites = NativeEvaluator(lower(part.sites.basis), threads)

    def blocks(self, structure: Structure) -> Blocks:
        """Every function as an output of its own, shape (B, K, 3, w)."""
        part, bonds, y, own = self.part, None, None, None
        bond_count, site_count = shapes_of(part)
        if part.bonds is not None and self._ends is not None:
            (sites,) = require(self._ends.values([structure]))
            bonds = bonds_of(structure, self._ends.tables, part.bonds.bonds)
            found = _each(
                part.bonds.irreps, [one.functions(sites, bonds) for one in self._couplings]
            )
            if part.is_antisymmetric:
                y = two_sided(part, bonds, found, None)
            else:
                y = np.concatenate((found, found[bonds.reverse]), axis=1)
                y = np.pad(y, ((0, 0), (0, site_count), (0, 0), (0, 0)))
        if part.sites is not None and self._sites is not None:
            own = _each(part.sites.irreps, require(self._sites.values([structure]))[0].values)
            own = np.pad(own, ((0, 0), (bond_count, 0), (0, 0), (0, 0)))
        return placed(part, acts_of(part, structure), bonds, y, own)

    def species(self, structure: Structure) -> Ints:
        """Species index of every atom, shape (n,)."""
        evaluator = self._ends or self._sites
        if evaluator is None:
            return np.zeros(len(structure), dtype=np.int64)
        return species_of(evaluator.tables, structure)


def _each(irreps: Sequence[object], values: Sequence[Floats]) -> Floats:
    """Functions of all irreps in columns x, y, z, one after the other."""
    made = [
        cartesian([irrep], [value])  # type: ignore[list-item]
        for irrep, value in zip(irreps, values, strict=True)
    ]
    return np.concatenate(made, axis=1)


def shapes_of(part: FrictionPart) -> tuple[int, int]:
    """Number of functions of bonds, both sides counted, and of sites."""
    bonds = 0 if part.bonds is None else sum(c.shape[2] for c in part.bonds.coefficients)
    sites = 0 if part.sites is None else sum(c.shape[2] for c in part.sites.coefficients)
    return bonds * (1 if part.is_antisymmetric else 2), sites
