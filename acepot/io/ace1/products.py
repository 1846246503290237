"""Permutation-invariant products: their functions, order and coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.basis.explicit import ExplicitProduct
from acepot.basis.species import SYMBOLS
from acepot.io.ace1.objects import Floats, JuliaObject, vector, zlist
from acepot.io.ace1.radial import RADIALS, RadialMatrix, radial_matrix

Factor = tuple[int, int, int, int]  # n, l, m, atomic number
Spec = dict[tuple[int, int, int], int]  # (n, l, m) -> position in the file

#: Largest correlation order and l.
_ORDER, _L = 6, 30


@dataclass(frozen=True, eq=False)
class Component:
    """One potential of a sum.

    Args:
        numbers: atomic numbers, ascending.
        radial: [centre][neighbour]; of a pair potential its pair functions.
        products: of a many-body potential.
        coefficients: [member, k], in the order of ExplicitBasis; the committee after the model.
    """

    numbers: tuple[int, ...]
    radial: RadialMatrix
    products: tuple[ExplicitProduct, ...]
    coefficients: Floats


def committee_of(node: JuliaObject) -> JuliaObject | None:
    """The committee's coefficients, if there is a committee."""
    found = node.get("committee")
    return None if found is None or found.value in (None, "nothing") else found


def one_particle(node: JuliaObject) -> tuple[list[int], RadialMatrix, Spec]:
    """Atomic numbers in the file's order, radial functions, position of every (n, l, m).

    Args:
        node: PIBasis.
    """
    node.kind("PIBasis")
    basis = node.at("basis1p")
    basis.kind("BasicPSH1pBasis")
    zs = zlist(basis.at("zlist"))
    radial = radial_matrix([basis.at("J")], zs)
    harmonics = basis.at("SH")
    harmonics.kind("SHBasis")  # complex, Condon–Shortley
    highest = harmonics.at("maxL").integer(0, _L)
    spec: Spec = {}
    for i, item in enumerate(basis.at("spec").items(1)):
        item.kind("PSH1pBasisFcn")
        n, l, m, _ = _quantum_numbers(item.at("nlmz"))
        if n > radial[0][0].count or l > highest:
            item.fail(f"expected n <= {radial[0][0].count} and l <= {highest}, got {n} and {l}")
        if spec.setdefault((n, l, m), i) != i:
            item.fail(f"expected every (n, l, m) once, got {(n, l, m)} again")
    return zs, radial, spec


def _quantum_numbers(node: JuliaObject) -> Factor:
    """n, l, m and atomic number (0 in the list of one-particle functions)."""
    n, l, m, z = node.items(4, 4)
    high = l.integer(0, _L)
    atomic = z.integer(0, len(SYMBOLS) - 1)
    return n.integer(1, RADIALS), high, m.integer(-high, high), atomic


def sorted_functions(
    node: JuliaObject, zs: list[int], spec: Spec, centre: int
) -> list[tuple[Factor, ...]]:
    """The products of one central element in the order of their coefficients.

    Files hold them in any order. They count by order, then by the numbers of their factors:
    position in `spec`, the neighbour's element outermost; factors ascend.

    Args:
        node: PIBasis.
        zs: atomic numbers in the file's order.
        spec: position of every (n, l, m).
        centre: index of the central element in `zs`.
    """
    items = node.at("inner").items(len(zs), len(zs))[centre].items()
    place = {z: i * len(spec) for i, z in enumerate(zs)}
    functions: dict[tuple[int, ...], tuple[Factor, ...]] = {}
    for item in items:
        item.kind("PIBasisFcn")
        item.at("z0").kind("AtomicNumber")
        item.at("z0").at("z").integer(zs[centre], zs[centre])
        numbered = []
        for factor in item.at("oneps").items(1, _ORDER):
            factor.kind("PSH1pBasisFcn")
            n, l, m, z = _quantum_numbers(factor.at("nlmz"))
            if z not in place or (n, l, m) not in spec:
                factor.fail(f"expected a one-particle function of the basis, got {(n, l, m, z)}")
            numbered.append((place[z] + spec[n, l, m], (n, l, m, z)))
        numbered.sort()
        key = (len(numbered), *(number for number, _ in numbered))
        if key in functions:
            item.fail("expected every product once, got it again")
        functions[key] = tuple(factor for _, factor in numbered)
    return [functions[key] for key in sorted(functions)]


def products_of(
    functions: list[list[tuple[Factor, ...]]], numbers: tuple[int, ...]
) -> tuple[tuple[ExplicitProduct, ...], list[int]]:
    """All products, centre by centre, and the first of each centre."""
    index = {z: i for i, z in enumerate(numbers)}
    starts = np.cumsum([0, *(len(own) for own in functions)]).tolist()
    products = tuple(
        ExplicitProduct(centre, tuple((index[z], n, l, m) for n, l, m, z in factors))
        for centre, own in enumerate(functions)
        for factors in own
    )
    return products, starts


def many_body(node: JuliaObject) -> Component:
    """A PIPotential."""
    zs, radial, spec = one_particle(node.at("pibasis"))
    numbers = tuple(sorted(zs))
    order = [zs.index(z) for z in numbers]
    functions = [sorted_functions(node.at("pibasis"), zs, spec, i) for i in order]
    stored = node.at("coeffs").items(len(zs), len(zs))
    coefficients = [vector(stored[i]) for i in order]
    for i, own, values in zip(order, functions, coefficients, strict=True):
        if len(own) != len(values):
            stored[i].fail(f"expected {len(own)} coefficients, got {len(values)}")
    members = np.concatenate(coefficients)[None]
    if (committee := committee_of(node)) is not None:
        each = committee.items(len(zs), len(zs))
        rows = [
            item.numbers()
            for i, own in zip(order, functions, strict=True)
            for item in each[i].items(len(own), len(own))
        ]
        if len({len(row) for row in rows}) != 1 or not len(rows[0]):
            committee.fail("expected as many members for every coefficient")
        members = np.concatenate((members, np.stack(rows, axis=1)))
    products, _ = products_of(functions, numbers)
    return Component(numbers, radial, products, members)
