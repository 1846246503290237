"""What is chosen of a Hamiltonian, and what follows from the data where nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from acepot.basis.bond import BondSpec, bond_parts, resolve_bonds
from acepot.basis.choices import Pair, pair_number, resolve
from acepot.basis.irrep import SCALAR, Irrep
from acepot.basis.selection import irrep_sizes
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.solvers import BLR, Ridge, Solver
from acepot.orbitals import Orbitals
from acepot.schema import Settings

#: Cut-offs in typical bond lengths, where none are given: of atoms for themselves, whose levels
#: feel far neighbours, and of the ends of bonds.
_ONSITE_IN_R0, _ENDS_IN_R0 = 3.4, 2.35
#: Å that a bond's cut-off is beyond the longest block of the data.
_BEYOND = 0.01
#: Radial functions of what depends on a bond alone.
_ALONE = 20
#: Of blocks between atoms.
_DAMPING = 5e-4


def _onsite() -> BasisSpec:
    return BasisSpec(order=2, degree=8.0)


def _hopping() -> BasisSpec:
    return BasisSpec(order=1, degree=11.0, wl=1.0, max_n=6, max_l=5)


def _overlap() -> BondSpec:
    return BondSpec(degree=_ALONE)


@dataclass(frozen=True)
class HamiltonianSettings(Settings):
    """The functions of which a Hamiltonian is made, and how it is fitted.

    Args:
        onsite: basis of blocks of an atom with itself.
        hopping: basis of the atoms at the ends of a bond.
        bonds: functions of a bond, in H.
        overlap: functions of a bond, in S.
        onsite_solver: the method of fitting blocks of atoms with themselves.
        hopping_solver: the method of fitting those between atoms. A damping is relative to the
            rows. (Errors of near blocks are far larger than those of the many distant ones, and
            the evidence takes the average for the noise of all: it would damp too little.)
        committee: members drawn from the posterior besides the model.
        seed: of these draws.
    """

    onsite: BasisSpec = field(default_factory=_onsite)
    hopping: BasisSpec = field(default_factory=_hopping)
    bonds: BondSpec = field(default_factory=lambda: BondSpec(degree=8, max_l=5, alone=_ALONE))
    overlap: BondSpec = field(default_factory=_overlap)
    onsite_solver: Solver = field(default_factory=BLR)
    hopping_solver: Solver = field(default_factory=lambda: Ridge(damping=_DAMPING))
    committee: int = 0
    seed: int = 0

    def check(self) -> None:
        """Numbers that can be."""
        if not 0 <= self.committee <= 1000:
            raise InputError(f"committee: expected 0 to 1000, got {self.committee}")
        if self.seed < 0:
            raise InputError(f"seed: expected 0 or more, got {self.seed}")


@dataclass(frozen=True)
class Functions:
    """Resolved bases of a Hamiltonian.

    Args:
        onsite: of blocks of an atom with itself; its irreps are those that have functions.
        hopping: of the atoms at the ends of a bond.
        bonds: of a bond, in H.
        irreps: of the bonds, in H.
        alone: the constant function, for S.
        overlap: of a bond, in S.
        overlap_irreps: of the bonds, in S.
    """

    onsite: BasisSpec
    hopping: BasisSpec
    bonds: BondSpec
    irreps: tuple[Irrep, ...]
    alone: BasisSpec
    overlap: BondSpec
    overlap_irreps: tuple[Irrep, ...]


def functions(
    settings: HamiltonianSettings,
    orbitals: Orbitals,
    hopping_reach: dict[str, float],
    overlap_reach: dict[str, float],
) -> Functions:
    """Every default written out.

    Args:
        settings: as given.
        orbitals: of the data.
        hopping_reach: the longest block of H in Å by pair of elements ("Si-Si").
        overlap_reach: the longest block of S likewise.

    Raises:
        InputError: a value is impossible.
    """
    most_l = max(l for z in orbitals.numbers for l in orbitals.ls(z))  # noqa: E741
    onsite = _sites(settings.onsite, orbitals, list(orbitals.onsite_parts()), _ONSITE_IN_R0)
    kept = [str(i) for i, n in zip(onsite.symmetries, irrep_sizes(onsite), strict=True) if n]
    onsite = replace(onsite, irreps=tuple(kept))
    bonds = _bonds(settings.bonds, hopping_reach, 2 * most_l)
    wanted = tuple(orbitals.bond_parts())
    hopping = _hopping_sites(settings.hopping, orbitals, bonds, wanted)
    bare = _sites(BasisSpec(order=1, degree=0.5, wl=1.0), orbitals, [SCALAR])
    overlap = _bonds(settings.overlap, overlap_reach, 2 * most_l)
    return Functions(
        onsite, hopping, resolve_bonds(bonds, hopping), _possible(hopping, bonds, wanted),
        bare, resolve_bonds(overlap, bare), _possible(bare, overlap, wanted),
    )  # fmt: skip


def _sites(
    spec: BasisSpec, orbitals: Orbitals, irreps: Sequence[Irrep], in_r0: float = _ENDS_IN_R0
) -> BasisSpec:
    """A basis with the constant function, of these irreps, with cut-offs."""
    if spec.elements and set(spec.elements) != set(orbitals.shells):
        raise InputError(
            f"elements: expected those of the data, {', '.join(orbitals.shells)}, "
            f"got {', '.join(spec.elements)}"
        )
    spec = replace(
        spec, elements=tuple(orbitals.shells), irreps=tuple(map(str, irreps)), constant=True,
        total_l=0, parity=1, pair=Pair(degree=0),
    )  # fmt: skip
    if spec.cutoff is None:
        found, pairs = resolve(spec), [(a, b) for a in orbitals.shells for b in orbitals.shells]
        reach = {f"{a}-{b}": in_r0 * pair_number(found.r0, a, b, "r0") for a, b in pairs}
        spec = replace(spec, cutoff=reach)
    return resolve(spec)


def _hopping_sites(
    spec: BasisSpec, orbitals: Orbitals, bonds: BondSpec, wanted: tuple[Irrep, ...]
) -> BasisSpec:
    """The basis of the ends of bonds, of the irreps that have functions and couple."""
    if spec.irreps:
        return _sites(spec, orbitals, spec.symmetries)
    largest = bonds.max_l + max(i.l for i in wanted)
    every = [Irrep(l, sign) for l in range(min(largest, 8) + 1) for sign in (1, -1)]  # noqa: E741
    if spec.order == 1:
        every = [i for i in every if i.parity == (-1) ** i.l]
    found = _sites(spec, orbitals, every)
    sizes = irrep_sizes(found)
    kept = [
        str(irrep)
        for irrep, size in zip(found.symmetries, sizes, strict=True)
        if size and any(bond_parts([irrep], [size], 0, 1, bonds, one) for one in wanted)
    ]
    return replace(found, irreps=tuple(kept))


def _possible(sites: BasisSpec, bonds: BondSpec, wanted: tuple[Irrep, ...]) -> tuple[Irrep, ...]:
    """The irreps of blocks that have functions."""
    sizes, elements = irrep_sizes(sites), len(sites.elements)

    def size(irrep: Irrep) -> int:
        parts = bond_parts(sites.symmetries, sizes, elements, elements, bonds, irrep)
        return sum(one.size for one in parts)

    return tuple(irrep for irrep in wanted if size(irrep))


def _bonds(spec: BondSpec, reach: dict[str, float], most_l: int) -> BondSpec:
    """With cut-offs just beyond the data, and harmonics for the two-centre part."""
    cutoff = {pair: r + _BEYOND for pair, r in reach.items()}
    return replace(
        spec, cutoff=cutoff if spec.cutoff is None else spec.cutoff, max_l=max(spec.max_l, most_l)
    )
