"""Models of Hamiltonians with random coefficients."""

from __future__ import annotations

import numpy as np

from acepot.basis.bond import BondSpec
from acepot.basis.spec import BasisSpec
from acepot.evaluate.bond_coupling import BondCoupling
from acepot.hamiltonian.settings import Functions, HamiltonianSettings, functions
from acepot.lowering import lower
from acepot.model import BondModel, HamiltonianModel, TensorModel
from acepot.orbitals import Orbitals

#: Few functions, of both parities and order 2.
SMALL = HamiltonianSettings(
    onsite=BasisSpec(order=2, degree=5.0, wl=1.0, cutoff=3.9),
    hopping=BasisSpec(order=2, degree=4.0, wl=1.0, max_n=2, max_l=2, cutoff=3.6),
    bonds=BondSpec(degree=3, max_l=3, alone=4),
    overlap=BondSpec(degree=3),
)
#: So few that a dozen cells determine them.
LEAN = HamiltonianSettings(
    onsite=BasisSpec(order=2, degree=4.0, wl=1.0, cutoff=3.9),
    hopping=BasisSpec(order=1, degree=3.0, wl=1.0, max_n=2, max_l=1, cutoff=3.6),
    bonds=BondSpec(degree=2, max_l=2, alone=3),
    overlap=BondSpec(degree=3),
)
REACH = {"O-O": 3.2, "O-Si": 3.4, "Si-O": 3.4, "Si-Si": 3.7}


def chosen(orbitals: Orbitals, settings: HamiltonianSettings = SMALL) -> Functions:
    """Resolved functions of elements out of O and Si."""
    pairs = [f"{a}-{b}" for a in orbitals.shells for b in orbitals.shells]
    reach = {pair: REACH[pair] for pair in pairs}
    return functions(settings, orbitals, reach, {pair: 0.8 * r for pair, r in reach.items()})


def random_model(
    shells: dict[str, str],
    seed: int,
    members: int = 1,
    settings: HamiltonianSettings = SMALL,
) -> HamiltonianModel:
    """H with blocks of some eV, and an overlap that is positive definite."""
    rng = np.random.default_rng(seed)
    orbitals = Orbitals(shells)
    found = chosen(orbitals, settings)
    tables = lower(found.onsite)
    parts = orbitals.onsite_parts()
    own = tuple(
        rng.normal(size=(members, len(parts[i]), n)) / np.sqrt(n)
        for i, n in zip(tables.irreps, tables.sizes, strict=True)
    )
    names = tuple(tuple(f"{a} {b}" for a, b in parts[i]) for i in tables.irreps)
    onsite = TensorModel(found.onsite, own, names, "eV")
    bonds = orbitals.bond_parts()

    def between(basis, spec, irreps, scale, count):  # type: ignore[no-untyped-def]
        tables = lower(basis)
        sizes = [BondCoupling(tables, spec, i).size for i in irreps]
        c = tuple(
            scale * rng.normal(size=(count, len(bonds[i]), n)) / np.sqrt(n)
            for i, n in zip(irreps, sizes, strict=True)
        )
        names = tuple(tuple(f"{a} {b}" for a, b in bonds[i]) for i in irreps)
        return BondModel(basis, spec, irreps, c, names)

    hopping = between(found.hopping, found.bonds, found.irreps, 1.0, members)
    overlap = between(found.alone, found.overlap, found.overlap_irreps, 0.02, 1)
    same = {}
    for symbol, z in zip(orbitals.shells, orbitals.numbers, strict=True):
        same[symbol] = np.eye(orbitals.count(z))
    electrons = dict.fromkeys(orbitals.shells, 4.0)
    return HamiltonianModel(orbitals, onsite, hopping, overlap, same, electrons)
