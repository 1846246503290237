"""Models of ACE.jl, read from PACE files, in the form ML-PACE knows them in YAML."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from acepot.basis.embedding import Embedding
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.family import RadialFunctions
from acepot.basis.pace_radial import SplicedRadial
from acepot.basis.radial import PolynomialRadial
from acepot.basis.transform import PolynomialTransform
from acepot.io.orthpoly import OrthPoly
from acepot.io.pace.family import Channel
from acepot.io.pace.products import SiteProducts
from acepot.io.pace.yacelines import head_lines, number, product_lines, row
from acepot.model import Model

#: ML-PACE's own tables do not serve these functions, but the key must be there.
_KNOTS = 1e-3


def _fits(basis: ExplicitBasis) -> bool:
    """Whether the radial functions are those of ACE.jl and pair functions of its potential."""
    if not all(_polynomials(f) for line in basis.radial for f in line):
        return False
    if basis.pair is None:
        return True
    pairs = [f for line in basis.pair for f in line]
    families = {_polynomials(f.functions) for f in pairs if isinstance(f, SplicedRadial)}
    cores = {isinstance(f, SplicedRadial) and f.core is None for f in pairs}
    return (
        all(isinstance(f, SplicedRadial) for f in pairs)
        and len(families) == len(cores) == 1
        and () not in families
    )


def lines(
    model: Model, channels: Sequence[Channel], sites: Sequence[SiteProducts]
) -> list[str] | None:
    """The file of a model of ACE.jl, None for any other model."""
    basis = model.basis
    if not isinstance(basis, ExplicitBasis) or model.nonlinear or not _fits(basis):
        return None
    symbols = list(model.elements)
    linear = Embedding("FinnisSinclairShiftedScaled", (1.0,), (1.0,), 1e5, 1.0)
    out = list(head_lines(symbols, model.e0, [linear] * len(symbols), _KNOTS))
    out.append(f"lmax: {max(int(site.l.max(initial=0)) for site in sites)}")
    out.append("bonds:")
    for a, b in product(range(len(symbols)), repeat=2):
        family = ", ".join(_polynomials(basis.radial[a][b]))
        out.append(f"  [{a}, {b}]: {{radbasename: ACE.jl.Basic, {family}}}")
    many = {c: channel[0] for c, channel in enumerate(channels) if channel[0] > 0}
    if basis.pair is not None:
        out += _pair_lines(basis.pair, channels, sites)
    out.append("functions:")
    for a, site in enumerate(sites):
        bodies = site.take(np.isin(site.channel[:, 0], list(many)))
        highest = int(bodies.l.max(initial=0))
        n = {(c, l): number for c, number in many.items() for l in range(highest + 1)}
        own = list(product_lines(a, bodies, n))
        out += [f"  {a}:", *own] if own else [f"  {a}: []"]
    return out


def _polynomials(f: RadialFunctions) -> tuple[str, ...]:
    """Keys and values of functions as `bonds.polynomials` reads them; empty for others."""
    if not (
        isinstance(f, PolynomialRadial)
        and isinstance(f.transform, PolynomialTransform)
        and f.transform.offset == 1.0
        and f.transform.p.is_integer()  # ML-PACE reads an integer
        and f.envelope.powers is not None
        and f.scale < 0.0
        and f.recurrence.any()
    ):
        return ()
    found = OrthPoly.of(f)
    (t_in, p_in), (t_out, p_out) = found.low, found.high
    return (
        f"rcut: {number(f.cutoff)}",
        f"r0: {number(f.r0)}",
        f"p: {number(f.transform.p)}",
        f"xl: {number(t_out)}",
        f"xr: {number(t_in)}",
        f"pl: {p_out}",
        f"pr: {p_in}",
        f"maxn: {f.count}",
        f"recursion_coefficients: {{A: {row(found.a)}, B: {row(found.b)}, C: {row(found.c)}}}",
    )


def _pair_lines(
    pair: tuple[tuple[RadialFunctions, ...], ...],
    channels: Sequence[Channel],
    sites: Sequence[SiteProducts],
) -> list[str]:
    """Polypairpot and reppot."""
    coefficients, cores, head = [], [], ""
    for a, site in enumerate(sites):
        for b, f in enumerate(pair[a]):
            if not isinstance(f, SplicedRadial):
                continue
            head = ", ".join(_polynomials(f.functions))
            here = (site.order == 1) & (site.species[:, 0] == b)
            here &= np.array([channels[c][0] < 0 for c in site.channel[:, 0]], dtype=bool)
            factor = 2.0 * float(site.weight[0, here].sum())  # the model's E is V/2 a pair
            coefficients.append(f"[{a}, {b}]: {row(factor * f.coefficients)}")
            if f.core is not None:
                end, e0, rate, height = f.core
                values = {"ri": end, "e0": factor * e0, "A": rate, "B": factor * height}
                text = ", ".join(f"{key}: {number(value)}" for key, value in values.items())
                cores.append(f"[{a}, {b}]: {{{text}}}")
    out = [f"polypairpot: {{{head}, coefficients: {{{', '.join(coefficients)}}}}}"]
    if cores:
        out.append(f"reppot: {{coefficients: {{{', '.join(cores)}}}}}")
    return out
