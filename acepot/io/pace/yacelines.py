"""The lines of a `.yace` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import Embedding
from acepot.io.pace.family import Combined, Core
from acepot.io.pace.products import Terms

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BondText:
    """What is written about one ordered pair.

    Args:
        combined: the family, and its coefficients in the functions with one factor, for each
            density, shape (P, K).
        core: its repulsion.
        coefficients: R_nl in the family, shape (n, l, K).
    """

    combined: Combined
    core: Core
    coefficients: Floats


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


def bond_line(a: int, b: int, bond: BondText) -> str:
    """One entry of `bonds`."""
    family, core = bond.combined.family, bond.core
    n, width, base = bond.coefficients.shape
    nested = ", ".join(f"[{', '.join(row(c) for c in each)}]" for each in bond.coefficients)
    window = family.window if core.window is None else core.window
    return (
        f"  [{a}, {b}]: {{nradmax: {n}, lmax: {width - 1}, nradbasemax: {base}, "
        f"radbasename: {family.name}, radparameters: [{number(family.exponent)}], "
        f"radcoefficients: [{nested}], prehc: {number(core.prefactor)}, "
        f"lambdahc: {number(core.decay)}, rcut: {number(family.cutoff)}, dcut: {number(window)}, "
        f"rcut_in: {number(core.end)}, dcut_in: {number(core.width)}, "
        f"inner_cutoff_type: {core.mode}}}"
    )


def single_lines(centre: int, neighbour: int, coefficients: Floats) -> Iterator[str]:
    """The functions with one factor: Σ_k coefficients[p, k] g_k."""
    for k, values in enumerate(coefficients.T):
        if values.any() or not coefficients.any():
            yield _entry(centre, [neighbour], [k + 1], [0], [[0]], values[None])


def product_lines(centre: int, terms: Terms, n: Mapping[tuple[int, int], int]) -> Iterator[str]:
    """The functions with several factors, one for all products that differ in m only.

    Args:
        centre: species index.
        terms: products of at least two factors.
        n: number of the radial function of every channel and l.
    """
    groups: dict[tuple[tuple[int, int, int], ...], list[int]] = {}
    for t, order in enumerate(terms.order):
        heads = zip(terms.species[t, :order], terms.channel[t, :order], terms.l[t, :order],
                    strict=True)  # fmt: skip
        groups.setdefault(tuple((int(z), int(c), int(l)) for z, c, l in heads), []).append(t)
    for heads_, members in groups.items():
        mus, channels, ls = zip(*heads_, strict=True)
        ms = terms.m[members, : len(mus)].tolist()
        ns = [n[key] for key in zip(channels, ls, strict=True)]
        yield _entry(centre, list(mus), ns, list(ls), ms, terms.weight[:, members].T)


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
