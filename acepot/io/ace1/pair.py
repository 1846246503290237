"""The pair part of a potential."""

from __future__ import annotations

import numpy as np

from acepot.io.ace1.objects import JuliaObject, vector, zlist
from acepot.io.ace1.products import Component, committee_of
from acepot.io.ace1.radial import radial_matrix
from acepot.io.orthpoly import padded


def pair_potential(node: JuliaObject) -> Component:
    """A PolyPairPot; pairs with fewer functions than others get zeros in their place."""
    basis = node.at("basis")
    basis.kind("PolyPairBasis")
    zs = zlist(basis.at("zlist"))
    pairs = len(zs) ** 2
    family = radial_matrix(basis.at("Pr").items(pairs, pairs), zs)
    order = sorted(range(len(zs)), key=lambda i: zs[i])
    rank = {i: k for k, i in enumerate(order)}
    start, total = {}, 0
    for i in range(len(zs)):
        for j in range(i, len(zs)):
            here, back = family[rank[i]][rank[j]], family[rank[j]][rank[i]]
            if here.count != back.count:
                basis.fail(f"expected as many functions of {zs[i]}-{zs[j]} as of {zs[j]}-{zs[i]}")
            start[i, j] = start[j, i] = total
            total += here.count
    values = vector(node.at("coeffs"))
    if len(values) != total:
        node.at("coeffs").fail(f"expected {total} coefficients, got {len(values)}")
    most = max(radial.count for row in family for radial in row)
    index = [
        start[order[a], order[b]] + k if k < family[a][b].count else -1
        for a in range(len(zs))
        for b in range(a, len(zs))
        for k in range(most)
    ]  # into coefficients with a zero at the end, for the pairs that have fewer functions
    members = values[None]
    if (committee := committee_of(node)) is not None:
        if len(flat := vector(committee)) % total or not len(flat):
            committee.fail(f"expected {total} coefficients for each member, got {len(flat)}")
        members = np.concatenate((members, flat.reshape(-1, total)))
    members = np.pad(members, ((0, 0), (0, 1)))[:, index]
    radial = tuple(tuple(padded(radial, most) for radial in row) for row in family)
    return Component(tuple(sorted(zs)), radial, (), members)
