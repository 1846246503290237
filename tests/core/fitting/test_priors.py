"""The prior's factors against sums written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from acepot.basis.choices import Pair, resolve
from acepot.basis.coupling import couplings
from acepot.basis.expansion import Expansion
from acepot.basis.selection import group_sizes, select
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.priors import Algebraic, Gaussian, NoPrior, Prior
from acepot.schema import from_mapping


def factors_of(built: Expansion) -> list[list[tuple[int, int]]]:
    """(n, l) of the factors of every function; pair functions have one with l = 0."""
    labels = built.labels
    return [
        [(int(n), int(l)) for n, l in zip(ns, ls, strict=True) if l >= 0]
        for ns, ls in zip(labels.n, labels.l, strict=True)
    ]


def monomials(spec: BasisSpec) -> list[dict[tuple[Any, ...], float]]:
    """|C_kT| of every function: products of A in any order are one and the same product T."""
    out: list[dict[tuple[Any, ...], float]] = []
    for functions in select(spec).values():
        for factors in functions:
            coupling = couplings(tuple(f[0] for f in factors), group_sizes(factors), 0)
            for values in coupling.values:
                found: dict[tuple[Any, ...], complex] = {}
                for ms, c in zip(coupling.ms, values[0], strict=True):
                    pairs = zip(factors, ms, strict=True)
                    key = tuple(sorted((f[1][0], f[0], f[2], int(m)) for f, m in pairs))
                    found[key] = found.get(key, 0.0) + c
                out.append({key: abs(c) for key, c in found.items()})
    species = len(spec.elements)
    for _ in range(species * (species + 1) // 2):
        out += [{((k, 0, 0, 0),): 1.0} for k in range(1, (spec.pair.degree or 0) + 1)]
    return out


def gamma_of(kind: str, factors: list[tuple[int, int]], c: dict[Any, float], p: float,
             wl: float, wn: float) -> float:  # fmt: skip
    """ace_definitions.md §2.6, written as it stands there."""
    total = 0.0
    if kind == "algebraic":
        for n, l in factors:
            total += (l / wl) ** p + (n / wn) ** p
        return total
    if kind in ("exponential", "gaussian"):
        power = 1 if kind == "exponential" else 2
        for n, l in factors:
            total += (l / wl) ** power + (n / wn) ** power
        return float(np.exp(total))
    if kind == "algebraic_ace1":
        norm = np.sqrt(sum(x**2 for x in c.values()))
        for n, l in factors:
            total += (n / wn) ** p + wl * l**p * (1 + l / (p + 1))
        return float(1 + norm * total)
    for key, x in c.items():
        w = sum((n / wn) ** p + wl * (l**p + abs(m) ** p) for n, l, _, m in key)
        total += x**2 * w**2
    return float(1 + np.sqrt(total))


DEFAULTS = {
    "algebraic": (2 / 3, 1.0),
    "exponential": (1.0, 1.0),
    "gaussian": (2**-0.5, 2**-0.5),
    "algebraic_ace1": (1.5, 1.0),
    "algebraic_06": (1.0, 1.0),
}


@pytest.mark.parametrize("kind", DEFAULTS)
@pytest.mark.parametrize("own", [None, (3.0, 1.7, 2.5)])
def test_priors_are_their_formulas(kind: str, own: tuple[float, float, float] | None) -> None:
    spec = resolve(
        BasisSpec(("O", "Si"), order=4, degree=6.5, wl=1.0, cutoff=4.0, pair=Pair(degree=4))
    )
    built = spec.expansion()
    p, wl, wn = own or (4.0, *DEFAULTS[kind])
    written = dict(zip(("p", "wl", "wn"), own or (), strict=False))
    gamma = from_mapping(Prior, {"kind": kind, **written}).gamma(built)
    assert gamma.shape == (built.size,) and gamma.min() > 0
    expected = [
        gamma_of(kind, factors, c, p, wl, wn)
        for factors, c in zip(factors_of(built), monomials(spec), strict=True)
    ]
    np.testing.assert_allclose(gamma, expected, rtol=1e-12)


def test_no_prior_is_one_and_one_that_overflows_is_an_error() -> None:
    built = resolve(BasisSpec(("Si",), order=1, degree=30.0, cutoff=4.0)).expansion()
    assert (NoPrior().gamma(built) == np.ones(built.size)).all()
    with pytest.raises(InputError, match=r"prior.gaussian: overflows at n = 30, l = 0"):
        Gaussian().gamma(built)
    with pytest.raises(InputError, match="prior.algebraic: overflows"):
        Algebraic(p=300.0).gamma(built)
