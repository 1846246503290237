"""The lines of a `.yace` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import Embedding
from acepot.io.pace.bonds import Bond
from acepot.io.pace.products import SiteProducts

Floats = NDArray[np.float64]


def number(value: float) -> str:
    """The shortest text that is read as the same double."""
    return repr(float(value)).removesuffix(".0")


def row(values: Sequence[float] | Floats) -> str:
    """A flow list."""
    return f"[{', '.join(number(v) for v in values)}]"


def head_lines(
    elements: Sequence[str], e0: Floats, embeddings: Sequence[Embedding], knots: float
) -> Iterator[str]:
    """Everything before the bonds."""
    yield f"elements: [{', '.join(elements)}]"
    yield f"E0: {row(e0)}"
    yield f"deltaSplineBins: {number(knots)}"
    yield "embeddings:"
    for s, one in enumerate(embeddings):
        pairs = zip(one.weights, one.exponents, strict=True)
        parameters = [x for pair in pairs for x in pair]
        yield (
            f"  {s}: {{ndensity: {len(one.weights)}, FS_parameters: {row(parameters)}, "
            f"npoti: {one.kind}, rho_core_cutoff: {number(one.core_limit)}, "
            f"drho_core_cutoff: {number(one.core_width)}}}"
        )


def bond_line(a: int, b: int, bond: Bond) -> str:
    """One entry of `bonds`."""
    n, width, base = bond.coefficients.shape
    nested = ", ".join(f"[{', '.join(row(c) for c in each)}]" for each in bond.coefficients)
    return (
        f"  [{a}, {b}]: {{nradmax: {n}, lmax: {width - 1}, nradbasemax: {base}, "
        f"radbasename: {bond.name}, radparameters: [{number(bond.exponent)}], "
        f"radcoefficients: [{nested}], prehc: {number(bond.prefactor)}, "
        f"lambdahc: {number(bond.decay)}, rcut: {number(bond.cutoff)}, "
        f"dcut: {number(bond.window)}, rcut_in: {number(bond.end)}, "
        f"dcut_in: {number(bond.width)}, inner_cutoff_type: {bond.mode}}}"
    )


def rank_one_lines(centre: int, neighbour: int, coefficients: Floats) -> Iterator[str]:
    """The functions with one factor: Σ_k coefficients[p, k] g_k."""
    for k, values in enumerate(coefficients.T):
        if values.any() or not coefficients.any():
            yield _entry(centre, [neighbour], [k + 1], [0], [[0]], values[None])


def product_lines(
    centre: int, products: SiteProducts, n: Mapping[tuple[int, int], int]
) -> Iterator[str]:
    """The functions with several factors, one for all products that differ in m only.

    Args:
        centre: species index.
        products: products of at least two factors.
        n: number of the radial function of every channel and l.
    """
    groups: dict[tuple[tuple[int, int, int], ...], list[int]] = {}
    for t, order in enumerate(products.order):
        heads = zip(products.species[t, :order], products.channel[t, :order], products.l[t, :order],
                    strict=True)  # fmt: skip
        groups.setdefault(tuple((int(z), int(c), int(l)) for z, c, l in heads), []).append(t)
    for heads_, members in groups.items():
        mus, channels, ls = zip(*heads_, strict=True)
        ms = products.m[members, : len(mus)].tolist()
        ns = [n[key] for key in zip(channels, ls, strict=True)]
        yield _entry(centre, list(mus), ns, list(ls), ms, products.weight[:, members].T)


def _entry(
    centre: int,
    mus: list[int],
    ns: list[int],
    ls: list[int],
    ms: list[list[int]],
    values: Floats,
) -> str:
    return (
        f"    - {{mu0: {centre}, rank: {len(mus)}, ndensity: {values.shape[1]}, "
        f"num_ms_combs: {len(ms)}, mus: {mus}, ns: {ns}, ls: {ls}, "
        f"ms_combs: {[m for one in ms for m in one]}, ctildes: {row(values.ravel())}}}"
    )
