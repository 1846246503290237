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
from acepot.io.pace.family import Channel
from acepot.io.pace.terms import Terms
from acepot.io.pace.text import head_lines, number, product_lines, row
from acepot.model import Model

#: ML-PACE's own tables do not serve these functions, but the key must be there.
_KNOTS = 1e-3


def fits(model: Model) -> bool:
    """Whether a model has the radial functions of ACE.jl and at most its pair potential."""
    basis = model.basis
    if not isinstance(basis, ExplicitBasis) or model.nonlinear is not None:
        return False
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


def lines(model: Model, channels: Sequence[Channel], sites: Sequence[Terms]) -> list[str]:
    """The file of a model that fits."""
    basis = model.basis
    if not isinstance(basis, ExplicitBasis):  # for the type: the caller has looked
        return []
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
    h = 1.0 / f.scale
    t_in = -(f.shift + 1.0) * h
    p_in, p_out = f.envelope.powers
    a, b, c = f.recurrence[0] / h, f.recurrence[1].copy(), f.recurrence[2]
    b[1:] -= a[1:] * (t_in + h)
    a[0] = f.recurrence[0, 0] / (h ** (p_in + p_out) * (-1) ** p_out)
    return (
        f"rcut: {number(f.cutoff)}",
        f"r0: {number(f.r0)}",
        f"p: {number(f.transform.p)}",
        f"xl: {number(t_in + 2.0 * h)}",
        f"xr: {number(t_in)}",
        f"pl: {p_out}",
        f"pr: {p_in}",
        f"maxn: {f.count}",
        f"recursion_coefficients: {{A: {row(a)}, B: {row(b)}, C: {row(c)}}}",
    )


def _pair_lines(
    pair: tuple[tuple[RadialFunctions, ...], ...],
    channels: Sequence[Channel],
    sites: Sequence[Terms],
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
