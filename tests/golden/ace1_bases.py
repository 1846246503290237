"""What ACE1's files hold for tests: values of structures, and bases without coefficients."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.coupling import Coupling, couplings, multiplicity
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.io.ace1.objects import Floats, JuliaObject, load
from acepot.io.ace1.products import Factor, Spec, one_particle, products_of, sorted_functions
from acepot.structure import Structure

#: Most numbers in the couplings of one product: 160 MB.
_COUPLING = 20_000_000


@dataclass(frozen=True, eq=False)
class ReferenceValues:
    """A structure in a file with what the program that wrote the file made of it.

    Args:
        structure: atoms and cell.
        energy: energy in eV, shape (1,), or the values of all basis functions, shape (K,).
        forces: in eV/Å, shape (n, 3), if stored.
    """

    structure: Structure
    energy: Floats
    forces: Floats | None


def read_ace1_references(path: str | Path) -> tuple[ReferenceValues, ...]:
    """The test structures that a file holds beside its potential or basis.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged.
    """
    return references_of(load(path))


def references_of(root: JuliaObject) -> tuple[ReferenceValues, ...]:
    """Those of a whole file."""
    stored = root.get("_tests")
    return () if stored is None else tuple(_test(node) for node in stored.items())


def _test(node: JuliaObject) -> ReferenceValues:
    """One structure with its values; the file's cell holds the lattice vectors as columns."""
    atoms, values = node.at("at"), node.at("tests")
    numbers = [item.integer(1, len(SYMBOLS) - 1) for item in atoms.at("Z").items(1)]
    positions = np.array([item.numbers(3, 3) for item in atoms.at("X").items()])
    cell = np.array([item.numbers(3, 3) for item in atoms.at("cell").items(3, 3)]).T
    pbc = [item.value for item in atoms.at("pbc").items(3, 3)]
    if any(type(flag) is not bool for flag in pbc):
        atoms.at("pbc").fail(f"expected true or false, got {reprlib.repr(pbc)}")
    energy = values.at("E")
    found = energy.numbers() if isinstance(energy.value, list) else np.array([energy.number()])
    forces = None
    if (stored := values.get("F")) is not None:
        count = len(numbers)
        forces = np.array([item.numbers(3, 3) for item in stored.items(count, count)])
    try:
        structure = Structure(np.array(numbers), positions, cell, np.array(pbc))
    except InputError as error:
        atoms.fail(str(error))
    return ReferenceValues(structure, found, forces)


@dataclass(frozen=True, eq=False)
class BasisFile:
    """A basis of rotation-invariant functions without coefficients.

    Functions of one group have the same centre and the same (z, n, l); files leave their
    rotation within the group and their signs open, so only the norm of a group is a fact.

    Args:
        basis: every product Re Π A that occurs.
        functions: coefficients of the products, √|Stab| × orthonormal, shape (K, products).
        group: number of the group of each function, ascending, shape (K,).
        params: how the basis was made, as the file says it.
        tests: structures with the values of all functions.
    """

    basis: ExplicitBasis
    functions: csr_array
    group: NDArray[np.int64]
    params: Mapping[str, Any]
    tests: tuple[ReferenceValues, ...]


def read_ace1_basis(path: str | Path) -> BasisFile:
    """Read an RPIBasis: rotation-invariant functions without coefficients.

    The file holds the products but not their coupling. For every product of factors with
    m = 0, in the file's order, all invariant functions of its (z, n, l) are made.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds something else; the message says what.
    """
    root = load(path)
    root.kind("RPIBasis")
    inner = root.at("pibasis")
    zs, radial, spec = one_particle(inner)
    numbers = tuple(sorted(zs))
    order = [zs.index(z) for z in numbers]
    functions = [sorted_functions(inner, zs, spec, i) for i in order]
    products, starts = products_of(functions, numbers)
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    group: list[tuple[int, tuple[Factor, ...]]] = []
    # The file's values follow its own order of the central elements.
    for centre in (order.index(i) for i in range(len(zs))):
        position = {f: starts[centre] + i for i, f in enumerate(functions[centre])}
        for factors in functions[centre]:
            if any(m for _, _, m, _ in factors) or sum(l for _, l, _, _ in factors) % 2:
                continue  # an odd Σl changes sign under inversion
            coupling = _couplings(inner, factors)
            members = _members(inner, factors, coupling.ms, spec, zs, position)
            for value in coupling.values[:, 0].real:
                rows.append(np.full(len(members), len(rows), dtype=np.int64))
                columns.append(members)
                values.append(value)
                group.append((centre, factors))
    if not rows:
        inner.fail("expected at least one invariant function, found none")
    place = (np.concatenate(rows), np.concatenate(columns))
    matrix = csr_array((np.concatenate(values), place), shape=(len(rows), len(products)))
    params = root.get("_params")
    return BasisFile(
        ExplicitBasis(numbers, radial, products),
        matrix,
        _numbered(group),
        {} if params is None else params.table(),
        references_of(root),
    )


def _couplings(node: JuliaObject, factors: tuple[Factor, ...]) -> Coupling:
    """All couplings of some factors to a scalar."""
    ls = tuple(l for _, l, _, _ in factors)
    size = prod(2 * l + 1 for l in ls)
    if size * multiplicity(ls, (1,) * len(ls), 0) > _COUPLING:
        node.fail(f"expected lower angular momenta in a product of {len(ls)} factors, got {ls}")
    return couplings(ls, tuple(len(list(run)) for _, run in groupby(factors)), 0)


def _numbered(keys: Sequence[object]) -> NDArray[np.int64]:
    """0 for the first run of equal keys, 1 for the next, and so on."""
    runs = [i for i, (_, run) in enumerate(groupby(keys)) for _ in run]
    return np.array(runs, dtype=np.int64)


def _members(
    node: JuliaObject,
    factors: tuple[Factor, ...],
    ms: NDArray[np.int64],
    spec: Spec,
    zs: list[int],
    position: dict[tuple[Factor, ...], int],
) -> NDArray[np.int64]:
    """Numbers of the products of factors with other m, one for each row of ms."""
    place = {z: i for i, z in enumerate(zs)}
    found = []
    for row in ms.tolist():
        named = [(n, l, m, z) for (n, l, _, z), m in zip(factors, row, strict=True)]
        if all((n, l, m) in spec for n, l, m, _ in named):
            named.sort(key=lambda f: (place[f[3]], spec[f[:3]]))
        if (number := position.get(tuple(named))) is None:
            node.fail(f"expected also the product of {named}, it is missing")
        found.append(number)
    return np.array(found, dtype=np.int64)
