"""What the functions of a bond are, as plain frozen data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from acepot.basis.choices import (
    MAX_CUTOFF,
    MAX_DEGREE,
    MIN_CUTOFF,
    PairNumber,
    pair_number,
)
from acepot.basis.family import Radial, RadialFunctions
from acepot.basis.irrep import SCALAR, Irrep
from acepot.basis.radial import Legendre
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.schema import LATER, Settings

#: Largest l of the harmonics of a bond.
MAX_BOND_L = 12


@dataclass(frozen=True)
class BondSpec(Settings):
    """R_n(r_ij) Y_lm(d̂_ij) of the bonds of a structure.

    Args:
        degree: number of radial functions.
        max_l: largest l of the harmonics.
        cutoff: no bond is longer, in Å; None: that of the basis of the sites.
        r0: typical length in Å; None: that of the basis of the sites.
        radial: the radial family.
        alone: number of radial functions of what depends on the bond alone, where the basis of
            the sites has the constant function; None: as many as with all others.
    """

    degree: int = 8
    max_l: int = 4
    cutoff: PairNumber = None
    r0: PairNumber = None
    radial: Radial = field(default_factory=Legendre)
    alone: int | None = field(default=None, metadata=LATER)

    def check(self) -> None:
        """Refuse impossible sizes."""
        for name, degree in (("degree", self.degree), ("alone", self.most)):
            if not 1 <= degree <= MAX_DEGREE:
                raise InputError(f"{name}: expected 1 to {MAX_DEGREE}, got {degree}")
        if not 0 <= self.max_l <= MAX_BOND_L:
            raise InputError(f"max_l: expected 0 to {MAX_BOND_L}, got {self.max_l}")

    @property
    def most(self) -> int:
        """The largest number of radial functions."""
        return self.degree if self.alone is None else max(self.degree, self.alone)

    def functions(self, elements: tuple[str, ...]) -> list[list[RadialFunctions]]:
        """R_1 … R_most of every ordered pair of elements, [first][second].

        Args:
            elements: symbols, by atomic number.

        Raises:
            InputError: the specification is not resolved for these elements.
        """
        return [
            [
                self.radial.functions(
                    self.most,
                    0.0,
                    pair_number(self.r0, a, b, "bonds.r0"),
                    pair_number(self.cutoff, a, b, "bonds.cutoff"),
                )
                for b in elements
            ]
            for a in elements
        ]


class BondPart(NamedTuple):
    """Functions of bonds in which one irrep of the sites couples with one l of the bond.

    They are ordered by function of the site, then element of the neighbour, then n.

    Args:
        site: number of the irrep L' of the sites.
        l: of the bond.
        constant: whether of the functions of the sites they have the constant ones, or the others.
        width: how many functions of the sites that are.
        degree: number of radial functions.
        elements: of neighbours.
    """

    site: int
    l: int  # noqa: E741 - the field's own symbol
    constant: bool
    width: int
    degree: int
    elements: int

    @property
    def size(self) -> int:
        """Number of functions."""
        return self.width * self.elements * self.degree


def bond_parts(
    sites: Sequence[Irrep],
    widths: Sequence[int],
    constants: int,
    elements: int,
    bonds: BondSpec,
    irrep: Irrep,
) -> list[BondPart]:
    """What the functions of bonds of an (L, parity) are made of, in their order.

    An irrep L' of the sites and an l of the bond couple if |L' - l| <= L <= L' + l and
    p' (-1)^l = parity.

    Args:
        sites: (L', p') of the functions of the sites.
        widths: how many functions each has.
        constants: how many of those of 0e are constant.
        elements: how many elements there are.
        bonds: for the largest l and the numbers of radial functions.
        irrep: (L, parity).
    """
    found = []
    for site, (other, width) in enumerate(zip(sites, widths, strict=True)):
        for l in range(bonds.max_l + 1):  # noqa: E741
            fits = abs(other.l - l) <= irrep.l <= other.l + l
            if not (fits and other.parity * (-1) ** l == irrep.parity):
                continue
            apart = constants if other == SCALAR and bonds.alone is not None else 0
            if apart and bonds.alone is not None:
                found.append(BondPart(site, l, True, apart, bonds.alone, elements))
            if width > apart or not apart:
                found.append(BondPart(site, l, False, width - apart, bonds.degree, elements))
    return found


def resolve_bonds(spec: BondSpec, sites: BasisSpec) -> BondSpec:
    """The same bonds with every default written out and every value checked.

    A bond is seen from both of its ends, so both orders of a pair have one cut-off: the longer.

    Args:
        spec: to resolve.
        sites: resolved basis of the sites at the ends.

    Raises:
        InputError: a cut-off is impossible.
    """
    cutoff, r0 = {}, {}
    for a in sites.elements:
        for b in sites.elements:
            names = ((a, b), (b, a))
            given = sites.cutoff if spec.cutoff is None else spec.cutoff
            cutoff[f"{a}-{b}"] = max(pair_number(given, *n, "bonds.cutoff") for n in names)
            given = sites.r0 if spec.r0 is None else spec.r0
            r0[f"{a}-{b}"] = pair_number(given, a, b, "bonds.r0")
    for pair, length in cutoff.items():
        if not MIN_CUTOFF <= length <= MAX_CUTOFF or not 0 < r0[pair]:
            raise InputError(
                f"bonds.cutoff and bonds.r0 of {pair}: expected {MIN_CUTOFF} to {MAX_CUTOFF} Å and "
                f"more than 0 Å, got {length} and {r0[pair]}"
            )
    return replace(spec, cutoff=cutoff, r0=r0)
