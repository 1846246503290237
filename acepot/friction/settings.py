"""What is chosen of a model of friction, and what follows from the data where nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from acepot.basis.bond import BondSpec, bond_parts, resolve_bonds
from acepot.basis.choices import MAX_DEGREE, Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope
from acepot.basis.irrep import Irrep
from acepot.basis.radial import Legendre
from acepot.basis.selection import irrep_sizes
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Identity
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.fitting.gauss_newton import Levenberg
from acepot.model import (
    FRICTION_MATRIX,
    FRICTION_VECTOR,
    BondModel,
    FrictionPart,
    TensorModel,
)
from acepot.schema import Settings

__all__ = ["CouplingSettings", "FrictionSettings", "empty_part"]

#: Most channels of a coupling.
_CHANNELS = 64
_IRREPS: dict[str, tuple[Irrep, ...]] = {
    "invariant": FRICTION_MATRIX[:1],
    "vector": FRICTION_VECTOR,
    "matrix": FRICTION_MATRIX,
}
UNIT = "sqrt(amu/fs)"


def _ends() -> BasisSpec:
    return BasisSpec(order=1, degree=0.0, wl=1.0)


def _bonds() -> BondSpec:
    return BondSpec(
        degree=12, max_l=2, radial=Legendre(Identity(), PolynomialEnvelope(inner=0, outer=2))
    )


@dataclass(frozen=True)
class CouplingSettings(Settings):
    """One coupling, and the functions its blocks are made of.

    Args:
        coupling: pair-wise: noise of every bond; column-wise: of every atom, felt by its
            neighbours; on-site: of every atom for itself.
        block: vector: one column; matrix: three, any; invariant: three, a multiple of 1.
        momentum: conserved, or free.
        channels: independent copies to begin with; those that a fit does not need are dropped.
        acts_on: elements that feel friction; empty: all.
        basis: of sites: of those at the ends of bonds, and of on-site blocks. Its degree 0 leaves
            the constant function: blocks then depend on their bond alone.
        bonds: functions of a bond.
    """

    coupling: Literal["on-site", "column-wise", "pair-wise"] = "pair-wise"
    block: Literal["invariant", "vector", "matrix"] = "vector"
    momentum: Literal["conserved", "free"] = "conserved"
    channels: int = 3
    acts_on: tuple[str, ...] = ()
    basis: BasisSpec = field(default_factory=_ends)
    bonds: BondSpec = field(default_factory=_bonds)

    def check(self) -> None:
        """Refuse impossible numbers of channels, and momentum that nothing could conserve."""
        if not 1 <= self.channels <= _CHANNELS:
            raise InputError(f"channels: expected 1 to {_CHANNELS}, got {self.channels}")
        if self.coupling == "on-site" and self.momentum == "conserved":
            raise InputError("momentum: an on-site coupling has friction against nothing; use free")


@dataclass(frozen=True)
class FrictionSettings(Settings):
    """A model of friction and how it is fitted.

    Args:
        couplings: their Γ add up.
        weight: relative: structures by 1/(‖Γ‖ + floor); none: all alike.
        floor: of relative weights, as a part of the largest ‖Γ‖.
        mass_weighted: whether residuals are those of M^(-1/2) Γ M^(-1/2).
        smoothness: of the prior, beside residuals relative to the data; 0: no prior.
        power: with which the prior grows with n and l.
        starts: restarts from other random numbers, compared.
        seed: of the first of them.
        drop: channels with a smaller part of the trace of Γ are dropped.
        solver: when a restart ends.
    """

    couplings: tuple[CouplingSettings, ...] = field(default_factory=lambda: (CouplingSettings(),))
    weight: Literal["relative", "none"] = "relative"
    floor: float = 0.01
    mass_weighted: bool = False
    smoothness: float = 1e-6
    power: float = 2.0
    starts: int = 3
    seed: int = 0
    drop: float = 1e-12
    solver: Levenberg = field(
        default_factory=lambda: Levenberg(
            iterations=300, gradient=1e-9, step=1e-10, loss=1e-7, damping=1e-3
        )
    )

    def check(self) -> None:
        """Bounds of numbers."""
        if not self.couplings:
            raise InputError("couplings: expected one or more")
        for name in ("floor", "smoothness", "power", "drop"):
            at_least(name, getattr(self, name))
        if not 1 <= self.starts <= MAX_DEGREE or self.seed < 0:
            raise InputError(
                f"starts: expected 1 to {MAX_DEGREE} and a seed of 0 or more, "
                f"got {self.starts} and {self.seed}"
            )


def empty_part(settings: CouplingSettings, elements: Sequence[str]) -> FrictionPart:
    """The coupling with every default written out and coefficients 0.

    Args:
        settings: of the coupling.
        elements: symbols of the data.

    Raises:
        InputError: a value is impossible, or blocks would have no function.
    """
    irreps = _IRREPS[settings.block]
    bonds = sites = None
    if settings.coupling != "on-site":
        bonds = _empty_bonds(settings, elements, irreps)
    if settings.coupling == "on-site" or (
        settings.coupling == "column-wise" and settings.momentum == "free"
    ):
        sites = _empty_sites(settings, elements, irreps)
    acts_on = settings.acts_on or tuple(elements)
    return FrictionPart(settings.coupling, settings.momentum, acts_on, bonds, sites)


def _spec(
    settings: CouplingSettings, elements: Sequence[str], irreps: Sequence[Irrep]
) -> BasisSpec:
    """The basis of sites with these irreps."""
    spec = settings.basis
    if spec.elements and set(spec.elements) != set(elements):
        raise InputError(
            f"couplings.basis.elements: expected those of the data, {', '.join(elements)}, "
            f"got {', '.join(spec.elements)}"
        )
    spec = replace(
        spec, elements=tuple(elements), irreps=tuple(map(str, irreps)), total_l=0, parity=1,
        constant=Irrep(0, 1) in irreps, pair=Pair(degree=0),
    )  # fmt: skip
    if spec.cutoff is None and settings.bonds.cutoff is not None:
        spec = replace(spec, cutoff=settings.bonds.cutoff)
    if spec.r0 is None and settings.bonds.r0 is not None:
        spec = replace(spec, r0=settings.bonds.r0)
    return resolve(spec)


def _empty_bonds(
    settings: CouplingSettings, elements: Sequence[str], irreps: Sequence[Irrep]
) -> BondModel:
    largest = settings.bonds.max_l + max(irrep.l for irrep in irreps)
    every = [Irrep(l, sign) for l in range(min(largest, 8) + 1) for sign in (1, -1)]  # noqa: E741
    if settings.basis.order == 1:
        every = [i for i in every if i.parity == (-1) ** i.l]
    found = _spec(settings, elements, every)
    kept = [
        irrep
        for irrep, size in zip(found.symmetries, irrep_sizes(found), strict=True)
        if size and any(bond_parts([irrep], [size], 0, 1, settings.bonds, one) for one in irreps)
    ]
    spec = _spec(settings, elements, kept)
    bonds = resolve_bonds(settings.bonds, spec)
    count = len(spec.elements)
    sizes = irrep_sizes(spec)

    def size(irrep: Irrep) -> int:
        parts = bond_parts(spec.symmetries, sizes, count, count, bonds, irrep)
        return sum(one.size for one in parts)

    there = tuple(irrep for irrep in irreps if size(irrep))
    if not there:
        raise InputError("couplings: no function of a bond has the symmetry of the block")
    names = [f"there {r}" for r in range(settings.channels)]
    if settings.coupling == "column-wise" or settings.momentum == "free":
        names += [f"back {r}" for r in range(settings.channels)]
    zeros = tuple(np.zeros((1, len(names), size(irrep))) for irrep in there)
    return BondModel(spec, bonds, there, zeros, (tuple(names),) * len(there), UNIT)


def _empty_sites(
    settings: CouplingSettings, elements: Sequence[str], irreps: Sequence[Irrep]
) -> TensorModel:
    found = _spec(settings, elements, irreps)
    there = [i for i, size in zip(found.symmetries, irrep_sizes(found), strict=True) if size]
    if not there:
        raise InputError(
            f"couplings.basis: expected functions of {', '.join(map(str, irreps))} for the sites; "
            "raise its degree"
        )
    spec = _spec(settings, elements, there)
    names = tuple(f"there {r}" for r in range(settings.channels))
    zeros = tuple(np.zeros((1, settings.channels, size)) for size in irrep_sizes(spec))
    return TensorModel(spec, zeros, (names,) * len(there), UNIT)
