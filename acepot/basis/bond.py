"""What the functions of a bond are, as plain frozen data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from acepot.basis.choices import (
    MAX_CUTOFF,
    MAX_DEGREE,
    MIN_CUTOFF,
    PairNumber,
    pair_number,
)
from acepot.basis.family import Radial, RadialFunctions
from acepot.basis.irrep import Irrep
from acepot.basis.radial import Legendre
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.schema import Settings

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
    """

    degree: int = 8
    max_l: int = 4
    cutoff: PairNumber = None
    r0: PairNumber = None
    radial: Radial = field(default_factory=Legendre)

    def check(self) -> None:
        """Refuse impossible sizes."""
        if not 1 <= self.degree <= MAX_DEGREE:
            raise InputError(f"degree: expected 1 to {MAX_DEGREE}, got {self.degree}")
        if not 0 <= self.max_l <= MAX_BOND_L:
            raise InputError(f"max_l: expected 0 to {MAX_BOND_L}, got {self.max_l}")

    def functions(self, elements: tuple[str, ...]) -> list[list[RadialFunctions]]:
        """R_1 … R_degree of every ordered pair of elements, [first][second].

        Args:
            elements: symbols, by atomic number.

        Raises:
            InputError: the specification is not resolved for these elements.
        """
        return [
            [
                self.radial.functions(
                    self.degree,
                    0.0,
                    pair_number(self.r0, a, b, "bonds.r0"),
                    pair_number(self.cutoff, a, b, "bonds.cutoff"),
                )
                for b in elements
            ]
            for a in elements
        ]


def couplings(sites: Sequence[Irrep], bonds: BondSpec, irrep: Irrep) -> Iterator[tuple[int, int]]:
    """The pairs (irrep of the sites, l of the bond) that couple to an (L, parity), in order.

    Args:
        sites: (L', p') of the functions of the sites.
        bonds: for the largest l.
        irrep: with |L' - l| <= L <= L' + l and p' (-1)^l = parity.
    """
    for site, other in enumerate(sites):
        for l in range(bonds.max_l + 1):  # noqa: E741 - the field's own symbol
            fits = abs(other.l - l) <= irrep.l <= other.l + l
            if fits and other.parity * (-1) ** l == irrep.parity:
                yield site, l


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
