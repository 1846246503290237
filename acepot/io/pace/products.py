"""A model as products of one-particle functions with their weights: what PACE files hold."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from acepot.basis.irrep import SCALAR
from acepot.errors import InputError
from acepot.model import Model

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SiteProducts:
    """The products of one central species with non-zero weight, at least one factor each.

    Args:
        order: number of factors, shape (T,).
        species: of the neighbour of every factor, shape (T, largest order), -1 where unused.
        channel: number of its radial function among all channels, likewise.
        l: likewise.
        m: likewise.
        weight: for each density, of the product of PACE's harmonics, shape (P, T).
    """

    order: Ints
    species: Ints
    channel: Ints
    l: Ints  # noqa: E741 - the field's own symbol
    m: Ints
    weight: Floats

    def take(self, which: NDArray[np.bool_]) -> SiteProducts:
        """Some of them."""
        return SiteProducts(
            self.order[which],
            self.species[which],
            self.channel[which],
            self.l[which],
            self.m[which],
            self.weight[:, which],
        )


def site_products(model: Model) -> tuple[tuple[tuple[int, ...], ...], list[SiteProducts]]:
    """The radial channels of a model and the products of each central species.

    Args:
        model: of scalars.

    Raises:
        InputError: the products are not those of an energy.
    """
    parts = model.basis.expansion()
    if (parts.block_species < 0).any():
        raise InputError(
            "model: PACE's files have no sums over neighbours of all elements (basis.together): "
            "use acepot's own pair style in LAMMPS"
        )
    if parts.irreps != (SCALAR,):
        names = ", ".join(map(str, parts.irreps))
        raise InputError(f"model: expected true scalars, 0e, got {names}")
    width = 2 * parts.block_l + 1
    block = np.append(np.repeat(np.arange(len(width)), width), -1)
    m = np.concatenate([np.arange(-l, l + 1) for l in parts.block_l] + [[0]])
    species = np.append(parts.block_species, -1)
    channel = np.append(parts.block_channel, -1)
    ls = np.append(parts.block_l, -1)
    sites = []
    for terms, real, imaginary in zip(parts.terms, parts.real, parts.imaginary, strict=True):
        if np.abs(imaginary.data).max(initial=0.0) > 0.0:
            raise InputError("model: expected products with real coefficients")
        order = (terms < len(block) - 1).sum(axis=1)
        weight = (model.coefficients[0] @ real) / (4 * pi) ** (order / 2)
        b = block[terms]
        site = SiteProducts(order, species[b], channel[b], ls[b], m[terms], weight)
        sites.append(site.take((weight != 0.0).any(axis=0)))
    return parts.channels, sites
